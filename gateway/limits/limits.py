"""One question before a request is served, one correction after it: across workers with Redis, in process without."""

from __future__ import annotations

import asyncio
import math
import os
import secrets
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from gateway.cache.store import StoreUnavailable
from gateway.limits.meters import MICRO, Meter
from gateway.limits.reservation import LEASE_S, Ask, Look, Reservation, Standing, Taken
from gateway.limits.window import LocalWindows
from router.types import Tier

if TYPE_CHECKING:
    from gateway.limits.redis_windows import RedisWindows

T = TypeVar("T")
KEEP_EVERY_S = LEASE_S / 4
LOOK_AGAIN_S = 0.05
"""A request that has just ended gives its place back a moment later: one that found none looks once more."""

_MOST_PENDING = 10_000

OnRefusal = Callable[[str, str], None]
"""Hears of a refusal: the unit, and whether it was a tier's or the key's."""


@dataclass(frozen=True, slots=True)
class Demand:
    """What a request is expected to take."""

    tokens: int = 0
    dollars: float = 0.0


@dataclass(frozen=True, slots=True)
class Used:
    """What a request took. `tier` is the tier that served it, None where none did."""

    tokens: int
    dollars: float
    tier: Tier | None


class Refused(Exception):
    """A limit is reached. `resets_in_s`: until the request would fit."""

    def __init__(self, meter: Meter, resets_in_s: float, standing: tuple[Standing, ...] = ()) -> None:
        super().__init__(f"limit reached: {meter.described}")
        self.meter = meter
        self.resets_in_s = resets_in_s
        self.standing = standing


class TierExhausted(Refused):
    """The quota of a tier is used up: another may serve."""


class RateReached(Refused):
    """Too many requests or tokens for the time, or too many at once."""


class BudgetSpent(Refused):
    """The dollars are spent."""


class TooLarge(Refused):
    """The request alone exceeds the limit: waiting does not help."""


class Limits:
    """What has been used of every limit.

    Without Redis the windows are this process's. With it they are everybody's, and this process counts along: while
    Redis is away it goes on with its share of every limit, the limit divided by the workers that were there last.
    """

    def __init__(
        self,
        local: LocalWindows,
        shared: RedisWindows | None = None,
        on_refusal: OnRefusal = lambda _unit, _whose: None,
    ) -> None:
        self._local = local
        self._shared = shared
        self._on_refusal = on_refusal
        self._worker = f"{os.getpid()}-{secrets.token_hex(4)}"
        self._workers = 1
        self._number = 0
        self._leases: dict[str, set[str]] = {}
        self._running: set[asyncio.Task[Any]] = set()
        self._pending: deque[tuple[tuple[tuple[Ask, int], ...], str, int]] = deque(maxlen=_MOST_PENDING)

    async def reserve(
        self, meters: Sequence[Meter], tenant: str, key: str, tier: Tier | None, demand: Demand
    ) -> Reservation:
        """Set aside what a request is expected to take of the key's limits and the tier's.

        Raises:
            TierExhausted: the tier's quota is used up, and nothing else stands in the way.
            RateReached, BudgetSpent, TooLarge: a limit of the key itself is reached.
        """
        asks = tuple(
            Ask(meter, meter.name(tenant, key), _amount(meter, demand.tokens, demand.dollars))
            for meter in meters
            if meter.tier is None or meter.tier is tier
        )
        self._number += 1
        lease = f"{self._worker}-{self._number}"
        reservation = await self._take(asks, lease)
        if isinstance(reservation, Refused) and reservation.meter.unit == "concurrent" and self._shared is not None:
            await asyncio.sleep(LOOK_AGAIN_S)
            reservation = await self._take(asks, lease)
        if isinstance(reservation, Refused):
            self._on_refusal(reservation.meter.unit, "tier" if reservation.meter.tier else "key")
            raise reservation
        reservation = replace(reservation, tenant=tenant, key=key, meters=tuple(meters))
        if reservation.is_shared:
            for ask in asks:
                if ask.meter.unit == "concurrent":
                    self._leases.setdefault(ask.name, set()).add(lease)
        return reservation

    @property
    def workers(self) -> int:
        """How many workers shared the limits when Redis last said."""
        return self._workers

    async def exhausted(self, meters: Sequence[Meter], tenant: str, key: str) -> dict[Tier, float]:
        """Give the tiers that a key has used up, and the seconds until each is free again; nothing is taken."""
        asks = tuple(Ask(meter, meter.name(tenant, key), 0) for meter in meters if meter.tier is not None)
        if not asks:
            return {}
        taken = await self._look(asks)
        found: dict[Tier, float] = {}
        for ask, look in zip(asks, taken.looks, strict=True):
            if look.free_in_ms and ask.meter.tier is not None:
                found[ask.meter.tier] = max(found.get(ask.meter.tier, 0.0), look.free_in_ms / 1000)
        return found

    async def used(self, windows: Mapping[str, Meter]) -> list[int]:
        """Give how much is used of each of a tenant's windows, by their names; nothing is taken."""
        taken = await self._look(tuple(Ask(meter, name, 0) for name, meter in windows.items()))
        return [look.used for look in taken.looks]

    def settle(self, reservation: Reservation, used: Used) -> None:
        """Correct what was set aside to what was used, and end the request's lease. Never waits."""
        changes = tuple(self._changes(reservation, used))
        for ask, by in changes:
            if ask.meter.unit == "concurrent":
                self._local.release(ask.name, reservation.lease)
            elif by:
                self._local.adjust(ask, reservation.local_at_ms, by)
        if self._shared is None or not reservation.is_shared:
            return
        for ask, _ in changes:
            if (held := self._leases.get(ask.name)) is not None:
                held.discard(reservation.lease)
                if not held:
                    del self._leases[ask.name]
        if any(by or ask.meter.unit == "concurrent" for ask, by in changes):
            self._start(self._settle_shared(changes, reservation.lease, reservation.at_ms))

    @asynccontextmanager
    async def kept(self, every_s: float = KEEP_EVERY_S) -> AsyncIterator[None]:
        """Keep this worker's presence and leases alive in Redis, and bring late corrections there."""
        keeping = asyncio.create_task(self._keep(every_s)) if self._shared is not None else None
        try:
            yield
        finally:
            if keeping is not None:
                keeping.cancel()
                await asyncio.gather(keeping, *self._running, return_exceptions=True)

    async def _take(self, asks: tuple[Ask, ...], lease: str) -> Reservation | Refused:
        if self._shared is None:
            return _reservation(asks, lease, self._local.take(asks, lease), is_shared=False)
        try:
            taken = await self._take_shared(self._shared, asks, lease)
        except StoreUnavailable:
            return _reservation(asks, lease, self._local.take(asks, lease, share=1 / self._workers), is_shared=False)
        reservation = _reservation(asks, lease, taken, is_shared=True)
        if isinstance(reservation, Reservation):
            reservation.local_at_ms = self._local.take(asks, lease, force=True).at_ms
        return reservation

    async def _take_shared(self, shared: RedisWindows, asks: tuple[Ask, ...], lease: str) -> Taken:
        """Ask Redis; what it grants to a client who leaves meanwhile is given back."""
        asking = self._start(shared.take(asks, lease))
        try:
            return await asyncio.shield(asking)
        except asyncio.CancelledError:
            asking.add_done_callback(lambda done: self._give_back(done, asks, lease))
            raise
        finally:
            del asking  # its error holds this frame by its traceback

    def _give_back(self, asking: asyncio.Task[Taken], asks: tuple[Ask, ...], lease: str) -> None:
        if asking.cancelled() or asking.exception() is not None or not (taken := asking.result()).granted:
            return
        changes = tuple((ask, 0 if ask.meter.unit == "calls" else -ask.amount) for ask in asks)
        self._start(self._settle_shared(changes, lease, taken.at_ms))

    async def _look(self, asks: tuple[Ask, ...]) -> Taken:
        if self._shared is not None:
            try:
                return await self._shared.take(asks, "", taking=False)
            except StoreUnavailable:
                return self._local.look(asks, share=1 / self._workers)
        return self._local.look(asks)

    def _changes(self, reservation: Reservation, used: Used) -> list[tuple[Ask, int]]:
        """Say by how much each amount was wrong: another tier may have served than the one that was expected."""
        changes: list[tuple[Ask, int]] = []
        asked = {ask.name for ask in reservation.asks}
        for ask in reservation.asks:
            is_served = ask.meter.tier is None or ask.meter.tier is used.tier
            amount = _amount(ask.meter, used.tokens, used.dollars) if is_served else 0
            changes.append((ask, amount - ask.amount))
        for meter in reservation.meters:
            name = meter.name(reservation.tenant, reservation.key)
            if meter.tier is not None and meter.tier is used.tier and name not in asked and meter.unit != "concurrent":
                amount = _amount(meter, used.tokens, used.dollars)
                changes.append((Ask(meter, name, 0, is_late=True), amount))
        return changes

    def _start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    async def _settle_shared(self, changes: tuple[tuple[Ask, int], ...], lease: str, at_ms: int) -> None:
        if self._shared is None:
            return
        try:
            await self._shared.settle(changes, lease, at_ms)
        except StoreUnavailable:
            self._pending.append((changes, lease, at_ms))

    async def _keep(self, every_s: float) -> None:
        while self._shared is not None:
            try:
                self._workers = max(1, await self._shared.present(self._worker))
                for name, leases in list(self._leases.items()):
                    await self._shared.renew(name, tuple(leases))
                while self._pending:
                    await self._shared.settle(*self._pending[0])
                    self._pending.popleft()
            except StoreUnavailable:
                pass  # the next round, or the one after, finds it back
            await asyncio.sleep(every_s)


def _reservation(asks: tuple[Ask, ...], lease: str, taken: Taken, *, is_shared: bool) -> Reservation | Refused:
    if not taken.granted:
        return _refusal(asks, taken)
    return Reservation("", "", (), asks, lease, taken.at_ms, is_shared, taken.at_ms, _standing(asks, taken))


def _amount(meter: Meter, tokens: int, dollars: float) -> int:
    if meter.unit == "tokens":
        return tokens
    return round(dollars * MICRO) if meter.unit == "dollars" else 1


def _refusal(asks: Sequence[Ask], taken: Taken) -> Refused:
    """Make one refusal of all: the key's own limits before tiers', and of these the one that takes longest."""
    standing = _standing(asks, taken)
    refused = [(ask, look) for ask, look in zip(asks, taken.looks, strict=True) if look.free_in_ms]
    ask, look = max(refused, key=lambda one: (one[0].meter.tier is None, _wait(one[1])))
    meter, wait_s = ask.meter, look.free_in_ms / 1000
    if meter.tier is not None:
        return TierExhausted(meter, max(0.0, wait_s), standing)
    if look.free_in_ms < 0:
        return TooLarge(meter, 0.0, standing)
    kind = BudgetSpent if meter.unit == "dollars" else RateReached
    return kind(meter, wait_s, standing)


def _wait(look: Look) -> float:
    return math.inf if look.free_in_ms < 0 else look.free_in_ms


def _standing(asks: Sequence[Ask], taken: Taken) -> tuple[Standing, ...]:
    return tuple(
        Standing(ask.meter, max(0, ask.meter.most - look.used), max(0.0, look.resets_in_ms / 1000))
        for ask, look in zip(asks, taken.looks, strict=True)
    )
