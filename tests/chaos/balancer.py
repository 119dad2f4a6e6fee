"""A load balancer for tests: TCP, in turn, to whoever says that it is ready."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Sequence

import aiohttp

_CHUNK = 65536


class Balancer:
    """Carries connections. `members` may be replaced at any time; those that stand stay where they are."""

    def __init__(self, every_s: float) -> None:
        self.members: Sequence[str] = ()
        self.served: dict[str, int] = {}
        self.carrying: set[asyncio.Task[None] | None] = set()
        self._every_s = every_s
        self._ready: list[str] = []
        self._turns = itertools.count()

    async def look(self) -> None:
        """Ask the members whether they are ready, for ever."""
        async with aiohttp.ClientSession() as session:
            while True:
                members = self.members  # others may stand there before all of these have answered
                self._ready = [member for member in members if await self._is_ready(session, member)]
                await asyncio.sleep(self._every_s)

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one client's connection to a member."""
        ready = self._ready
        if not ready:
            writer.close()
            return
        member = ready[next(self._turns) % len(ready)]
        self.served[member] = self.served.get(member, 0) + 1
        host, port = member.removeprefix("http://").split(":")
        self.carrying.add(asyncio.current_task())
        try:
            other_reader, other_writer = await asyncio.open_connection(host, int(port))
            try:
                await asyncio.gather(_copy(reader, other_writer), _copy(other_reader, writer))
            finally:
                other_writer.close()
        except (OSError, asyncio.CancelledError):  # streams complain of cancelled callbacks
            pass
        finally:
            writer.close()
            self.carrying.discard(asyncio.current_task())

    @staticmethod
    async def _is_ready(session: aiohttp.ClientSession, member: str) -> bool:
        try:
            async with session.get(f"{member}/readyz", timeout=aiohttp.ClientTimeout(1)) as answer:
                return answer.status == 200
        except (aiohttp.ClientError, TimeoutError):
            return False


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
        writer.write_eof()


@contextlib.asynccontextmanager
async def running_balancer(every_s: float = 0.5) -> AsyncIterator[tuple[Balancer, str]]:
    """Run a balancer on a free port until the block ends; give it and its address."""
    balancer = Balancer(every_s)
    looking = asyncio.create_task(balancer.look())
    async with await asyncio.start_server(balancer.carry, "127.0.0.1", 0) as server:
        yield balancer, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        tasks = [looking, *(task for task in balancer.carrying if task is not None)]
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        await asyncio.sleep(0)  # closed transports say so in the next round
