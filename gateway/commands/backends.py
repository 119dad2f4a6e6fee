"""``thalamus backends``: see a running gateway's backends, and drain them."""

from __future__ import annotations

import json
from typing import Annotated, Any
from urllib.parse import quote

import typer

from gateway.commands.admin_client import DEFAULT_URL, JsonOption, UrlOption, call_admin

commands = typer.Typer(name="backends", help="See a running gateway's backends, and drain them.", no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(help="BACKEND, or BACKEND/REPLICA.")]


@commands.command("list")
def list_backends(url: UrlOption = DEFAULT_URL, as_json: JsonOption = False) -> None:
    """List every replica: its condition, calls in flight, slowness."""
    listed = call_admin(url, "/admin/backends")
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
    backend = call_admin(url, f"/admin/backends/{quote(name)}/{verb}", method="POST")
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
