"""Whether there is room for a request: so many at once in a tier, a fair line for the rest, and who is to go elsewhere.

A tier counts as busy before its line is hopeless: when a newcomer would have to wait longer than
`admission.downgrade_after_s`. The decision then sends requests elsewhere and says so (``reason=load``); only who has
nowhere to go waits in line, and only who finds no place there is answered 429.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from gateway.queueing import Queue, QueueEvent, Visitor
from gateway.settings import AdmissionSettings
from gateway.upstream.pool import Pool
from router.types import Tier


class Slot:
    """One request's place in a tier, until it is released."""

    __slots__ = ("_gate", "_key")

    def __init__(self, gate: Gate, key: str) -> None:
        self._gate: Gate | None = gate
        self._key = key

    def release(self) -> None:
        """Let somebody else in; further times do nothing."""
        gate, self._gate = self._gate, None
        if gate is not None:
            gate.leave(self._key)


class Gate:
    """So many requests in one tier at once."""

    def __init__(self, limit: int, queue: Queue) -> None:
        self.limit = limit
        self.in_flight = 0
        self.queue = queue

    async def enter(self, visitor: Visitor) -> Slot:
        """Take a place, waiting in line while there is none.

        Raises:
            SentAway: the line is full, or the wait took too long.
        """
        if not len(self.queue) and (slot := self._take(visitor.key)) is not None:
            return slot
        return await self.queue.wait(visitor, lambda: self._take(visitor.key))

    def leave(self, key: str) -> None:
        """Give a place back."""
        self.in_flight -= 1
        self.queue.let_go(key)

    def _take(self, key: str) -> Slot | None:
        if self.in_flight >= self.limit:
            return None
        self.in_flight += 1
        self.queue.hold(key)
        return Slot(self, key)


@dataclass(frozen=True, slots=True)
class _Bounds:
    """What may hold a request up in one tier."""

    gate: Gate | None
    pools: tuple[Pool, ...]
    """The tier's backends; it is busy when all of them are."""

    def is_busy(self, longest_wait_s: float) -> bool:
        if self.gate is not None and _is_long(self.gate.queue, longest_wait_s):
            return True
        return all(pool.is_bounded and _is_long(pool.queue, longest_wait_s) for pool in self.pools)


def _is_long(queue: Queue, longest_wait_s: float) -> bool:
    return 0 < queue.size <= len(queue) or queue.expected_wait_s() > longest_wait_s


class Admission:
    """The tiers' gates, and which tiers are busy.

    Args:
        settings: how many at once, and how long the line.
        tiers: the backends of each tier.
        gates: of an earlier configuration, whose requests are still counted.
        on_queue: hears who waited.
    """

    def __init__(
        self,
        settings: AdmissionSettings,
        tiers: Mapping[Tier, Iterable[Pool]],
        on_queue: Callable[[QueueEvent], None],
        gates: Mapping[Tier, Gate] | None = None,
    ) -> None:
        self.gates: dict[Tier, Gate] = {}
        self._downgrade_after_s = settings.downgrade_after_s
        for tier, bounds in settings.tiers.items():
            gate = (gates or {}).get(tier) or Gate(0, Queue(tier.value, 0, 0.0, on_queue))
            gate.limit, gate.queue.size, gate.queue.wait_s = bounds.concurrency, settings.queue, settings.wait_s
            gate.queue.wake()
            self.gates[tier] = gate
        bounds_of = {tier: _Bounds(self.gates.get(tier), tuple(pools)) for tier, pools in tiers.items()}
        self._bounded = {
            tier: bounds
            for tier, bounds in bounds_of.items()
            if bounds.gate is not None or all(pool.is_bounded for pool in bounds.pools)
        }

    def busy(self) -> frozenset[Tier]:
        """Give the tiers in which a newcomer would have to wait too long."""
        if not self._bounded:
            return _NONE
        longest = self._downgrade_after_s
        return frozenset(tier for tier, bounds in self._bounded.items() if bounds.is_busy(longest))


_NONE: frozenset[Tier] = frozenset()
