"""A real vLLM takes what the gateway sends, and the gateway reads what a real vLLM says.

The models are random: nothing is asserted of what they say, only of where it arrives. How many tokens the engine
counts in a prompt tells which switches reached its chat template. An answer is the same for the same seed, so that the
gateway's can be compared with the engine's own.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from router.types import Effort
from tests.conformance.real_vllm.engine import PARSERS, EngineError, Served, install, running_engines
from tests.conformance.trials import TOOL
from tests.gateway.serving import RunningGateway, running_gateway

USER = {"role": "user", "content": "Why is the sky blue? 天空为什么是蓝的?"}
NAMED = {"type": "function", "function": {"name": "get_weather"}}
SWITCH = {on: {"thinking": on, "enable_thinking": on} for on in (False, True)}
PROMPTLY_S = 5.0
ENDING = 3.0
"""How much likelier than usual `</think>` is made, so that a random model ends its thinking after a dozen tokens."""


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Served]]:
    try:
        install()
    except EngineError as error:
        message = f"VLLM IS NOT TESTED: it cannot be installed: {error}"
        if os.environ.get("CI"):
            pytest.fail(message, pytrace=False)
        pytest.skip(message)
    with running_engines(tmp_path_factory.mktemp("engines")) as served:
        yield {one.name: one for one in served}


@pytest.fixture(scope="module")
def gateway(engines: dict[str, Served], tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    backends = {
        name: {"url": f"{served.url}/v1", "model": name, "host": "vllm", "context_window": 4096}
        for name, served in engines.items()
    }
    fast, deep = backends
    settings = {
        "backends": backends,
        "tiers": {"fast": fast, "deep": deep},
        "server": {"port": 0, "drain_s": 2},
        "telemetry": {"log_format": "json"},
    }
    with running_gateway(settings, tmp_path_factory.mktemp("gateway")) as running:
        yield running


@pytest.fixture(params=list(PARSERS))
def served(request: pytest.FixtureRequest, engines: dict[str, Served]) -> Served:
    return engines[request.param]


def ask(gateway: RunningGateway, served: Served, **fields: Any) -> httpx.Response:
    """Ask a model through the gateway, in few words unless told otherwise."""
    body = {"model": served.name, "messages": [USER], "max_tokens": 48, "seed": 1, **fields}
    with gateway.client(timeout=60) as client:
        reply = client.post("/v1/chat/completions", json=body)
    assert reply.is_success, reply.text
    return reply


def thoughtful(served: Served, **fields: Any) -> dict[str, Any]:
    """Give a request upon which the engine itself both thinks and answers: random models need the right seed."""
    bias = {str(served.token("</think>")): ENDING}
    for seed in range(1, 40):
        asked = {"messages": [USER], "max_tokens": 200, "seed": seed, "logit_bias": bias, **fields}
        message = served.ask(**asked, chat_template_kwargs=SWITCH[True])["choices"][0]["message"]
        if message["reasoning"] and (message["content"] or message.get("tool_calls")):
            return asked
    raise AssertionError("no seed makes the model think and answer")


def deltas(reply: httpx.Response) -> list[dict[str, Any]]:
    """Give a stream's events."""
    return [json.loads(line[6:]) for line in reply.text.splitlines() if line.startswith("data: {")]


def joined(events: list[dict[str, Any]], name: str) -> str:
    """Put a streamed field together."""
    return "".join(choice["delta"].get(name) or "" for event in events for choice in event["choices"])


@pytest.mark.parametrize("effort", Effort)
def test_the_template_gets_the_switch_that_the_header_tells(
    gateway: RunningGateway, served: Served, effort: Effort
) -> None:
    on = effort is not Effort.NONE
    reply = ask(gateway, served, reasoning_effort=effort.value)
    assert reply.headers["x-thalamus-thinking"] == f"asked={effort.value} applied={'high' if on else 'none'}"
    counted = {switch: served.count([USER], chat_template_kwargs=SWITCH[switch]) for switch in (False, True)}
    assert reply.json()["usage"]["prompt_tokens"] == counted[on]


def test_the_templates_tell_the_switches_apart(served: Served) -> None:
    """Or else the test before this one could not fail: the prompts differ, if not in length then in their end."""
    body = {"model": served.name, "messages": [USER]}
    ends = [
        httpx.post(f"{served.url}/tokenize", json=body | {"chat_template_kwargs": SWITCH[on]}).json()["tokens"]
        for on in (False, True)
    ]
    assert ends[0] != ends[1]


def test_reasoning_arrives_in_one_field_whatever_the_engine_calls_it(gateway: RunningGateway, served: Served) -> None:
    asked = thoughtful(served)
    own = served.ask(**asked, chat_template_kwargs=SWITCH[True])["choices"][0]["message"]
    assert "reasoning_content" not in own, "this vLLM has changed its field's name: the host's row wants a new date"
    reply = ask(gateway, served, reasoning_effort="high", **asked)
    message = reply.json()["choices"][0]["message"]
    assert (message["reasoning_content"], message["content"]) == (own["reasoning"], own["content"])
    assert reply.json()["usage"]["completion_tokens_details"]["reasoning_tokens"] > 0


def test_a_stream_adds_up_to_the_plain_answer_and_ends_with_usage(gateway: RunningGateway, served: Served) -> None:
    asked = thoughtful(served) | {"reasoning_effort": "high"}
    plain = ask(gateway, served, **asked).json()
    events = deltas(ask(gateway, served, **asked, stream=True, stream_options={"include_usage": True}))
    message = plain["choices"][0]["message"]
    assert joined(events, "reasoning_content") == message["reasoning_content"]
    assert joined(events, "content").strip() == message["content"].strip()
    assert events[-1]["usage"]["prompt_tokens"] == plain["usage"]["prompt_tokens"]
    assert events[-1]["usage"]["completion_tokens"] == plain["usage"]["completion_tokens"]


def test_a_forced_tool_is_called_plain_and_streamed(gateway: RunningGateway, served: Served) -> None:
    asked = {"tools": [TOOL], "tool_choice": NAMED, "reasoning_effort": "none", "max_tokens": 400}
    (call,) = ask(gateway, served, **asked).json()["choices"][0]["message"]["tool_calls"]
    assert call["function"]["name"] == "get_weather"
    events = deltas(ask(gateway, served, **asked, stream=True))
    pieces = [
        piece for event in events for choice in event["choices"] for piece in choice["delta"].get("tool_calls") or ()
    ]
    assert pieces[0]["function"]["name"] == "get_weather"
    assert "".join(piece["function"].get("arguments") or "" for piece in pieces)


def test_reasoning_that_a_client_drops_comes_back_where_the_template_wants_it(
    gateway: RunningGateway, served: Served
) -> None:
    asked = thoughtful(served, tools=[TOOL], tool_choice=NAMED, max_tokens=600) | {"reasoning_effort": "high"}
    message = ask(gateway, served, **asked).json()["choices"][0]["message"]
    thought = message["reasoning_content"]
    calls = [
        {name: call[name] for name in ("id", "type", "function")}
        | {"function": {"name": "get_weather", "arguments": "{}"}}
        for call in message["tool_calls"]
    ]
    typed = {"role": "assistant", "content": message["content"], "tool_calls": calls}
    results = [{"role": "tool", "tool_call_id": call["id"], "content": "18 °C"} for call in calls]
    history = [USER, typed, *results]
    reply = ask(gateway, served, messages=history, tools=[TOOL], reasoning_effort="high")
    whole = [USER, typed | {"reasoning": thought}, *results]
    counted = served.count(whole, tools=[TOOL], chat_template_kwargs=SWITCH[True])
    assert reply.json()["usage"]["prompt_tokens"] == counted
    bare = served.count(history, tools=[TOOL], chat_template_kwargs=SWITCH[True])
    assert (counted > bare) is (served.name == "GLM-4.7"), "Qwen3's template drops it, GLM's keeps it"


def test_other_fields_reach_the_engine(gateway: RunningGateway, served: Served) -> None:
    schema = {"type": "object", "properties": {"sure": {"type": "boolean"}}, "required": ["sure"],
              "additionalProperties": False}  # fmt: skip
    form = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}}
    fitting = ask(gateway, served, response_format=form, reasoning_effort="none", max_tokens=200).json()
    assert set(json.loads(fitting["choices"][0]["message"]["content"])) == {"sure"}
    several = ask(gateway, served, n=2, logprobs=True, top_logprobs=2, min_tokens=4, reasoning_effort="none").json()
    assert [choice["index"] for choice in several["choices"]] == [0, 1]
    assert len(several["choices"][0]["logprobs"]["content"][0]["top_logprobs"]) == 2
    foreign = ask(gateway, served, thinking={"type": "disabled"}, output_config={"effort": "low"})
    assert foreign.headers["x-thalamus-thinking"].endswith("applied=none")


def test_responses_and_messages_work_over_it(gateway: RunningGateway, served: Served) -> None:
    bias = {str(served.token("</think>")): ENDING}
    with gateway.client(timeout=60) as client:
        asked = {"model": served.name, "input": "Hi", "max_output_tokens": 100, "seed": 3, "logit_bias": bias}
        response = client.post("/v1/responses", json={**asked, "reasoning": {"effort": "high"}, "stream": True})
        kinds = [line[7:] for line in response.text.splitlines() if line.startswith("event: ")]
        assert (kinds[0], kinds[-1]) in (
            ("response.created", "response.completed"), ("response.created", "response.incomplete"),
        )  # fmt: skip
        assert "response.reasoning_text.delta" in kinds
        thinking = {"type": "enabled", "budget_tokens": 1024}
        told = client.post(
            "/v1/messages",
            json={"model": served.name, "max_tokens": 1100, "messages": [USER], "thinking": thinking, "stream": True},
        )
        kinds = [line[7:] for line in told.text.splitlines() if line.startswith("event: ")]
    assert (kinds[0], kinds[-1]) == ("message_start", "message_stop")
    assert '"type":"thinking_delta"' in told.text.replace(" ", "")


def test_the_engine_is_left_when_the_client_leaves(gateway: RunningGateway, served: Served) -> None:
    body = {"model": served.name, "messages": [USER], "stream": True, "min_tokens": 3000, "max_tokens": 3500}
    with gateway.client(timeout=60) as client, client.stream("POST", "/v1/chat/completions", json=body) as reply:
        lines = reply.iter_lines()  # kept: httpx closes the stream with its iterator
        assert next(lines)
        wait_for(lambda: served.running() == 1, "the engine works on nothing", within_s=30)
    wait_for(lambda: served.running() == 0, "the engine still works for a client that has gone")


def wait_for(condition: Callable[[], bool], otherwise: str, within_s: float = PROMPTLY_S) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.05)
