"""``thalamus usage``: what was used and spent, from the book itself. No gateway need run."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated, NoReturn, Optional

import typer
from rich.console import Console
from rich.table import Table

from gateway.ledger.ledger import BookUnavailable
from gateway.ledger.opening import open_book
from gateway.ledger.report import DIMENSIONS, Report, as_csv, summarise
from gateway.settings import Settings, SettingsError, load_settings

Text = Optional[str]  # noqa: UP045  typer reads this at run time
DAYS = 30


def usage(
    config: Annotated[Optional[Path], typer.Option("--config", "-c", help="A thalamus.yaml.")] = None,  # noqa: UP045
    first: Annotated[Text, typer.Option("--from", help="First day, as 2026-11-01; 30 days ago.")] = None,
    last: Annotated[Text, typer.Option("--to", help="Last day; today. Days are UTC's.")] = None,
    by: Annotated[str, typer.Option(help=f"Dimensions, of {', '.join(DIMENSIONS)}.")] = "tenant,key,model",
    tenant: Annotated[Text, typer.Option(help="This tenant alone.")] = None,
    key: Annotated[Text, typer.Option(help="This key alone.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV for spreadsheets.")] = False,
) -> None:
    """Show what was used, what it cost, and what was saved against sending everything to the deep tier."""
    try:
        settings = load_settings(config or (Path("thalamus.yaml") if Path("thalamus.yaml").exists() else None))
        days = read_days(first, last)
        report = asyncio.run(_report(settings, days, by, tenant, key))
    except (SettingsError, BookUnavailable, ValueError) as error:
        _fail(str(error))
    if csv:
        typer.echo(as_csv(report), nl=False)
    elif as_json:
        typer.echo(json.dumps({"from": days[0], "to": days[1], **asdict(report)}, indent=2))
    else:
        _print(report)


def read_days(first: str | None, last: str | None) -> tuple[str, str]:
    """Read the first and the last day of a range; the last thirty days where they are not given.

    Raises:
        ValueError: one is no day, or they are the wrong way round.
    """
    today = datetime.now(UTC).date()
    end = _day(last, today)
    start = _day(first, end - timedelta(DAYS - 1))
    if start > end:
        raise ValueError(f"the range begins on {start}, after it ends on {end}")
    return str(start), str(end)


def _day(written: str | None, default: date) -> date:
    if written is None:
        return default
    try:
        return date.fromisoformat(written)
    except ValueError:
        raise ValueError(f"{written!r} is no day; write it as 2026-11-30") from None


async def _report(settings: Settings, days: tuple[str, str], by: str, tenant: str | None, key: str | None) -> Report:
    async with open_book(settings) as book:
        if book is None:
            raise BookUnavailable("ledger.place is off: nothing is booked")
        return summarise(await book.read(*days), [name for name in by.split(",") if name], tenant=tenant, key=key)


def _print(report: Report) -> None:
    table = Table(box=None, show_footer=True)
    for number, name in enumerate(report.by):
        table.add_column(name, footer="" if number else "total")
    columns = (
        ("requests", "requests"),
        ("input", "tokens in"),
        ("output", "tokens out"),
        ("cost_dollars", "cost"),
        ("saved_dollars", "saved"),
    )
    for name, shown in columns:
        table.add_column(shown, justify="right", footer=_shown(name, report.total[name]))
    for row in report.rows:
        table.add_row(*(row[name] for name in report.by), *(_shown(name, row[name]) for name, _ in columns))
    Console().print(table)


def _shown(name: str, value: float) -> str:
    return f"${value:,.4f}" if name.endswith("dollars") else f"{value:,}"


def _fail(message: str) -> NoReturn:
    typer.secho(message, fg="red", err=True)
    raise typer.Exit(2)
