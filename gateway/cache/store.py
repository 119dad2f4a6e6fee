"""Where bytes are kept for a while: one interface, in the process, in Redis (redis_store.py), or in both tiers."""

from __future__ import annotations

import heapq
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from gateway.cache.events import CallOutcome, Evicted, EvictionReason, NearLookedUp, OnEvent, ignore
from gateway.cache.key import owner_of

ENTRY_OVERHEAD_BYTES = 256
"""What an entry costs beside its value: key, bookkeeping, index. An estimate, the same in every store."""


class StoreUnavailable(Exception):
    """The store did not answer in time or at all. Expected: whoever asks goes on without it.

    Attributes:
        outcome: what happened, from a closed set.
    """

    def __init__(self, outcome: CallOutcome) -> None:
        super().__init__(f"the store is unavailable: {outcome}")
        self.outcome = outcome


class Store(Protocol):
    """Bytes and counters under keys that carry their owner, `…{owner}…`, each for a limited time.

    Every method may raise `StoreUnavailable`, and `ValueError` for a key without an owner.
    """

    async def get(self, key: str) -> bytes | None:
        """Give the value, None if there is none or its time is over."""

    async def put(self, key: str, value: bytes, *, ttl_s: float, quota_bytes: int | None = None) -> bool:
        """Keep a value for `ttl_s` seconds.

        With a quota, the owner's own oldest values make room, never another's. False: the value alone is too large.
        """

    async def delete(self, key: str) -> bool:
        """Forget a value or counter; True if there was one."""

    async def increase(self, key: str, by: int, *, ttl_s: float) -> int:
        """Add to a counter and give the sum. A new one lives `ttl_s` seconds; counters have no quota."""

    async def expire(self, key: str, ttl_s: float) -> bool:
        """Let a counter live `ttl_s` seconds from now; True if there is one."""

    async def erase(self, owner: str) -> int:
        """Forget all values of an owner, not its counters, and say how many there were."""


@dataclass(slots=True)
class _Entry:
    value: bytes
    expires: float
    counter: bool = False

    @property
    def size(self) -> int:
        return len(self.value) + ENTRY_OVERHEAD_BYTES


@dataclass(slots=True)
class _Holdings:
    """What one owner has: its keys, least recently used first, and their size."""

    keys: OrderedDict[str, None] = field(default_factory=OrderedDict)
    size: int = 0


class MemoryStore:
    """A store in this process, bounded by bytes: what was not used for longest goes first.

    cachetools bounds by size and time too, but has no owners, and no hook that sees every eviction.
    """

    def __init__(
        self, max_bytes: int, *, on_event: OnEvent = ignore, clock: Callable[[], float] = time.monotonic
    ) -> None:
        if max_bytes < 2 * ENTRY_OVERHEAD_BYTES:
            raise ValueError(f"A store of {max_bytes} bytes could hold nothing.")
        self._max_bytes = max_bytes
        self._on_event = on_event
        self._clock = clock
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._owners: dict[str, _Holdings] = {}
        self._expiries: list[tuple[float, str]] = []
        self._size = 0

    @property
    def size(self) -> int:
        """Bytes held, overhead included; never more than `max_bytes`."""
        return self._size

    def __len__(self) -> int:
        return len(self._entries)

    async def get(self, key: str) -> bytes | None:
        """Give the value, None if there is none or its time is over."""
        entry = self._live(key)
        if entry is None:
            return None
        self._entries.move_to_end(key)
        if not entry.counter:
            self._owners[owner_of(key)].keys.move_to_end(key)
        return entry.value

    async def put(self, key: str, value: bytes, *, ttl_s: float, quota_bytes: int | None = None) -> bool:
        """Keep a value; False if it alone exceeds the bound or the quota."""
        entry = _Entry(value, self._clock() + ttl_s)
        quota = self._max_bytes if quota_bytes is None else min(quota_bytes, self._max_bytes)
        self._remove(key)
        if entry.size > quota:
            return False
        self._add(key, entry, quota)
        return True

    async def delete(self, key: str) -> bool:
        """Forget a value or counter; True if there was one."""
        live = self._live(key) is not None
        self._remove(key)
        return live

    async def increase(self, key: str, by: int, *, ttl_s: float) -> int:
        """Add to a counter and give the sum."""
        owner_of(key)
        entry = self._live(key)
        total = by + (int(entry.value) if entry else 0)
        expires = entry.expires if entry else self._clock() + ttl_s
        self._remove(key)
        self._add(key, _Entry(b"%d" % total, expires, counter=True), self._max_bytes)
        return total

    async def expire(self, key: str, ttl_s: float) -> bool:
        """Let a counter live `ttl_s` seconds from now; True if there is one."""
        entry = self._live(key)
        if entry is None:
            return False
        entry.expires = self._clock() + ttl_s
        self._note_expiry(key, entry)
        return True

    async def erase(self, owner: str) -> int:
        """Forget all values of an owner and say how many there were."""
        holdings = self._owners.get(owner)
        keys = list(holdings.keys) if holdings else []
        for key in keys:
            self._remove(key)
        return len(keys)

    def _live(self, key: str) -> _Entry | None:
        entry = self._entries.get(key)
        if entry is not None and entry.expires <= self._clock():
            self._evict(key, "expired")
            return None
        return entry

    def _add(self, key: str, entry: _Entry, quota: int) -> None:
        """Make room, expired entries first, then add."""
        self._evict_expired()
        if not entry.counter:
            holdings = self._owners.get(owner_of(key), _Holdings())
            while holdings.size + entry.size > quota:
                self._evict(next(iter(holdings.keys)), "quota")
        while self._size + entry.size > self._max_bytes:
            self._evict(next(iter(self._entries)), "space")
        self._entries[key] = entry
        self._size += entry.size
        if not entry.counter:
            holdings = self._owners.setdefault(owner_of(key), _Holdings())
            holdings.keys[key] = None
            holdings.size += entry.size
        self._note_expiry(key, entry)

    def _remove(self, key: str) -> _Entry | None:
        entry = self._entries.pop(key, None)
        if entry is None:
            return None
        self._size -= entry.size
        if not entry.counter:
            holdings = self._owners[owner_of(key)]
            del holdings.keys[key]
            holdings.size -= entry.size
            if not holdings.keys:
                del self._owners[owner_of(key)]
        return entry

    def _evict(self, key: str, reason: EvictionReason) -> None:
        entry = self._remove(key)
        if entry is not None:
            self._on_event(Evicted(reason, entry.size))

    def _note_expiry(self, key: str, entry: _Entry) -> None:
        """Remember when to look at a key; rebuilt when most of what it remembers is gone."""
        heapq.heappush(self._expiries, (entry.expires, key))
        if len(self._expiries) > 2 * len(self._entries) + 64:
            self._expiries = [(entry.expires, key) for key, entry in self._entries.items()]
            heapq.heapify(self._expiries)

    def _evict_expired(self) -> None:
        now = self._clock()
        while self._expiries and self._expiries[0][0] <= now:
            _, key = heapq.heappop(self._expiries)
            self._live(key)


class TieredStore:
    """A short-lived copy in the process before a store that others share.

    What another process replaces or erases can be seen here for `near_ttl_s` seconds more.
    """

    def __init__(self, near: MemoryStore, far: Store, *, near_ttl_s: float, on_event: OnEvent = ignore) -> None:
        self._near = near
        self._far = far
        self._near_ttl_s = near_ttl_s
        self._on_event = on_event

    async def get(self, key: str) -> bytes | None:
        """Give the near value, else the far one, of which a copy is kept near."""
        value = await self._near.get(key)
        self._on_event(NearLookedUp(hit=value is not None))
        if value is None:
            value = await self._far.get(key)
            if value is not None:
                await self._near.put(key, value, ttl_s=self._near_ttl_s)
        return value

    async def put(self, key: str, value: bytes, *, ttl_s: float, quota_bytes: int | None = None) -> bool:
        """Keep a value in both; the far store applies the quota."""
        await self._near.delete(key)
        kept = await self._far.put(key, value, ttl_s=ttl_s, quota_bytes=quota_bytes)
        if kept:
            await self._near.put(key, value, ttl_s=min(ttl_s, self._near_ttl_s))
        return kept

    async def delete(self, key: str) -> bool:
        """Forget a value in both; True if the far store had it."""
        await self._near.delete(key)
        return await self._far.delete(key)

    async def increase(self, key: str, by: int, *, ttl_s: float) -> int:
        """Add to a counter, which lives in the far store alone."""
        return await self._far.increase(key, by, ttl_s=ttl_s)

    async def expire(self, key: str, ttl_s: float) -> bool:
        """Let a counter live `ttl_s` seconds from now; True if the far store has it."""
        return await self._far.expire(key, ttl_s)

    async def erase(self, owner: str) -> int:
        """Forget all values of an owner in both and say how many the far store had."""
        await self._near.erase(owner)
        return await self._far.erase(owner)
