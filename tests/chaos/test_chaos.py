"""Every scenario of the chaos suite, in its short form; `make chaos` runs the long one."""

import pytest

from tests.chaos.scenarios import SCENARIOS
from tests.chaos.world import SHORT, World


@pytest.mark.parametrize("name", SCENARIOS)
async def test_what_is_promised_holds(name, tmp_path):
    result = await SCENARIOS[name](World(tmp_path, SHORT))
    assert not result.faults, f"{result.name}: {result.measured}"
