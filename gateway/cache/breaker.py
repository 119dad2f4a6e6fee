"""A circuit breaker: after enough failures in a row it spares everyone the wait, until a probe has been answered."""

from __future__ import annotations

from gateway.cache.events import BreakerChanged, BreakerState, OnEvent, ignore


class Breaker:
    """Closed → open after `failures` in a row → half-open while it is probed → closed or open by how that ends.

    It has no clock: whoever owns it says when to probe, and reports how that and every other call ended.
    """

    def __init__(self, failures: int, *, on_event: OnEvent = ignore) -> None:
        self._limit = failures
        self._on_event = on_event
        self._failures = 0
        self._state: BreakerState = "closed"

    @property
    def state(self) -> BreakerState:
        """The state now."""
        return self._state

    def succeeded(self) -> None:
        """Report a call that was answered; one from before it opened closes nothing."""
        if self._state == "closed":
            self._failures = 0

    def failed(self) -> None:
        """Report a call without an answer."""
        self._failures += 1
        if self._state == "closed" and self._failures >= self._limit:
            self._change("open")

    def begin_probe(self) -> None:
        """Say that a call is made to see whether an open breaker can be closed."""
        if self._state == "open":
            self._change("half-open")

    def end_probe(self, *, answered: bool) -> None:
        """Report how that ended."""
        if self._state == "half-open":
            self._failures = 0
            self._change("closed" if answered else "open")

    def _change(self, state: BreakerState) -> None:
        self._state = state
        self._on_event(BreakerChanged(state))
