"""A late event loop turns requests away, the least urgent first, and a hiccup turns nobody away."""

import asyncio
import time

import pytest

from gateway.process.pulse import BEATS, Pulse, beating
from gateway.queueing import Priority


@pytest.mark.parametrize(
    ("late", "turned_away"),
    [
        ([0.0] * BEATS, set()),
        ([9.0] + [0.0] * (BEATS - 1), set()),
        ([0.6] * BEATS, {Priority.LOW}),
        ([1.2] * BEATS, {Priority.LOW, Priority.NORMAL}),
        ([2.2] * BEATS, set(Priority)),
    ],
)
def test_who_is_turned_away(late, turned_away):
    pulse = Pulse()
    for seconds in late:
        pulse.note(seconds)
    assert {priority for priority in Priority if pulse.is_too_late_for(priority, 0.5)} == turned_away


async def test_a_loop_that_is_kept_from_turning_is_noticed():
    async with beating() as pulse:
        deadline = time.monotonic() + 5
        while pulse.lag_s < 0.05:
            assert time.monotonic() < deadline, "nobody noticed"
            await asyncio.sleep(0)
            time.sleep(0.15)  # noqa: ASYNC251 - this is what is to be noticed
