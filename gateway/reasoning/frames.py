"""Whole answers and SSE frames with their reasoning under one name; what needs no change is not even parsed."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from gateway.reasoning.fields import (
    DEFAULT_OPTIONS,
    ReasoningOptions,
    ReasoningStream,
    normalise_message,
    show_message,
)
from gateway.reasoning.usage import Meter, with_reasoning_tokens
from gateway.streaming import event_data

_VALUE = rb'":\s*+(?!null|""|\[\])'
_FOREIGN = re.compile(rb'"(?:reasoning|reasoning_details|thinking_blocks|thinking|thought)' + _VALUE)
_OWN = re.compile(rb'"reasoning_content":\s*"((?:[^"\\]|\\.)++)"')
_TEXT_OR_END = re.compile(rb'"(?:content|finish_reason)":\s*+(?:"[^"]|\[)')
_USAGE = re.compile(rb'"usage":\s*\{')
_COUNTED = re.compile(rb'"reasoning_tokens":\s*[1-9]')
_CARRIER_MARKS = (b'"reasoning', b'"thinking_blocks"')

_MARKS = (b'"reasoning', b'"th', b'"usage"')
"""One of these is in every frame that has to be looked at once all text is known to be answer."""

_decode = msgspec.json.Decoder(dict[str, Any]).decode
_encode = msgspec.json.encode


def needs_rewrite(data: bytes, field: str = "reasoning_content") -> bool:
    """Whether a frame or answer may carry reasoning in any field but the given one, or a tag in its text.

    A test of the bytes alone: it may say yes in vain, and sees nothing of a tag whose "<" came in an earlier frame.
    """
    if b"<" in data or b"\\u003c" in data or b"\\u003C" in data:
        return True
    return bool(_FOREIGN.search(data)) or (field != "reasoning_content" and bool(_OWN.search(data)))


def rewrite_answer(body: bytes, options: ReasoningOptions = DEFAULT_OPTIONS) -> bytes:
    """Give a whole chat completion with its reasoning under one name and counted in its usage.

    Anything that is not a chat completion is given back untouched.
    """
    if _says_it_already(body, options):
        return body
    try:
        answer = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return body
    choices = answer.get("choices")
    if not isinstance(choices, list):
        return body
    meter = Meter()
    answer["choices"] = [_normalised_choice(choice, options, meter) for choice in choices]
    if isinstance(answer.get("usage"), dict):
        answer["usage"] = with_reasoning_tokens(answer["usage"], meter.tokens)
    return _encode(answer)


def show_answer(body: bytes, options: ReasoningOptions) -> bytes:
    """Give a whole chat completion in its normal form, as `rewrite_answer` gives it, as a client is to see it."""
    if options.passes or not any(mark in body for mark in _CARRIER_MARKS):
        return body
    try:
        answer = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return body
    for choice in answer.get("choices") or ():
        if isinstance(choice, dict) and isinstance(choice.get("message"), dict):
            choice["message"] = show_message(choice["message"], options)
    return _encode(answer)


def _says_it_already(body: bytes, options: ReasoningOptions) -> bool:
    if not options.passes or options.opener_missing or needs_rewrite(body):
        return False
    return _OWN.search(body) is None or _COUNTED.search(body) is not None


def _normalised_choice(choice: Any, options: ReasoningOptions, meter: Meter) -> Any:
    if not isinstance(choice, dict) or not isinstance(choice.get("message"), dict):
        return choice
    truncated = choice.get("finish_reason") == "length"
    message, reasoning = normalise_message(choice["message"], options, truncated=truncated)
    meter.add(reasoning)
    return {**choice, "message": message}


class FrameRewriter:
    """Rewrites one stream, frame by frame; an instance is what `gateway.streaming.Relay` takes as `rewrite`.

    A frame that already says everything under the right name is passed on unparsed. Text is held back only while it
    might be part of a tag, and comes out with the frame that settles it, or with the one that ends the choice.
    """

    def __init__(self, options: ReasoningOptions = DEFAULT_OPTIONS, *, choices: int = 1) -> None:
        """Prepare for one stream.

        Args:
            options: how reasoning is looked for and shown.
            choices: how many answers were asked for (`n`).
        """
        self._options = options
        self._may_pass = choices == 1 and options.passes
        self._settled = False
        self._streams: dict[int, ReasoningStream] = {}
        self._envelope: dict[str, Any] = {}

    @property
    def reasoning_tokens(self) -> int:
        """Estimated tokens of reasoning so far."""
        return sum(stream.meter.tokens for stream in self._streams.values())

    def __call__(self, frame: bytes) -> bytes:
        """Give what is to be sent in place of a frame; nothing, if all of it is held back or hidden."""
        if self._settled and not any(mark in frame for mark in _MARKS):
            return frame
        if self._may_pass and self._passes(frame):
            if own := _OWN.search(frame):
                self._stream(0).pass_by(own[1])
            return frame
        data = event_data(frame)
        if data is None or not data.startswith(b"{"):
            return frame
        try:
            event = _decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return frame
        return self._rewrite(event, frame)

    def flush(self) -> bytes:
        """Give a last frame with what is still held back; empty if every choice was ended properly."""
        rest = [
            {"index": index, "delta": delta, "finish_reason": None}
            for index, stream in self._streams.items()
            if (delta := stream.flush())
        ]
        return _frame({**self._envelope, "choices": rest, "usage": None}) if rest else b""

    def _stream(self, index: int) -> ReasoningStream:
        if index not in self._streams:
            self._streams[index] = ReasoningStream(self._options)
        return self._streams[index]

    def _passes(self, frame: bytes) -> bool:
        """Whether a frame needs no change: no other name for reasoning, no tag possible, no usage to complete."""
        if _FOREIGN.search(frame) or _USAGE.search(frame):
            return False
        self._settled = self._stream(0).settled
        return self._settled or not _TEXT_OR_END.search(frame)

    def _rewrite(self, event: dict[str, Any], frame: bytes) -> bytes:
        choices = event.get("choices")
        if not isinstance(choices, list):
            return frame
        self._envelope = event
        kept = [changed for choice in choices if (changed := self._rewrite_choice(choice)) is not None]
        usage = event.get("usage")
        if choices and not kept and not usage:
            return b""
        changes: dict[str, Any] = {"choices": kept}
        if isinstance(usage, dict):
            changes["usage"] = with_reasoning_tokens(usage, self.reasoning_tokens)
        return _frame(event | changes)

    def _rewrite_choice(self, choice: Any) -> Any:
        """Give a choice as the client is to see it; None if nothing of it is left to see."""
        if not isinstance(choice, dict) or not isinstance(choice.get("delta"), dict):
            return choice
        index = choice.get("index")
        stream = self._stream(index if isinstance(index, int) else 0)
        delta = stream.feed(choice["delta"])
        finish = choice.get("finish_reason")
        if finish is not None:
            delta = _joined(delta, stream.flush(truncated=finish == "length"))
        elif choice["delta"] and not delta and not choice.get("logprobs"):
            return None
        return {**choice, "delta": delta}


def _joined(delta: dict[str, Any], rest: dict[str, Any]) -> dict[str, Any]:
    """Append what was held back to a delta."""
    texts = {name: (delta.get(name) or "") + value if isinstance(value, str) else value for name, value in rest.items()}
    return delta | texts


def _frame(event: dict[str, Any]) -> bytes:
    return b"data: " + _encode(event) + b"\n\n"
