"""Procedural puzzles: consistent random instances whose size sets the label."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import chain

from classifiers.training.homemade.puzzles import (
    actions,
    arithmetic,
    contests,
    kinship,
    knights,
    schedules,
    seating,
    syllogism,
    tracing,
    zebra,
)
from classifiers.training.homemade.sample import Sample

_ROOMS = (arithmetic, kinship, zebra, knights, seating, syllogism, schedules, tracing, contests, actions)


def samples(seed: int) -> Iterator[Sample]:
    """Every puzzle of every room; a room's draws do not depend on the other rooms."""
    return chain.from_iterable(room.samples(random.Random(f"{seed}/{room.__name__}")) for room in _ROOMS)
