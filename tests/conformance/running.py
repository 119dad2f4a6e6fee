"""One row's trials, for the gateway and for LiteLLM in its place: what was asked, sent, understood and returned."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from router.types import Effort
from tests.conformance.peer import ask_litellm, loops_are_tried, why_untried
from tests.conformance.rows import Row
from tests.conformance.trials import (
    ASKED,
    POLICED,
    Asking,
    Habit,
    Told,
    ask,
    faults_of_effort,
    faults_of_loop,
    faults_of_wish,
    try_effort,
    try_tool_loop,
)
from tests.conformance.world import World

Answers = Mapping[Effort | None, Told]
Judge = Callable[[Row, Effort | None, Told], list[str]]


@dataclass(frozen=True, slots=True)
class Side:
    """What came of all trials of one row, for one of the two.

    Attributes:
        streamed: the answers of the sweep that was streamed.
        efforts: what was wrong in either sweep, by effort.
        dropping: what was wrong in the loops of the client that drops reasoning, plain and streamed; None: not tried.
        keeping: what was wrong in those of the client that keeps it.
    """

    streamed: Answers
    efforts: Mapping[Effort | None, Sequence[str]]
    dropping: Sequence[str] | None
    keeping: Sequence[str] | None

    @property
    def passes(self) -> bool:
        """Whether nothing was wrong."""
        return not (self.efforts or self.dropping or self.keeping)


@dataclass(frozen=True, slots=True)
class Result:
    """A row and what came of it; `theirs` is None where LiteLLM was not tried, and `untried` says why."""

    row: Row
    ours: Side
    theirs: Side | None
    untried: str = ""


def try_row(world: World, row: Row) -> Result:
    """Try all of a row: strictly through the gateway, then as the provider itself would take it through LiteLLM."""
    ours = _try_side(world, row, ask, faults_of_effort, POLICED)
    untried = why_untried(row)
    if untried:
        return Result(row, ours, None, untried)
    world.providers[row.name].forgiving = True
    return Result(row, ours, _try_side(world, row, ask_litellm, faults_of_wish, {}))


def _try_side(world: World, row: Row, asking: Asking, judge: Judge, fields: Mapping[str, Any]) -> Side:
    sweeps = [
        {effort: world.run(try_effort(world, row, effort, stream=stream, asking=asking, **fields)) for effort in ASKED}
        for stream in (False, True)
    ]
    faults = {effort: [fault for sweep in sweeps for fault in judge(row, effort, sweep[effort])] for effort in ASKED}
    loop = partial(_loop_faults, world, row, asking)
    tries_loops = asking is ask or loops_are_tried(row)
    return Side(
        streamed=sweeps[1],
        efforts={effort: found for effort, found in faults.items() if found},
        dropping=loop("drops") if tries_loops else None,
        keeping=loop("keeps") if tries_loops else None,
    )


def _loop_faults(world: World, row: Row, asking: Asking, habit: Habit) -> list[str]:
    loops = [
        world.run(try_tool_loop(world, row, habit, stream=stream, effort=Effort.HIGH, asking=asking))
        for stream in (False, True)
    ]
    return [fault for told in loops for fault in faults_of_loop(row, told)]
