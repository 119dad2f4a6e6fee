"""Dialects: the rows are sound, the right one is found, and an effort becomes the exact fields."""

from __future__ import annotations

import copy
import json
import timeit
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.upstream.dialects import (
    DialectError,
    Thinking,
    compile_thinking,
    load_dialects,
    read_client_budget,
    read_client_effort,
)
from gateway.upstream.dialects.controls import CONTROL_FIELDS
from router.types import Effort

DIALECTS = load_dialects()
ROWS = sorted(DIALECTS.table)
NONE, MINIMAL, LOW, MEDIUM, HIGH, XHIGH, MAX = Effort


def wire(family, host, effort, params=None):
    """Give the request fields as they go out: what was sent, less what is dropped, with what is set."""
    params = params or {}
    thinking = compile_thinking(DIALECTS.find(family, host), effort, params)
    return {**{k: v for k, v in params.items() if k not in thinking.drop}, **thinking.set}


def applied(family, host, effort, params=None):
    return compile_thinking(DIALECTS.find(family, host), effort, params or {}).applied


def kwargs(**values):
    return {"chat_template_kwargs": values}


def google(**values):
    return {"extra_body": {"google": {"thinking_config": values}}}


BOTH_OFF = kwargs(thinking=False, enable_thinking=False)
BOTH_ON = kwargs(thinking=True, enable_thinking=True)
ADAPTIVE = {"type": "adaptive", "display": "summarized"}

# --- what goes over the wire --------------------------------------------------------------------------------------

SWITCHES = [  # the family, its host, then the fields for none and for high
    ("deepseek-v3", "deepseek", {}, {}),
    ("deepseek-v3.1", "vllm", BOTH_OFF, BOTH_ON),
    ("deepseek-v3.2", "sglang", BOTH_OFF, BOTH_ON),
    (
        "deepseek-v4",
        "deepseek",
        {"thinking": {"type": "disabled"}},
        {"thinking": {"type": "enabled"}, "reasoning_effort": "high"},
    ),
    ("deepseek-r1", "vllm", {}, {}),
    ("kimi-k2", "moonshot", {}, {}),
    ("kimi-k2-thinking", "moonshot", {}, {}),
    ("kimi-k2.5", "moonshot", {"thinking": {"type": "disabled"}}, {"thinking": {"type": "enabled"}}),
    ("kimi-k2.5", "vllm", BOTH_OFF, BOTH_ON),
    ("kimi-k3", "moonshot", {"reasoning_effort": "low"}, {"reasoning_effort": "high"}),
    ("glm-4.5", "zai", {"thinking": {"type": "disabled"}}, {"thinking": {"type": "enabled"}}),
    ("glm-4.7", "sglang", BOTH_OFF, BOTH_ON),
    (
        "glm-5.2",
        "zai",
        {"thinking": {"type": "disabled"}},
        {"thinking": {"type": "enabled"}, "reasoning_effort": "high"},
    ),
    ("glm-5.3", "vllm", kwargs(reasoning_effort="low"), kwargs(reasoning_effort="high")),
    ("qwen3", "vllm", BOTH_OFF, BOTH_ON),
    ("qwen3-thinking", "sglang", {}, {}),
    ("qwen3-instruct", "vllm", {}, {}),
    ("gpt-oss", "vllm", {"reasoning_effort": "low"}, {"reasoning_effort": "high"}),
    ("minimax-m2", "minimax", {"reasoning_split": True}, {"reasoning_split": True}),
    (
        "minimax-m3",
        "minimax",
        {"reasoning_split": True, "thinking": {"type": "disabled"}},
        {"reasoning_split": True, "thinking": {"type": "adaptive"}},
    ),
    ("step-3.7", "stepfun", {"reasoning_effort": "low"}, {"reasoning_effort": "high"}),
    ("gpt-4o", "openai", {}, {}),
    ("o-series", "openai", {"reasoning_effort": "low"}, {"reasoning_effort": "high"}),
    ("gpt-5", "openai", {"reasoning_effort": "minimal"}, {"reasoning_effort": "high"}),
    ("gpt-5-pro", "openai", {"reasoning_effort": "high"}, {"reasoning_effort": "high"}),
    ("gpt-5.1", "azure", {"reasoning_effort": "none"}, {"reasoning_effort": "high"}),
    ("claude-4.6", "anthropic", {"thinking": {"type": "disabled"}},
     {"thinking": ADAPTIVE, "output_config": {"effort": "high"}}),
    ("claude-sonnet-5.5", "anthropic", {"thinking": {"type": "between_tools"}},
     {"thinking": ADAPTIVE, "output_config": {"effort": "high"}}),
    ("claude-always", "anthropic", {"thinking": ADAPTIVE, "output_config": {"effort": "low"}},
     {"thinking": ADAPTIVE, "output_config": {"effort": "high"}}),
    ("gemini-2.5-flash", "gemini", google(thinking_budget=0),
     google(thinking_budget=16384, include_thoughts=True)),
    ("gemini-2.5-pro", "gemini", google(thinking_budget=128, include_thoughts=True),
     google(thinking_budget=16384, include_thoughts=True)),
    ("gemini-3-flash", "gemini", google(thinking_level="minimal", include_thoughts=True),
     google(thinking_level="high", include_thoughts=True)),
    ("gemini-3-pro", "gemini", google(thinking_level="low", include_thoughts=True),
     google(thinking_level="high", include_thoughts=True)),
    ("grok-3-mini", "xai", {"reasoning_effort": "low"}, {"reasoning_effort": "high"}),
    ("grok-4", "xai", {}, {}),
    ("grok-4.3", "xai", {"reasoning_effort": "none"}, {"reasoning_effort": "high"}),
    ("grok-4.5", "xai", {"reasoning_effort": "low"}, {"reasoning_effort": "high"}),
    (None, "openrouter", {"reasoning": {"effort": "none"}}, {"reasoning": {"effort": "high"}}),
    (None, None, {}, {}),
]  # fmt: skip


@pytest.mark.parametrize(("family", "host", "off", "on"), SWITCHES)
def test_off_and_high_become_the_exact_fields(family, host, off, on):
    assert wire(family, host, NONE) == off
    assert wire(family, host, HIGH) == on


@pytest.mark.parametrize(
    ("family", "host", "ladder"),
    [
        ("deepseek-v4", "deepseek", "none low low high high high max"),
        ("kimi-k2.5", "moonshot", "none high high high high high high"),
        ("kimi-k3", "moonshot", "low low low high high max max"),
        ("glm-5.2", "zai", "none high high high high max max"),
        ("glm-5.3", "zai", "low low low high high max max"),
        ("qwen3.8", "dashscope", "none low low medium xhigh xhigh xhigh"),
        ("gpt-oss", "vllm", "low low low medium high high high"),
        ("step-3.7", "stepfun", "low low low medium high high high"),
        ("gpt-4o", "openai", "none none none none none none none"),
        ("o-series", "openai", "low low low medium high high high"),
        ("gpt-5", "openai", "minimal minimal low medium high high high"),
        ("gpt-5.1", "openai", "none low low medium high high high"),
        ("gpt-5.2", "openai", "none low low medium high xhigh xhigh"),
        ("gpt-5.6", "openai", "none low low medium high xhigh max"),
        ("claude-4.6", "anthropic", "none low low medium high high high"),
        ("claude-4.7", "anthropic", "none low low medium high xhigh max"),
        ("gemini-2.5-pro", "gemini", "minimal minimal low medium high xhigh max"),
        ("gemini-3-pro", "gemini", "low low low medium high high high"),
        ("grok-3-mini", "xai", "low low low low high high high"),
        ("deepseek-r1", "vllm", "high high high high high high high"),
        ("deepseek-r1", "openrouter", "minimal minimal low medium high xhigh max"),
        ("gpt-4o", "openrouter", "none none none none none none none"),
        ("qwen3", "openrouter", "none minimal low medium high xhigh max"),
    ],
)
def test_each_asked_effort_is_applied_or_goes_to_the_nearest(family, host, ladder):
    for asked, expected in zip(Effort, ladder.split(), strict=True):
        thinking = compile_thinking(DIALECTS.find(family, host), asked, {})
        assert thinking.asked is asked
        assert thinking.applied == expected
        assert bool(thinking.notes) is (asked.value != expected)
        assert thinking.header == f"asked={asked} applied={expected}"


def test_an_unknown_model_is_sent_nothing_and_the_header_says_so():
    thinking = compile_thinking(DIALECTS.find(None, None), HIGH, {"reasoning_effort": "low", "temperature": 1})
    assert (thinking.set, thinking.drop, thinking.applied) == ({}, frozenset(), None)
    assert thinking.header == "asked=high applied=default"
    assert thinking.notes == ("no thinking switch is known for this model: nothing sent",)


@pytest.mark.parametrize("key", ROWS, ids="@".join)
def test_no_effort_sends_nothing_about_thinking(key):
    assert CONTROL_FIELDS.isdisjoint(compile_thinking(DIALECTS.table[key], None, {"stream": True}).set)


# --- the caller's own fields --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "effort"),
    [
        ({}, None),
        ({"temperature": 1}, None),
        *(({"reasoning_effort": effort.value}, effort) for effort in Effort),
        ({"reasoning_effort": "ultra"}, MAX),
        ({"reasoning_effort": "LOW "}, LOW),
        ({"reasoning_effort": "banana"}, None),
        ({"reasoning_effort": None}, None),
        ({"reasoning_effort": 3}, None),
        ({"thinking": {"type": "enabled"}}, HIGH),
        ({"thinking": {"type": "disabled"}}, NONE),
        ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}}, LOW),
        ({"thinking": {"type": "enabled", "budget_tokens": 5000}}, MEDIUM),
        ({"thinking": {"type": "enabled"}, "reasoning_effort": "max"}, MAX),
        ({"thinking": {"type": "disabled"}, "reasoning_effort": "max"}, NONE),
        ({"thinking": False}, NONE),
        ({"thinking": "odd"}, None),
        ({"enable_thinking": True}, HIGH),
        ({"enable_thinking": False, "thinking_budget": 9000}, NONE),
        ({"enable_thinking": True, "thinking_budget": 1000}, MINIMAL),
        ({"thinking_token_budget": 100_000}, MAX),
        (kwargs(enable_thinking=False), NONE),
        (kwargs(thinking=True), HIGH),
        (kwargs(thinking_mode="disabled"), NONE),
        (kwargs(other=1), None),
        ({"chat_template_kwargs": "odd"}, None),
        ({"reasoning": {"effort": "xhigh"}}, XHIGH),
        ({"reasoning": {"enabled": False}}, NONE),
        ({"reasoning": {"max_tokens": 4000}}, LOW),
        ({"reasoning": {"exclude": True}}, None),
        (google(thinking_budget=0), NONE),
        (google(thinking_budget=-1), HIGH),
        (google(thinking_level="LOW"), LOW),
        (google(include_thoughts=True), None),
        ({"google": {"thinking_config": {"thinkingBudget": 2000}}}, LOW),
    ],
)
def test_a_callers_effort_is_read_in_any_vendors_words(params, effort):
    assert read_client_effort(params) is effort


@pytest.mark.parametrize(
    ("params", "budget"),
    [
        ({"thinking": {"type": "enabled", "budget_tokens": 5000}}, 5000),
        ({"thinking_budget": 0}, None),
        (google(thinking_budget=-1), None),
        ({"thinking_budget": "9"}, None),
        ({"reasoning_effort": "high"}, None),
    ],
)
def test_a_callers_budget_is_read_when_it_is_one(params, budget):
    assert read_client_budget(params) == budget


CLIENT_FIELDS = {
    "reasoning_effort": "low",
    "thinking": {"type": "enabled", "budget_tokens": 2000},
    "enable_thinking": True,
    "thinking_budget": 2000,
    "thinking_token_budget": 2000,
    "reasoning": {"effort": "low"},
    "output_config": {"effort": "low"},
    "chat_template_kwargs": {"thinking": True, "enable_thinking": True},
    "extra_body": {"google": {"thinking_config": {"thinking_budget": 2000}}},
    "google": {"thinking_config": {"thinking_level": "low"}},
}


def test_the_sample_has_every_field_that_can_steer_thinking():
    assert CLIENT_FIELDS.keys() == CONTROL_FIELDS


@pytest.mark.parametrize("key", [key for key in ROWS if key != ("*", "*")], ids="@".join)
@pytest.mark.parametrize("effort", [NONE, HIGH])
def test_a_callers_own_fields_are_replaced_and_never_doubled(key, effort):
    before = copy.deepcopy(CLIENT_FIELDS)
    sent = wire(*key, effort, {"stream": True, "max_tokens": 100_000, **CLIENT_FIELDS})
    bare = wire(*key, effort, {"stream": True, "max_tokens": 100_000})
    assert sent == bare
    assert before == CLIENT_FIELDS


@pytest.mark.parametrize(
    ("family", "host", "params", "expected"),
    [
        ("qwen3", "vllm", kwargs(enable_thinking=True, lang="zh"),
         kwargs(lang="zh", thinking=False, enable_thinking=False)),
        ("glm-4.5", "zai", {"thinking": {"type": "enabled", "clear_thinking": False}},
         {"thinking": {"clear_thinking": False, "type": "disabled"}}),
        ("qwen3", "openrouter", {"reasoning": {"effort": "high", "exclude": True}},
         {"reasoning": {"exclude": True, "effort": "none"}}),
        ("claude-4.7", "anthropic", {"output_config": {"effort": "max", "format": {"type": "json_schema"}}},
         {"output_config": {"format": {"type": "json_schema"}}, "thinking": {"type": "disabled"}}),
        ("gemini-2.5-flash", "gemini",
         {"extra_body": {"google": {"cached_content": "c", "thinking_config": {"thinking_level": "low"}}}},
         {"extra_body": {"google": {"cached_content": "c", "thinking_config": {"thinking_budget": 0}}}}),
        ("deepseek-v4", "deepseek", {"thinking": {"type": "enabled", "budget_tokens": 9}},
         {"thinking": {"type": "disabled"}}),
    ],
)  # fmt: skip
def test_what_else_a_caller_put_beside_the_switch_survives(family, host, params, expected):
    assert wire(family, host, NONE, params) == expected


@pytest.mark.parametrize(
    ("family", "host", "params", "expected"),
    [
        ("gpt-4o", "openai", {"reasoning_effort": "high"}, {}),
        ("kimi-k2.5", "moonshot", {"thinking": {"type": "disabled"}}, {"thinking": {"type": "disabled"}}),
        ("kimi-k2.5", "moonshot", {"reasoning_effort": "high"}, {}),
        ("kimi-k2.5", "moonshot", {"thinking": {"type": "disabled"}, "reasoning_effort": "high"},
         {"thinking": {"type": "disabled"}}),
    ],
)  # fmt: skip
def test_with_no_effort_only_what_the_backend_would_refuse_goes(family, host, params, expected):
    assert wire(family, host, None, params) == expected


# --- budgets ------------------------------------------------------------------------------------------------------


def claude(budget):
    return {"thinking": {"type": "enabled", "budget_tokens": budget}}


@pytest.mark.parametrize(
    ("effort", "params", "expected"),
    [
        (HIGH, {"max_tokens": 20_000}, claude(16_384) | {"max_tokens": 20_000}),
        (HIGH, {"max_tokens": 200}, claude(16_384) | {"max_tokens": 16_584}),
        (HIGH, {}, claude(16_384) | {"max_tokens": 24_576}),
        (MAX, {}, claude(23_808) | {"max_tokens": 32_000}),
        (MAX, {"max_completion_tokens": 9000}, claude(23_000) | {"max_completion_tokens": 32_000}),
        (MEDIUM, {"max_tokens": 20_000} | claude(5000), claude(5000) | {"max_tokens": 20_000}),
        (MINIMAL, {"max_tokens": 20_000} | claude(10), claude(1024) | {"max_tokens": 20_000}),
        (LOW, {"max_tokens": 20_000} | claude(16_000), claude(4096) | {"max_tokens": 20_000}),
        (NONE, {"max_tokens": 200}, {"thinking": {"type": "disabled"}, "max_tokens": 200}),
    ],
)
def test_a_thinking_budget_stays_in_range_and_below_max_tokens(effort, params, expected):
    assert wire("claude-4.5", "anthropic", effort, params) == expected


@given(
    st.sampled_from([effort for effort in Effort if effort is not NONE]),
    st.none() | st.integers(1, 200_000),
    st.none() | st.integers(-5, 200_000),
)
def test_claudes_budget_is_always_acceptable(effort, cap, own):
    params = {} if cap is None else {"max_tokens": cap}
    params |= {} if own is None else claude(own)
    sent = wire("claude-4.5", "anthropic", effort, params)
    assert 1024 <= sent["thinking"]["budget_tokens"] < sent["max_tokens"]
    assert sent["max_tokens"] >= (cap or 0)


def test_a_callers_budget_outside_the_range_is_clipped_and_told():
    params = {"thinking": {"type": "enabled", "budget_tokens": 90_000}}
    thinking = compile_thinking(DIALECTS.find("gemini-2.5-pro", "gemini"), MAX, params)
    assert thinking.set == google(thinking_budget=32_768, include_thoughts=True)
    assert "thinking budget changed from 90000 to 32768: outside the model's range" in thinking.notes


# --- policing -----------------------------------------------------------------------------------------------------

FORCED = {"type": "function", "function": {"name": "f"}}


@pytest.mark.parametrize(
    ("family", "host", "effort", "params", "expected", "note"),
    [
        ("deepseek-v4", "deepseek", HIGH, {"temperature": 0}, {}, "temperature removed"),
        ("deepseek-v4", "deepseek", NONE, {"temperature": 0}, {"temperature": 0}, None),
        ("deepseek-v4", "deepseek", None, {"temperature": 0}, {}, "temperature removed"),
        ("kimi-k2.5", "moonshot", NONE, {"temperature": 0, "n": 1}, {}, "Kimi fixes its sampling"),
        ("kimi-k2.5", "moonshot", HIGH, {"max_tokens": 200}, {"max_tokens": 16_000}, "raised from 200 to 16000"),
        ("kimi-k2.5", "moonshot", NONE, {"max_tokens": 200}, {"max_tokens": 200}, None),
        ("kimi-k2.5", "moonshot", HIGH, {"max_tokens": 20_000}, {"max_tokens": 20_000}, None),
        ("kimi-k2-thinking", "moonshot", HIGH, {"tool_choice": "required"}, {"tool_choice": "auto"},
         "tool_choice changed to auto"),
        ("glm-4.5", "zai", NONE, {"tool_choice": FORCED}, {"tool_choice": "auto"}, "Z.ai takes only auto"),
        ("o-series", "openai", HIGH, {"max_tokens": 50, "top_p": 0.5}, {"max_completion_tokens": 50}, "top_p"),
        ("gpt-5.1", "openai", NONE, {"max_tokens": 50, "top_p": 0.5},
         {"max_completion_tokens": 50, "top_p": 0.5}, None),
        ("gpt-5.1", "openai", LOW, {"max_tokens": 50, "max_completion_tokens": 60},
         {"max_completion_tokens": 60}, None),
        ("gpt-4o", "openai", HIGH, {"max_tokens": 50, "temperature": 0},
         {"max_tokens": 50, "temperature": 0}, "does not think"),
        ("grok-4", "xai", HIGH, {"stop": ["x"], "temperature": 1}, {"temperature": 1}, "stop removed"),
        ("claude-4.7", "anthropic", NONE, {"top_k": 5}, {}, "top_k removed"),
        ("kimi-k3", "moonshot", HIGH, {"tool_choice": FORCED}, {"tool_choice": "required"}, "no named function"),
        ("kimi-k3", "moonshot", HIGH, {"tool_choice": "required"}, {"tool_choice": "required"}, None),
        ("minimax-m2", "minimax", HIGH, {"temperature": 0.0, "max_tokens": 9},
         {"temperature": 0.01, "max_completion_tokens": 9, "reasoning_split": True}, "raised from 0.0 to 0.01"),
        ("glm-4.5", "zai", HIGH, {"max_completion_tokens": 9}, {"max_tokens": 9}, None),
        ("deepseek-r1", "vllm", HIGH, {"max_tokens": 100}, {"max_tokens": 8192}, "raised from 100"),
    ],
)  # fmt: skip
def test_parameters_that_do_not_go_with_thinking_are_policed_and_told(family, host, effort, params, expected, note):
    thinking = compile_thinking(DIALECTS.find(family, host), effort, params)
    sent = wire(family, host, effort, params)
    assert {name: value for name, value in sent.items() if name not in CONTROL_FIELDS} == expected
    assert (note in " ".join(thinking.notes)) if note else not thinking.notes


@pytest.mark.parametrize(
    ("family", "host", "params"),
    [
        ("deepseek-v4", "deepseek", {"tool_choice": "required"}),
        ("deepseek-v4", "deepseek", {"tool_choice": FORCED}),
        ("deepseek-v3.1", "vllm", {"tools": [{"type": "function"}]}),
        ("kimi-k2.5", "moonshot", {"tool_choice": "required"}),
        ("claude-4.5", "anthropic", {"tool_choice": {"type": "any"}}),
        ("qwen3", "dashscope", {"stream": False}),
        ("qwen3", "dashscope", {}),
    ],
)
def test_thinking_yields_to_what_the_backend_cannot_do_meanwhile(family, host, params):
    thinking = compile_thinking(DIALECTS.find(family, host), HIGH, params)
    assert thinking.applied is NONE
    assert thinking.set == compile_thinking(DIALECTS.find(family, host), NONE, params).set
    assert any(note.startswith("thinking switched off: ") for note in thinking.notes)


def test_thinking_by_default_yields_too():
    thinking = compile_thinking(DIALECTS.find("deepseek-v4", "deepseek"), None, {"tool_choice": "required"})
    assert thinking.set == {"thinking": {"type": "disabled"}}
    assert (thinking.asked, thinking.applied) == (None, NONE)


@pytest.mark.parametrize("choice", ["auto", "none"])
def test_free_tool_choice_does_not_stop_thinking(choice):
    assert applied("deepseek-v4", "deepseek", HIGH, {"tool_choice": choice}) is HIGH


# --- finding the row ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "family"),
    [
        ("deepseek-ai/DeepSeek-V3.1", "deepseek-v3.1"), ("deepseek-ai/DeepSeek-V3.2-Exp", "deepseek-v3.2"),
        ("deepseek/deepseek-chat-v3-0324", "deepseek-v3"), ("deepseek-chat", "deepseek-v4"),
        ("deepseek-reasoner", "deepseek-v4"), ("deepseek-v4-flash", "deepseek-v4"),
        ("deepseek-ai/DeepSeek-R1-Distill-Qwen-7B", "deepseek-r1"),
        ("accounts/x/models/deepseek-v3p1", "deepseek-v3.1"),
        ("moonshotai/Kimi-K2-Instruct", "kimi-k2"), ("moonshotai/Kimi-K2-Instruct-0905", "kimi-k2"),
        ("moonshotai/Kimi-K2-Thinking", "kimi-k2-thinking"), ("kimi-k2.7-code", "kimi-k2-thinking"),
        ("kimi-k2.6", "kimi-k2.5"), ("kimi-k3", "kimi-k3"),
        ("zai-org/GLM-4.5-Air", "glm-4.5"), ("glm-4.7", "glm-4.7"), ("GLM-5", "glm-4.7"), ("glm-5.2", "glm-5.2"),
        ("zai-org/GLM-5.3-Flash", "glm-5.3"),
        ("Qwen/Qwen3-235B-A22B", "qwen3"), ("Qwen/Qwen3-235B-A22B-Thinking-2507", "qwen3-thinking"),
        ("Qwen/Qwen3-30B-A3B-Instruct-2507", "qwen3-instruct"), ("qwen3-coder-plus", "qwen3-instruct"),
        ("qwen3.8-max", "qwen3.8"), ("qwen-plus-latest", "qwen-plus"), ("Qwen/QwQ-32B", "qwen3-thinking"),
        ("openai/gpt-oss-120b", "gpt-oss"), ("MiniMaxAI/MiniMax-M2", "minimax-m2"), ("MiniMax-M3", "minimax-m3"),
        ("MiniMax-M3.1-Flash", "minimax-m3.1"), ("stepfun-ai/Step-3.5-Flash", "step-3.5"),
        ("step-3.7-flash", "step-3.7"), ("gpt-4o-mini", "gpt-4o"), ("gpt-4.1", "gpt-4o"), ("o3", "o-series"),
        ("o4-mini-2025-04-16", "o-series"), ("gpt-5-mini", "gpt-5"), ("gpt-5-pro", "gpt-5-pro"),
        ("gpt-5-chat-latest", "gpt-4o"), ("gpt-5.1", "gpt-5.1"), ("gpt-5.4-mini", "gpt-5.2"),
        ("gpt-5.6-sol", "gpt-5.6"), ("gpt-5.2-pro", "gpt-5.x-pro"), ("gpt-5.3-chat-latest", "gpt-5-fixed"),
        ("claude-3-5-sonnet-20241022", "claude-3"), ("claude-3-7-sonnet-20250219", "claude-4.5"),
        ("claude-sonnet-4-20250514", "claude-4.5"), ("claude-opus-4-5-20251101", "claude-4.5"),
        ("anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-4.5"), ("claude-sonnet-4-6", "claude-4.6"),
        ("anthropic/claude-opus-4.7", "claude-4.7"), ("claude-opus-5", "claude-5"), ("claude-haiku-5-5", "claude-5"),
        ("claude-opus-5-5", "claude-always"), ("claude-fable-5-1", "claude-always"),
        ("claude-sonnet-5-5", "claude-sonnet-5.5"), ("gemini-2.5-flash", "gemini-2.5-flash"),
        ("gemini-2.5-flash-lite", "gemini-2.5-flash-lite"), ("gemini-2.5-pro", "gemini-2.5-pro"),
        ("gemini-3.1-pro-preview", "gemini-3-pro"), ("gemini-3-flash-preview", "gemini-3-flash"),
        ("gemini-3.8-flash", "gemini-3.7-flash"), ("grok-4-0709", "grok-4"),
        ("grok-4-1-fast-non-reasoning", "grok-non-reasoning"), ("grok-3-mini", "grok-3-mini"),
        ("grok-3", "grok-non-reasoning"), ("grok-4.3", "grok-4.3"), ("grok-4.5", "grok-4.5"),
        ("grok-4.20-0309-reasoning", "grok-4"), ("ibm-granite/granite-4.0-h-small", "granite"),
        ("meta-llama/Llama-3.3-70B-Instruct", None), ("smollm2-135m", None), ("", None),
    ],
)  # fmt: skip
def test_the_family_is_guessed_from_the_model_id(model, family):
    assert DIALECTS.guess_family(model) == family


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://api.deepseek.com/v1", "deepseek"), ("https://api.moonshot.cn/v1", "moonshot"),
        ("https://open.bigmodel.cn/api/paas/v4", "zai"),
        ("https://dashscope-intl.aliyuncs.com/compatible-mode/v1", "dashscope"),
        ("https://API.OpenAI.com:443/v1", "openai"), ("https://me.openai.azure.com/openai/v1", "azure"),
        ("api.x.ai/v1", "xai"), ("https://openrouter.ai/api/v1", "openrouter"),
        ("https://generativelanguage.googleapis.com/v1beta/openai", "gemini"),
        ("http://localhost:8000/v1", None), ("https://notapi.openai.com.evil.example/v1", None), ("", None),
    ],
)  # fmt: skip
def test_the_host_is_guessed_from_the_url(url, host):
    assert DIALECTS.guess_host(url) == host


@pytest.mark.parametrize(
    ("family", "host", "match"),
    [
        ("kimi-k2.5", "vllm", "exact"),
        ("kimi-k2.5", "openrouter", "host"),
        ("kimi-k2.5", "fireworks", "family"),
        ("kimi-k2.5", None, "family"),
        ("unheard-of", "vllm", "generic"),
        (None, None, "generic"),
    ],
)
def test_a_row_says_how_it_was_found(family, host, match):
    assert DIALECTS.find(family, host).match == match


@pytest.mark.parametrize("key", ROWS, ids="@".join)
def test_every_row_is_dated_sourced_and_reachable(key):
    dialect = DIALECTS.table[key]
    assert dialect.checked >= date(2026, 11, 1)
    assert dialect.source
    assert DIALECTS.find(*key) is dialect
    assert json.loads(json.dumps(dialect.as_dict()))["family"] == dialect.family


def test_every_family_has_a_row_for_any_host():
    assert {family for family in DIALECTS.families if (family, "*") not in DIALECTS.table} <= {"qwen-plus"}


def test_every_family_can_be_guessed_from_some_id():
    assert all(family.ids for family in DIALECTS.families.values())


# --- rows of one's own --------------------------------------------------------------------------------------------


def own_row(**changes):
    row = {
        "families": ["kimi-k2.5"], "hosts": ["vllm"], "checked": date(2026, 12, 1), "source": "measured here",
        "thinking": "switch", "efforts": {"none": {"think": 0}, "high": {"think": 1}},
    }  # fmt: skip
    return {"rows": [row | changes]}


def test_an_own_row_replaces_the_built_in_one_and_no_other():
    dialects = load_dialects(own_row())
    assert compile_thinking(dialects.find("kimi-k2.5", "vllm"), HIGH, {}).set == {"think": 1}
    assert dialects.find("kimi-k2.5", "sglang").source == DIALECTS.find("kimi-k2.5", "sglang").source


def test_an_own_family_and_host_are_found_before_the_built_in_ones():
    dialects = load_dialects(
        {
            "families": [{"name": "house", "title": "Our model", "ids": ["^deepseek-house"]}],
            "hosts": [{"name": "cluster", "title": "Our cluster", "domains": ["llm.example"]}],
        }
        | own_row(families=["house"], hosts=["cluster"])
    )
    assert dialects.guess_family("deepseek-house-v3.1") == "house"
    assert dialects.guess_host("https://eu.llm.example/v1") == "cluster"
    assert dialects.find("house", "cluster").match == "exact"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (own_row(thinkin="switch"), "rows[0]: unknown key 'thinkin'. Did you mean 'thinking'?"),
        ({"row": []}, "top level: unknown key 'row'. Did you mean 'rows'?"),
        (own_row(rules=[{"fields": ["a"], "action": "drop", "why": "", "xyz": 1}]),
         "rows[0].rules[0]: unknown key 'xyz'. Known keys: fields, action"),
        (own_row(thinking="maybe"), "rows[0].thinking: Invalid enum value 'maybe'"),
        (own_row(efforts={"none": {}, "hgih": {}}), "Invalid enum value 'hgih'"),
        (own_row(efforts={"high": {}}), "list efforts.none and at least one other"),
        (own_row(thinking="always"), "list at least one effort and not 'none'"),
        (own_row(thinking="never"), "only efforts.none may be listed"),
        (own_row(thinking="unknown"), "nothing may be sent"),
        (own_row(aliases={"low": "max"}), "aliases point to efforts that are not listed: max"),
        (own_row(hosts=["vlm"]), "hosts: 'vlm' is not declared. Did you mean 'vllm'?"),
        (own_row(families=["house"]), "families: 'house' is not declared. Declare it under 'families'."),
        (own_row(policies=["kimi-samplng"]), "Did you mean 'kimi-sampling'?"),
        (own_row(rules=[{"fields": ["a"], "action": "rename", "why": ""}]), "action 'rename' needs 'to'"),
        (own_row(thinking="always", efforts={"high": {}}, policies=["dashscope-tool-choice"]),
         "a rule says 'switch-off', but thinking cannot be: list efforts.none."),
        ({"families": [{"name": "x", "title": "x", "ids": ["("]}]}, "ids: '(' is not a regular expression"),
        ({"rows": [{"families": ["qwen3"]}]}, "Object missing required field `hosts`"),
    ],
)  # fmt: skip
def test_a_faulty_row_is_refused_with_path_fault_and_fix(overrides, message):
    with pytest.raises(DialectError) as failure:
        load_dialects(overrides)
    assert message in str(failure.value)
    assert str(failure.value).startswith("dialects: ") or "rows (" in str(failure.value)


# --- cost ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("family", "host", "params"),
    [
        ("deepseek-v4", "deepseek", {}),
        ("deepseek-v4", "deepseek", {"temperature": 0.5, "reasoning_effort": "low"}),
        ("claude-4.5", "anthropic", {"max_tokens": 100, "thinking": {"type": "enabled", "budget_tokens": 5000}}),
    ],
)
def test_compiling_costs_well_under_a_tenth_of_a_millisecond_even_on_a_busy_machine(family, host, params):
    dialect = DIALECTS.find(family, host)
    best = min(timeit.repeat(lambda: compile_thinking(dialect, MEDIUM, params), number=100, repeat=20)) / 100
    assert best < 100e-6


def test_thinking_without_change_is_empty():
    assert Thinking() == Thinking({}, frozenset(), None, None, ())
