"""Thousands of streams that say something now and then: what each of them costs, and how late its events are."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psutil

from tests.chaos.world import Result, World

MOST_BYTES = 60 * 1024
MOST_LATE_S = 0.1
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_SENT_AT = re.compile(rb"at (\d+\.\d+)!")
_BODY = json.dumps({"model": "auto", "stream": True, "messages": [{"role": "user", "content": "Hello there"}]}).encode()
_REQUEST = (
    b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    % len(_BODY)
) + _BODY


class _Talker(asyncio.Protocol):
    """A backend's side of one stream: it writes the time into every event."""

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        if self._timer is None and self._transport is not None:
            self._transport.write(_HEAD)
            self._talk()

    def _talk(self) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        choice = {"index": 0, "delta": {"content": f"at {time.monotonic():.6f}!"}, "finish_reason": None}
        event = b"data: %s\n\n" % json.dumps({"id": "c", "model": "m", "choices": [choice]}).encode()
        self._transport.write(b"%x\r\n%s\r\n" % (len(event), event))
        self._timer = asyncio.get_running_loop().call_later(self._every_s, self._talk)

    def connection_lost(self, error: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()


class _Listener(asyncio.Protocol):
    """A client's side: it notes how old every event is."""

    def __init__(self, late: list[float]) -> None:
        self.heard = asyncio.Event()
        self.transport: asyncio.Transport | None = None
        self._late = late

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]
        self.transport.write(_REQUEST)

    def data_received(self, data: bytes) -> None:
        now = time.monotonic()
        for sent_at in _SENT_AT.findall(data):
            self._late.append(now - float(sent_at))
            self.heard.set()


@asynccontextmanager
async def _talking(every_s: float) -> AsyncIterator[int]:
    server = await asyncio.get_running_loop().create_server(lambda: _Talker(every_s), "127.0.0.1", 0, backlog=4096)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def _open(port: int, count: int, late: list[float]) -> list[_Listener]:
    """Open streams, fifty at a time, and wait until each has had its first event."""
    listeners: list[_Listener] = []
    for start in range(0, count, 50):
        fresh = [_Listener(late) for _ in range(min(50, count - start))]
        loop = asyncio.get_running_loop()
        await asyncio.gather(
            *(loop.create_connection(lambda own=one: own, "127.0.0.1", port) for one in fresh)  # type: ignore[misc]
        )
        async with asyncio.timeout(30):
            await asyncio.gather(*(one.heard.wait() for one in fresh))
        listeners += fresh
    return listeners


def _close(listeners: list[_Listener]) -> None:
    for one in listeners:
        if one.transport is not None:
            one.transport.abort()


async def idle_streams(world: World) -> Result:
    """Many streams at once, nearly silent."""
    count, every_s = world.scale.idle, world.scale.idle_every_s
    async with _talking(every_s) as backend:
        backends = {"swift": {"model": "m", "url": f"http://127.0.0.1:{backend}/v1"}}
        with world.gateway(backends, {"fast": "swift", "deep": "swift"}) as gateway:
            process = psutil.Process(gateway.process.pid)
            late: list[float] = []
            _close(await _open(gateway.port, 50, late))  # so that what is there for all of them is there
            await asyncio.sleep(0.5)
            before = process.memory_info().rss
            listeners = await _open(gateway.port, count, late)
            late.clear()
            await asyncio.sleep(world.scale.idle_s)
            each = (process.memory_info().rss - before) / count
            spent = process.cpu_times()
            _close(listeners)
            await asyncio.sleep(0.2)
    ordered = sorted(late)
    expected = count * (int(world.scale.idle_s / every_s) - 1)  # one may be due just after the end
    faults = [f"{each / 1024:.0f} KB each"] if each > MOST_BYTES else []
    if len(ordered) < expected:
        faults.append(f"{len(ordered)} events of {expected}")
    if not ordered or ordered[world.scale.latest(len(ordered))] > MOST_LATE_S:
        faults.append(f"an event {ordered[-1] * 1e3 if ordered else 0:.0f} ms late")
    return Result(
        f"{count} streams at once on one worker, each with an event every {every_s:g} s, for {world.scale.idle_s:g} s",
        "≤ 60 KB each, no event later than 100 ms",
        f"{each / 1024:.0f} KB each; of {len(ordered)} events the latest {ordered[-1] * 1e3:.0f} ms, p99 "
        f"{ordered[int(0.99 * len(ordered))] * 1e3:.0f} ms ({spent.user + spent.system:.0f} s of CPU in all)",
        tuple(faults),
    )
