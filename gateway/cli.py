"""The command line: ``thalamus serve``, ``check``, ``init``, ``route``, ``dialects``, ``mock``."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, NoReturn, Optional

import msgspec
import typer

from classifiers.commands import register as register_classifier_commands
from gateway.cache.semantic.commands import commands as cache_commands
from gateway.commands.backends import commands as backends_commands
from gateway.commands.tenants import commands as tenants_commands
from gateway.keys.commands import commands as keys_commands
from gateway.ledger.commands import usage
from gateway.replaying.commands import register as register_replay_commands

app = typer.Typer(
    name="thalamus",
    help="Thalamus: one OpenAI endpoint, one model `auto`; every request gets the right model and the right effort.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)

ConfigOption = Annotated[
    Optional[Path],  # noqa: UP045  typer reads this at run time
    typer.Option("--config", "-c", help="A thalamus.yaml. Without it: ./thalamus.yaml, else the environment."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]

DEFAULT_CONFIG = Path("thalamus.yaml")

FIRST_CONFIG = """\
# Thalamus. Every key is described in docs/settings.md; `thalamus check` says whether this file is right.
backends:
  deepseek:
    url: https://api.deepseek.com/v1
    model: deepseek-chat
    key: ${DEEPSEEK_API_KEY}
tiers:
  fast: {backend: deepseek, effort: none}   # the same model, thinking off
  deep: deepseek                            # thinking on, as hard as the task needs
"""


@app.command()
def serve(
    config: ConfigOption = None,
    port: Annotated[Optional[int], typer.Option(help="Port to listen on; 0 takes a free one.")] = None,  # noqa: UP045
    host: Annotated[Optional[str], typer.Option(help="Address to listen on.")] = None,  # noqa: UP045
    workers: Annotated[Optional[int], typer.Option(help="Processes on the one port.")] = None,  # noqa: UP045
) -> None:
    """Serve the gateway. Without a configuration: the model in the box, on both tiers."""
    from gateway.settings import SettingsError, SettingsSource

    given = (("port", port), ("host", host), ("workers", workers))
    source = SettingsSource(
        _find_config(config), {"server": {name: value for name, value in given if value is not None}}
    )
    try:
        settings = source.load()
        if settings.server.workers > 1:
            from gateway.process.workers import supervise

            raise typer.Exit(supervise(source, settings))
        from gateway.process.server import serve as run

        run(source, settings)
    except SettingsError as error:
        _fail(str(error))


@app.command()
def check(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Check a configuration and show what it comes to, secrets masked."""
    from gateway.settings import SettingsError, load_settings, written_form

    path = _find_config(config)
    try:
        settings = load_settings(path)
    except SettingsError as error:
        _fail(str(error))
    if as_json:
        typer.echo(settings.model_dump_json(by_alias=True, indent=2, exclude_none=True))
        return
    typer.echo(written_form(settings), nl=False)
    typer.secho(f"{path or 'environment'}: ok", fg="green", err=True)


@app.command()
def init(path: Annotated[Path, typer.Argument(help="Where to write.")] = DEFAULT_CONFIG) -> None:
    """Write a first thalamus.yaml: DeepSeek, thinking for the deep tier, not thinking for the fast one."""
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(FIRST_CONFIG)
    except FileExistsError:
        _fail(f"{path}: exists already; remove it or name another path")
    except OSError as error:
        _fail(f"{path}: cannot be written: {error.strerror}")
    typer.echo(f"Wrote {path}. Next: export DEEPSEEK_API_KEY=…; thalamus check; thalamus serve")


@app.command()
def route(
    prompt: Annotated[Optional[str], typer.Argument(help="The prompt; '-' or nothing reads standard input.")] = None,  # noqa: UP045
    config: ConfigOption = None,
    dial: Annotated[Optional[str], typer.Option(help="cheap, balanced, quality, max, or a share such as 0.2.")] = None,  # noqa: UP045
    as_json: JsonOption = False,
) -> None:
    """Show what would be decided for a prompt, and why. Nothing is called."""
    from gateway.commands.explain import explain, print_decision
    from gateway.settings import SettingsError, load_settings

    text = sys.stdin.read() if prompt in (None, "-") else prompt or ""
    try:
        decision = explain(load_settings(_find_config(config)), text, dial)
    except (SettingsError, ValueError) as error:
        _fail(str(error))
    if as_json:
        typer.echo(json.dumps(decision.as_dict(), ensure_ascii=False, indent=2))
    else:
        print_decision(decision)


@app.command()
def dialects(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show how each model family, on each host, is told to think."""
    from gateway.commands.explain import print_dialects
    from gateway.settings import SettingsError, load_settings
    from gateway.upstream.dialects import DialectError, load_dialects

    try:
        path = _find_config(config)
        rows = load_dialects(load_settings(path).dialects if path else None).rows()
    except (SettingsError, DialectError) as error:
        _fail(str(error))
    if as_json:
        typer.echo(json.dumps(rows, ensure_ascii=False, indent=2))
    else:
        print_dialects(rows)


@app.command()
def mock(
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 9100,
    switch: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option("--switch", "-s", help="NAME=VALUE, such as token_ms=20 or faults=status-503; repeatable."),
    ] = None,
    as_json: JsonOption = False,
    show: Annotated[bool, typer.Option("--switches", help="List the switches and stop.")] = False,
) -> None:
    """Run the stand-in backend: a strict OpenAI-compatible server that can be told to misbehave."""
    from gateway.standin import Behaviour, SwitchError, adjusted
    from gateway.standin import serve as run

    try:
        behaviour = adjusted(Behaviour(), dict(_switches(switch or [])))
    except SwitchError as error:
        _fail(str(error))
    if show:
        values = msgspec.to_builtins(behaviour)
        typer.echo(json.dumps(values, indent=2) if as_json else "\n".join(f"{k:22} {v}" for k, v in values.items()))
        return
    typer.echo(f"Stand-in backend at http://127.0.0.1:{port}/v1; what reached it: /standin/requests", err=True)
    run(behaviour, port=port)


def _switches(written: list[str]) -> Iterator[tuple[str, str]]:
    for pair in written:
        name, equals, value = pair.partition("=")
        if not equals:
            _fail(f"--switch {pair}: write it as NAME=VALUE; `thalamus mock --switches` lists them")
        yield name, value


def _find_config(given: Path | None) -> Path | None:
    if given is not None:
        return given
    return DEFAULT_CONFIG if DEFAULT_CONFIG.exists() else None


def _fail(message: str) -> NoReturn:
    typer.secho(message, fg="red", err=True)
    raise typer.Exit(2)


app.add_typer(backends_commands)
app.add_typer(cache_commands)
app.add_typer(keys_commands)
app.add_typer(tenants_commands)
app.command()(usage)
register_classifier_commands(app)
register_replay_commands(app)


def main() -> None:
    """Run the command line."""
    app()
