"""Where the checks run: a client of the gateway, besides what all clients' checks share."""

import functools
import sys
from pathlib import Path
from typing import Any

import openai

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
    wait_until_reached,
)

__all__ = [
    "PLACE", "behave", "body_seen", "check", "client", "options", "raises", "run_all", "same", "seen", "standin",
    "user", "wait_until_left", "wait_until_reached",
]  # fmt: skip


def options(**chosen: Any) -> dict[str, Any]:
    """Give a client's options: every answer is checked against the SDK's types, and nothing is retried unasked."""
    usual = {"base_url": f"{PLACE['gateway']}/v1", "api_key": PLACE["key"], "max_retries": 0, "timeout": 10.0}
    return {**usual, "_strict_response_validation": True, **chosen}


@functools.cache
def client(**chosen: Any) -> openai.OpenAI:
    """Give a client of the gateway; the same options share one, and its connections."""
    return openai.OpenAI(**options(**chosen))


def user(text: str) -> list[dict[str, str]]:
    """Give a conversation of one message."""
    return [{"role": "user", "content": text}]


def standin(**switches: Any) -> dict[str, Any]:
    """Give the extra body that makes the stand-in behave so for this one request."""
    return {"standin": switches}
