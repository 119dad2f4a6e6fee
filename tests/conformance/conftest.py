"""Claude's rows go through litellm, whose types pydantic warns of when they are first used."""

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "conformance" in item.path.parts:
            item.add_marker(pytest.mark.filterwarnings("ignore:.*`ReadOnly` qualifier.*:UserWarning"))
