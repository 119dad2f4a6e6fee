"""The book that the settings ask for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.ledger.ledger import Book
from gateway.ledger.sqlite_book import SqliteBook
from gateway.settings import Settings


@asynccontextmanager
async def open_book(settings: Settings) -> AsyncIterator[Book | None]:
    """Give the book, None where nothing is booked. Nothing is opened before it is needed."""
    ledger = settings.ledger
    if ledger.place == "off":
        yield None
    elif ledger.place == "redis" or (ledger.place == "auto" and settings.redis.url is not None):
        from gateway.ledger.redis_book import open_redis_book  # redis-py costs half a second

        async with open_redis_book(settings.redis, ledger.keep_days) as book:
            yield book
    else:
        yield SqliteBook(ledger.path, ledger.keep_days)
