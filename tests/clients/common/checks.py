"""What the scripts of all Python clients share: the list of checks with their report, and a look at the stand-in."""

import asyncio
import inspect
import json
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any, TypeVar
from urllib.request import Request, urlopen

PLACE = json.loads(sys.argv[1])
"""``gateway`` and ``standin`` are addresses without ``/v1``, ``strict`` that of the strict stand-ins; ``key`` and
``limited_key`` are the caller's keys; ``thinking`` names the backends that think and are particular about it."""

PROMPTLY_S = 1.0
"""A backend must be left this soon after its client has gone, and must be reached this soon."""

Check = Callable[[], Any]
Failure = TypeVar("Failure", bound=Exception)

_checks: dict[str, Check] = {}


def check(name: str) -> Callable[[Check], Check]:
    """Register a function as the check of that name in the contract."""

    def register(function: Check) -> Check:
        _checks[name] = function
        return function

    return register


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
    _wait_until(lambda: seen()[-1]["client_left"], "the backend was not left")


def wait_until_reached() -> None:
    """Fail unless a request reaches the stand-in in time."""
    _wait_until(seen, "the backend was not reached")


def run_all(package: str) -> None:
    """Run every check and print what came of them as JSON; `package` is what they are about."""
    report = [_run(name, function) for name, function in _checks.items()]
    json.dump({"sdk": f"{package} {version(package)}", "checks": report}, sys.stdout, ensure_ascii=False)


def _run(name: str, function: Check) -> dict[str, Any]:
    _call("/standin/reset", {})
    started = time.monotonic()
    problem = None
    try:
        if inspect.iscoroutinefunction(function):
            asyncio.run(function())
        else:
            function()
    except Exception:  # noqa: BLE001  whatever a check meets is its result
        problem = traceback.format_exc()
    return {"name": name, "problem": problem, "seconds": round(time.monotonic() - started, 3)}


def _wait_until(condition: Callable[[], Any], otherwise: str) -> None:
    deadline = time.monotonic() + PROMPTLY_S
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"{otherwise} within {PROMPTLY_S} s: {seen()}")
        time.sleep(0.02)


def _call(path: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    with urlopen(Request(PLACE["standin"] + path, data=data), timeout=10) as answer:
        return json.load(answer)


def thoughts_sent_back(backend: str) -> list[bool]:
    """Say of each tool call in the last request to a strict stand-in whether its reasoning came with it."""
    with urlopen(f"{PLACE['strict']}/{backend}", timeout=10) as answer:
        messages = json.load(answer)[-1]["messages"]
    calling = [message for message in messages if message.get("tool_calls")]
    return [
        any(message.get(field) for field in _CARRIERS) or any("extra_content" in call for call in message["tool_calls"])
        for message in calling
    ]


_CARRIERS = ("reasoning_content", "reasoning", "reasoning_details", "thinking_blocks")
