"""The book in Redis: a hash for each day, for any number of machines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import date, timedelta
from itertools import groupby
from typing import TypeVar

import msgspec

from gateway.cache.redis_guard import REDIS_FAILURES
from gateway.cache.redis_store import Script
from gateway.cache.redis_url import RedisClient, connected, read_redis_url
from gateway.cache.settings import RedisSettings
from gateway.ledger.entries import UNITS, Amounts, Entry, Place
from gateway.ledger.ledger import BookUnavailable

T = TypeVar("T")
TIMEOUT_S = 2.0
_BATCH_S = 3600

_ADD = Script(
    """#!lua
-- KEYS: a mark of the batch, then one hash per day. ARGV: seconds that the mark is kept, days are kept; then, for each
-- day, how many pairs follow, and these: field, amount.
if not redis.call('SET', KEYS[1], '1', 'NX', 'EX', ARGV[1]) then return 0 end
local at = 3
for number = 2, #KEYS do
  local pairs = tonumber(ARGV[at])
  for pair = 0, pairs - 1 do redis.call('HINCRBY', KEYS[number], ARGV[at + 1 + 2 * pair], ARGV[at + 2 + 2 * pair]) end
  redis.call('EXPIRE', KEYS[number], ARGV[2])
  at = at + 1 + 2 * pairs
end
return 1
"""
)


class RedisBook:
    """Hashes at `<prefix>{ledger}:<day>`; a field names a place and a unit."""

    def __init__(self, client: RedisClient, key_prefix: str, keep_days: int) -> None:
        self._client = client
        self._prefix = f"{key_prefix}{{ledger}}:"
        self._keep_s = keep_days * 86_400
        self._turn = asyncio.Lock()

    async def add(self, batch: str, entries: Sequence[Entry]) -> None:
        """Add amounts in one step, and once."""
        keys = [f"{self._prefix}batch:{batch}"]
        args: list[str | int | bytes] = [_BATCH_S, self._keep_s]
        for day, of_day in groupby(sorted(entries, key=lambda entry: entry.place), key=lambda entry: entry.place.day):
            fields = [
                (_field(place, unit), amount)
                for place, amounts in of_day
                for unit in UNITS
                if (amount := getattr(amounts, unit))
            ]
            keys.append(self._prefix + day)
            args.append(len(fields))
            for field, amount in fields:
                args += [field, amount]
        await self._run(lambda client: _ADD.run(client, keys, args))

    async def read(self, first: str, last: str) -> list[Entry]:
        """Give what is booked between two days."""
        found: dict[Place, Amounts] = {}
        for day in _days(first, last):
            booked: dict[bytes, bytes] = await self._run(lambda client, day=day: client.hgetall(self._prefix + day))  # type: ignore[misc]
            for field, amount in booked.items():
                *place, unit = msgspec.json.decode(field, type=list[str])
                setattr(found.setdefault(Place(day, *place), Amounts()), unit, int(amount))
        return [Entry(place, found[place]) for place in sorted(found)]

    async def erase(self, tenant: str) -> int:
        """Forget a tenant, in every day that is kept."""
        places: set[tuple[str, ...]] = set()
        today = date.today()  # noqa: DTZ011  a day more at either end does no harm
        for day in _days(str(today - timedelta(self._keep_s // 86_400 + 1)), str(today + timedelta(1))):
            fields: list[bytes] = await self._run(lambda client, day=day: client.hkeys(self._prefix + day))  # type: ignore[misc]
            doomed = [field for field in fields if msgspec.json.decode(field, type=list[str])[0] == tenant]
            places |= {(day, *msgspec.json.decode(field, type=list[str])[:-1]) for field in doomed}
            if doomed:
                await self._run(lambda client, day=day, doomed=doomed: client.hdel(self._prefix + day, *doomed))  # type: ignore[misc]
        return len(places)

    async def _run(self, command: Callable[[RedisClient], Awaitable[T]]) -> T:
        try:
            async with self._turn:
                return await command(self._client)
        except REDIS_FAILURES as error:
            raise BookUnavailable(f"Redis: {type(error).__name__}") from None


@asynccontextmanager
async def open_redis_book(settings: RedisSettings, keep_days: int) -> AsyncIterator[RedisBook]:
    """Give the book with a connection of its own, whose deadline is longer than requests' one."""
    if settings.url is None:
        raise ValueError("redis.url is not set")
    address = read_redis_url(settings.url.get_secret_value())
    async with connected(address, read_timeout_s=TIMEOUT_S, max_connections=2) as client:
        yield RedisBook(client, settings.key_prefix, keep_days)


def _field(place: Place, unit: str) -> bytes:
    return msgspec.json.encode([*place[1:], unit])


def _days(first: str, last: str) -> list[str]:
    start, end = date.fromisoformat(first), date.fromisoformat(last)
    return [str(start + timedelta(number)) for number in range((end - start).days + 1)]
