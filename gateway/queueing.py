"""A bounded line in which callers wait for something scarce: fair between keys, higher priorities first.

Whoever is let in next is the waiter of the highest priority whose key holds the fewest places, the oldest of these.
Every `PATIENCE`-th place goes to the oldest of all, so that low priorities are slowed and never starved. Where the line
is full, the key that fills it makes room for one that does not, and low priorities for higher ones.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Literal, Protocol, TypeVar

PATIENCE = 8
_SMOOTHING = 0.2

Why = Literal["full", "evicted", "late"]
"""Why somebody was sent away: no place in the line, made room for others, waited as long as anybody may."""


class Priority(IntEnum):
    """How urgent a request is; lower numbers go first."""

    HIGH = 0
    NORMAL = 1
    LOW = 2


class Held(Protocol):
    """What is waited for; it is given back when a waiter left in the moment it got it."""

    def release(self) -> None:
        """Give it back."""
        ...


T = TypeVar("T", bound=Held)


class SentAway(Exception):
    """There is no place to wait, or the waiting took too long; `retry_after_s` is a guess at when there is."""

    def __init__(self, why: Why, retry_after_s: float) -> None:
        super().__init__(why)
        self.why = why
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True)
class QueueEvent:
    """Somebody waited in a line, and was let in or sent away."""

    queue: str
    waited_s: float
    result: Literal["admitted", "full", "evicted", "late", "left", "failed"]


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who wants in: fairness is between keys."""

    key: str = ""
    priority: Priority = Priority.NORMAL
    on_wait: Callable[[Callable[[], int] | None], None] | None = None
    """Told how to look up the place in the line when the waiting begins, and None when it ends."""
    until: float = math.inf
    """When it gives up by itself (loop's clock)."""


@dataclass(slots=True, eq=False)
class _Waiter:
    visitor: Visitor
    take: Callable[[], Held | None]
    """Takes what is wanted, or says by None that there is none now; what it raises ends the waiting."""
    since: float
    future: asyncio.Future[Held] = field(repr=False)


class Queue:
    """One line.

    Args:
        name: for metrics.
        size: places in it.
        wait_s: longest wait.
        on_event: hears who waited and how that ended.
    """

    def __init__(
        self,
        name: str,
        size: int,
        wait_s: float,
        on_event: Callable[[QueueEvent], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self.size = size
        self.wait_s = wait_s
        self._on_event = on_event
        self._clock = clock
        self._waiting: list[_Waiter] = []
        self._held: Counter[str] = Counter()
        self._admitted = 0
        self._pace_s = 0.0
        self._last_admission: float | None = None

    def __len__(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def expected_wait_s(self, places: int = 0) -> float:
        """Guess how long a newcomer would wait, or whoever has so many before it, from the recent pace."""
        return (places or len(self._waiting) + 1) * self._pace_s if self._waiting else 0.0

    def hold(self, key: str) -> None:
        """Note that a key holds one more of what is waited for."""
        self._held[key] += 1

    def let_go(self, key: str) -> None:
        """Note that a key has given one back, and let in whoever is next."""
        if self._held[key] > 1:
            self._held[key] -= 1
        else:
            del self._held[key]
        self.wake()

    async def wait(self, visitor: Visitor, take: Callable[[], T | None]) -> T:
        """Wait until `take` gives something.

        Raises:
            SentAway: the line is full, or the wait took too long.
        """
        now = self._clock()
        if len(self._waiting) >= self.size:
            self._make_room(visitor)
        waiter = _Waiter(visitor, take, now, asyncio.get_running_loop().create_future())
        if not self._waiting:
            self._last_admission = None  # an empty line says nothing of the pace
        self._waiting.append(waiter)
        if visitor.on_wait is not None:
            visitor.on_wait(lambda: self._place_of(waiter))
        result: Literal["admitted", "full", "evicted", "late", "left", "failed"] = "failed"
        try:
            async with asyncio.timeout_at(min(asyncio.get_running_loop().time() + self.wait_s, visitor.until)):
                got = await waiter.future
            result = "admitted"
        except TimeoutError:
            result = "late"
            self._give_back(waiter)
            raise SentAway("late", self._guess()) from None
        except SentAway:
            result = "evicted"
            raise
        except asyncio.CancelledError:
            result = "left"
            self._give_back(waiter)
            raise
        finally:
            self._forget(waiter)
            if visitor.on_wait is not None:
                visitor.on_wait(None)
            self._on_event(QueueEvent(self.name, self._clock() - now, result))
        return got  # type: ignore[return-value]  # what this waiter's own `take` gave

    def wake(self) -> None:
        """Let in as many as there is room for. To be called whenever there may be more room."""
        while self._waiting:
            waiter = self._next()
            if waiter.future.done():  # it is leaving, and has not come to say so yet
                self._forget(waiter)
                continue
            try:
                got = waiter.take()
            except Exception as error:  # noqa: BLE001 - told to the waiter, whose it is
                self._forget(waiter)
                _settle(waiter.future, error)
                continue
            if got is None:
                return
            self._forget(waiter)
            self._note_admission()
            waiter.future.set_result(got)

    def _next(self) -> _Waiter:
        if self._admitted % PATIENCE == PATIENCE - 1:
            return self._waiting[0]
        return min(self._waiting, key=lambda w: (w.visitor.priority, self._held[w.visitor.key], w.since))

    def _place_of(self, waiter: _Waiter) -> int:
        """Say how many will probably go first, this one included: those of its priority and above, oldest first."""
        before = (waiter.visitor.priority, waiter.since)
        return 1 + sum((other.visitor.priority, other.since) < before for other in self._waiting if other is not waiter)

    def _make_room(self, newcomer: Visitor) -> None:
        """Send somebody away whose claim is weaker than the newcomer's.

        Raises:
            SentAway: nobody's is, so that the newcomer has to go.
        """
        counts = Counter(waiter.visitor.key for waiter in self._waiting)

        def claim(visitor: Visitor, waiting: int) -> tuple[int, int]:
            return visitor.priority, waiting

        weakest = max(self._waiting, key=lambda w: (*claim(w.visitor, counts[w.visitor.key]), w.since), default=None)
        if weakest is None or claim(weakest.visitor, counts[weakest.visitor.key]) <= claim(
            newcomer, counts[newcomer.key] + 1
        ):
            self._on_event(QueueEvent(self.name, 0.0, "full"))
            raise SentAway("full", self._guess())
        self._forget(weakest)
        _settle(weakest.future, SentAway("evicted", self._guess()))

    def _guess(self) -> float:
        """Guess after how many seconds a new try would be let in: when half of the line has been."""
        return max(1.0, len(self._waiting) * self._pace_s / 2)

    def _note_admission(self) -> None:
        now = self._clock()
        self._admitted += 1
        if self._last_admission is not None:
            self._pace_s += _SMOOTHING * (now - self._last_admission - self._pace_s)
        self._last_admission = now

    def _give_back(self, waiter: _Waiter) -> None:
        """Give back what a waiter got in the very moment in which it left."""
        future = waiter.future
        if future.done() and not future.cancelled() and future.exception() is None:
            future.result().release()

    def _forget(self, waiter: _Waiter) -> None:
        if waiter in self._waiting:
            self._waiting.remove(waiter)


def _settle(future: asyncio.Future[Held], error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)
