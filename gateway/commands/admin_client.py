"""Asking a running gateway's ``/admin`` from the command line."""

from __future__ import annotations

import json
import os
from typing import Annotated, Any, NoReturn
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import typer

KEY_VARIABLE = "THALAMUS_ADMIN_KEY"
DEFAULT_URL = "http://127.0.0.1:8080"
_TIMEOUT_S = 10.0

UrlOption = Annotated[str, typer.Option("--url", help="Where the gateway listens.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def call_admin(url: str, path: str, *, method: str = "GET") -> Any:
    """Give the gateway's answer, or end with its own words."""
    headers = {"authorization": f"Bearer {key}"} if (key := os.environ.get(KEY_VARIABLE)) else {}
    if not url.startswith(("http://", "https://")):
        fail(f"--url {url}: write it as http://HOST:PORT")
    request = Request(url.rstrip("/") + path, headers=headers, method=method)  # noqa: S310
    try:
        with urlopen(request, timeout=_TIMEOUT_S) as answer:  # noqa: S310  the scheme is checked above
            return json.loads(answer.read())
    except HTTPError as error:
        fail(_message(error))
    except (URLError, OSError) as error:
        fail(f"{url}: no gateway answers: {getattr(error, 'reason', error)}")


def _message(error: HTTPError) -> str:
    """Give the gateway's own words."""
    try:
        message = str(json.loads(error.read())["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return f"the gateway answered {error.code}"
    return f"{message} (set {KEY_VARIABLE})" if error.code in (401, 403) else message


def fail(message: str) -> NoReturn:
    """End with a message."""
    typer.secho(message, fg="red", err=True)
    raise typer.Exit(2)
