"""The load generator: HTTP/1.1 over asyncio protocols, as cheap as Python allows, so that it measures others.

It understands what the servers here send: `Content-Length` bodies and chunked streams of server-sent events, on
connections that are kept alive.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

_HEAD_END = b"\r\n\r\n"
_CHUNKS_END = b"\r\n0\r\n\r\n"
_EVENT = b"data: "
_CONNECT_SECONDS = 10


class LoadError(Exception):
    """The server refused, broke or never finished an answer: its figures would mean nothing."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer, timed in seconds from the moment its request was written."""

    seconds: float
    first_event_seconds: float | None
    events: int


@dataclass(slots=True)
class Samples:
    """Answers gathered over one or several rounds, and for how long load was applied."""

    answers: list[Answer] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, other: Samples) -> None:
        """Take in another round."""
        self.answers += other.answers
        self.seconds += other.seconds

    @property
    def events(self) -> int:
        """Streamed events in all answers."""
        return sum(answer.events for answer in self.answers)


def post(path: str, body: bytes, headers: dict[str, str], host: str) -> bytes:
    """Return the bytes of a POST request with a JSON body."""
    lines = [f"POST {path} HTTP/1.1", f"host: {host}", "content-type: application/json", f"content-length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + _HEAD_END + body


class _Connection(asyncio.Protocol):
    """One connection: one request at a time."""

    _transport: asyncio.Transport

    def __init__(self) -> None:
        self._waiting: asyncio.Future[Answer] | None = None
        self._forget()

    def _forget(self) -> None:
        self._head = b""
        self._pieces: list[bytes] = []
        self._size = 0
        self._declared: int | None = None
        self._tail = b""
        self._first_event: float | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        self._transport = transport

    def ask(self, request: bytes) -> asyncio.Future[Answer]:
        """Send a request; the future holds its answer."""
        self._forget()
        self._waiting = asyncio.get_running_loop().create_future()
        self._started = time.perf_counter()
        self._transport.write(request)
        return self._waiting

    def data_received(self, data: bytes) -> None:
        if self._head == b"" or not self._head.endswith(_HEAD_END):
            data = self._read_head(data)
        if not data:
            return
        if self._first_event is None and _EVENT in data:
            self._first_event = time.perf_counter() - self._started
        self._pieces.append(data)
        self._size += len(data)
        if self._declared is None:
            self._tail = (self._tail + data)[-len(_CHUNKS_END) :]
        if self._size == self._declared or self._tail == _CHUNKS_END:
            self._finish()

    def _read_head(self, data: bytes) -> bytes:
        """Take in the head and return what follows it."""
        head, end, rest = (self._head + data).partition(_HEAD_END)
        self._head = head + end
        if not end:
            return b""
        lowered = self._head.lower()
        if b"content-length: " in lowered:
            self._declared = int(lowered.split(b"content-length: ", 1)[1].split(b"\r\n", 1)[0])
        return rest

    def _finish(self) -> None:
        seconds = time.perf_counter() - self._started
        body = b"".join(self._pieces)
        waiting, self._waiting = self._waiting, None
        if waiting is None or waiting.done():
            return
        if not self._head.startswith(b"HTTP/1.1 200"):
            waiting.set_exception(
                LoadError(f"{self._head.splitlines()[0].decode()}: {body[:500].decode('utf-8', 'replace')}")
            )
            return
        waiting.set_result(Answer(seconds, self._first_event, body.count(_EVENT)))

    def connection_lost(self, exc: Exception | None) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(LoadError(f"the connection was lost before the answer was complete: {exc}"))

    def close(self) -> None:
        """Hang up."""
        self._transport.abort()


@asynccontextmanager
async def _connections(host: str, port: int, count: int):
    opened: list[_Connection] = []
    loop = asyncio.get_running_loop()
    try:
        for _ in range(count):
            async with asyncio.timeout(_CONNECT_SECONDS):
                _, connection = await loop.create_connection(_Connection, host, port)
            opened.append(connection)
        yield opened
    finally:
        for connection in opened:
            connection.close()


async def closed_loop(
    host: str, port: int, requests: Iterable[bytes], *, connections: int, seconds: float, most: int
) -> Samples:
    """Keep every connection busy, each with the next of endless requests once the last is answered.

    Ends after `seconds` or `most` requests, whichever comes first.
    """
    samples = Samples()
    queue = itertools.islice(requests, most)
    async with _connections(host, port, connections) as opened:
        started = time.perf_counter()
        ends = started + seconds
        await asyncio.gather(*(_keep_busy(connection, queue, samples, ends) for connection in opened))
        samples.seconds = time.perf_counter() - started
    return samples


async def _keep_busy(connection: _Connection, queue: Iterator[bytes], samples: Samples, ends: float) -> None:
    for request in queue:
        async with asyncio.timeout(60):
            samples.answers.append(await connection.ask(request))
        if time.perf_counter() >= ends:
            return


async def streams(
    host: str, port: int, requests: Iterable[bytes], *, count: int, over_seconds: float, patience: float
) -> Samples:
    """Open `count` streams, spread evenly over `over_seconds`, and read each to its end.

    Raises:
        LoadError: when they have not all ended after `patience` seconds.

    """
    samples = Samples()
    queue = iter(requests)
    async with _connections(host, port, count) as opened:
        started = time.perf_counter()
        begun = [
            _begin_later(connection, next(queue), over_seconds * index / count, samples)
            for index, connection in enumerate(opened)
        ]
        try:
            async with asyncio.timeout(patience):
                await asyncio.gather(*begun)
        except TimeoutError as error:
            raise LoadError(f"{count} streams did not end within {patience:.0f} s") from error
        samples.seconds = time.perf_counter() - started
    return samples


async def _begin_later(connection: _Connection, request: bytes, delay: float, samples: Samples) -> None:
    await asyncio.sleep(delay)
    samples.answers.append(await connection.ask(request))
