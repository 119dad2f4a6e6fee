"""What processes tell each other of replicas: who rests after a 429, whose breaker is open, who is drained.

Every half second each process reads the others' notes and writes its own, so that nothing is added to the path of a
request; what one has found out the others know within a second. A Redis that is away changes nothing: each goes on by
what it knows.

Weakness: a process that alone cannot reach a replica opens the others' breakers as well, until their probes go well.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping

from gateway.cache.board import Board, Note
from gateway.cache.store import StoreUnavailable
from gateway.upstream.pool import Backend, Pool
from gateway.upstream.replica import Replica

EVERY_S = 0.5
DRAIN_TTL_S = 30 * 86_400.0
"""How long the board knows of a drain; those who are told keep it, and write it again."""

_SLACK_S = 0.3
"""Times that differ by less are the same: they have travelled."""

_DRAINED, _SERVING = "drained", "serving"


class Sharing:
    """Keeps what this process knows of replicas in step with the board.

    Args:
        look: gives the board, None if there is none, and the backends as they are now.
        answer: answers what others ask on the board of this process.
    """

    def __init__(
        self,
        look: Callable[[], tuple[Board | None, Iterable[Backend]]],
        answer: Callable[[Board, Mapping[str, Note]], Awaitable[None]] | None = None,
    ) -> None:
        self._look = look
        self._answer = answer
        self._agreed: dict[str, bool] = {}
        """Whether a replica was drained when we last read or wrote it: what differs from it was said here."""

    async def run(self) -> None:
        """Keep in step until cancelled."""
        while True:
            await self.once()
            await asyncio.sleep(EVERY_S)

    async def once(self) -> None:
        """Read what others have found out, and write what they do not know."""
        board, backends = self._look()
        if board is None:
            return
        try:
            notes = await board.read()
            if self._answer is not None:
                await self._answer(board, notes)
            for name, pool, replica in _named(backends):
                await self._share_rest(board, notes, name, replica)
                await self._share_breaker(board, notes, name, replica)
                await self._share_drain(board, notes, name, pool, replica)
        except StoreUnavailable:
            return

    async def _share_rest(self, board: Board, notes: Mapping[str, Note], name: str, replica: Replica) -> None:
        now = time.monotonic()
        ours, theirs = replica.cools_until - now, _left_s(notes, f"{name} rest")
        if theirs > ours + _SLACK_S:
            replica.cools_until = now + theirs
        elif ours > theirs + _SLACK_S:
            await board.post(f"{name} rest", "", ttl_s=ours)

    async def _share_breaker(self, board: Board, notes: Mapping[str, Note], name: str, replica: Replica) -> None:
        ours, theirs = replica.breaker.opens_in_s(), _left_s(notes, f"{name} open")
        if theirs > ours + _SLACK_S:
            replica.breaker.hear_that_it_fails(theirs)
        elif ours > theirs + _SLACK_S:
            await board.post(f"{name} open", "", ttl_s=ours)

    async def _share_drain(
        self, board: Board, notes: Mapping[str, Note], name: str, pool: Pool, replica: Replica
    ) -> None:
        note, agreed = notes.get(f"{name} drain"), self._agreed.get(name, False)
        if replica.draining != agreed or (note is None and agreed):
            await board.post(f"{name} drain", _DRAINED if replica.draining else _SERVING, ttl_s=DRAIN_TTL_S)
        elif note is not None and (note.value == _DRAINED) != agreed:
            pool.drain(replica.name, draining=note.value == _DRAINED)
        self._agreed[name] = replica.draining


def _left_s(notes: Mapping[str, Note], name: str) -> float:
    note = notes.get(name)
    return 0.0 if note is None else note.left_s


def _named(backends: Iterable[Backend]) -> Iterator[tuple[str, Pool, Replica]]:
    """Name replicas so that another address of the same name is another replica."""
    for backend in backends:
        for replica, address in zip(backend.pool.replicas, backend.settings.addresses(), strict=False):
            where = hashlib.blake2b(str(address.url).encode(), digest_size=8).hexdigest()
            yield f"{backend.name}/{replica.name}@{where}", backend.pool, replica
