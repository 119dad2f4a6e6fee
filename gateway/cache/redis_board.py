"""The board of notes between processes, in a hash in Redis."""

from __future__ import annotations

from gateway.cache.board import Note
from gateway.cache.redis_guard import GuardedRedis
from gateway.cache.redis_store import Script

# Times are by Redis' own clock: those of the machines need not agree. Notes are small, and taken even when it is full.
_READ = Script(
    """#!lua flags=allow-oom
-- KEYS: board. Gives name, value and milliseconds left of every note; those whose time is over are removed.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local written, notes = redis.call('HGETALL', KEYS[1]), {}
for i = 1, #written, 2 do
  local ends, value = string.match(written[i + 1], '^(%d+) (.*)$')
  if tonumber(ends) > now then
    table.insert(notes, {written[i], value, tonumber(ends) - now})
  else
    redis.call('HDEL', KEYS[1], written[i])
  end
end
return notes
"""
)
_POST = Script(
    """#!lua flags=allow-oom
-- KEYS: board; ARGV: name, value, ttl in ms.
local time = redis.call('TIME')
local ends = time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[3]
return redis.call('HSET', KEYS[1], ARGV[1], string.format('%d', ends) .. ' ' .. ARGV[2])
"""
)


class RedisBoard:
    """Notes by name. Every call has the guard's deadline.

    Args:
        redis: where they hang.
        key: of the hash that holds them.
    """

    def __init__(self, redis: GuardedRedis, key: str) -> None:
        self._redis = redis
        self._key = key

    async def read(self) -> dict[str, Note]:
        """Give all notes that hold."""
        found = await self._redis.run("board", lambda client: _READ.run(client, (self._key,), ()))
        return {name.decode(): Note(value.decode(), left_ms / 1000) for name, value, left_ms in found}

    async def post(self, name: str, value: str, *, ttl_s: float) -> None:
        """Hang up a note, in place of one of the same name."""
        args = (name, value, max(1, round(ttl_s * 1000)))
        await self._redis.run("board", lambda client: _POST.run(client, (self._key,), args))
