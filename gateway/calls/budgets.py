"""How many calls beyond the first the gateway may make, so that a failing backend is not buried under retries."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable

_BURST_S = 10.0


class RetryBudget:
    """A purse that every request pays into and every further call pays from.

    Args:
        share: what a request pays in.
        per_s: what comes in every second besides.
    """

    def __init__(self, share: float, per_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._share = share
        self._per_s = per_s
        self._clock = clock
        self._seen_at = clock()
        self._recent = 0.0
        self._purse = _BURST_S * per_s

    def request(self) -> None:
        """Note that a request has come."""
        self._pass_time()
        self._recent += 1
        self._purse = min(self._purse + self._share, self._most())

    def spend(self) -> bool:
        """Pay for one further call; False if there is not enough."""
        self._pass_time()
        if self._purse < 1:
            return False
        self._purse -= 1
        return True

    def _pass_time(self) -> None:
        now = self._clock()
        elapsed, self._seen_at = now - self._seen_at, now
        self._recent *= math.exp(-elapsed / _BURST_S)
        self._purse = min(self._purse + elapsed * self._per_s, self._most())

    def _most(self) -> float:
        """Say what ten seconds bring in: a burst may take no more at once."""
        return _BURST_S * self._per_s + self._share * self._recent + 1


class Beginnings:
    """How long a backend's recent answers took to begin, and the quantile beyond which one is unusually slow."""

    def __init__(self, quantile: float, *, size: int = 200, least: int = 20) -> None:
        self._quantile = quantile
        self._recent: deque[float] = deque(maxlen=size)
        self._least = least
        self._since = 0
        self._value: float | None = None

    def add(self, seconds: float) -> None:
        """Take one observation."""
        self._recent.append(seconds)
        self._since += 1

    def value(self) -> float | None:
        """Give the quantile in seconds; None before there is enough to tell."""
        if len(self._recent) < self._least:
            return None
        if self._value is None or self._since >= self._least:
            self._since = 0
            ordered = sorted(self._recent)
            self._value = ordered[min(len(ordered) - 1, math.ceil(self._quantile * len(ordered)) - 1)]
        return self._value
