"""The day's dollars for second answers."""

from __future__ import annotations

import time
from collections.abc import Callable

_DAY_S = 86_400


class Purse:
    """What this process has spent of a UTC day's budget, of which it may spend its share.

    Weakness: calls under way are not set aside, so that a day may cost a few calls more; a restart forgets what was
    spent.
    """

    def __init__(self, sharers: int, clock: Callable[[], float] = time.time) -> None:
        self._sharers = sharers
        self._clock = clock
        self._day = 0
        self._spent = 0.0

    def has_any(self, budget: float) -> bool:
        """Whether anything of the day's budget is left to this process."""
        self._turn_the_page()
        return self._spent < budget / self._sharers

    def spend(self, dollars: float) -> None:
        """Take dollars out."""
        self._turn_the_page()
        self._spent += dollars

    def _turn_the_page(self) -> None:
        day = int(self._clock() // _DAY_S)
        if day != self._day:
            self._day, self._spent = day, 0.0
