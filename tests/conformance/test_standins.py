"""The stand-ins are as strict as they say, and the vault is what carries a loop past them."""

from __future__ import annotations

from typing import Any

import pytest

from router.types import Effort
from tests.conformance.rows import Row
from tests.conformance.standins import Refused, provider_for
from tests.conformance.trials import TOOL, ask, try_tool_loop
from tests.conformance.world import running_world

USER = {"role": "user", "content": "Weather? 天气?"}
CALL = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}
CALLING = {"role": "assistant", "content": None, "tool_calls": [CALL]}
RESULT = {"role": "tool", "tool_call_id": "call_1", "content": "18 °C"}
LOOP = [USER, CALLING, RESULT]
FORGED = {"type": "thinking", "thinking": "…", "signature": "of another model"}
THINKING = {"thinking": {"type": "enabled", "budget_tokens": 2048}, "max_tokens": 4096}

REFUSALS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "missing reasoning": ("deepseek-v4", "deepseek", {"messages": LOOP}),
    "empty reasoning": (
        "kimi-k2.5", "moonshot", {"messages": [USER, {**CALLING, "reasoning_content": ""}, RESULT]},
    ),
    "both switches": ("kimi-k2.5", "moonshot", {"thinking": {"type": "enabled"}, "reasoning_effort": "high"}),
    "switching off what always thinks": ("kimi-k2-thinking", "moonshot", {"thinking": {"type": "disabled"}}),
    "the wrong temperature": ("kimi-k2.5", "moonshot", {"temperature": 0.5}),
    "a forced tool while thinking": ("deepseek-v4", "deepseek", {"tool_choice": "required"}),
    "reasoning sent to R1": (
        "deepseek-r1", "deepseek", {"messages": [USER, {**CALLING, "reasoning_content": "x"}, RESULT]},
    ),
    "an unknown effort": ("gpt-5", "openai", {"reasoning_effort": "none"}),
    "temperature while reasoning": ("gpt-5", "openai", {"temperature": 0.5}),
    "the old name of the cap": ("o-series", "azure", {"max_tokens": 100}),
    "a foreign signature": (
        "claude-4.5", "anthropic", {"messages": [USER, {**CALLING, "thinking_blocks": [FORGED]}, RESULT], **THINKING},
    ),
    "a loop without its thinking": ("claude-4.5", "anthropic", {"messages": LOOP, **THINKING}),
    "a budget of an adaptive Claude": ("claude-4.7", "anthropic", THINKING),
    "no budget for Gemini Pro": (
        "gemini-2.5-pro", "gemini", {"extra_body": {"google": {"thinking_config": {"thinking_budget": 0}}}},
    ),
    "a call without its signature": ("gemini-3-pro", "gemini", {"messages": LOOP}),
    "an effort for Grok 4": ("grok-4", "xai", {"reasoning_effort": "high"}),
    "thinking without a stream": ("qwen3", "dashscope", {"enable_thinking": True}),
    "tools while V3.1 thinks": (
        "deepseek-v3.1", "vllm", {"tools": [TOOL], "chat_template_kwargs": {"thinking": True}},
    ),
    "a switch that leaks": ("glm-5.3", "vllm", {"chat_template_kwargs": {"enable_thinking": False}}),
    "switches that disagree": (
        "qwen3", "sglang", {"chat_template_kwargs": {"enable_thinking": False, "thinking": True}},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSALS)
def test_a_stand_in_refuses(case: str) -> None:
    family, host, body = REFUSALS[case]
    with pytest.raises(Refused):
        provider_for(family, host).serve({"messages": [USER], **body})


NEEDY = [
    Row("deepseek-v4", "deepseek"),
    Row("kimi-k2.5", "moonshot"),
    Row("claude-4.5", "anthropic"),
]


@pytest.mark.parametrize("row", NEEDY, ids=lambda row: row.name)
def test_without_the_vault_thinking_is_given_up_and_that_is_told(row: Row) -> None:
    with running_world([row], vault={"enabled": False}) as world:
        told = world.run(try_tool_loop(world, row, "drops", stream=False, effort=Effort.HIGH))
    assert told[0].thinking["applied"] == "high"
    assert told[1].thinking == {"asked": "high", "applied": "none", "history": "missing:1"}
    assert not any(answer.fault for answer in told)


def test_without_the_vault_a_model_that_always_thinks_refuses_the_loop() -> None:
    row = Row("kimi-k3", "moonshot")
    with running_world([row], vault={"enabled": False}) as world:
        told = world.run(try_tool_loop(world, row, "drops", stream=False, effort=Effort.HIGH))
    assert "reasoning is missing" in told[1].fault


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_a_loop_begun_by_claude_goes_on_with_another_model_and_without_its_signatures(stream: bool) -> None:
    claude, glm = Row("claude-4.6", "anthropic"), Row("glm-4.7", "zai")
    with running_world([claude, glm]) as world:
        told = world.run(try_tool_loop(world, claude, "keeps", stream=stream, effort=Effort.HIGH))
        called = told[0].message
        call = called["tool_calls"][0]
        history = [
            {"role": "user", "content": world.bodies[claude.name][0]["messages"][0]["content"]},
            called,
            {"role": "tool", "tool_call_id": call["id"], "content": "18 °C"},
        ]
        switched = world.run(ask(world, glm, history, stream=stream, tools=[TOOL], reasoning_effort="high"))
    assert called["thinking_blocks"]
    assert switched.fault == ""
    assert switched.thinking["history"] == "stripped:1"
    assert set(switched.sent["messages"][1]) == {"role", "content", "tool_calls"}
