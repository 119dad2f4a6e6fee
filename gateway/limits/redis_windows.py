"""Sliding windows in Redis: the algorithm of window.py in one Lua call, by Redis' own clock.

Each window is a hash: its parts by number (`amount:last use`), their `sum`, and when it was last used (`at`).
Concurrent requests are a sorted set of leases by expiry: a worker renews those it holds, so that one that dies gives
its places back. All of a caller's keys share the tenant's hash tag, and so a slot.
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.cache.redis_guard import GuardedRedis
from gateway.cache.redis_store import Script
from gateway.limits.reservation import LEASE_S, Ask, Look, Taken

WORKER_S = 15.0
"""A worker that has not said for so long that it is there no longer counts."""

_CLOCK = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
"""

_PARTS = """
local function read(part)
  if not part then return 0, 0 end
  local amount, at = string.match(part, '^(-?%d+):(%d+)$')
  return tonumber(amount), tonumber(at)
end
local function write(key, index, amount, at)
  redis.call('HSET', key, string.format('%d', index), string.format('%d:%d', amount, at))
end
local function names(first, last)
  local found = {}
  for index = first, last do found[#found + 1] = string.format('%d', index) end
  return found
end
local function forget(key, width, window)
  local latest = tonumber(redis.call('HGET', key, 'at'))
  if not latest then return 0 end
  local horizon = now - window
  if latest <= horizon then
    redis.call('DEL', key)
    return 0
  end
  local sum = tonumber(redis.call('HGET', key, 'sum'))
  local indices = names(math.floor((latest - window) / width), math.floor(horizon / width))
  if #indices == 0 then return sum end
  local past = {}
  for place, part in ipairs(redis.call('HMGET', key, unpack(indices))) do
    local amount, at = read(part)
    if part and at <= horizon then
      sum = sum - amount
      past[#past + 1] = indices[place]
    end
  end
  if #past > 0 then
    redis.call('HDEL', key, unpack(past))
    redis.call('HSET', key, 'sum', string.format('%d', sum))
  end
  return sum
end
"""

_TAKE = Script(
    "#!lua"
    + _CLOCK
    + _PARTS
    + """
-- KEYS: one per meter. ARGV: take (1) or look (0), lease, its length in ms, and for each meter: width of a part in ms
-- (0: concurrent), window in ms, most, amount, whether the last request may go beyond. Gives: granted, now, and for
-- each meter what is used, ms until it fits, ms until all is free.
local taking, lease, length = ARGV[1] == '1', ARGV[2], tonumber(ARGV[3])
local granted, waits, sums, answer = 1, {}, {}, {}
local function argument(number, place) return tonumber(ARGV[3 + (number - 1) * 5 + place]) end
for number, key in ipairs(KEYS) do
  local width, window, most, amount = argument(number, 1), argument(number, 2), argument(number, 3), argument(number, 4)
  local wait, sum = 0, 0
  if width == 0 then
    redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
    sum = redis.call('ZCARD', key)
    if sum >= most then wait = 1000 end
  else
    sum = forget(key, width, window)
    local short = sum + amount - most
    if argument(number, 5) == 1 then short = sum - most + 1 end
    if short > 0 then
      wait = -1
      local freed = 0
      local indices = names(math.floor((now - window) / width), math.floor(now / width))
      for _, part in ipairs(redis.call('HMGET', key, unpack(indices))) do
        local used, at = read(part)
        freed = freed + used
        if part and freed >= short then
          wait = at + window - now
          break
        end
      end
    end
  end
  if wait ~= 0 then granted = 0 end
  sums[number], waits[number] = sum, wait
end
for number, key in ipairs(KEYS) do
  local width, window, amount = argument(number, 1), argument(number, 2), argument(number, 4)
  local sum, resets = sums[number], 0
  if width == 0 then
    if granted == 1 and taking then
      sum = sum + redis.call('ZADD', key, now + length, lease)
      redis.call('PEXPIRE', key, length)
    end
  else
    if granted == 1 and taking then
      sum = sum + amount
      local index = math.floor(now / width)
      local used = read(redis.call('HGET', key, string.format('%d', index)))
      write(key, index, used + amount, now)
      redis.call('HSET', key, 'sum', string.format('%d', sum), 'at', string.format('%d', now))
      redis.call('PEXPIRE', key, window + width)
    end
    local latest = tonumber(redis.call('HGET', key, 'at'))
    if latest then resets = latest + window - now end
  end
  for _, value in ipairs({sum, waits[number], resets}) do answer[#answer + 1] = value end
end
return {granted, now, answer}
"""
)

_SETTLE = Script(
    "#!lua flags=allow-oom"
    + _CLOCK
    + _PARTS
    + """
-- KEYS: one per meter. ARGV: lease, when it was taken (ms), and for each meter: width of a part in ms (0: concurrent),
-- window in ms, by how much to correct, whether nothing was set aside, so that it is used now.
for number, key in ipairs(KEYS) do
  local base = 2 + (number - 1) * 4
  local width, window, by = tonumber(ARGV[base + 1]), tonumber(ARGV[base + 2]), tonumber(ARGV[base + 3])
  if width == 0 then
    redis.call('ZREM', key, ARGV[1])
  else
    local sum = forget(key, width, window)
    local taken = tonumber(ARGV[2])
    local index = math.floor(taken / width)
    local part = redis.call('HGET', key, string.format('%d', index))
    if part then
      local used, at = read(part)
      write(key, index, used + by, at)
      redis.call('HSET', key, 'sum', string.format('%d', sum + by))
    elseif ARGV[base + 4] == '1' then
      index = math.floor(now / width)
      local used = read(redis.call('HGET', key, string.format('%d', index)))
      write(key, index, used + by, now)
      redis.call('HSET', key, 'sum', string.format('%d', sum + by), 'at', string.format('%d', now))
      redis.call('PEXPIRE', key, window + width)
    end
  end
end
return 1
"""
)

_RENEW = Script(
    "#!lua"
    + _CLOCK
    + """
-- KEYS: leases of one meter. ARGV: length in ms, leases.
for index = 2, #ARGV do redis.call('ZADD', KEYS[1], 'XX', now + ARGV[1], ARGV[index]) end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return 1
"""
)

_PRESENT = Script(
    "#!lua"
    + _CLOCK
    + """
-- KEYS: workers. ARGV: length in ms, this worker (empty: only count). Gives how many there are.
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
redis.call('ZADD', KEYS[1], now + ARGV[1], ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return redis.call('ZCARD', KEYS[1])
"""
)


class RedisWindows:
    """The windows that all workers share. Every call may raise `StoreUnavailable`."""

    def __init__(self, redis: GuardedRedis, *, key_prefix: str) -> None:
        self._redis = redis
        self._prefix = key_prefix

    async def take(self, asks: Sequence[Ask], lease: str, *, taking: bool = True) -> Taken:
        """Take all amounts or none of them, in one step; with `taking` false, only look."""
        keys = [self._prefix + ask.name for ask in asks]
        args: list[str | int] = [int(taking), lease, int(LEASE_S * 1000)]
        for ask in asks:
            meter = ask.meter
            width_ms = 0 if meter.unit == "concurrent" else meter.width_ms
            args += [width_ms, meter.window_ms, meter.most, ask.amount, int(meter.admits_the_last)]
        granted, now_ms, found = await self._redis.run("limit", lambda client: _TAKE.run(client, keys, args))
        looks = tuple(Look(*map(int, found[start : start + 3])) for start in range(0, len(found), 3))
        return Taken(bool(granted), int(now_ms), looks)

    async def settle(self, changes: Sequence[tuple[Ask, int]], lease: str, at_ms: int) -> None:
        """Correct each amount by what it was wrong by, and end the lease."""
        keys = [self._prefix + ask.name for ask, _ in changes]
        args: list[str | int] = [lease, at_ms]
        for ask, by in changes:
            width_ms = 0 if ask.meter.unit == "concurrent" else ask.meter.width_ms
            args += [width_ms, ask.meter.window_ms, by, int(ask.is_late)]
        await self._redis.run("limit-settle", lambda client: _SETTLE.run(client, keys, args))

    async def renew(self, name: str, leases: Sequence[str]) -> None:
        """Say that requests are still under way."""
        keys = (self._prefix + name,)
        args: list[str | int] = [int(LEASE_S * 1000), *leases]
        await self._redis.run("limit-renew", lambda client: _RENEW.run(client, keys, args))

    async def present(self, worker: str) -> int:
        """Say that a worker is there, and give how many are."""
        keys, args = (f"{self._prefix}{{workers}}:present",), (int(WORKER_S * 1000), worker)
        return int(await self._redis.run("limit-present", lambda client: _PRESENT.run(client, keys, args)))
