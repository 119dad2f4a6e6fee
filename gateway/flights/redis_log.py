"""A flight for other workers to follow: who leads it (a lock that must be renewed), and what has arrived (a list).

The lock holds the leader's token, and the list carries it in its name: a leader that was thought dead and is not, can
neither renew a lock that is another's nor write into another's list.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.cache.redis_guard import GuardedRedis
from gateway.cache.redis_store import Script
from gateway.cache.store import StoreUnavailable

LEASE_MS = 3000
"""A leader that has not written for so long is dead, and a follower takes over."""

INTEREST_MS = 2000
LOG_MS = 60_000
_NONCE_BYTES = 12

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

    def __init__(self, redis: GuardedRedis, *, key_prefix: str, encryption_key: bytes | None = None) -> None:
        self._redis = redis
        self._prefix = key_prefix
        self._cipher = AESGCM(encryption_key) if encryption_key is not None else None

    async def lead(self, flight: str, token: str) -> str:
        """Lead a flight that nobody leads; give the token of whoever leads it now."""
        keys, args = (self._name(flight, "lock"),), (token, LEASE_MS)
        return bytes(await self._redis.run("flight-lead", lambda client: _LEAD.run(client, keys, args))).decode()

    async def write(
        self, flight: str, token: str, items: Sequence[bytes], *, lets_go: bool = False
    ) -> tuple[bool, bool]:
        """Write what has arrived and renew the lock; give whether one still leads, and whether anybody follows."""
        args: list[str | int | bytes] = [token, LEASE_MS, LOG_MS, int(lets_go)]
        args += [self._seal(flight, token, item) for item in items]
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
        return bool(leads), [self._open(flight, token, item) for item in items]

    def _seal(self, flight: str, token: str, item: bytes) -> bytes:
        """Seal an item, all but its number, for this place of this flight."""
        if self._cipher is None:
            return item
        number, _, told = item.partition(b" ")
        nonce = os.urandom(_NONCE_BYTES)
        return b"%s %s" % (number, nonce + self._cipher.encrypt(nonce, told, _bound_to(flight, token, number)))

    def _open(self, flight: str, token: str, item: bytes) -> bytes:
        if self._cipher is None:
            return item
        number, _, sealed = item.partition(b" ")
        nonce, content = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        try:
            return b"%s %s" % (number, self._cipher.decrypt(nonce, content, _bound_to(flight, token, number)))
        except (InvalidTag, ValueError):
            raise StoreUnavailable("refused") from None

    def _names(self, flight: str, token: str) -> tuple[str, str, str]:
        return self._name(flight, "lock"), self._name(flight, f"log:{token}"), self._name(flight, "interest")

    def _name(self, flight: str, what: str) -> str:
        return f"{self._prefix}flight:{flight}:{what}"


def _bound_to(flight: str, token: str, number: bytes) -> bytes:
    return f"{flight}\0{token}\0".encode() + number
