"""Putting answers on the wire: plain replies and paced streams, with the faults that act on the socket."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from gateway.standin.behaviour import Behaviour
from gateway.standin.connection import Line
from gateway.standin.faults import HTML, Ending, PlainReply, event_bytes, spoil_frames
from gateway.standin.journal import Entry
from gateway.standin.replies import Frame

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

_EVENT_STREAM = b"text/event-stream; charset=utf-8"
_COALESCED = 5
"""Events in one packet of the `coalesced` framing."""
_GZIP_WINDOW = 31
_GZIP_HEADER = (b"content-encoding", b"gzip")


@dataclass(slots=True)
class Exchange:
    """One request on its way to an answer."""

    scope: Scope
    send: Send
    line: Line
    entry: Entry
    behaviour: Behaviour

    async def wait(self, milliseconds: float) -> None:
        """Let time pass while the client stays."""
        if milliseconds:
            await self.line.pause_until(asyncio.get_running_loop().time() + milliseconds / 1000)

    async def start(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        """Send status and headers."""
        self.entry.status = status
        await self.send({"type": "http.response.start", "status": status, "headers": headers})

    async def write(self, data: bytes, *, more: bool = True) -> None:
        """Send a piece of the body."""
        await self.send({"type": "http.response.body", "body": data, "more_body": more})

    async def act(self, ending: Ending) -> None:
        """End the connection as the fault wants; a stall lasts until the client leaves."""
        if ending is Ending.STALL:
            await self.line.pause_until(None)
        await self.line.hang_up(reset=ending is Ending.RESET)


async def write_plain(exchange: Exchange, reply: PlainReply) -> None:
    """Send a plain reply, keeping or breaking the promise of its Content-Length."""
    body, headers = reply.body, [(b"content-type", reply.content_type), *reply.headers]
    if exchange.behaviour.gzip and reply.declared is None:
        body = gzip.compress(body, compresslevel=1)
        headers.append(_GZIP_HEADER)
    declared = len(body) if reply.declared is None else reply.declared
    await exchange.start(reply.status, [*headers, (b"content-length", b"%d" % declared)])
    await exchange.write(body[:declared], more=reply.ending is not None)
    if len(body) > declared:
        # uvicorn would refuse to write more than was promised.
        exchange.line.write_raw(body[declared:])
    if reply.ending is not None:
        await exchange.act(reply.ending)


async def write_after_blank_lines(exchange: Exchange, reply: PlainReply, wait_ms: float) -> None:
    """Send the head at once and an empty line now and then until the body is due, as DeepSeek does."""
    await exchange.start(reply.status, [(b"content-type", reply.content_type), *reply.headers])
    clock = asyncio.get_running_loop().time
    due, every_s = clock() + wait_ms / 1000, exchange.behaviour.keep_alive_ms / 1000
    while (now := clock()) < due:
        await exchange.line.pause_until(min(now + every_s, due))
        await exchange.write(b"\n")
    await exchange.write(reply.body, more=reply.ending is not None)
    if reply.ending is not None:
        await exchange.act(reply.ending)


async def write_stream(exchange: Exchange, frames: Iterator[Frame], tokens: int) -> None:
    """Send the frames of a stream, each at its time; `tokens` tells the faults where the middle is."""
    behaviour, fault = exchange.behaviour, exchange.entry.fault
    content_type = HTML if fault == "wrong-content-type" else _EVENT_STREAM
    headers = [(b"content-type", content_type), (b"cache-control", b"no-cache")]
    await exchange.start(200, [*headers, _GZIP_HEADER] if behaviour.gzip else headers)
    packets = _Packets(exchange)
    # Moments are counted from the start, so that a late event does not delay those after it.
    moment = asyncio.get_running_loop().time() + behaviour.first_token_ms / 1000
    for frame in spoil_frames(frames, fault, tokens):
        if isinstance(frame, Ending):
            await packets.flush()
            await exchange.act(frame)
            return
        moment += frame.wait_ms / 1000
        await exchange.line.pause_until(moment)
        await packets.add(frame)
    await packets.end()


async def send_reply(send: Send, reply: PlainReply) -> None:
    """Send a reply that no fault touches."""
    headers = [(b"content-type", reply.content_type), (b"content-length", b"%d" % len(reply.body)), *reply.headers]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body, "more_body": False})


class _Packets:
    """Writes events in the packets that the behaviour's framing asks for, compressed where it says so."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._framing = exchange.behaviour.framing
        self._pending: list[bytes] = []
        self._squeeze = zlib.compressobj(wbits=_GZIP_WINDOW) if exchange.behaviour.gzip else None

    async def add(self, frame: Frame) -> None:
        """Write one event, or hold it until its packet is full."""
        entry = self._exchange.entry
        data = event_bytes(frame, entry.events_sent, self._framing)
        if not data:
            return
        entry.events_sent += 1
        if "coalesced" not in self._framing:
            await self._write(data)
            return
        self._pending.append(data)
        if len(self._pending) == _COALESCED:
            await self.flush()

    async def flush(self) -> None:
        """Write what is held back."""
        if self._pending:
            data, self._pending = b"".join(self._pending), []
            await self._write(data)

    async def end(self) -> None:
        """Finish the stream."""
        await self.flush()
        await self._exchange.write(b"" if self._squeeze is None else self._squeeze.flush(), more=False)

    async def _write(self, data: bytes) -> None:
        if self._squeeze is not None:
            data = self._squeeze.compress(data) + self._squeeze.flush(zlib.Z_SYNC_FLUSH)
        for piece in _bytes_of(data) if "split" in self._framing else (data,):
            await self._exchange.write(piece)


def _bytes_of(data: bytes) -> Iterable[bytes]:
    return (data[place : place + 1] for place in range(len(data)))
