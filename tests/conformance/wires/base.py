"""What wires have in common."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from tests.conformance.standins.base import Message, Mind

PIECE = 3
"""Characters of content in one streamed delta, so that tags are cut."""


class Wire(Protocol):
    """One API. A stand-in takes and gives chat's messages; `path` ends in what was asked for."""

    def read(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Read a request as a chat request; whatever steers the thinking stays in its own words."""

    def streams(self, body: Mapping[str, Any], path: str) -> bool:
        """Whether a stream is asked for."""

    def whole(self, message: Message, mind: Mind) -> dict[str, Any]:
        """Write an answer in one piece."""

    def events(self, message: Message, mind: Mind) -> Iterator[bytes]:
        """Write an answer as a stream, cut into pieces as the provider cuts it."""


def pieces(text: str | None) -> Iterator[str]:
    """Cut a text."""
    for start in range(0, len(text or ""), PIECE):
        yield (text or "")[start : start + PIECE]


def event(data: Mapping[str, Any], name: str | None = None) -> bytes:
    """Write one server-sent event."""
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(data, ensure_ascii=False)}\n\n".encode()
