"""Clients that leave, in every phase of a request and on every surface, and how soon the backend is let go."""

from __future__ import annotations

import asyncio
import json
import re
import time
from dataclasses import dataclass, field

from gateway.standin import RunningStandin

_SAID = "Hello from client NUMBER."
_QUESTION = {"messages": [{"role": "user", "content": _SAID}], "max_tokens": 400, "stream": True}
SURFACES = {
    "chat": ("/v1/chat/completions", _QUESTION),
    "plain": ("/v1/chat/completions", {**_QUESTION, "stream": False}),
    "completions": ("/v1/completions", {"prompt": _SAID, "max_tokens": 400, "stream": True}),
    "responses": ("/v1/responses", {"input": _SAID, "stream": True}),
    "messages": ("/v1/messages", _QUESTION),
}
_NUMBER = re.compile(r"client (\d+)\.")

PHASES = {
    "before the head": {"first_byte_ms": 20_000},
    "before the first token": {"first_token_ms": 20_000},
    "in mid-stream": {"tokens": 400, "token_ms": 50},
}
"""What the stand-in does while the client leaves."""


@dataclass
class Left:
    """How it went: the seconds from each client's leaving to the end of the backend's call."""

    sent: int = 0
    delays: list[float] = field(default_factory=list)
    late: list[str] = field(default_factory=list)

    def within(self, seconds: float) -> int:
        """Count the calls that ended so soon."""
        return sum(delay <= seconds for delay in self.delays)


async def leave(url: str, surface: str, model: str, after_s: float, number: int = 0) -> float:
    """Send a request, leave after a while, and give the moment (wall clock)."""
    path, body = SURFACES[surface]
    host, port = url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    payload = json.dumps({**body, "model": model}).replace("NUMBER", str(number)).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {len(payload)}\r\n\r\n"
    )
    writer.write(head.encode() + payload)
    await writer.drain()
    await asyncio.sleep(after_s)
    writer.transport.abort()
    return time.time()


async def leave_in_crowds(
    gateway_url: str, standin: RunningStandin, *, each: int, crowd: int, after_s: float = 0.5
) -> Left:
    """Let `each` clients leave on every surface in every phase, so many at a time."""
    left, everybody = Left(), [surface for surface in SURFACES for _ in range(each)]
    for phase, behaviour in PHASES.items():
        for start in range(0, len(everybody), crowd):
            standin.reset()
            standin.behave(**behaviour)
            surfaces = everybody[start : start + crowd]
            moments = await asyncio.gather(
                *(leave(gateway_url, surface, "swift", after_s, client) for client, surface in enumerate(surfaces))
            )
            await _note_ends(left, standin, moments, f"{'/'.join(dict.fromkeys(surfaces))} {phase}")
    standin.reset()
    return left


async def _note_ends(left: Left, standin: RunningStandin, moments: list[float], what: str) -> None:
    """Wait until the backend's calls have ended, at most some seconds, and note when that was."""
    number = len(moments)
    left.sent += number
    deadline = time.monotonic() + 5
    while True:
        calls = [one for one in await asyncio.to_thread(standin.requests) if one["method"] == "POST"]
        ended = [one for one in calls if one["outcome"] == "client-left"]
        if len(ended) >= number or time.monotonic() > deadline:
            break
        await asyncio.sleep(0.05)
    for one in ended:
        client = int(_NUMBER.search(json.dumps(one["body"]))[1])  # type: ignore[index]  # all of them say who they are
        left.delays.append(one["arrived"] + one["seconds"] - moments[client])
    if len(ended) < number:
        outcomes = [one["outcome"] for one in calls]
        left.late.append(f"{what}: {len(ended)} of {number} calls ended ({outcomes[:3]} …)")
