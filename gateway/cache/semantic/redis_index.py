"""Nearest prompts in Redis: a vector set or RediSearch where the server has them, else a hash that processes copy.

Every partition has `<partition>:order`, a sorted set of its prompts' names by the time they were added, and
`<partition>:vectors`, a vector set or a hash (`redis_search` has hashes of its own). Both are entered in their owner's
index (`redis_store`), so that they count towards its quota and are erased with its answers.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Literal

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from classifiers.sentences import SIZE
from gateway.cache.key import owner_of
from gateway.cache.redis_guard import GuardedRedis
from gateway.cache.redis_store import EVEN_WHEN_FULL, OWNED, WHEN_NOT_FULL, Script
from gateway.cache.semantic.embedding import Vector
from gateway.cache.semantic.index import Neighbour, ProcessIndex
from gateway.cache.semantic.redis_search import SearchIndex

Kind = Literal["vectors", "search", "hash"]
SERVERS_OWN: tuple[Kind, ...] = ("vectors", "search")
"""Indexes of the server's, the better one first."""

_NONCE_BYTES = 12
_COPIED_FOR_S = 60.0
"""A copy that was not looked at for so long is made anew."""

_ADD = Script(
    WHEN_NOT_FULL
    + OWNED
    + """
-- KEYS: index, sizes, order, vectors; ARGV: name, vector, ttl in ms, most, bytes an entry takes, whether a vector set.
local ttl, most, is_set, now = tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[6] == '1', read_clock()
local function drop(name)
  redis.call('ZREM', KEYS[3], name)
  redis.call(is_set and 'VREM' or 'HDEL', KEYS[4], name)
end
for _, name in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now - ttl, 'LIMIT', 0, 64)) do drop(name) end
redis.call('ZADD', KEYS[3], now, ARGV[1])
if is_set then redis.call('VADD', KEYS[4], 'FP32', ARGV[2], ARGV[1], 'NOQUANT')
else redis.call('HSET', KEYS[4], ARGV[1], ARGV[2]) end
while redis.call('ZCARD', KEYS[3]) > most do drop(redis.call('ZRANGE', KEYS[3], 0, 0)[1]) end
local size = redis.call('ZCARD', KEYS[3]) * tonumber(ARGV[5])
redis.call('HINCRBY', KEYS[2], 'total', size - tonumber(redis.call('HGET', KEYS[2], KEYS[4]) or 0))
redis.call('HSET', KEYS[2], KEYS[4], size)
for at = 3, 4 do
  redis.call('PEXPIRE', KEYS[at], ttl)
  redis.call('ZADD', KEYS[1], now + ttl, KEYS[at])
end
keep_for(ttl)
return 1
"""
)

_REMOVE = Script(
    EVEN_WHEN_FULL
    + """
-- KEYS: order, vectors; ARGV: name, whether a vector set.
redis.call('ZREM', KEYS[1], ARGV[1])
return redis.call(ARGV[2] == '1' and 'VREM' or 'HDEL', KEYS[2], ARGV[1])
"""
)

_NEAREST = Script(
    """#!lua flags=no-writes
-- KEYS: vectors; ARGV: vector, how many. Gives names and scores, (1 + cosine) / 2.
if redis.call('EXISTS', KEYS[1]) == 0 then return {} end
return redis.call('VSIM', KEYS[1], 'FP32', ARGV[1], 'WITHSCORES', 'COUNT', ARGV[2])
"""
)

_KNOWS = Script(
    """#!lua flags=no-writes
-- KEYS: vectors. Gives whether the server has vector sets, and this user may use them.
local found = redis.pcall('VCARD', KEYS[1])
return type(found) == 'table' and found['err'] and 0 or 1
"""
)

_READ = Script(
    """#!lua flags=no-writes
-- KEYS: order, vectors; ARGV: from when on. Gives the time, how many there are, and names and vectors since then.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local names = redis.call('ZRANGEBYSCORE', KEYS[1], ARGV[1], '+inf')
local vectors = {}
for first = 1, #names, 1000 do
  for _, one in ipairs(redis.call('HMGET', KEYS[2], unpack(names, first, math.min(first + 999, #names)))) do
    vectors[#vectors + 1] = one
  end
end
return {now, redis.call('ZCARD', KEYS[1]), names, vectors}
"""
)


class RedisIndex:
    """Prompts that processes and machines share. Every call has the guard's deadline.

    Weakness of the hash: every process holds a copy of the partitions that it uses, reads what is new at most every
    `fresh_for_s` seconds, and reads all of it the first time.
    """

    def __init__(
        self,
        redis: GuardedRedis,
        local: ProcessIndex,
        *,
        key_prefix: str,
        most_of_one: int,
        ttl_s: float,
        fresh_for_s: float,
        may_use: tuple[Kind, ...] = SERVERS_OWN,
        encryption_key: bytes | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._redis = redis
        self._local = local
        self._prefix = key_prefix
        self._most_of_one = most_of_one
        self._ttl_s = ttl_s
        self._fresh_for_s = fresh_for_s
        self._cipher = AESGCM(encryption_key) if encryption_key is not None else None
        self._search = SearchIndex(redis, key_prefix=key_prefix, most_of_one=most_of_one)
        self._may_use = may_use if encryption_key is None else ()
        self._kind: Kind | None = None if self._may_use else "hash"
        self._clock = clock
        self._read: dict[str, tuple[float, int]] = {}
        """When a partition's copy was brought up to date, by this clock, and up to when, by Redis'."""

    async def add(self, partition: str, name: str, vector: Vector, *, ttl_s: float) -> None:
        """Add a prompt."""
        kind = await self._find_kind(partition)
        if kind == "search":
            await self._search.add(partition, name, vector, ttl_s=ttl_s)
            return
        is_set = kind == "vectors"
        owner = f"{self._prefix}{{{owner_of(partition)}}}"
        keys = (f"{owner}:index", f"{owner}:sizes", *self._names(partition))
        written = self._write(partition, name, vector, is_set=is_set)
        args = (
            name,
            written,
            max(1, round(ttl_s * 1000)),
            self._most_of_one,
            len(written) + 2 * len(name),
            int(is_set),
        )
        await self._redis.run("semantic-add", lambda client: _ADD.run(client, keys, args))

    async def nearest(self, partition: str, vector: Vector, count: int) -> list[Neighbour]:
        """Give the nearest prompts."""
        kind = await self._find_kind(partition)
        if kind == "search":
            return await self._search.nearest(partition, vector, count)
        if kind == "hash":
            await self._refresh(partition)
            return self._local.search(partition, vector, count)
        _, vectors = self._names(partition)
        args = (np.asarray(vector, dtype="<f4").tobytes(), count)
        found = await self._redis.run("semantic-near", lambda client: _NEAREST.run(client, (vectors,), args))
        pairs = zip(found[::2], found[1::2], strict=True)
        return [Neighbour(bytes(name).decode(), 2 * float(score) - 1) for name, score in pairs]

    async def remove(self, partition: str, name: str) -> None:
        """Take a prompt out."""
        self._local.drop(partition, name)
        kind = await self._find_kind(partition)
        if kind == "search":
            await self._search.remove(partition, name)
            return
        args = (name, int(kind == "vectors"))
        await self._redis.run("semantic-remove", lambda client: _REMOVE.run(client, self._names(partition), args))

    def forget(self, owner: str) -> None:
        """Forget the copies of an owner's partitions."""
        self._local.forget(owner)
        for partition in [partition for partition in self._read if owner_of(partition) == owner]:
            del self._read[partition]

    async def _find_kind(self, partition: str) -> Kind:
        """Ask the server once what it can do; while it does not answer, nobody knows."""
        if self._kind is None:
            self._kind = await self._probe(partition)
        return self._kind

    async def _probe(self, partition: str) -> Kind:
        if "vectors" in self._may_use:
            key = f"{self._names(partition)[1]}:probe"  # nothing is there: what is asked is whether one may ask
            if await self._redis.run("semantic-probe", lambda client: _KNOWS.run(client, (key,), ())):
                return "vectors"
        if "search" in self._may_use and await self._search.open(partition.partition(":")[0]):
            return "search"
        return "hash"

    async def _refresh(self, partition: str) -> None:
        """Copy what is new; all of it where the copy is old or has more or less than Redis."""
        now = self._clock()
        read, until = self._read.get(partition, (float("-inf"), 0))
        if now - read < self._fresh_for_s:
            return
        if now - read > _COPIED_FOR_S:
            until = 0
        there = await self._copy(partition, until)
        if until and there != self._local.count(partition):
            await self._copy(partition, 0)
        for stale in [one for one, (at, _) in self._read.items() if now - at > _COPIED_FOR_S]:
            self._local.clear(stale)
            del self._read[stale]

    async def _copy(self, partition: str, since: int) -> int:
        """Copy what was added since a time of Redis' clock, and say how many prompts Redis has."""
        keys = self._names(partition)
        at, there, names, vectors = await self._redis.run(
            "semantic-read", lambda client: _READ.run(client, keys, (since,))
        )
        if not since:
            self._local.clear(partition)
        for name, written in zip(names, vectors, strict=True):
            read = self._parse(partition, bytes(name).decode(), written) if written else None
            if read is not None:
                self._local.put(partition, bytes(name).decode(), read, ttl_s=self._ttl_s)
        self._read[partition] = self._clock(), int(at) - 1
        return int(there)

    def _write(self, partition: str, name: str, vector: Vector, *, is_set: bool) -> bytes:
        if is_set:
            return np.asarray(vector, dtype="<f4").tobytes()
        plain = np.asarray(vector, dtype="<f2").tobytes()
        if self._cipher is None:
            return plain
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, plain, f"{partition}\0{name}".encode())

    def _parse(self, partition: str, name: str, written: bytes) -> Vector | None:
        """Read a vector back; None if it is not one that this process could have written."""
        try:
            if self._cipher is not None:
                nonce, sealed = written[:_NONCE_BYTES], written[_NONCE_BYTES:]
                written = self._cipher.decrypt(nonce, sealed, f"{partition}\0{name}".encode())
        except (InvalidTag, ValueError):
            return None
        return np.frombuffer(written, dtype="<f2").astype(np.float32) if len(written) == 2 * SIZE else None

    def _names(self, partition: str) -> tuple[str, str]:
        return f"{self._prefix}{partition}:order", f"{self._prefix}{partition}:vectors"
