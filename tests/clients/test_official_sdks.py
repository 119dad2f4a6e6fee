"""OpenAI's and Anthropic's SDKs, LangChain, LlamaIndex and pydantic-ai, unmodified, against the real gateway."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from gateway.standin import RunningStandin
from tests.clients.contract import CHECKS
from tests.clients.environments import SDKS, Sdk, installed
from tests.conformance.rows import Row
from tests.conformance.serving import running_standins
from tests.conformance.world import backends
from tests.gateway.native_standin import running_native
from tests.gateway.serving import RunningGateway, running_gateway, settings_over

pytestmark = pytest.mark.clients

KEY = "sk-clients-all-models"
LIMITED_KEY = "sk-clients-fast-only"
MAX_BODY_BYTES = 64 * 1024
RUN_TIMEOUT_S = 180

THINKING = (
    Row("deepseek-v4", "deepseek"),
    Row("kimi-k2.5", "moonshot"),
    Row("glm-4.7", "zai"),
    Row("minimax-m2", "minimax"),
    Row("gpt-oss", "vllm"),
    Row("claude-4.6", "anthropic"),
    Row("claude-4.6", "openrouter"),
    Row("gemini-3-pro", "gemini"),
)
"""Families and hosts with rules of their own on reasoning in a history; the frameworks loop over each."""


@pytest.fixture(scope="module")
def strict() -> Iterator[str]:
    """The address of the strict stand-ins."""
    with running_standins(THINKING) as url:
        yield url


@pytest.fixture(scope="module")
def gateway(
    session_standin: RunningStandin, strict: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningGateway]:
    """A gateway with keys, aliases, and backends that are strict, blind, gone, impatient, oddly named and native."""
    settings = settings_over(
        session_standin.url,
        aliases={
            "gpt-4o": "auto",
            "text-embedding-3-small": "swift",
            "claude-sonnet-4-5": "auto",
            "claude-opus-4-1": "kimi-k2.5@moonshot",
            "o3": "gpt-oss@vllm",
        },
        keys=[{"name": "all", "key": KEY}, {"name": "fast-only", "key": LIMITED_KEY, "models": ["fast"]}],
        server={"max_body_bytes": MAX_BODY_BYTES},
    )
    url = f"{session_standin.url}/v1"
    settings["backends"] |= {
        "blind": {"url": url, "model": "blind-1"},
        "gone": {"url": "http://127.0.0.1:9/v1", "model": "gone-1"},  # the discard port: nobody listens
        "impatient": {"url": url, "model": "slow-1", "timeouts": {"first_token": 0.4}},
        "vendor/model:free": {"url": url, "model": "free-1"},
        **backends(THINKING, strict),
    }
    with running_native() as native:
        settings["backends"]["native"] = {"url": native.url, "model": "gpt-5.5", "host": "openai"}
        with running_gateway(settings, tmp_path_factory.mktemp("clients")) as running:
            yield running


@pytest.mark.parametrize("sdk", SDKS, ids=lambda sdk: sdk.name)
def test_the_sdk_works_as_it_does_with_its_maker(
    sdk: Sdk, gateway: RunningGateway, session_standin: RunningStandin, strict: str, subtests: pytest.Subtests
) -> None:
    place = {
        "gateway": gateway.url,
        "standin": session_standin.url,
        "strict": strict,
        "thinking": [row.name for row in THINKING],
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
