"""The commands ``thalamus replay``, ``thalamus calibrate`` and ``thalamus feedback export``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Optional

import typer

_DEFAULT_CONFIG = Path("thalamus.yaml")

_Logs = Annotated[list[Path], typer.Argument(metavar="LOG...", help="Decision logs, the oldest file first.")]
_Bundle = Annotated[
    Optional[str],  # noqa: UP045  typer reads this at run time
    typer.Option(help="Judge by this bundle (a name or a folder) in place of routing.bundle."),
]
_Config = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option("--config", "-c", help="A thalamus.yaml. Without it: ./thalamus.yaml, else the environment."),
]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def register(app: typer.Typer) -> None:
    """Add the commands to a command line."""
    app.command("replay")(replay)
    app.command("calibrate")(calibrate)
    feedback = typer.Typer(
        name="feedback", help="What callers and second answers say of routing.", no_args_is_help=True
    )
    feedback.command("export")(export)
    app.add_typer(feedback)


def export(
    logs: Annotated[list[Path], typer.Argument(metavar="LOG...", help="Decision logs of all workers.")],
    out: Annotated[Path, typer.Option(help="Folder of training data; files go into its folder train/.")],
    most_per_key: Annotated[int, typer.Option(min=1, help="Prompts of one key at most, in each file.")] = 500,
    as_json: _Json = False,
) -> None:
    """Make training data of verdicts: lines that `thalamus train --data` reads. The logs must hold words."""
    import dataclasses

    import msgspec
    from rich.console import Console

    from gateway.replaying.export import export as write_lines
    from gateway.replaying.reading import Unreadable
    from gateway.replaying.show import print_unreadable

    unreadable = Unreadable()
    with _told_plainly():
        exported = write_lines(logs, out, most_per_key, unreadable)
    if as_json:
        typer.echo(msgspec.json.encode(exported).decode())
    else:
        for source, lines in exported.lines.items():
            typer.echo(f"{out / 'train' / source}.jsonl: {lines} prompts")
        left_out = {name: count for name, count in dataclasses.asdict(exported).items() if name in _LEFT_OUT and count}
        for name, count in left_out.items():
            typer.echo(f"left out: {count} {_LEFT_OUT[name]}")
    print_unreadable(unreadable, Console(stderr=True, highlight=False))


_LEFT_OUT = {
    "says_nothing": "that judge a deep answer alone",
    "unknown": "about decisions that are in none of the logs",
    "wordless": "about requests that were logged without words (decision_log.content)",
    "too_many": "of keys with more prompts than --most-per-key",
}


def replay(
    logs: _Logs,
    policy: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--policy", "-p", help="A thalamus.yaml to decide by. Without it: ./thalamus.yaml."),
    ] = None,
    bundle: _Bundle = None,
    as_json: _Json = False,
    picture: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Draw the report into this file (.png, .svg, .pdf)."),
    ] = None,
) -> None:
    """Decide logged requests again under another policy or bundle, and show what would change. Nothing is called."""
    import msgspec
    from rich.console import Console

    from gateway.replaying.opening import open_engine, read_prices, replay_logs
    from gateway.replaying.picture import check_can_draw, draw
    from gateway.replaying.reading import Unreadable
    from gateway.replaying.show import print_report, print_unreadable
    from gateway.settings import load_settings

    unreadable = Unreadable()
    with _told_plainly():
        if picture is not None:
            check_can_draw(picture)
        settings = load_settings(_find_config(policy))
        report = replay_logs(logs, open_engine(settings, bundle), read_prices(settings), unreadable)
        if picture is not None:
            draw(report, picture)
    if as_json:
        typer.echo(msgspec.json.encode(report).decode())
    else:
        print_report(report, Console(highlight=False))
    print_unreadable(unreadable, Console(stderr=True, highlight=False))


def calibrate(
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="LOG_OR_PROMPTS...", help='Decision logs, or JSON lines with "prompt" or "messages".'),
    ],
    deep_share: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(min=0.0, max=1.0, help="Share of requests that shall go deep; without it the configured one."),
    ] = None,
    dial: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="The notch to calibrate; without it the configured dial."),
    ] = None,
    bundle: _Bundle = None,
    config: _Config = None,
    write: Annotated[bool, typer.Option("--write", help="Set the threshold in the configuration file.")] = False,
    as_json: _Json = False,
) -> None:
    """Find the threshold at which a given share of your requests goes deep."""
    import msgspec
    from rich.console import Console

    from gateway.replaying.calibrate import calibrate as search
    from gateway.replaying.edit import write_value
    from gateway.replaying.opening import open_engine, read_sample
    from gateway.replaying.reading import ReplayError, Unreadable
    from gateway.replaying.show import print_calibration, print_unreadable
    from gateway.settings import load_settings

    unreadable = Unreadable()
    with _told_plainly():
        file = _find_config(config)
        if write and file is None:
            raise ReplayError("--write: there is no thalamus.yaml here; name one with --config")
        settings = load_settings(file)
        dial, deep_share = _what_to_calibrate(dial, deep_share, settings.routing.dial)
        engine = open_engine(settings, bundle)
        decide, notes = read_sample(paths, engine.model, unreadable)
        found = search(decide, engine, dial, deep_share, notes)
        if write and file is not None:
            write_value(file, ("routing", "thresholds", dial), found.threshold)
    if as_json:
        typer.echo(msgspec.json.encode({**msgspec.to_builtins(found), "yaml": found.yaml}).decode())
    else:
        print_calibration(found, Console(highlight=False))
    print_unreadable(unreadable, Console(stderr=True, highlight=False))
    if write:
        typer.secho(f"{file}: routing.thresholds.{dial} is {found.threshold:.4f}", fg="green", err=True)


def _what_to_calibrate(dial: str | None, deep_share: float | None, configured: str) -> tuple[str, float]:
    """Settle the dial and its share: a dial that is a share is calibrated to that share."""
    from gateway.replaying.reading import ReplayError
    from router.policy import DIAL_WORDS, DIALS, read_dial

    named = read_dial(dial or configured)
    if named is None:
        raise ReplayError(f"--dial: {dial!r} is no dial; there are: {DIAL_WORDS}")
    if named in DIALS:
        if deep_share is None:
            raise ReplayError("--deep-share: say which share of requests shall go deep, such as 0.2")
        return named, deep_share
    if deep_share is None or dial is not None:
        return named, float(named)
    return read_dial(str(deep_share)) or named, deep_share


def _find_config(given: Path | None) -> Path | None:
    if given is not None:
        return given
    return _DEFAULT_CONFIG if _DEFAULT_CONFIG.exists() else None


@contextmanager
def _told_plainly() -> Iterator[None]:
    """Tell what stands in the way in a sentence, not in a traceback."""
    from gateway.replaying.reading import ReplayError
    from gateway.settings import SettingsError

    try:
        yield
    except (ReplayError, SettingsError) as error:
        typer.secho(str(error), fg="red", err=True)
        raise typer.Exit(2) from None
