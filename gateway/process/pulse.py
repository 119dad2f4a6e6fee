"""How late the event loop is: the one sign of overload that covers all of its causes."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from gateway.queueing import Priority

EVERY_S = 0.1
BEATS = 4
"""The lag is the least of so many beats: one long pause is a hiccup, and only what lasts is overload."""

_TOLERANCE = {Priority.HIGH: 4.0, Priority.NORMAL: 2.0, Priority.LOW: 1.0}
"""How many times the longest lag each priority is still served at: the less urgent are turned away first."""


class Pulse:
    """Beats ten times a second and notes by how much each beat was late."""

    def __init__(self) -> None:
        self._late: deque[float] = deque([0.0] * BEATS, maxlen=BEATS)

    @property
    def lag_s(self) -> float:
        """Seconds by which the loop has been late in every one of the last beats."""
        return min(self._late)

    def note(self, late_s: float) -> None:
        """Take one beat."""
        self._late.append(max(0.0, late_s))

    def is_too_late_for(self, priority: Priority, most_lag_s: float) -> bool:
        """Whether requests of a priority are to be turned away."""
        return self.lag_s > most_lag_s * _TOLERANCE[priority]

    async def beat(self) -> None:
        """Measure until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + EVERY_S
            await asyncio.sleep(EVERY_S)
            self.note(loop.time() - due)


@asynccontextmanager
async def beating() -> AsyncIterator[Pulse]:
    """Own the task that measures."""
    pulse = Pulse()
    task = asyncio.create_task(pulse.beat())
    try:
        yield pulse
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
