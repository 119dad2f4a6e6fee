"""Adds up what requests took, and brings it to the book every half second, off the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

import structlog

from gateway.ledger.entries import Amounts, Entry, Place, entries_of
from gateway.records.accounting import Record

FLUSH_S = 0.5
"""A process that is killed loses what it has served in about this time, and never more than a second of it."""

_MOST_BATCHES = 32

_log = structlog.get_logger("thalamus")


class BookUnavailable(Exception):
    """The book cannot be written or read now; the message names the place and says why."""


class Book(Protocol):
    """Where amounts are kept. Several processes may add to one."""

    async def add(self, batch: str, entries: Sequence[Entry]) -> None:
        """Add amounts. A batch that comes a second time is not added again.

        Raises:
            BookUnavailable: it is not known whether it was added: try the same batch again.
        """

    async def read(self, first: str, last: str) -> list[Entry]:
        """Give all that is booked from one day to another, both included (``2026-11-30``)."""

    async def erase(self, tenant: str) -> int:
        """Forget a tenant and say in how many places it was booked."""


class Ledger:
    """A writer of records. Taking one costs microseconds and never waits."""

    def __init__(self, book: Book, on_failure: Callable[[], None] = lambda: None) -> None:
        self.book = book
        self._on_failure = on_failure
        self._open: dict[Place, Amounts] = {}
        self._batches: list[tuple[str, dict[Place, Amounts]]] = []
        self._turn = asyncio.Lock()
        self._fails = False

    def __call__(self, record: Record) -> None:
        """Take a finished record; a question about a decision is nothing that was used."""
        if not record.tenant or record.endpoint in ("route", "count_tokens", "feedback"):
            return
        for place, amounts in entries_of(record):
            found = self._open.get(place)
            if found is None:
                self._open[place] = amounts
            else:
                found.add(amounts)

    async def flush(self) -> bool:
        """Bring all that was taken to the book; False if that failed, and will be tried again."""
        async with self._turn:
            if self._open:
                self._close_batch()
            while self._batches:
                batch, amounts = self._batches[0]
                try:
                    await self.book.add(batch, [Entry(*one) for one in amounts.items()])
                except BookUnavailable as error:
                    self._report(error)
                    return False
                self._batches.pop(0)
            self._fails = False
            return True

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Bring what is taken to the book until the block ends, and then the rest."""
        keeping = asyncio.create_task(self._keep())
        try:
            yield
        finally:
            keeping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await keeping
            await self.flush()

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_S)
            await asyncio.shield(self.flush())

    def _close_batch(self) -> None:
        """Give what was taken a name of its own. While the book is away, later batches are added into one."""
        amounts, self._open = self._open, {}
        if len(self._batches) < _MOST_BATCHES:
            self._batches.append((secrets.token_hex(8), amounts))
            return
        last = self._batches[-1][1]  # it has never been sent: the first of them failed
        for place, one in amounts.items():
            last.setdefault(place, Amounts()).add(one)

    def _report(self, error: BookUnavailable) -> None:
        self._on_failure()
        if not self._fails:
            _log.error("usage cannot be written, it is kept and tried again", why=str(error))
        self._fails = True
