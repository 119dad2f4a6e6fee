"""Every dialect row keeps its promises: efforts arrive as told, and tool loops survive clients that drop reasoning."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from router.types import Effort
from tests.conformance.rows import Row, all_rows
from tests.conformance.trials import ASKED, POLICED, Habit, faults_of_effort, faults_of_loop, try_effort, try_tool_loop
from tests.conformance.world import World, running_world

ROWS = all_rows()
by_row = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
by_mode = pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with running_world() as running:
        yield running


@by_row
@by_mode
def test_every_effort_is_accepted_told_truly_and_its_reasoning_arrives(world: World, row: Row, stream: bool) -> None:
    told = {effort: world.run(try_effort(world, row, effort, stream=stream, **POLICED)) for effort in ASKED}
    assert {
        effort: faults for effort, answer in told.items() if (faults := faults_of_effort(row, effort, answer))
    } == {}
    budgets = [told[effort].mind.budget for effort in Effort if told[effort].mind.budget is not None]
    assert budgets == sorted(budgets)


@by_row
@by_mode
@pytest.mark.parametrize("habit", ["drops", "keeps"])
def test_a_tool_loop_ends_well_with_a_client_that(world: World, row: Row, stream: bool, habit: Habit) -> None:
    told = world.run(try_tool_loop(world, row, habit, stream=stream, effort=Effort.HIGH))
    assert faults_of_loop(row, told) == []
