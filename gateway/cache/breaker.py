"""A circuit breaker: after enough failures in a row it spares everyone the wait, until a probe has been answered."""

from __future__ import annotations

import time
from collections.abc import Callable

from gateway.cache.events import BreakerChanged, BreakerState, OnEvent, ignore


class Breaker:
    """Closed → open after `failures` in a row → half-open after `reset_s` → closed or open by one probe.

    Calls are made while it is closed. Whoever is told that a probe is due makes one. Both report how they ended.
    """

    def __init__(
        self,
        failures: int,
        reset_s: float,
        *,
        on_event: OnEvent = ignore,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limit = failures
        self._reset_s = reset_s
        self._on_event = on_event
        self._clock = clock
        self._failures = 0
        self._opened_at: float | None = None
        self._probing = False

    @property
    def state(self) -> BreakerState:
        """The state now: `open` turns into `half-open` by the passing of time alone."""
        if self._opened_at is None:
            return "closed"
        return "half-open" if self._clock() - self._opened_at >= self._reset_s else "open"

    def takes_probe(self) -> bool:
        """Say whether a probe is due; true to one caller, until that probe's end is reported."""
        if self.state != "half-open" or self._probing:
            return False
        self._probing = True
        self._on_event(BreakerChanged("half-open"))
        return True

    def succeeded(self) -> None:
        """Report an answer. It closes the breaker if it is the probe's; a straggler's closes nothing."""
        self._failures = 0
        if self._probing:
            self._probing = False
            self._opened_at = None
            self._on_event(BreakerChanged("closed"))

    def failed(self) -> None:
        """Report a call without an answer."""
        self._failures += 1
        if self._probing or (self._opened_at is None and self._failures >= self._limit):
            self._probing = False
            self._opened_at = self._clock()
            self._on_event(BreakerChanged("open"))
