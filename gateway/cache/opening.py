"""The store that the settings ask for, opened and closed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.cache.board import Board
from gateway.cache.events import OnEvent, ignore
from gateway.cache.settings import CacheSettings, RedisSettings
from gateway.cache.store import MemoryStore, Store, TieredStore

if TYPE_CHECKING:
    from gateway.cache.redis_guard import GuardedRedis


@dataclass(frozen=True, slots=True)
class Opened:
    """The store, and Redis behind its guard where there is one: its breaker's state, and commands of other rooms.

    `shared` is the store without a first level: what other processes write is seen in it at once. `board` has the notes
    that they write each other.
    """

    store: Store
    shared: Store
    redis: GuardedRedis | None = None
    board: Board | None = None


@asynccontextmanager
async def open_store(
    cache: CacheSettings, redis: RedisSettings, *, on_event: OnEvent = ignore
) -> AsyncIterator[Opened]:
    """Give the in-process store, or with a Redis URL the store in Redis behind a first level in the process."""
    memory = MemoryStore(cache.max_bytes, on_event=on_event)
    if redis.url is None:
        yield Opened(memory, memory)
        return
    from gateway.cache.redis_board import RedisBoard
    from gateway.cache.redis_guard import open_redis  # redis-py costs half a second: loaded where it is used
    from gateway.cache.redis_store import RedisStore

    async with open_redis(redis, on_event=on_event) as guarded:
        shared: Store = RedisStore(guarded, key_prefix=redis.key_prefix)
        store = shared
        if redis.first_level_ttl_s > 0:
            store = TieredStore(memory, shared, near_ttl_s=redis.first_level_ttl_s, on_event=on_event)
        yield Opened(store, shared, guarded, RedisBoard(guarded, f"{redis.key_prefix}board"))
