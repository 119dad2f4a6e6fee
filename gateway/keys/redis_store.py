"""Key records in Redis: one value, changed by comparing and setting, so that no change is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from gateway.cache.redis_guard import REDIS_FAILURES
from gateway.cache.redis_store import Script
from gateway.cache.redis_url import RedisClient, connected, read_redis_url
from gateway.cache.settings import RedisSettings
from gateway.keys.records import KeyRecord
from gateway.keys.store import Change, KeyStoreUnavailable, decode, encode

T = TypeVar("T")
TIMEOUT_S = 2.0
"""No request waits for this: keys are looked up in the process."""

_MOST_TRIES = 50

_SET = Script(
    """#!lua
-- KEYS: records, version; ARGV: the version they were read at, the new records. Gives 1 if nobody was faster.
if (redis.call('GET', KEYS[2]) or '0') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
redis.call('INCR', KEYS[2])
return 1
"""
)

_GET = Script(
    """#!lua flags=no-writes
return {redis.call('GET', KEYS[2]) or '0', redis.call('GET', KEYS[1]) or ''}
"""
)


class RedisKeyStore:
    """Records at `<prefix>{keys}:records`, and their version beside them. They never expire."""

    def __init__(self, client: RedisClient, key_prefix: str) -> None:
        self._client = client
        self._turn = asyncio.Lock()
        self._keys = (f"{key_prefix}{{keys}}:records", f"{key_prefix}{{keys}}:version")

    async def stamp(self) -> object | None:
        """Give the version; keys are asked for even where there are none yet."""
        return await self._run(lambda client: client.get(self._keys[1])) or b"0"

    async def load(self) -> list[KeyRecord]:
        """Read all records."""
        return (await self._read())[1]

    async def change(self, make: Change[T]) -> T:
        """Change the records; tried again where somebody else was faster."""
        for _ in range(_MOST_TRIES):
            version, records = await self._read()
            changed, given = make(records)
            args = (version, encode(changed))
            if await self._run(lambda client, args=args: _SET.run(client, self._keys, args)):  # type: ignore[misc]
                return given
        raise KeyStoreUnavailable("Redis: the keys are changed by others without end")

    async def _read(self) -> tuple[bytes, list[KeyRecord]]:
        version, written = await self._run(lambda client: _GET.run(client, self._keys, ()))
        return version, decode(written, "Redis") if written else []

    async def _run(self, command: Callable[[RedisClient], Awaitable[T]]) -> T:
        try:
            async with self._turn:  # one connection does; more at once than there are would be refused
                return await command(self._client)
        except REDIS_FAILURES as error:
            raise KeyStoreUnavailable(f"Redis: {type(error).__name__}") from None


@asynccontextmanager
async def open_redis_key_store(settings: RedisSettings) -> AsyncIterator[RedisKeyStore]:
    """Give the store with a connection of its own, whose deadline is longer than requests' one."""
    if settings.url is None:
        raise ValueError("redis.url is not set")
    address = read_redis_url(settings.url.get_secret_value())
    async with connected(address, read_timeout_s=TIMEOUT_S, max_connections=2) as client:
        yield RedisKeyStore(client, settings.key_prefix)
