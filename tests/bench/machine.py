"""Whether the machine was quiet: what other processes used of it meanwhile, which no interleaving can undo."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import psutil

from tests.bench.subjects import Running

QUIET_CORES = 0.1
"""Figures taken while others used more than this many cores are too high."""


@dataclass(frozen=True, slots=True)
class Clock:
    """CPU seconds used so far, by the whole machine and by the benchmark, and when that was read."""

    machine: float
    ours: float
    seconds: float


def read_clock(running: Sequence[Running]) -> Clock:
    """Read the machine's CPU clock and ours."""
    times = psutil.cpu_times()
    own = psutil.Process().cpu_times()
    ours = own.user + own.system + sum(subject.cpu_seconds() for subject in running)
    # A hypervisor's steal is other people's work too, and counts with it.
    machine = sum(times) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0)
    return Clock(machine, ours, time.perf_counter())


def cores_used_by_others(before: Clock, after: Clock) -> float:
    """Return how many cores other processes kept busy between two readings, on average."""
    others = (after.machine - before.machine) - (after.ours - before.ours)
    return max(0.0, others / (after.seconds - before.seconds))
