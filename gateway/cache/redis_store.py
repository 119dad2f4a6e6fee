"""The store in Redis: values that expire, an index of each owner's keys, and counters.

For every owner there are, beside the values, two keys that share the values' hash tag and so their slot:
`<prefix>{owner}:index`, a sorted set of the owner's keys by expiry, and `<prefix>{owner}:sizes`, a hash with the size
of each and their `total`. Erasing and quotas use them; nothing ever scans the key space. They outlive the values by
an hour, so that a Redis that evicts by time to live (`maxmemory-policy volatile-ttl`) lets values go first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

from redis.exceptions import NoScriptError

from gateway.cache.key import owner_of
from gateway.cache.redis_guard import GuardedRedis
from gateway.cache.redis_url import RedisClient
from gateway.cache.store import ENTRY_OVERHEAD_BYTES

_ERASE_BATCH = 256


@dataclass(frozen=True)
class Script:
    """A Lua script, run as one atomic step. All its keys must share a hash tag."""

    text: str

    @cached_property
    def sha(self) -> str:
        """The digest by which Redis knows it."""
        return hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()

    async def run(self, client: RedisClient, keys: Sequence[str], args: Sequence[str | int | bytes]) -> Any:
        """Run the script; its text travels only to a server that does not have it yet."""
        try:
            return await client.evalsha(self.sha, len(keys), *keys, *args)
        except NoScriptError as error:
            error.with_traceback(None)  # whose frames hold the error, and all that the caller has
        return await client.eval(self.text, len(keys), *keys, *args)


# Without such a first line, Redis lets a script that has deleted something write on beyond `maxmemory`.
WHEN_NOT_FULL = "#!lua"
EVEN_WHEN_FULL = "#!lua flags=allow-oom"

OWNED = """
local function read_clock()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
local function forget(key)
  local size = tonumber(redis.call('HGET', KEYS[2], key) or 0)
  redis.call('ZREM', KEYS[1], key)
  redis.call('HDEL', KEYS[2], key)
  redis.call('HINCRBY', KEYS[2], 'total', 0 - size)
end
local function keep_for(ttl)
  local most = math.max(ttl + 3600000, redis.call('PTTL', KEYS[1]))
  redis.call('PEXPIRE', KEYS[1], most)
  redis.call('PEXPIRE', KEYS[2], most)
end
"""
"""Steps on what is known of an owner: KEYS[1], its index, when each key ends; KEYS[2], the bytes of each and their sum.

`read_clock` gives milliseconds; `forget` strikes a key out, which stays; `keep_for` has both outlive a key by an hour.
"""

_PUT = Script(
    WHEN_NOT_FULL
    + OWNED
    + """
-- KEYS: index, sizes, value; ARGV: value, ttl in ms, overhead, quota (0: none). Gives 1 if kept, 0 if too large.
local ttl, quota = tonumber(ARGV[2]), tonumber(ARGV[4])
local size, now = #ARGV[1] + tonumber(ARGV[3]), read_clock()
for _, key in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, 64)) do forget(key) end
redis.call('UNLINK', KEYS[3])
forget(KEYS[3])
if quota > 0 then
  if size > quota then return 0 end
  while tonumber(redis.call('HGET', KEYS[2], 'total') or 0) + size > quota do
    local oldest = redis.call('ZRANGE', KEYS[1], 0, 0)[1]
    if not oldest then redis.call('HSET', KEYS[2], 'total', 0) break end
    redis.call('UNLINK', oldest)
    forget(oldest)
  end
end
redis.call('SET', KEYS[3], ARGV[1], 'PX', ttl)
redis.call('ZADD', KEYS[1], now + ttl, KEYS[3])
redis.call('HSET', KEYS[2], KEYS[3], size)
redis.call('HINCRBY', KEYS[2], 'total', size)
keep_for(ttl)
return 1
"""
)

_DELETE = Script(
    EVEN_WHEN_FULL
    + OWNED
    + """
-- KEYS: index, sizes, value. Gives how many there were.
forget(KEYS[3])
return redis.call('UNLINK', KEYS[3])
"""
)

_INCREASE = Script(
    WHEN_NOT_FULL
    + """
-- KEYS: counter; ARGV: by, ttl in ms. Gives the sum.
local sum = redis.call('INCRBY', KEYS[1], ARGV[1])
if redis.call('PTTL', KEYS[1]) < 0 then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return sum
"""
)

_ERASE = Script(
    EVEN_WHEN_FULL
    + """
-- KEYS: index, sizes; ARGV: how many at most. Gives how many were erased, and whether that was all.
local keys = redis.call('ZRANGE', KEYS[1], 0, ARGV[1] - 1)
if #keys > 0 then
  redis.call('UNLINK', unpack(keys))
  redis.call('ZREM', KEYS[1], unpack(keys))
  local sizes = redis.call('HMGET', KEYS[2], unpack(keys))
  local size = 0
  for _, one in ipairs(sizes) do size = size + tonumber(one or 0) end
  redis.call('HDEL', KEYS[2], unpack(keys))
  redis.call('HINCRBY', KEYS[2], 'total', 0 - size)
end
if redis.call('ZCARD', KEYS[1]) > 0 then return {#keys, 0} end
redis.call('UNLINK', KEYS[2])
return {#keys, 1}
"""
)


class RedisStore:
    """A store that processes and machines share. Every call has the guard's deadline."""

    def __init__(self, redis: GuardedRedis, *, key_prefix: str) -> None:
        self._redis = redis
        self._prefix = key_prefix

    async def get(self, key: str) -> bytes | None:
        """Give the value, None if there is none or its time is over."""
        name = self._name(key)
        value = await self._redis.run("get", lambda client: client.get(name))
        return cast("bytes | None", value)  # str only if the client decoded, which ours does not

    async def put(self, key: str, value: bytes, *, ttl_s: float, quota_bytes: int | None = None) -> bool:
        """Keep a value; the owner's values that expire first make room for it within the quota."""
        keys = (*self._index_of(owner_of(key)), self._name(key))
        args = (value, _milliseconds(ttl_s), ENTRY_OVERHEAD_BYTES, quota_bytes or 0)
        return bool(await self._redis.run("put", lambda client: _PUT.run(client, keys, args)))

    async def delete(self, key: str) -> bool:
        """Forget a value or counter; True if there was one."""
        keys = (*self._index_of(owner_of(key)), self._name(key))
        return bool(await self._redis.run("delete", lambda client: _DELETE.run(client, keys, ())))

    async def increase(self, key: str, by: int, *, ttl_s: float) -> int:
        """Add to a counter and give the sum."""
        keys, args = (self._name(key),), (by, _milliseconds(ttl_s))
        return int(await self._redis.run("increase", lambda client: _INCREASE.run(client, keys, args)))

    async def expire(self, key: str, ttl_s: float) -> bool:
        """Let a counter live `ttl_s` seconds from now; True if there is one."""
        name = self._name(key)
        return bool(await self._redis.run("expire", lambda client: client.pexpire(name, _milliseconds(ttl_s))))

    async def erase(self, owner: str) -> int:
        """Forget all values of an owner, some hundred at a time, and say how many there were."""
        keys = self._index_of(owner)
        erased, done = 0, False
        while not done:
            count, last = await self._redis.run("erase", lambda client: _ERASE.run(client, keys, (_ERASE_BATCH,)))
            erased, done = erased + int(count), bool(last)
        return erased

    def _name(self, key: str) -> str:
        """Give the key as Redis knows it; it must carry an owner, which is its hash tag."""
        owner_of(key)
        return self._prefix + key

    def _index_of(self, owner: str) -> tuple[str, str]:
        return f"{self._prefix}{{{owner}}}:index", f"{self._prefix}{{{owner}}}:sizes"


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000))
