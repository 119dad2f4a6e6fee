"""What every kind of backend offers: open a call, read its answer whole or piece by piece, close it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from types import MappingProxyType
from typing import Protocol

from gateway.errors import UpstreamError

NO_CONTEXT: Mapping[str, str] = MappingProxyType({})


class Answer(Protocol):
    """A backend's answer whose status was 200. Whoever holds it closes it, also when cancelled."""

    @property
    def headers(self) -> Mapping[str, str]:
        """The backend's response headers, names in lower case."""
        ...

    def chunks(self) -> AsyncGenerator[bytes, None]:
        """Read the body as it arrives. Raises an UpstreamError when it breaks off."""
        ...

    def abort(self, error: UpstreamError) -> None:
        """Make the read that is under way, and every later one, raise this error. For watchdogs: it does not wait."""
        ...

    async def close(self) -> None:
        """Give the connection back, or cut it where the answer is not finished. May be called twice."""
        ...


class Upstream(Protocol):
    """A way to call one backend."""

    async def open(self, path: str, body: bytes, context: Mapping[str, str] = NO_CONTEXT) -> Answer:
        """Send a JSON body to a path such as ``chat/completions`` and wait for the answer's head.

        `context` are headers that name the trace it belongs to, for who can take them.

        Raises:
            UpstreamError: anything but a 200.
        """
        ...

    async def start(self) -> None:
        """Make ready; called once before the first request."""
        ...

    async def close(self) -> None:
        """Let go of what `start` took."""
        ...


async def read_whole(answer: Answer, on_progress: Callable[[], None] = lambda: None) -> bytes:
    """Read an answer to its end.

    Args:
        answer: it stays the caller's to close.
        on_progress: called for each piece that holds something of the answer. Blank lines do not: DeepSeek sends them
            ahead of a plain answer for as long as it waits for its turn.

    Raises:
        UpstreamError: it breaks off.
    """
    pieces = []
    async with aclosing(answer.chunks()) as chunks:
        async for chunk in chunks:
            pieces.append(chunk)
            if not chunk.isspace():
                on_progress()
    return b"".join(pieces)
