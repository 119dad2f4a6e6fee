"""Where the checks run: a client of the gateway, besides what all clients' checks share."""

import functools
import sys
from pathlib import Path
from typing import Any

import anthropic

sys.path.append(str(Path(__file__).parents[1] / "common"))

from checks import (
    PLACE,
    behave,
    body_seen,
    check,
    raises,
    run_all,
    same,
    seen,
    wait_until_left,
)

__all__ = [
    "CLAUDE", "PLACE", "ask", "behave", "body_seen", "check", "client", "options", "raises", "run_all", "same", "seen",
    "wait_until_left",
]  # fmt: skip

CLAUDE = "claude-sonnet-4-5"
"""An alias of `auto` at this gateway."""


def options(**chosen: Any) -> dict[str, Any]:
    """Give a client's options: every answer is checked against the SDK's types, and nothing is retried unasked."""
    usual = {"base_url": PLACE["gateway"], "api_key": PLACE["key"], "max_retries": 0, "timeout": 10.0}
    return {**usual, "_strict_response_validation": True, **chosen}


@functools.cache
def client(**chosen: Any) -> anthropic.Anthropic:
    """Give a client of the gateway; the same options share one, and its connections."""
    return anthropic.Anthropic(**options(**chosen))


def ask(text: str = "Hello there", **fields: Any) -> dict[str, Any]:
    """Give a request with one message."""
    return {"model": CLAUDE, "max_tokens": 1000, "messages": [{"role": "user", "content": text}], **fields}
