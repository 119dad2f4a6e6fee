"""A circuit breaker for one replica: after enough failures nobody calls it, until a probe has gone well.

Weakness: it cannot tell a replica that fails from a request that makes every replica fail. A caller who sends many such
requests opens it for others, which is why it is only ever advice: with nobody else left, calls are made all the same.
"""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Callable
from typing import Literal

from gateway.settings import BreakerSettings

State = Literal["closed", "open", "half-open"]
_JITTER = 0.1


class Breaker:
    """Closed → open after failures → half-open after a while → closed or open by one probe.

    A call that was let through as the probe says so when it reports how it ended; others, which began before, change
    nothing while the breaker is open.

    Args:
        settings: when it opens, and for how long.
        clock: monotonic, in seconds.
        jitter: share by which the time until the probe is drawn longer or shorter.
    """

    def __init__(
        self, settings: BreakerSettings, *, clock: Callable[[], float] = time.monotonic, jitter: float = _JITTER
    ) -> None:
        self._settings = settings
        self._jitter = jitter
        self._clock = clock
        self._in_a_row = 0
        self._recent: deque[bool] = deque(maxlen=settings.window)
        self._reopens_at: float | None = None
        self._openings = 0
        self._probing = False

    @property
    def state(self) -> State:
        """The state now: `open` turns into `half-open` by the passing of time alone."""
        if self._reopens_at is None:
            return "closed"
        return "half-open" if self._clock() >= self._reopens_at else "open"

    def admits(self) -> bool:
        """Whether a call may be made: always while closed, one at a time while half-open."""
        if self._reopens_at is None:
            return True
        return not self._probing and self.state == "half-open"

    def begin(self) -> bool:
        """Note that a call is made; true if it is the probe."""
        if self._reopens_at is None or self._probing or self.state != "half-open":
            return False
        self._probing = True
        return True

    def succeeded(self, *, probe: bool) -> None:
        """Report a call that went well."""
        if self._reopens_at is None:
            self._in_a_row = 0
            self._recent.append(False)
        elif probe:
            self._probing = False
            self._close()

    def failed(self, *, probe: bool) -> None:
        """Report a call that did not."""
        if not self._settings.enabled:
            return
        if self._reopens_at is None:
            self._in_a_row += 1
            self._recent.append(True)
            if self._in_a_row >= self._settings.failures or self._is_mostly_failing():
                self._open()
        elif probe:
            self._probing = False
            self._open()

    def abandoned(self, *, probe: bool) -> None:
        """Report a call that ended without showing anything, because its client left."""
        if probe:
            self._probing = False

    def opens_in_s(self) -> float:
        """Seconds until a probe may be made; 0 while it is closed, or when one is due."""
        return 0.0 if self._reopens_at is None else max(0.0, self._reopens_at - self._clock())

    def hear_that_it_fails(self, seconds: float) -> None:
        """Open on the word of another process, until its probe is due."""
        if self._settings.enabled and not self._probing:
            self._reopens_at = self._clock() + seconds

    def _is_mostly_failing(self) -> bool:
        recent, settings = self._recent, self._settings
        return len(recent) == settings.window and sum(recent) >= settings.share * settings.window

    def _open(self) -> None:
        settings = self._settings
        seconds = min(settings.open_s * 2**self._openings, settings.most_open_s)
        # Not all gateways shall probe in the same moment.
        self._reopens_at = self._clock() + seconds * random.uniform(1 - self._jitter, 1 + self._jitter)
        self._openings = min(self._openings + 1, 32)

    def _close(self) -> None:
        self._reopens_at = None
        self._openings = self._in_a_row = 0
        self._recent.clear()
