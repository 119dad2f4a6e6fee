"""Reasoning under all the names that backends give it, read from one message or delta and given under one name.

Read in this order, the first that holds text wins, since several often say the same: `reasoning_content` (DeepSeek,
Kimi, GLM, SGLang), `reasoning` (vLLM, OpenRouter, StepFun), `reasoning_details` (OpenRouter, MiniMax),
`thinking_blocks` (litellm), and blocks within a content list (Claude's `thinking`, Gemini's thought parts).
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from gateway.reasoning.tags import DEFAULT_TAGS, TagSplitter, split_whole
from gateway.reasoning.usage import Meter
from gateway.show import Show
from gateway.upstream.dialects import Dialect

CARRIERS = ("reasoning_content", "reasoning", "reasoning_details", "thinking_blocks")
"""Fields of a message or delta that hold reasoning."""

_TEXT_KEYS = ("text", "thinking", "summary", "reasoning")


@dataclass(frozen=True, slots=True)
class ReasoningOptions:
    """How reasoning is looked for and shown.

    Attributes:
        show: pass it on, hide it, or give its length alone, as `reasoning_summary`.
        both_names: give `reasoning` beside `reasoning_content`, for clients that know only that.
        tags: names of inline tags, the likeliest first.
        inline: the backend is known to think inside its answers, so that tags may open on any line.
        opener_missing: the chat template writes the opener, so that answers start as reasoning.
    """

    show: Show = Show.PASS
    both_names: bool = False
    tags: tuple[str, ...] = DEFAULT_TAGS
    inline: bool = False
    opener_missing: bool = False

    @property
    def passes(self) -> bool:
        """Whether a client gets the normal form: all of the reasoning, as `reasoning_content` alone."""
        return self.show is Show.PASS and not self.both_names

    @classmethod
    def of_dialect(cls, dialect: Dialect) -> ReasoningOptions:
        """Look for reasoning where a backend's dialect says that it comes."""
        tag = dialect.inline_tag
        return cls(
            tags=DEFAULT_TAGS if tag is None else tuple(dict.fromkeys((tag, *DEFAULT_TAGS))),
            inline=tag is not None,
            opener_missing=dialect.opener_missing,
        )


DEFAULT_OPTIONS = ReasoningOptions()


@functools.lru_cache(maxsize=256)
def shown(options: ReasoningOptions, show: Show, *, both_names: bool) -> ReasoningOptions:
    """Look in the same places, and show what is found in another way."""
    return replace(options, show=show, both_names=both_names)


def normalise_message(
    message: Mapping[str, Any], options: ReasoningOptions = DEFAULT_OPTIONS, *, truncated: bool = False
) -> tuple[dict[str, Any], str]:
    """Give a whole message with its reasoning under one name, and that reasoning.

    Args:
        message: the assistant's message as the backend sent it; it is not changed.
        options: how reasoning is looked for and shown.
        truncated: the answer broke off for length.
    """
    result = dict(message)
    reasoning = take_reasoning(result)
    content = result.get("content")
    if isinstance(content, str) and content:
        alone = not reasoning  # where reasoning has a field of its own, the text hardly holds any
        inside, answer = split_whole(
            content,
            options.tags,
            anywhere=options.inline and alone,
            opener_missing=options.opener_missing and alone,
            truncated=truncated,
        )
        if answer != content:
            reasoning += inside
            result["content"] = answer or (None if result.get("tool_calls") else "")
    _show_whole(result, reasoning, options)
    return result, reasoning


def show_message(message: Mapping[str, Any], options: ReasoningOptions) -> dict[str, Any]:
    """Give a whole message in its normal form as a client is to see it; its text is not searched for tags again."""
    result = dict(message)
    _show_whole(result, take_reasoning(result), options)
    return result


def _show_whole(message: dict[str, Any], reasoning: str, options: ReasoningOptions) -> None:
    show_reasoning(message, reasoning, options)
    if reasoning and options.show is Show.COUNT:
        meter = Meter()
        meter.add(reasoning)
        message["reasoning_summary"] = meter.summary()


def take_reasoning(message: dict[str, Any]) -> str:
    """Take the reasoning out of a message or delta, in place, and give its text; "" if there is none.

    `reasoning_details` and `thinking_blocks` stay: their signatures must come back unchanged in later turns.
    """
    found = ""
    for name in CARRIERS:
        if name in message:
            found = found or _text_of(message[name])
    message.pop("reasoning_content", None)
    message.pop("reasoning", None)
    if isinstance(message.get("content"), list):
        inside, message["content"] = _split_parts(message["content"])
        found = found or inside
    return found


def show_reasoning(message: dict[str, Any], reasoning: str, options: ReasoningOptions) -> None:
    """Put reasoning into a message or delta, in place, as far as the client may see it."""
    if options.show is not Show.PASS:
        message.pop("reasoning_details", None)
        message.pop("thinking_blocks", None)
    elif reasoning:
        message["reasoning_content"] = reasoning
        if options.both_names:
            message["reasoning"] = reasoning


class ReasoningStream:
    """One choice of a stream: deltas go in as they came, and come out with reasoning under one name.

    Attributes:
        meter: counts the reasoning that went through.
    """

    def __init__(self, options: ReasoningOptions = DEFAULT_OPTIONS) -> None:
        self.meter = Meter()
        self._options = options
        self._splitter = TagSplitter(options.tags, anywhere=options.inline, opener_missing=options.opener_missing)
        self._ended = False

    @property
    def settled(self) -> bool:
        """Whether text needs no more looking at, only fields do."""
        return self._splitter.settled

    def feed(self, delta: Mapping[str, Any]) -> dict[str, Any]:
        """Give a delta as the client is to see it; text that might be part of a tag comes with a later one."""
        result = dict(delta)
        reasoning = take_reasoning(result)
        if reasoning:
            self._splitter.expect_no_tags()
        content = result.get("content")
        if isinstance(content, str) and content:
            inside, answer = self._splitter.feed(content)
            reasoning += inside
            result["content"] = answer
            if not answer:
                del result["content"]
        self._show(result, reasoning)
        return result

    def pass_by(self, literal: bytes) -> None:
        """Note reasoning that went to the client unparsed, as the inside of a JSON string."""
        self.meter.add_json(literal)
        self._splitter.expect_no_tags()

    def flush(self, *, truncated: bool = False) -> dict[str, Any]:
        """Give what is still held back, as a delta; empty if nothing is, or if it was given before."""
        if self._ended:
            return {}
        self._ended = True
        inside, answer = self._splitter.flush(truncated=truncated)
        result: dict[str, Any] = {"content": answer} if answer else {}
        self._show(result, inside)
        if self._options.show is Show.COUNT and self.meter.tokens:
            result["reasoning_summary"] = self.meter.summary()
        return result

    def _show(self, delta: dict[str, Any], reasoning: str) -> None:
        self.meter.add(reasoning)
        show_reasoning(delta, reasoning, self._options)


def _text_of(value: object) -> str:
    """Give the text in a string, a block, or a list of blocks; signatures and encrypted data are no text."""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return next((text for key in _TEXT_KEYS if (text := _text_of(value.get(key)))), "")
    if isinstance(value, Iterable):
        return "".join(_text_of(item) for item in value)
    return ""


def _split_parts(parts: list[Any]) -> tuple[str, Any]:
    """Split a content list into its reasoning and what remains: plain text where only text remains."""
    thoughts = [part for part in parts if _is_thought(part)]
    if not thoughts:
        return "", parts
    rest = [part for part in parts if not _is_thought(part)]
    if all(isinstance(part, Mapping) and isinstance(part.get("text"), str) for part in rest):
        return _text_of(thoughts), "".join(part["text"] for part in rest)
    return _text_of(thoughts), rest


def _is_thought(part: object) -> bool:
    if not isinstance(part, Mapping):
        return False
    return part.get("type") in ("thinking", "redacted_thinking", "reasoning") or part.get("thought") is True
