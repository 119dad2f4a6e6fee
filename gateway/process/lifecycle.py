"""How far the process is on its way from start to end, for everybody who has to act upon it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from gateway.process.crew import Crew


@dataclass(frozen=True, slots=True)
class Worker:
    """Which of several processes on one port this is.

    Attributes:
        slot: its number, from 0. One that is started in place of another has that one's.
        of: how many there are.
        secret: the same for all of them, from the system's random numbers.
        crew: its line to the others.
    """

    slot: int
    of: int
    secret: bytes
    crew: Crew


@dataclass(slots=True)
class Lifecycle:
    """One process's life.

    Attributes:
        is_started: everything is built, and requests may come.
        is_leaving: the process was told to end. Requests are still served, and connections closed behind them.
        is_cut: time is up: whatever is still under way is being cancelled, and its callers are told.
        hurry: set when there is to be no more waiting for anything.
    """

    is_started: bool = False
    is_leaving: bool = False
    is_cut: bool = False
    hurry: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def is_ready(self) -> bool:
        """Whether load balancers shall send requests here."""
        return self.is_started and not self.is_leaving
