"""The book in an SQLite file: for one machine, where any number of workers may add to it."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TypeVar

from gateway.ledger.entries import UNITS, Amounts, Entry, Place
from gateway.ledger.ledger import BookUnavailable

T = TypeVar("T")
_BUSY_S = 5.0
_PLACE = Place._fields
_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS usage (
  {", ".join(f"{name} TEXT NOT NULL" for name in _PLACE)},
  {", ".join(f"{name} INTEGER NOT NULL DEFAULT 0" for name in UNITS)},
  PRIMARY KEY ({", ".join(_PLACE)})
) WITHOUT ROWID
"""
_ADD = f"""
INSERT INTO usage ({", ".join((*_PLACE, *UNITS))}) VALUES ({", ".join("?" * (len(_PLACE) + len(UNITS)))})
ON CONFLICT DO UPDATE SET {", ".join(f"{name} = {name} + excluded.{name}" for name in UNITS)}
"""  # noqa: S608  all names are ours
_READ = f"SELECT {', '.join((*_PLACE, *UNITS))} FROM usage WHERE day BETWEEN ? AND ? ORDER BY day"  # noqa: S608


class SqliteBook:
    """One file, in write-ahead mode. What is committed outlives the process, be it killed.

    A batch is one transaction: it is added whole or not at all, so that trying again adds nothing twice.
    """

    def __init__(self, path: Path, keep_days: int) -> None:
        self._path = path
        self._keep_days = keep_days
        self._is_pruned = False

    async def add(self, batch: str, entries: Sequence[Entry]) -> None:  # noqa: ARG002  see the class
        """Add amounts."""
        rows = [(*place, *(getattr(amounts, unit) for unit in UNITS)) for place, amounts in entries]
        await self._run(lambda book: book.executemany(_ADD, rows))

    async def read(self, first: str, last: str) -> list[Entry]:
        """Give what is booked between two days."""
        if not self._path.exists():
            return []
        rows = await self._run(lambda book: book.execute(_READ, (first, last)).fetchall())
        width = len(_PLACE)
        return [Entry(Place(*row[:width]), Amounts(*row[width:])) for row in rows]

    async def erase(self, tenant: str) -> int:
        """Forget a tenant."""
        if not self._path.exists():
            return 0
        return await self._run(lambda book: book.execute("DELETE FROM usage WHERE tenant = ?", (tenant,)).rowcount)

    async def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        return await asyncio.to_thread(self._run_here, work)

    def _run_here(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Work in one transaction, over a connection of its own: it is opened twice a second at most."""
        try:
            with closing(sqlite3.connect(self._path, timeout=_BUSY_S)) as book, book:
                book.execute("PRAGMA journal_mode = WAL")
                book.execute("PRAGMA synchronous = NORMAL")
                book.execute(_SCHEMA)
                self._prune(book)
                return work(book)
        except sqlite3.Error as error:
            raise BookUnavailable(f"{self._path}: {error}") from None

    def _prune(self, book: sqlite3.Connection) -> None:
        if not self._is_pruned:
            book.execute("DELETE FROM usage WHERE day < date('now', ?)", (f"-{self._keep_days} days",))
            self._is_pruned = True
