"""How a message is told, why it ended, and what it cost: the same for whole answers and for streams."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from gateway.reasoning import Meter
from gateway.surfaces.messages.completion import Choice
from gateway.wire.usage import UsageFields, read_usage

_STOP_REASONS: Mapping[str, str] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}


class Thoughts(StrEnum):
    """What the client sees of the reasoning: all, signed but empty blocks, or nothing."""

    SHOWN = "shown"
    OMITTED = "omitted"
    HIDDEN = "hidden"


@dataclass(frozen=True, slots=True)
class Telling:
    """How one answer is to be told.

    Attributes:
        message_id: of the message.
        model: what answers, as its backend is configured; a completion that names its model wins.
        backend: the backend's configured name, for errors.
        thoughts: what the client sees of the reasoning.
        stop_sequences: those that the client asked for.
        prompt_tokens: an estimate, until the backend has counted.
    """

    message_id: str
    model: str
    backend: str
    thoughts: Thoughts = Thoughts.HIDDEN
    stop_sequences: tuple[str, ...] = ()
    prompt_tokens: int = 0


def write_ending(choice: Choice, telling: Telling, *, called: bool, refused: bool) -> dict[str, Any]:
    """Say why an answer stopped.

    Args:
        choice: the answer, or the chunk that ended it.
        telling: how the answer is told.
        called: whether it calls a tool; some backends say ``stop`` nevertheless.
        refused: whether it is a refusal in words.
    """
    met = next((word for word in (choice.stop_reason, choice.matched_stop) if word in telling.stop_sequences), None)
    reason = _STOP_REASONS.get(choice.finish_reason or "", "end_turn")
    if refused:
        reason = "refusal"
    elif reason == "end_turn" and called:
        reason = "tool_use"
    elif reason == "end_turn" and met is not None:
        reason = "stop_sequence"
    return {"stop_reason": reason, "stop_sequence": met if reason == "stop_sequence" else None}


def write_usage(fields: UsageFields | None, telling: Telling, output: Meter, thought: Meter) -> dict[str, Any]:
    """Say what an answer cost. Tokens read from a cache are not among `input_tokens`.

    Where the backend did not count, the numbers are estimates and `estimated` says so.

    Args:
        fields: what the backend counted.
        telling: how the answer is told.
        output: has metered all that was put out.
        thought: has metered the reasoning in it.
    """
    if fields is None:
        counts = {**write_counts(telling.prompt_tokens, output.tokens), "estimated": True}
        return counts | _thinking(thought.tokens, estimated=True)
    usage = read_usage(fields)
    counts = write_counts(max(0, usage.input - usage.cached), usage.output, usage.cached)
    return counts | _thinking(usage.reasoning, estimated=usage.reasoning_estimated)


def _thinking(tokens: int, *, estimated: bool) -> dict[str, Any]:
    if not tokens:
        return {}
    mark = {"thinking_tokens_estimated": True} if estimated else {}
    return {"output_tokens_details": {"thinking_tokens": tokens} | mark}


def write_counts(prompt: int, output: int, cached: int = 0) -> dict[str, Any]:
    """Write the counts that every usage has. Nobody but Anthropic bills for writing a cache."""
    return {
        "input_tokens": prompt,
        "output_tokens": output,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": cached,
    }
