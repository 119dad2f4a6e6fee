"""What reached the stand-in: the last requests and how each of them ended."""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from gateway.standin.behaviour import Fault

Outcome = Literal["open", "completed", "refused", "faulted", "client-left"]
"""`refused` is a lawful error answer, `faulted` a fault on purpose; `client-left` hung up before the end."""


@dataclass(slots=True)
class Entry:
    """One request. `seconds` is from its arrival to its end, None while it is open."""

    number: int
    method: str
    path: str
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes
    arrived: float = field(default_factory=time.time)
    started: float = field(default_factory=time.perf_counter)
    outcome: Outcome = "open"
    status: int | None = None
    fault: Fault | None = None
    events_sent: int = 0
    seconds: float | None = None

    def finish(self, outcome: Outcome) -> None:
        """Note how the request ended."""
        self.outcome = outcome
        self.seconds = time.perf_counter() - self.started

    def as_json(self) -> dict[str, Any]:
        """Return what `GET /standin/requests` shows; a key is told by its presence, never by its value."""
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in self.headers}
        had_key = headers.pop("authorization", None) is not None
        return {
            "number": self.number,
            "method": self.method,
            "path": self.path,
            "headers": headers,
            "authorization_present": had_key,
            "body": _readable(self.body),
            "arrived": self.arrived,
            "outcome": self.outcome,
            "client_left": self.outcome == "client-left",
            "status": self.status,
            "fault": self.fault,
            "events_sent": self.events_sent,
            "seconds": self.seconds,
        }


class Journal:
    """The last requests, oldest first, and the count of all."""

    def __init__(self, size: int = 1000) -> None:
        self._entries: deque[Entry] = deque(maxlen=size)
        self.count = 0

    def open(self, method: str, path: str, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> Entry:
        """Note a request that has arrived in full."""
        self.count += 1
        entry = Entry(self.count, method, path, headers, body)
        self._entries.append(entry)
        return entry

    def last(self, count: int | None = None) -> list[dict[str, Any]]:
        """Return the last `count` requests, or all that are kept."""
        skipped = 0 if count is None else max(0, len(self._entries) - count)
        return [entry.as_json() for entry in itertools.islice(self._entries, skipped, None)]

    def clear(self) -> None:
        """Forget everything; requests under way are not noted any more."""
        self._entries.clear()
        self.count = 0


def _readable(body: bytes) -> Any:
    """Return a body as JSON where it is JSON, else as text."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return body.decode("utf-8", "replace")
