"""``thalamus tenants``: make a running gateway forget a tenant."""

from __future__ import annotations

import json
from typing import Annotated
from urllib.parse import quote

import typer

from gateway.commands.admin_client import DEFAULT_URL, JsonOption, UrlOption, call_admin

commands = typer.Typer(name="tenants", help="Forget what is kept of a tenant.", no_args_is_help=True)


@commands.callback()
def tenants() -> None:
    """Commands about tenants."""


@commands.command()
def erase(
    tenant: Annotated[str, typer.Argument(help="The tenant's name.")],
    usage: Annotated[bool, typer.Option("--usage", help="Forget what it used and spent as well.")] = False,
    url: UrlOption = DEFAULT_URL,
    as_json: JsonOption = False,
) -> None:
    """Erase a tenant's kept answers, conversations, responses and reasoning; keys are revoked by `thalamus keys`."""
    path = f"/admin/tenants/{quote(tenant, safe='')}?usage={str(usage).lower()}"
    erased = call_admin(url, path, method="DELETE")
    if as_json:
        typer.echo(json.dumps(erased, indent=2))
    else:
        told = ", ".join(f"{count} {what}" for what, count in erased["erased"].items())
        typer.echo(f"{tenant}: erased {told}.")
