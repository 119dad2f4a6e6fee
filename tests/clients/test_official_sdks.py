"""OpenAI's and Anthropic's official SDKs, unmodified, against the real gateway."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from gateway.standin import RunningStandin
from tests.clients.contract import CHECKS
from tests.clients.environments import SDKS, Sdk, installed
from tests.gateway.native_standin import running_native
from tests.gateway.serving import RunningGateway, running_gateway, settings_over

pytestmark = pytest.mark.clients

KEY = "sk-clients-all-models"
LIMITED_KEY = "sk-clients-fast-only"
MAX_BODY_BYTES = 64 * 1024
RUN_TIMEOUT_S = 180


@pytest.fixture(scope="module")
def gateway(session_standin: RunningStandin, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """A gateway with keys, aliases, and backends that are blind, gone, impatient, oddly named and native."""
    settings = settings_over(
        session_standin.url,
        aliases={"gpt-4o": "auto", "text-embedding-3-small": "swift", "claude-sonnet-4-5": "auto"},
        keys=[{"name": "all", "key": KEY}, {"name": "fast-only", "key": LIMITED_KEY, "models": ["fast"]}],
        server={"max_body_bytes": MAX_BODY_BYTES},
    )
    url = f"{session_standin.url}/v1"
    settings["backends"] |= {
        "blind": {"url": url, "model": "blind-1"},
        "gone": {"url": "http://127.0.0.1:9/v1", "model": "gone-1"},  # the discard port: nobody listens
        "impatient": {"url": url, "model": "slow-1", "timeouts": {"first_token": 0.4}},
        "vendor/model:free": {"url": url, "model": "free-1"},
    }
    with running_native() as native:
        settings["backends"]["native"] = {"url": native.url, "model": "gpt-5.5", "host": "openai"}
        with running_gateway(settings, tmp_path_factory.mktemp("clients")) as running:
            yield running


@pytest.mark.parametrize("sdk", SDKS, ids=lambda sdk: sdk.name)
def test_the_sdk_works_as_it_does_with_its_maker(
    sdk: Sdk, gateway: RunningGateway, session_standin: RunningStandin, subtests: pytest.Subtests
) -> None:
    place = {
        "gateway": gateway.url,
        "standin": session_standin.url,
        "key": KEY,
        "limited_key": LIMITED_KEY,
        "max_body_bytes": MAX_BODY_BYTES,
    }
    problems = run_checks(sdk, place)
    assert set(problems) == set(CHECKS[sdk.name]), "the script does not keep to the contract"
    for check, problem in problems.items():
        with subtests.test(check):
            assert problem is None, f"{check}\n{problem}"


def run_checks(sdk: Sdk, place: dict[str, Any]) -> dict[str, str | None]:
    """Run an SDK's script and give what it reports: the problem of each check, None where there was none."""
    command = [*sdk.command(installed(sdk)), json.dumps(place)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=RUN_TIMEOUT_S, check=False)
    assert ended.returncode == 0, f"{sdk.name} ended with {ended.returncode}:\n{ended.stderr}"
    return {check["name"]: check["problem"] for check in json.loads(ended.stdout)["checks"]}
