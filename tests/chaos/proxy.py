"""A TCP proxy that spoils connections on their way to a backend, one request at a time."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

Fault = Literal["reset", "stall", "half-close", "garbage", "cut-head", "drip"]
FAULTS: tuple[Fault, ...] = ("reset", "stall", "half-close", "garbage", "cut-head", "drip")
"""Before anything is answered: RST; silence; FIN from the server's side only; bytes that are no HTTP; a response that
ends within its headers. `drip` delivers everything, a few bytes at a time."""

_CHUNK = 65536
_DRIP_BYTES, _DRIP_S = 64, 0.002
_GARBAGE = b"\x00\x16\x03\x01SSH-2.0-no\r\n\r\n\xff\xfe<html>"


@dataclass
class Spoiler:
    """What the proxy does: each request draws, repeatably from a seed."""

    share: float = 0.3
    faults: tuple[Fault, ...] = FAULTS
    seed: int = 1
    struck: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def draw(self) -> Fault | None:
        """Say what goes wrong with the next request."""
        if self._random.random() >= self.share:
            return None
        fault = self._random.choice(self.faults)
        self.struck[fault] += 1
        return fault


class _Connection:
    """One connection from the gateway, and the one behind it."""

    def __init__(self, spoiler: Spoiler, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._spoiler = spoiler
        self._reader = reader
        self._writer = writer
        self._fault: Fault | None = None
        self._answering = True

    async def run(self, port: int) -> None:
        upstream_reader, upstream_writer = await asyncio.open_connection("127.0.0.1", port)
        back = asyncio.create_task(self._carry_back(upstream_reader))
        try:
            while data := await self._reader.read(_CHUNK):
                if self._answering:  # the first bytes of a request
                    self._answering = False
                    self._fault = self._spoiler.draw()
                    if await self._strike():
                        return
                upstream_writer.write(data)
                await upstream_writer.drain()
        finally:
            back.cancel()
            upstream_writer.close()
            self._writer.close()

    async def _strike(self) -> bool:
        """Do what is done before the request has gone anywhere; true if that ends the connection."""
        match self._fault:
            case "reset":
                own = self._writer.get_extra_info("socket")
                own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self._writer.transport.abort()
            case "stall":
                await self._reader.read()  # until the gateway gives up
            case "half-close":
                self._writer.write_eof()
                await self._reader.read()
            case "garbage":
                self._writer.write(_GARBAGE)
                await self._writer.drain()
            case _:
                return False
        return True

    async def _carry_back(self, reader: asyncio.StreamReader) -> None:
        while data := await reader.read(_CHUNK):
            self._answering = True
            if self._fault == "cut-head":
                self._writer.write(data[:20])
                self._writer.close()
                return
            if self._fault == "drip":
                for start in range(0, len(data), _DRIP_BYTES):
                    self._writer.write(data[start : start + _DRIP_BYTES])
                    await asyncio.sleep(_DRIP_S)
            else:
                self._writer.write(data)
                await self._writer.drain()
        self._writer.close()


class Delay:
    """Holds back what a server answers, by a time that may change at any moment."""

    def __init__(self) -> None:
        self.port = 0
        self._seconds = 0.0

    def set(self, seconds: float) -> None:
        """Hold everything back by so much from now on."""
        self._seconds = seconds

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
        """Carry one connection."""
        other_reader, other_writer = await asyncio.open_connection("127.0.0.1", port)
        back = asyncio.create_task(self._carry_back(other_reader, writer))
        try:
            while data := await reader.read(_CHUNK):
                other_writer.write(data)
        finally:
            back.cancel()
            await asyncio.wait((back,))
            other_writer.close()
            writer.close()

    async def _carry_back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(_CHUNK):
            await asyncio.sleep(self._seconds)
            writer.write(data)
        writer.close()


Carry = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextmanager
def _serving(carry: Carry) -> Iterator[int]:
    """Serve connections on loopback, in a thread, until the block ends; give the port."""
    ready, done = threading.Event(), asyncio.Event()
    found: list[int] = []
    loops: list[asyncio.AbstractEventLoop] = []

    carrying: set[asyncio.Task[None] | None] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        carrying.add(asyncio.current_task())
        try:
            await carry(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
            carrying.discard(asyncio.current_task())

    async def main() -> None:
        loops.append(asyncio.get_running_loop())
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            found.append(server.sockets[0].getsockname()[1])
            ready.set()
            await done.wait()
            for task in (ended := [task for task in carrying if task is not None]):
                task.cancel()
            await asyncio.gather(*ended)
            await asyncio.sleep(0.01)  # closed transports say so in the next rounds

    thread = threading.Thread(target=asyncio.run, args=(main(),), name="proxy", daemon=True)
    thread.start()
    ready.wait(10)
    try:
        yield found[0]
    finally:
        loops[0].call_soon_threadsafe(done.set)
        thread.join(10)


@contextmanager
def running_proxy(url: str, spoiler: Spoiler) -> Iterator[str]:
    """Run the proxy before a server on loopback; give its own address."""
    port = int(url.rpartition(":")[2])
    with _serving(lambda reader, writer: _Connection(spoiler, reader, writer).run(port)) as own:
        yield f"http://127.0.0.1:{own}"


@contextmanager
def running_delay(port: int) -> Iterator[Delay]:
    """Run a proxy that can hold back answers before a port on loopback; `Delay.port` is its own."""
    delay = Delay()
    with _serving(lambda reader, writer: delay.carry(reader, writer, port)) as delay.port:
        yield delay
