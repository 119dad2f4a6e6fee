"""The socket behind a request: waiting that ends when the client leaves, and hanging up on purpose."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_EXTENSION = "thalamus.standin.line"
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class ClientLeft(Exception):
    """The client hung up before its answer was complete."""


class Line:
    """One client connection. `stale` is set when its next request must go unanswered."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._waiters: set[asyncio.Future[None]] = set()
        self._gone = False
        self.stale = False

    async def pause_until(self, moment: float | None) -> None:
        """Wait until the loop's clock shows `moment`, for ever where it is None.

        Raises:
            ClientLeft: as soon as the client hangs up.

        """
        if self._gone or self._transport.is_closing():
            raise ClientLeft
        if moment is not None and moment <= self._loop.time():
            return
        await self._wait(moment)
        if self._gone:
            raise ClientLeft

    async def _wait(self, moment: float | None) -> None:
        """Return at `moment` or when the connection is lost."""
        waiter = self._loop.create_future()
        alarm = None if moment is None else self._loop.call_at(moment, _wake, waiter)
        self._waiters.add(waiter)
        try:
            await waiter
        finally:
            self._waiters.discard(waiter)
            if alarm is not None:
                alarm.cancel()

    def write_raw(self, data: bytes) -> None:
        """Write bytes behind the server's back, outside any response."""
        self._transport.write(data)

    async def hang_up(self, *, reset: bool) -> None:
        """End the connection now, politely (FIN) or by breaking it (RST).

        Returns once uvicorn knows, or it would answer 500 for the request that ends without a response.
        """
        if reset:
            _reset_on_close(self._transport)
            self._transport.abort()
        else:
            self._transport.close()
        if not self._gone:
            await self._wait(None)

    def lost(self) -> None:
        """Wake everybody who waits: the connection is no more."""
        self._gone = True
        for waiter in self._waiters:
            _wake(waiter)


class LineProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol, which also shows each request its `Line`."""

    _line: Line

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Open the line with the connection."""
        self._line = Line(transport)
        super().connection_made(transport)

    def on_message_begin(self) -> None:
        """Put the line into the scope of a request that begins."""
        super().on_message_begin()
        self.scope["extensions"] = {_EXTENSION: cast("dict[object, object]", self._line)}

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell uvicorn first, so that requests which wake up find their connection closed."""
        super().connection_lost(exc)
        self._line.lost()


def line_of(scope: dict[str, Any]) -> Line:
    """Return the line of a request.

    Raises:
        TypeError: when the app is run by a server without `LineProtocol`.

    """
    line = scope.get("extensions", {}).get(_EXTENSION)
    if not isinstance(line, Line):
        raise TypeError("the stand-in acts on its sockets: run it with gateway.standin.serve or running_standin")
    return line


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


def _reset_on_close(transport: asyncio.Transport) -> None:
    """Make the socket's close send RST: linger for zero seconds. uvloop's own socket object cannot set options."""
    own = transport.get_extra_info("socket")
    with socket.socket(fileno=os.dup(own.fileno())) as duplicate:
        duplicate.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
