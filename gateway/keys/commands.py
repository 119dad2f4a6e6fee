"""``thalamus keys``: make, list, rotate and revoke keys where the configuration says they are. No gateway need run."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, NoReturn, Optional, TypeVar

import typer

from gateway.keys.records import KeyRecord, KeyRefused, issue, revoke, rotate
from gateway.keys.store import Change, FileKeyStore, KeyStore, KeyStoreUnavailable
from gateway.settings import KeyBounds, Settings, SettingsError, load_settings

T = TypeVar("T")
commands = typer.Typer(name="keys", help="Make, list, rotate and revoke callers' keys.", no_args_is_help=True)

ConfigOption = Annotated[
    Optional[Path],  # noqa: UP045  typer reads this at run time
    typer.Option("--config", "-c", help="A thalamus.yaml. Without it: ./thalamus.yaml, else the environment."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
WhichArgument = Annotated[str, typer.Argument(help="The key's name or id.")]
Number = Optional[int]  # noqa: UP045
Amount = Optional[float]  # noqa: UP045
Texts = Optional[list[str]]  # noqa: UP045

DAY_S, MONTH_S = 86_400, 30 * 86_400
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": DAY_S}


@commands.command()
def create(
    name: Annotated[str, typer.Argument(help="What logs and reports call it.")],
    config: ConfigOption = None,
    tenant: Annotated[str, typer.Option(help="Callers of one tenant share cache and budgets.")] = "default",
    model: Annotated[Texts, typer.Option(help="A model name it may ask for; repeatable; none: all.")] = None,
    tier: Annotated[Texts, typer.Option(help="A tier that may serve it; repeatable; none: all.")] = None,
    dial: Annotated[Texts, typer.Option(help="A notch it may choose; repeatable; none: all.")] = None,
    priority: Annotated[str, typer.Option(help="high, normal or low.")] = "normal",
    network: Annotated[Texts, typer.Option(help="Addresses that may use it, as 10.0.0.0/8; repeatable.")] = None,
    expires: Annotated[Optional[str], typer.Option(help="When it ends: 90d, 12h, or a date.")] = None,  # noqa: UP045
    rpm: Annotated[Number, typer.Option(help="Requests a minute.")] = None,
    tpm: Annotated[Number, typer.Option(help="Tokens a minute.")] = None,
    concurrent: Annotated[Number, typer.Option(help="Requests at once.")] = None,
    dollars_per_day: Annotated[Amount, typer.Option(help="Budget of any 24 hours.")] = None,
    dollars_per_month: Annotated[Amount, typer.Option(help="Budget of any 30 days.")] = None,
    deep_per_day: Annotated[Number, typer.Option(help="Requests that may go deep in any 24 hours.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Make a key and print its token. It is shown once: only a digest is kept."""
    limits: list[dict[str, Any]] = [
        {"window_s": 60, "calls": rpm, "tokens": tpm},
        {"concurrent": concurrent},
        {"window_s": DAY_S, "dollars": dollars_per_day},
        {"window_s": MONTH_S, "dollars": dollars_per_month},
        {"tier": "deep", "window_s": DAY_S, "calls": deep_per_day},
    ]
    written = {
        "name": name,
        "tenant": tenant,
        "models": model,
        "tiers": tier,
        "dials": dial,
        "priority": priority,
        "networks": network,
        "expires": None if expires is None else _read_end(expires),
        "limits": [limit for limit in limits if any(limit.get(unit) for unit in _LIMITED)],
    }
    settings = _settings(config)
    try:
        bounds = KeyBounds.model_validate({field: value for field, value in written.items() if value is not None})
    except ValueError as error:
        _fail("; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()))  # type: ignore[attr-defined]
    _check_names(bounds, settings)
    record, token = _change(settings, lambda records: _with_token(issue(records, bounds)))
    _tell(record, token, as_json=as_json)


@commands.command("list")
def list_keys(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List all keys, the revoked ones too."""
    records = _change(_settings(config), lambda records: (records, list(records)), writes=False)
    if as_json:
        typer.echo(json.dumps([record.shown() for record in records], indent=2))
        return
    for record in records:
        used = "never used" if record.last_used is None else f"used {record.last_used:%Y-%m-%d %H:%M}"
        ends = f"…{record.secrets[-1].ends_with}"
        typer.echo(f"{record.id}  {record.name:24} {record.tenant:16} {record.status():8} {ends}  {used}")


@commands.command("rotate")
def rotate_key(
    which: WhichArgument,
    config: ConfigOption = None,
    overlap: Annotated[str, typer.Option(help="How long the old token goes on: 24h, 30m, 0s.")] = "24h",
    as_json: JsonOption = False,
) -> None:
    """Give a key a new token and print it; the old one goes on for a while."""
    record, token = _change(_settings(config), lambda records: _with_token(rotate(records, which, _read_time(overlap))))
    _tell(record, token, as_json=as_json)


@commands.command("revoke")
def revoke_key(which: WhichArgument, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Close a key for good, in all running gateways within `key_store.refresh_s`."""
    record = _change(_settings(config), lambda records: revoke(records, which))
    typer.echo(json.dumps(record.shown(), indent=2) if as_json else f"{record.name} is revoked.")


_LIMITED = ("calls", "tokens", "dollars", "concurrent")


def _with_token(made: tuple[list[KeyRecord], KeyRecord, str]) -> tuple[list[KeyRecord], tuple[KeyRecord, str]]:
    records, record, token = made
    return records, (record, token)


def _tell(record: KeyRecord, token: str, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"key": token, **record.shown()}, indent=2))
        return
    typer.echo(token)
    typer.secho(f"{record.name} ({record.id}), tenant {record.tenant}. The token is not shown again.", err=True)


def _check_names(bounds: KeyBounds, settings: Settings) -> None:
    """Refuse models that nobody has: a key for a misspelt name would open nothing."""
    from gateway.settings.model import RESERVED_MODELS

    known = [*RESERVED_MODELS, *settings.backends, *settings.aliases]
    for model in bounds.models or ():
        if model not in known:
            _fail(f"--model {model}: no tier, backend or alias is called so; there are: {', '.join(known)}")


def _settings(config: Path | None) -> Settings:
    default = Path("thalamus.yaml")
    try:
        return load_settings(config or (default if default.exists() else None))
    except SettingsError as error:
        _fail(str(error))


def _change(settings: Settings, make: Change[T], *, writes: bool = True) -> T:
    async def run() -> T:
        async with _open(settings) as store:
            return await store.change(make) if writes else make(await store.load())[1]

    try:
        return asyncio.run(run())
    except (KeyRefused, KeyStoreUnavailable) as error:
        _fail(str(error))


@asynccontextmanager
async def _open(settings: Settings) -> AsyncIterator[KeyStore]:
    if settings.key_store.place == "file":
        yield FileKeyStore(settings.key_store.path)
        return
    from gateway.keys.redis_store import open_redis_key_store

    async with open_redis_key_store(settings.redis) as store:
        yield store


def _read_end(written: str) -> str:
    if re.fullmatch(r"\d+[smhd]", written):
        return (datetime.now(UTC) + _read_time(written)).isoformat()
    try:
        end = datetime.fromisoformat(written)
    except ValueError:
        _fail(f"--expires {written}: write 90d, 12h or a date such as 2027-01-31")
    return (end if end.tzinfo else end.replace(tzinfo=UTC)).isoformat()


def _read_time(written: str) -> timedelta:
    if not re.fullmatch(r"\d+[smhd]", written):
        _fail(f"{written}: write a time such as 30m, 24h or 7d")
    return timedelta(seconds=int(written[:-1]) * _UNITS[written[-1]])


def _fail(message: str) -> NoReturn:
    typer.secho(message, fg="red", err=True)
    raise typer.Exit(2)
