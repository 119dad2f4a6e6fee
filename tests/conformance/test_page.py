"""The page tells what was asked, sent and returned, for the gateway and for LiteLLM in its place."""

from __future__ import annotations

import pytest

from router.types import Effort
from tests.conformance.page import write_page
from tests.conformance.rows import Row
from tests.conformance.running import Result, try_row
from tests.conformance.world import running_world

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::ResourceWarning")

ROWS = (
    Row("claude-4.7", "anthropic"),
    Row("deepseek-v4", "deepseek"),
    Row("gemini-2.5-flash", "gemini"),
    Row("glm-4.7", "*"),
)


@pytest.fixture(scope="module")
def results() -> list[Result]:
    with running_world(ROWS) as world:
        return [try_row(world, row) for row in ROWS]


def test_both_sides_are_tried_in_the_providers_own_apis(results: list[Result]) -> None:
    assert all(result.ours.passes for result in results)
    assert [bool(result.theirs) for result in results] == [True, True, True, False]
    for result in results[:3]:
        assert result.theirs is not None
        told = result.theirs.streamed[Effort.HIGH]
        assert (told.fault, told.mind.thinks, bool(told.message["reasoning_content"])) == ("", True, True)
    claude, _, gemini = (result.theirs.streamed[Effort.HIGH].sent for result in results[:3] if result.theirs)
    assert "thinking" in claude
    assert "thinkingConfig" in gemini["generationConfig"]


def test_each_row_has_its_date_its_source_and_what_was_sent(results: list[Result]) -> None:
    page = write_page(results)
    lines = [line for line in page.splitlines() if line.startswith("| deepseek-v4 |")]
    dialect = ROWS[1].dialect
    assert len(lines) == 1
    assert f"{dialect.checked} [source]({dialect.source})" in lines[0]
    assert lines[0].count("pass") >= 3
    assert '| deepseek | none | `{"thinking": {"type": "disabled"}}` | off | answer |' in page
    assert "nobody documents this host" in page
