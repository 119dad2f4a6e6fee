"""What is booked, added up by whatever dimensions are asked for."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.ledger.entries import MICRO, UNITS, Amounts, Entry, Place

DIMENSIONS = Place._fields
_DOLLARS = ("cost", "saved")


@dataclass(frozen=True, slots=True)
class Report:
    """Rows by the dimensions that were asked for, in their order, and the sum of all."""

    by: tuple[str, ...]
    rows: tuple[dict[str, Any], ...]
    total: dict[str, Any]


def summarise(entries: Iterable[Entry], by: Sequence[str], **only: str | None) -> Report:
    """Add up what is booked.

    Args:
        entries: as a book gives them.
        by: dimensions, of `DIMENSIONS`; none gives the total alone.
        only: values that dimensions must have; None takes all.

    Raises:
        ValueError: there is no such dimension.
    """
    unknown = [name for name in by if name not in DIMENSIONS]
    if unknown:
        raise ValueError(f"there is no {unknown[0]!r} to group by; there are {', '.join(DIMENSIONS)}")
    groups: dict[tuple[str, ...], Amounts] = {}
    total = Amounts()
    for place, amounts in entries:
        if any(wanted is not None and getattr(place, name) != wanted for name, wanted in only.items()):
            continue
        groups.setdefault(tuple(getattr(place, name) for name in by), Amounts()).add(amounts)
        total.add(amounts)
    rows = tuple({**dict(zip(by, group, strict=True)), **_told(groups[group])} for group in sorted(groups))
    return Report(tuple(by), rows if by else (), _told(total))


def as_csv(report: Report) -> str:
    """Write a report's rows as CSV, or its total where it has none. Dollars have six places."""
    told = io.StringIO()
    writer = csv.DictWriter(told, [*report.by, *report.total], lineterminator="\n")
    writer.writeheader()
    for row in report.rows or (() if report.by else (report.total,)):
        writer.writerow(
            {name: f"{value:.6f}" if name in _SHOWN_DOLLARS else _plain(value) for name, value in row.items()}
        )
    return told.getvalue()


_SHOWN_DOLLARS = ("cost_dollars", "saved_dollars", "always_deep_dollars")


def _plain(value: Any) -> Any:
    """Keep a name from passing for a formula in a spreadsheet."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@") else value


def _told(amounts: Amounts) -> dict[str, Any]:
    """Give amounts as they are shown: dollars in dollars, and what always-deep would have cost."""
    told: dict[str, Any] = {unit: getattr(amounts, unit) for unit in UNITS if unit not in _DOLLARS}
    told["cost_dollars"] = amounts.cost / MICRO
    told["saved_dollars"] = amounts.saved / MICRO
    told["always_deep_dollars"] = (amounts.cost + amounts.saved) / MICRO
    return told
