"""Where the checks run: the gateway, the stand-in behind it, and the list of checks with their report."""

import asyncio
import functools
import inspect
import json
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar
from urllib.request import Request, urlopen

import anthropic

PLACE = json.loads(sys.argv[1])
"""``gateway`` and ``standin`` are addresses; ``key`` and ``limited_key`` are the caller's keys."""

CLAUDE = "claude-sonnet-4-5"
"""An alias of `auto` at this gateway."""

PROMPTLY_S = 1.0
"""A backend must be left this soon after its client has gone."""

Check = Callable[[], Any]
Failure = TypeVar("Failure", bound=Exception)

_checks: dict[str, Check] = {}


def check(name: str) -> Callable[[Check], Check]:
    """Register a function as the check of that name in the contract."""

    def register(function: Check) -> Check:
        _checks[name] = function
        return function

    return register


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


def behave(**switches: Any) -> None:
    """Make the stand-in behave so until the check ends."""
    _call("/standin/behaviour", switches)


def seen() -> list[dict[str, Any]]:
    """Give what reached the stand-in during this check, oldest first."""
    return _call("/standin/requests")["requests"]


def body_seen() -> Any:
    """Give the body of the last request that reached the stand-in."""
    return seen()[-1]["body"]


def same(actual: Any, wanted: Any) -> None:
    """Fail unless both are equal, showing both."""
    if actual != wanted:
        raise AssertionError(f"got {actual!r}, not {wanted!r}")


@contextmanager
def raises(kind: type[Failure]) -> Iterator[list[Failure]]:
    """Expect exactly this class of error; the list has it afterwards."""
    caught: list[Failure] = []
    try:
        yield caught
    except kind as error:
        same(type(error), kind)
        caught.append(error)
    else:
        raise AssertionError(f"{kind.__name__} was not raised")


def wait_until_left() -> None:
    """Fail unless the stand-in's last request is left by its client in time."""
    deadline = time.monotonic() + PROMPTLY_S
    while not seen()[-1]["client_left"]:
        if time.monotonic() > deadline:
            raise AssertionError(f"the backend was not left within {PROMPTLY_S} s: {seen()}")
        time.sleep(0.02)


def run_all() -> None:
    """Run every check and print what came of them as JSON."""
    report = [_run(name, function) for name, function in _checks.items()]
    json.dump({"sdk": f"anthropic {anthropic.__version__}", "checks": report}, sys.stdout, ensure_ascii=False)


def _run(name: str, function: Check) -> dict[str, Any]:
    _call("/standin/reset", {})
    problem = None
    try:
        if inspect.iscoroutinefunction(function):
            asyncio.run(function())
        else:
            function()
    except Exception:  # noqa: BLE001  whatever a check meets is its result
        problem = traceback.format_exc()
    return {"name": name, "problem": problem}


def _call(path: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    with urlopen(Request(PLACE["standin"] + path, data=data), timeout=10) as answer:
        return json.load(answer)
