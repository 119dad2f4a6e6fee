"""Every scenario of the chaos suite, in its short form; `make chaos` runs the long one."""

import pytest

from tests.chaos.hall import opened_hall
from tests.chaos.scenarios import SCENARIOS
from tests.chaos.world import SHORT, World


@pytest.fixture(scope="module")
def hall(tmp_path_factory):
    with opened_hall(World(tmp_path_factory.mktemp("hall"), SHORT)) as hall:
        yield hall


@pytest.mark.parametrize("name", SCENARIOS)
async def test_what_is_promised_holds(name, tmp_path, hall):
    result = await SCENARIOS[name](World(tmp_path, SHORT, hall))
    assert not result.faults, f"{result.name}: {result.measured}"
