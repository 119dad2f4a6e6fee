"""Sliding windows in this process: the algorithm, which redis_windows.py has once more in Lua.

A window is cut into parts. What is used is added to the part of its moment; a part leaves the sum when its last use is
a window's length ago. So no more than the limit is ever used in any stretch of that length, and what was used is free
again at most one part (0.8 %) late, a use that is alone in its part to the millisecond. A fixed window would let twice
the limit through around its end, two weighted ones one and a half times, and a leaky bucket (GCRA) with a burst of the
limit twice in the first window.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gateway.limits.meters import Meter
from gateway.limits.reservation import Ask, Look, Taken

_MANY = 10_000


@dataclass(slots=True)
class _Part:
    index: int
    amount: int
    at_ms: int
    """Of its last use."""


class Window:
    """One meter's use by one caller."""

    __slots__ = ("_parts", "used", "width_ms", "window_ms")

    def __init__(self, width_ms: int, window_ms: int) -> None:
        self.width_ms = width_ms
        self.window_ms = window_ms
        self.used = 0
        self._parts: deque[_Part] = deque()

    def forget(self, now_ms: int) -> None:
        """Let go of the parts that were last used a window's length ago."""
        while self._parts and self._parts[0].at_ms <= now_ms - self.window_ms:
            self.used -= self._parts.popleft().amount

    def add(self, now_ms: int, amount: int) -> None:
        """Use an amount now."""
        index = now_ms // self.width_ms
        if self._parts and self._parts[-1].index >= index:
            part = self._parts[-1]
            part.amount += amount
            part.at_ms = max(part.at_ms, now_ms)
        else:
            self._parts.append(_Part(index, amount, now_ms))
        self.used += amount

    def correct(self, at_ms: int, by: int) -> None:
        """Correct what was used at a moment, unless that is free again anyway."""
        index = at_ms // self.width_ms
        part = next((part for part in reversed(self._parts) if part.index == index), None)
        if part is not None:
            part.amount += by
            self.used += by

    def free_in_ms(self, now_ms: int, needed: int) -> int:
        """Say how long until `needed` of what is used is free again; -1 if so much is not used at all."""
        freed = 0
        for part in self._parts:
            freed += part.amount
            if freed >= needed:
                return part.at_ms + self.window_ms - now_ms
        return -1

    def resets_in_ms(self, now_ms: int) -> int:
        """Say how long until nothing is used any more."""
        return self._parts[-1].at_ms + self.window_ms - now_ms if self._parts else 0


def shortage(meter: Meter, most: int, used: int, amount: int) -> int:
    """Say how much must be free again before an amount fits; nothing, or less, if it fits."""
    return used - most + 1 if meter.admits_the_last else used + amount - most


class LocalWindows:
    """The windows of this process. Nothing here waits, so that nothing can come between a look and a use."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._windows: dict[str, Window] = {}
        self._leases: dict[str, set[str]] = {}

    def take(self, asks: Sequence[Ask], lease: str, *, share: float = 1.0, force: bool = False) -> Taken:
        """Take all amounts or none of them.

        Args:
            asks: what is to be taken.
            lease: under which the request counts as concurrent.
            share: this process's part of every limit.
            force: take it whether there is room or not: another has decided.
        """
        now_ms = self._now_ms()
        refused = {} if force else self._refusals(asks, share, now_ms)
        if not refused:
            for ask in asks:
                self._use(ask, lease, now_ms)
        looks = tuple(self._look(ask, now_ms, refused.get(index, 0)) for index, ask in enumerate(asks))
        return Taken(not refused, now_ms, looks)

    def look(self, asks: Sequence[Ask], *, share: float = 1.0) -> Taken:
        """Say what `take` would, and take nothing."""
        now_ms = self._now_ms()
        refused = self._refusals(asks, share, now_ms)
        looks = tuple(self._look(ask, now_ms, refused.get(index, 0)) for index, ask in enumerate(asks))
        return Taken(not refused, now_ms, looks)

    def adjust(self, ask: Ask, at_ms: int, by: int) -> None:
        """Correct what was taken at a moment."""
        window, now_ms = self._window(ask), self._now_ms()
        window.forget(now_ms)
        if ask.is_late:
            window.add(now_ms, by)
        else:
            window.correct(at_ms, by)

    def release(self, name: str, lease: str) -> None:
        """End a lease."""
        held = self._leases.get(name)
        if held is not None:
            held.discard(lease)
            if not held:
                del self._leases[name]

    def _refusals(self, asks: Sequence[Ask], share: float, now_ms: int) -> dict[int, int]:
        """Give the milliseconds to wait for each amount that does not fit, by its place among the asks."""
        refused: dict[int, int] = {}
        for index, ask in enumerate(asks):
            most = max(1, int(ask.meter.most * share))
            if ask.meter.unit == "concurrent":
                if len(self._leases.get(ask.name, ())) >= most:
                    refused[index] = 1000
                continue
            window = self._window(ask)
            window.forget(now_ms)
            needed = shortage(ask.meter, most, window.used, ask.amount)
            if needed > 0:
                refused[index] = window.free_in_ms(now_ms, needed)
        return refused

    def _use(self, ask: Ask, lease: str, now_ms: int) -> None:
        if ask.meter.unit == "concurrent":
            self._leases.setdefault(ask.name, set()).add(lease)
            return
        window = self._window(ask)
        window.forget(now_ms)
        window.add(now_ms, ask.amount)

    def _look(self, ask: Ask, now_ms: int, free_in_ms: int) -> Look:
        if ask.meter.unit == "concurrent":
            return Look(len(self._leases.get(ask.name, ())), free_in_ms, 0)
        window = self._window(ask)
        return Look(window.used, free_in_ms, window.resets_in_ms(now_ms))

    def _window(self, ask: Ask) -> Window:
        found = self._windows.get(ask.name)
        if found is None:
            if len(self._windows) >= _MANY:
                self._forget_unused()
            found = self._windows[ask.name] = Window(ask.meter.width_ms, ask.meter.window_ms)
        return found

    def _forget_unused(self) -> None:
        now_ms = self._now_ms()
        for name, window in list(self._windows.items()):
            window.forget(now_ms)
            if not window.used:
                del self._windows[name]

    def _now_ms(self) -> int:
        return int(self._clock() * 1000)
