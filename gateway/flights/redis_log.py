"""A flight for other workers to follow: who leads it (a lock that must be renewed), and what has arrived (a list).

The lock holds the leader's token, and the list carries it in its name: a leader that was thought dead and is not, can
neither renew a lock that is another's nor write into another's list.
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.cache.redis_guard import GuardedRedis
from gateway.cache.redis_store import Script

LEASE_MS = 3000
"""A leader that has not written for so long is dead, and a follower takes over."""

INTEREST_MS = 2000
LOG_MS = 60_000

_LEAD = Script(
    """#!lua
-- KEYS: lock; ARGV: token, lease in ms. Gives the token of whoever leads now.
local leader = redis.call('GET', KEYS[1])
if leader then return leader end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return ARGV[1]
"""
)

_WRITE = Script(
    """#!lua
-- KEYS: lock, log, interest; ARGV: token, lease in ms, ms for which the log is kept, whether to let go of the lock,
-- then what has arrived. Gives whether the token still leads, and whether anybody follows.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return {0, 0} end
for index = 5, #ARGV do redis.call('RPUSH', KEYS[2], ARGV[index]) end
redis.call('PEXPIRE', KEYS[2], ARGV[3])
if ARGV[4] == '1' then redis.call('DEL', KEYS[1]) else redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return {1, redis.call('EXISTS', KEYS[3])}
"""
)

_READ = Script(
    """#!lua
-- KEYS: lock, log, interest; ARGV: token, place, interest in ms. Gives whether the token still leads, and what is new.
redis.call('SET', KEYS[3], '1', 'PX', ARGV[3])
local leads = redis.call('GET', KEYS[1]) == ARGV[1]
return {leads and 1 or 0, redis.call('LRANGE', KEYS[2], ARGV[2], -1)}
"""
)


class RedisLog:
    """What workers tell each other of flights. Every call may raise `StoreUnavailable`."""

    def __init__(self, redis: GuardedRedis, *, key_prefix: str) -> None:
        self._redis = redis
        self._prefix = key_prefix

    async def lead(self, flight: str, token: str) -> str:
        """Lead a flight that nobody leads; give the token of whoever leads it now."""
        keys, args = (self._name(flight, "lock"),), (token, LEASE_MS)
        return bytes(await self._redis.run("flight-lead", lambda client: _LEAD.run(client, keys, args))).decode()

    async def write(
        self, flight: str, token: str, items: Sequence[bytes], *, lets_go: bool = False
    ) -> tuple[bool, bool]:
        """Write what has arrived and renew the lock; give whether one still leads, and whether anybody follows."""
        args: list[str | int | bytes] = [token, LEASE_MS, LOG_MS, int(lets_go), *items]
        leads, followed = await self._redis.run(
            "flight-write", lambda client: _WRITE.run(client, self._names(flight, token), args)
        )
        return bool(leads), bool(followed)

    async def read(self, flight: str, token: str, place: int) -> tuple[bool, list[bytes]]:
        """Give whether the leader lives, and what has arrived from a place on."""
        args = (token, place, INTEREST_MS)
        leads, items = await self._redis.run(
            "flight-read", lambda client: _READ.run(client, self._names(flight, token), args)
        )
        return bool(leads), list(items)

    def _names(self, flight: str, token: str) -> tuple[str, str, str]:
        return self._name(flight, "lock"), self._name(flight, f"log:{token}"), self._name(flight, "interest")

    def _name(self, flight: str, what: str) -> str:
        return f"{self._prefix}flight:{flight}:{what}"
