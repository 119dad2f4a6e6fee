"""Nearest prompts through RediSearch: one hash for each prompt, found by an index of the server's.

There is one index for all tenants, `<prefix>tn3:search`; every query names the partition that it is about. The hashes
are entered in their owner's index (`redis_store`): they count towards its quota and are erased with its answers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from redis.asyncio import RedisCluster
from redis.exceptions import ResponseError

from classifiers.sentences import SIZE
from gateway.cache.key import owner_of
from gateway.cache.redis_guard import GuardedRedis
from gateway.cache.redis_store import EVEN_WHEN_FULL, OWNED, WHEN_NOT_FULL, Script
from gateway.cache.redis_url import RedisClient
from gateway.cache.semantic.embedding import Vector
from gateway.cache.semantic.index import Neighbour

_ENTRY_BYTES = 4 * SIZE

_DELETE = """
local function delete(key)
  redis.call('UNLINK', key)
  forget(key)
end
"""

_ADD = Script(
    WHEN_NOT_FULL
    + OWNED
    + _DELETE
    + """
-- KEYS: index, sizes, order, entry; ARGV: name, vector, ttl in ms, most, bytes an entry takes, tag, start of keys.
local ttl, most, bytes, now = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), read_clock()
local function drop(name)
  redis.call('ZREM', KEYS[3], name)
  delete(ARGV[7] .. name)
end
for _, name in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now - ttl, 'LIMIT', 0, 64)) do drop(name) end
delete(KEYS[4])
redis.call('ZADD', KEYS[3], now, ARGV[1])
redis.call('HSET', KEYS[4], 'name', ARGV[1], 'partition', ARGV[6], 'vector', ARGV[2])
while redis.call('ZCARD', KEYS[3]) > most do drop(redis.call('ZRANGE', KEYS[3], 0, 0)[1]) end
redis.call('HSET', KEYS[2], KEYS[4], bytes)
redis.call('HINCRBY', KEYS[2], 'total', bytes)
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
    + OWNED
    + _DELETE
    + """
-- KEYS: index, sizes, order, entry; ARGV: name.
redis.call('ZREM', KEYS[3], ARGV[1])
delete(KEYS[4])
return 1
"""
)


class SearchIndex:
    """Prompts in hashes that RediSearch indexes.

    Weakness: the server's index belongs to one node, so a cluster is left to the other indexes.
    """

    def __init__(self, redis: GuardedRedis, *, key_prefix: str, most_of_one: int) -> None:
        self._redis = redis
        self._prefix = key_prefix
        self._most_of_one = most_of_one

    async def open(self, version: str) -> bool:
        """Make the server's index if it is not there; False if this server, or this user, can have none."""
        return await self._redis.run("semantic-probe", lambda client: self._create(client, version))

    async def add(self, partition: str, name: str, vector: Vector, *, ttl_s: float) -> None:
        """Add a prompt; the oldest of a full partition makes room."""
        args = (
            name,
            np.asarray(vector, dtype="<f4").tobytes(),
            max(1, round(ttl_s * 1000)),
            self._most_of_one,
            _ENTRY_BYTES + 2 * len(name),
            _tag(partition),
            self._entry(partition, ""),
        )
        await self._redis.run("semantic-add", lambda client: _ADD.run(client, self._keys(partition, name), args))

    async def nearest(self, partition: str, vector: Vector, count: int) -> list[Neighbour]:
        """Give the nearest prompts of a partition, nearest first."""
        query = f"(@partition:{{{_tag(partition)}}})=>[KNN $count @vector $vector AS distance]"
        given = ("PARAMS", 4, "count", count, "vector", np.asarray(vector, dtype="<f4").tobytes())
        wanted = ("SORTBY", "distance", "RETURN", 2, "name", "distance", "LIMIT", 0, count, "DIALECT", 2)
        version = partition.partition(":")[0]

        async def search(client: RedisClient) -> Any:
            try:
                return await client.execute_command("FT.SEARCH", self._index(version), query, *given, *wanted)
            except ResponseError as error:
                if "index" not in str(error).lower():
                    raise
                await self._create(client, version)  # it went with a restart, or with FLUSHALL
                return ()

        found = await self._redis.run("semantic-near", search)
        return [
            Neighbour(bytes(fields[b"name"]).decode(), 1 - float(fields[b"distance"]))
            for fields in _fields_of(found)
            if b"name" in fields  # an entry whose time is over may be found, with nothing in it
        ]

    async def remove(self, partition: str, name: str) -> None:
        """Take a prompt out."""
        await self._redis.run(
            "semantic-remove", lambda client: _REMOVE.run(client, self._keys(partition, name), (name,))
        )

    async def _create(self, client: RedisClient, version: str) -> bool:
        if isinstance(client, RedisCluster):
            return False
        hashes = ("ON", "HASH", "PREFIX", 1, f"{self._prefix}{version}-entry:")
        fields = ("SCHEMA", "partition", "TAG", "vector", "VECTOR", "FLAT", 6)
        of_vector = ("TYPE", "FLOAT32", "DIM", SIZE, "DISTANCE_METRIC", "COSINE")
        command = ("FT.CREATE", self._index(version), *hashes, *fields, *of_vector)
        try:
            await client.execute_command(*command)  # type: ignore[no-untyped-call]  # of a single server's client
        except ResponseError as error:  # an unknown command, one that is not allowed, or an index that is there
            return "already exists" in str(error)
        return True

    def _keys(self, partition: str, name: str) -> tuple[str, str, str, str]:
        owner = f"{self._prefix}{{{owner_of(partition)}}}"
        return f"{owner}:index", f"{owner}:sizes", f"{self._prefix}{partition}:order", self._entry(partition, name)

    def _entry(self, partition: str, name: str) -> str:
        version, _, rest = partition.partition(":")
        return f"{self._prefix}{version}-entry:{rest}:{name}"

    def _index(self, version: str) -> str:
        return f"{self._prefix}{version}:search"


def _tag(partition: str) -> str:
    """Give a partition as a query may write it: letters and digits alone."""
    return "".join(letter for letter in partition if letter.isalnum())


def _fields_of(found: Any) -> Iterator[dict[bytes, bytes]]:
    """Read what the server answers, as protocol 3 (a map) or 2 (a list) has it."""
    if isinstance(found, dict):
        for one in found[b"results"]:
            yield one.get(b"extra_attributes") or {}
        return
    for pairs in found[2::2]:
        yield _paired(pairs or ())


def _paired(pairs: Sequence[bytes]) -> dict[bytes, bytes]:
    return dict(zip(pairs[::2], pairs[1::2], strict=True))
