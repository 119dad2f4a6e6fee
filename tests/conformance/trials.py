"""What is tried on every row: each effort, and a tool loop by clients that drop reasoning and by some that keep it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import httpx

from router.types import Effort
from tests.conformance.rows import Row
from tests.conformance.standins import Mind
from tests.conformance.standins.base import CITIES
from tests.conformance.world import World

NO_MIND = Mind("none")
LOST = "went on without"
"""Begins what is no refusal, but a loss that the provider's documentation warns of."""

Habit = Literal["drops", "keeps"]
POLICED = {"temperature": 0.5}
"""A parameter that many refuse while thinking."""

ASKED: tuple[Effort | None, ...] = (None, *Effort)
TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Say what the weather is. 查询天气。",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
_OPENAI_FIELDS = ("role", "content", "tool_calls")
_CALL_FIELDS = ("id", "type", "function")


@dataclass(frozen=True, slots=True)
class Told:
    """What a client was told.

    Attributes:
        message: the assistant's message, put together from its deltas if it was streamed.
        thinking: the header ``x-thalamus-thinking`` as a mapping.
        sent: what reached the provider.
        mind: how the provider understood it.
        fault: the error's status and message, "" if there was none.
        lost: what the provider went on without, "" if nothing.
    """

    message: dict[str, Any] = field(default_factory=dict)
    thinking: Mapping[str, str] = field(default_factory=dict)
    sent: Mapping[str, Any] = field(default_factory=dict)
    mind: Mind = NO_MIND
    fault: str = ""
    lost: str = ""


async def ask(world: World, row: Row, messages: list[dict[str, Any]], *, stream: bool, **fields: Any) -> Told:
    """Ask one backend through the gateway, as an OpenAI client would."""
    body = {"model": row.name, "messages": messages, "stream": stream, **fields}
    reply = await world.client.post("http://gateway/v1/chat/completions", json=body)
    thinking = dict(part.split("=", 1) for part in reply.headers.get("x-thalamus-thinking", "").split() if "=" in part)
    sent = world.bodies[row.name][-1] if world.bodies[row.name] else {}
    if not reply.is_success:
        return Told(thinking=thinking, sent=sent, fault=f"{reply.status_code} {reply.text}")
    message = _streamed(reply) if stream else reply.json()["choices"][0]["message"]
    return Told(message, thinking, sent, world.providers[row.name].minds[-1])


Asking = Callable[..., Awaitable[Told]]
"""`ask`, or what takes its place."""


async def try_effort(
    world: World, row: Row, effort: Effort | None, *, stream: bool, asking: Asking = ask, **fields: Any
) -> Told:
    """Ask a plain question at one effort, with a cap that leaves room for thinking; `fields` are further ones."""
    asked = {} if effort is None else {"reasoning_effort": effort.value}
    question = [{"role": "user", "content": f"Why is the sky blue? 天空为什么是蓝的?({uuid.uuid4().hex[:8]})"}]
    return await asking(world, row, question, stream=stream, max_tokens=64_000, **asked, **fields)


async def try_tool_loop(
    world: World, row: Row, habit: Habit, *, stream: bool, effort: Effort | None, asking: Asking = ask
) -> list[Told]:
    """Let the model call its tools, answer, and answer once more; give what was told each time, up to a fault."""
    question = f"Compare the weather in {' and '.join(CITIES)}. ({uuid.uuid4().hex[:8]})"
    messages: list[dict[str, Any]] = [{"role": "user", "content": question}]
    asked = {} if effort is None else {"reasoning_effort": effort.value}
    told: list[Told] = []
    for _ in range(len(CITIES) + 2):
        told.append(await asking(world, row, messages, stream=stream, tools=[TOOL], **asked))
        if told[-1].fault:
            break
        message = told[-1].message
        messages.append(message if habit == "keeps" else _typed(message))
        results = [_result(call) for call in message.get("tool_calls") or ()]
        messages += results or [{"role": "user", "content": "Thank you. And tomorrow? 明天呢?"}]
    return told


def faults_of_wish(row: Row, effort: Effort | None, told: Told) -> list[str]:
    """Say what is wrong with the answer at one effort: refused, not what was wished for, or its reasoning lost.

    What was wished for is judged by what the provider can do at all: thinking off where it can be off, on where it
    can be on, and the very effort where the provider has one of that name. Of others, any effort is right.
    """
    if told.fault:
        return [told.fault]
    faults = []
    can = row.dialect.efforts
    if effort is Effort.NONE:
        if Effort.NONE in can and told.mind.thinks:
            faults.append("thinking was to be off, the provider thinks")
    elif effort is not None and not told.mind.thinks:
        if _can_think(row, told):
            faults.append("thinking was to be on, the provider does not think")
    elif effort in can and told.mind.effort not in ("on", effort):
        faults.append(f"{effort} was wished for, the provider works at {told.mind.effort}")
    return faults + _faults_of_text(told, row)


def faults_of_effort(row: Row, effort: Effort | None, told: Told) -> list[str]:
    """Say what is wrong with the gateway's answer at one effort: as `faults_of_wish`, or told untruly."""
    faults = faults_of_wish(row, effort, told)
    if told.fault:
        return faults
    asked, applied = told.thinking.get("asked"), told.thinking.get("applied")
    if asked != (effort or "default"):
        faults.append(f"the header says asked={asked}")
    if effort is not None and not _is_true(applied, told.mind):
        faults.append(f"the header says applied={applied}, the provider works at {told.mind.effort}")
    return faults


def faults_of_loop(row: Row, told: list[Told]) -> list[str]:
    """Say what is wrong with a tool loop: a refusal, a wrong number of turns, or reasoning that did not arrive."""
    faults = [answer.fault for answer in told if answer.fault]
    if not faults and [bool(answer.message.get("tool_calls")) for answer in told] != [True, True, False, False]:
        faults.append("the loop took another course")
    faults += [fault for answer in told if not answer.fault for fault in _faults_of_text(answer, row)]
    return faults + [f"{LOST}: {answer.lost}" for answer in told if answer.lost]


def _can_think(row: Row, told: Told) -> bool:
    """Whether the provider thinks upon any request of this kind."""
    if row.host == "dashscope" and row.family in STREAMED_ONLY and not told.sent.get("stream"):
        return False
    return any(effort is not Effort.NONE for effort in row.dialect.efforts)


STREAMED_ONLY = frozenset({"qwen3", "qwen-plus"})
"""Families that DashScope lets think in streams alone."""


def _is_true(applied: str | None, mind: Mind) -> bool:
    """Whether the applied effort is the one that the provider works at; a budget has no name of its own."""
    if mind.effort == "on":
        return applied not in ("none", "default", None)
    return applied == mind.effort


def _faults_of_text(told: Told, row: Row) -> list[str]:
    """Compare the reasoning that the client got with whether the provider thought and gives any text of it."""
    got = told.message.get("reasoning_content") or ""
    provider_gives = row.family not in SILENT or row.host == "openrouter"
    expected = told.mind.thinks and told.mind.shown and provider_gives
    if bool(got) != expected:
        return ["reasoning_content is empty, the provider gave some" if expected else "reasoning came out of nowhere"]
    if expected and (got.count("想一想") != 1 or "<" in got):
        return ["reasoning_content is damaged"]
    content = told.message.get("content") or ""
    return ["the content holds reasoning"] if "想一想" in content or "think>" in content else []


SILENT = frozenset(
    {"o-series", "gpt-4o", "gpt-5", "gpt-5-fixed", "gpt-5-pro", "gpt-5.x-pro", "gpt-5.1", "gpt-5.2", "gpt-5.5",
     "gpt-5.6", "gpt-6", "grok-4", "grok-4.3", "grok-4.5"}
)  # fmt: skip
"""Families that give no text of their reasoning on chat completions."""


def _typed(message: Mapping[str, Any]) -> dict[str, Any]:
    """Send a message back as a typed client does: OpenAI's fields alone."""
    typed = {name: message[name] for name in _OPENAI_FIELDS if message.get(name) is not None or name == "content"}
    if calls := message.get("tool_calls"):
        typed["tool_calls"] = [{name: call[name] for name in _CALL_FIELDS} for call in calls]
    return typed


def _result(call: Mapping[str, Any]) -> dict[str, Any]:
    city = json.loads(call["function"]["arguments"])["city"]
    return {"role": "tool", "tool_call_id": call["id"], "content": f"{city}: 18 °C"}


def _streamed(reply: httpx.Response) -> dict[str, Any]:
    """Put a stream together as clients do: texts joined, calls by index, other lists listed."""
    message: dict[str, Any] = {"role": "assistant", "content": None}
    calls: dict[int, dict[str, Any]] = {}
    for line in reply.text.splitlines():
        if not line.startswith("data: {"):
            continue
        for choice in json.loads(line[6:]).get("choices") or ():
            _add(message, calls, choice.get("delta") or {})
    return message | ({"tool_calls": list(calls.values())} if calls else {})


def _add(message: dict[str, Any], calls: dict[int, dict[str, Any]], delta: Mapping[str, Any]) -> None:
    for name, value in delta.items():
        if name == "tool_calls":
            for piece in value:
                _add_call(calls, piece)
        elif isinstance(value, str) and name != "role":
            message[name] = (message.get(name) or "") + value
        elif isinstance(value, list):
            message[name] = [*message.get(name, ()), *value]


def _add_call(calls: dict[int, dict[str, Any]], piece: Mapping[str, Any]) -> None:
    known = calls.get(piece["index"])
    if known is None:
        calls[piece["index"]] = {name: value for name, value in piece.items() if name != "index"}
    else:
        known["function"]["arguments"] += piece["function"]["arguments"]
