"""Whether a caller may use a tier now: so many calls, tokens or dollars of it per key and window.

Windows are fixed and counted in the store: exact in one process, and across workers when the store is Redis. A store
that is away counts nothing, so that an outage of Redis costs precision and no requests.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from gateway.accounting import Record
from gateway.cache.key import owner_tag
from gateway.cache.store import Store, StoreUnavailable
from gateway.settings import LimitSettings
from router.types import Tier

MICRO = 1_000_000
"""Dollars are counted in millionths: counters are integers."""

_log = structlog.get_logger("thalamus")


@dataclass(frozen=True, slots=True)
class _Meter:
    """One thing that one limit counts."""

    tier: Tier
    unit: str
    most: int
    window_s: float

    def key(self, tenant: str, key: str, now: float) -> str:
        window = int(now // self.window_s)
        return f"tl1:{{{owner_tag(tenant)}}}:{key}:{self.tier}:{self.unit}:{self.window_s:.0f}:{window}"

    def resets_in_s(self, now: float) -> float:
        return self.window_s - now % self.window_s

    def amount(self, record: Record) -> int:
        """Say how much of the limit a finished request has used."""
        if self.unit == "calls":
            return 1
        if self.unit == "tokens":
            return record.usage.input + record.usage.output if record.usage else 0
        return round((record.cost or 0.0) * MICRO)


class Limits:
    """The configured limits and what has been used of them."""

    def __init__(self, limits: Sequence[LimitSettings], store: Store) -> None:
        self._store = store
        self._meters = tuple(meter for limit in limits for meter in _meters(limit))

    def __bool__(self) -> bool:
        """Whether anything is limited at all."""
        return bool(self._meters)

    async def exhausted(self, tenant: str, key: str) -> dict[Tier, float]:
        """Give the tiers that a key has used up, and the seconds until each is free again."""
        now = time.time()
        found: dict[Tier, float] = {}
        for meter in self._meters:
            try:
                used = await self._store.increase(meter.key(tenant, key, now), 0, ttl_s=meter.window_s)
            except StoreUnavailable:
                continue
            if used >= meter.most:
                found[meter.tier] = max(found.get(meter.tier, 0.0), meter.resets_in_s(now))
        return found

    async def count(self, record: Record) -> None:
        """Count a finished request against the limits of the tier that served it."""
        tier = record.target.tier if record.target else None
        now = time.time()
        for meter in self._meters:
            if meter.tier is not tier or not (amount := meter.amount(record)):
                continue
            try:
                await self._store.increase(meter.key(record.tenant, record.key, now), amount, ttl_s=meter.window_s)
            except StoreUnavailable:
                _log.warning("limit not counted", tier=meter.tier, unit=meter.unit, why="the store is away")


def _meters(limit: LimitSettings) -> list[_Meter]:
    wanted = (("calls", limit.calls), ("tokens", limit.tokens), ("dollars", limit.dollars))
    return [
        _Meter(limit.tier, unit, round(most * MICRO) if unit == "dollars" else int(most), limit.window_s)
        for unit, most in wanted
        if most is not None
    ]
