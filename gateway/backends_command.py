"""``thalamus backends``: see a running gateway's backends, and drain them."""

from __future__ import annotations

import json
import os
from typing import Annotated, Any, NoReturn
from urllib.error import HTTPError, URLError
from urllib.parse import quote
from urllib.request import Request, urlopen

import typer

commands = typer.Typer(name="backends", help="See a running gateway's backends, and drain them.", no_args_is_help=True)

KEY_VARIABLE = "THALAMUS_ADMIN_KEY"
_TIMEOUT_S = 10.0

UrlOption = Annotated[str, typer.Option("--url", help="Where the gateway listens.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
NameArgument = Annotated[str, typer.Argument(help="BACKEND, or BACKEND/REPLICA.")]
DEFAULT_URL = "http://127.0.0.1:8080"


@commands.command("list")
def list_backends(url: UrlOption = DEFAULT_URL, as_json: JsonOption = False) -> None:
    """List every replica: its condition, calls in flight, slowness."""
    listed = _call(url, "/admin/backends")
    if as_json:
        typer.echo(json.dumps(listed, indent=2))
        return
    for backend in listed["backends"]:
        _show(backend)


@commands.command()
def drain(name: NameArgument, url: UrlOption = DEFAULT_URL, as_json: JsonOption = False) -> None:
    """Send no new calls there; calls under way go on. Ends with `undrain`, or a restart without Redis."""
    _change(name, "drain", url, as_json=as_json)


@commands.command()
def undrain(name: NameArgument, url: UrlOption = DEFAULT_URL, as_json: JsonOption = False) -> None:
    """Send calls there again."""
    _change(name, "undrain", url, as_json=as_json)


def _change(name: str, verb: str, url: str, *, as_json: bool) -> None:
    backend = _call(url, f"/admin/backends/{quote(name)}/{verb}", post=True)
    if as_json:
        typer.echo(json.dumps(backend, indent=2))
    else:
        _show(backend)
        if backend.get("told") == "this process":
            typer.echo("Only the process that answered knows. With redis.url, all do, and a restart keeps it.")


def _show(backend: dict[str, Any]) -> None:
    for replica in backend["replicas"]:
        name = f"{backend['name']}/{replica['name']}"
        limit = "" if replica["limit"] is None else f" of {replica['limit']}"
        typer.echo(f"{name:40} {replica['condition']:10} {replica['in_flight']}{limit} in flight")
    if backend["waiting"]:
        typer.echo(f"{backend['name']:40} {backend['waiting']} waiting")


def _call(url: str, path: str, *, post: bool = False) -> Any:
    headers = {"authorization": f"Bearer {key}"} if (key := os.environ.get(KEY_VARIABLE)) else {}
    if not url.startswith(("http://", "https://")):
        _fail(f"--url {url}: write it as http://HOST:PORT")
    request = Request(url.rstrip("/") + path, headers=headers, method="POST" if post else "GET")  # noqa: S310
    try:
        with urlopen(request, timeout=_TIMEOUT_S) as answer:  # noqa: S310  the scheme is checked above
            return json.loads(answer.read())
    except HTTPError as error:
        _fail(_message(error))
    except (URLError, OSError) as error:
        _fail(f"{url}: no gateway answers: {getattr(error, 'reason', error)}")


def _message(error: HTTPError) -> str:
    """Give the gateway's own words."""
    try:
        message = str(json.loads(error.read())["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return f"the gateway answered {error.code}"
    return f"{message} (set {KEY_VARIABLE})" if error.code in (401, 403) else message


def _fail(message: str) -> NoReturn:
    typer.secho(message, fg="red", err=True)
    raise typer.Exit(2)
