"""A whole chat completion, written as a message."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any

import msgspec

from gateway.errors import UpstreamFailed
from gateway.reasoning import Meter
from gateway.surfaces.messages.completion import Call, Choice, Completion, Said, Thought, decode_completion
from gateway.surfaces.messages.ending import Telling, Thoughts, write_ending, write_usage
from gateway.surfaces.messages.thoughts import sign

UNPARSED = "INVALID_JSON"
"""Under what name a tool's arguments are given that are no JSON object, as Anthropic's own documentation does."""


def write_message(body: bytes, telling: Telling) -> bytes:
    """Write the message that says what a completion says.

    Raises:
        UpstreamFailed: it is no chat completion, or has no answer in it.
    """
    completion = read_completion(body, telling)
    choice = completion.choices[0] if completion.choices else Choice()
    said = choice.message
    if said is None:
        raise UpstreamFailed(f"Backend '{telling.backend}' sent an answer without a message.", backend=telling.backend)
    message = {
        "id": telling.message_id,
        "type": "message",
        "role": "assistant",
        "model": completion.model or telling.model,
        "content": [*_thinking(said, telling.thoughts), *_spoken(said)],
        **write_ending(choice, telling, called=bool(said.tool_calls), refused=bool(said.refusal)),
        "usage": write_usage(completion.usage, telling, _metered(said), _metered_thought(said)),
    }
    return msgspec.json.encode(message)


def read_completion(data: bytes, telling: Telling) -> Completion:
    """Read a completion or a chunk of one.

    Raises:
        UpstreamFailed: it is none.
    """
    try:
        return decode_completion(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise UpstreamFailed(
            f"Backend '{telling.backend}' sent what is no chat completion.", backend=telling.backend
        ) from None


def call_id(call: Call) -> str:
    """Give a tool call's id, or a new one where the backend has none."""
    return call.id or f"toolu_{secrets.token_hex(12)}"


def _thinking(said: Said, thoughts: Thoughts) -> Iterator[dict[str, Any]]:
    """Yield the reasoning: the model's own signed blocks where it has them, else one that the gateway signs."""
    if thoughts is Thoughts.HIDDEN:
        return
    blocks = said.thinking_blocks or [Thought(thinking=said.reasoning_content)]
    for block in blocks:
        text = block.thinking or ""
        if block.data:
            yield {"type": "redacted_thinking", "data": block.data}
        elif text or block.signature:
            shown = text if thoughts is Thoughts.SHOWN else ""
            yield {"type": "thinking", "thinking": shown, "signature": block.signature or sign(text)}


def _spoken(said: Said) -> Iterator[dict[str, Any]]:
    if said.text:
        yield {"type": "text", "text": said.text}
    for call in said.tool_calls or ():
        if call.function is not None:
            arguments = call.function.arguments or ""
            name = call.function.name or ""
            yield {"type": "tool_use", "id": call_id(call), "name": name, "input": read_arguments(arguments)}


def read_arguments(arguments: str) -> dict[str, Any]:
    """Read a tool's arguments; what is no JSON object is given under a name that says so."""
    if not arguments.strip():
        return {}
    try:
        return msgspec.json.decode(arguments, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError):
        return {UNPARSED: arguments}


def _metered_thought(said: Said) -> Meter:
    meter = Meter()
    meter.add(said.reasoning_content or "")
    return meter


def _metered(said: Said) -> Meter:
    meter = Meter()
    for text in (said.reasoning_content or "", said.text):
        meter.add(text)
    for call in said.tool_calls or ():
        if call.function is not None:
            meter.add((call.function.name or "") + (call.function.arguments or ""))
    return meter
