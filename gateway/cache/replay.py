"""A kept answer given again: as a stream made from its plain form, or as the very events it was recorded in.

Both hold what a backend sends that was asked for usage. A replay passes through the relay that live streams pass
through, so that a client sees of usage what it asked for, and cannot tell the two apart.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any, Literal

import msgspec

from gateway.cache.answer import Answer, Frame
from gateway.cache.assemble import IncompleteStream, assemble
from gateway.streaming import DONE, Relay, Rewrite, event_data, split_frames

Pace = Literal["full", "recorded"]
JSON_TYPE = "application/json"

_DONE_DATA = b"[DONE]"
_FUNCTION_FIELDS = ("tool_calls", "function_call")
_OWN_CHUNKS = frozenset({"role", "content", "refusal", *_FUNCTION_FIELDS})


class Recorder:
    """Keeps a backend's stream as it arrives, up to a size, and makes an answer of it at the end."""

    def __init__(self, max_bytes: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._max_bytes = max_bytes
        self._clock = clock
        self._chunks: list[tuple[float, bytes]] = []
        self._size = 0

    def feed(self, chunk: bytes) -> None:
        """Take what arrived, cut anywhere. Beyond the size everything is dropped, what came before included."""
        self._size += len(chunk)
        if self._size <= self._max_bytes:
            self._chunks.append((self._clock(), chunk))
        else:
            self._chunks.clear()

    def answer(self) -> Answer | None:
        """Give the answer, with its events and its plain form.

        None if the stream was too large, is not a chat completion, or did not end with `[DONE]`: without it a stream
        that was cut off between two choices looks whole.
        """
        if self._size > self._max_bytes:
            return None
        frames = self._frames()
        events = [event_data(frame.data) or b"" for frame in frames]
        if not events or events[-1] != _DONE_DATA:
            return None
        try:
            body = assemble(events)
        except IncompleteStream:
            return None
        return Answer(200, JSON_TYPE, body, frames)

    def _frames(self) -> tuple[Frame, ...]:
        """Cut the stream into events, each with the time at which it was complete. Comments are left out."""
        timed: list[tuple[float, bytes]] = []
        rest = b""
        for at, chunk in self._chunks:
            complete, rest = split_frames(rest + chunk)
            timed += [(at, frame) for frame in complete if event_data(frame) is not None]
        start = timed[0][0] if timed else 0.0
        return tuple(Frame(round((at - start) * 1000), data) for at, data in timed)


def replay(answer: Answer, *, usage_asked: bool, rewrite: Rewrite | None = None) -> list[Frame]:
    """Give an answer's events: those it was recorded in, else events made from its plain form.

    Args:
        answer: of a chat completion.
        usage_asked: whether the request has `stream_options.include_usage`.
        rewrite: what a live stream's frames would go through.
    """
    relay = Relay("cache", usage_asked=usage_asked, rewrite=rewrite)
    frames = answer.frames or expand(answer.body)
    passed = ((frame.at_ms, relay.feed(frame.data)) for frame in frames)
    return [Frame(at_ms, data) for at_ms, data in passed if data]


async def paced(frames: Sequence[Frame], pace: Pace) -> AsyncGenerator[bytes, None]:
    """Yield events at full speed or when they are due, counted from the first one."""
    start = time.monotonic()
    for frame in frames:
        wait_s = start + frame.at_ms / 1000 - time.monotonic()
        if pace == "recorded" and wait_s > 0:
            await asyncio.sleep(wait_s)
        yield frame.data


def expand(body: bytes) -> tuple[Frame, ...]:
    """Make the events of a stream from a plain chat completion, as OpenAI sends them when asked for usage.

    For each choice: the role; reasoning and other fields; content; refusal; each tool call, opened and then filled;
    the finish reason. Then usage, and `[DONE]`. A text is one event: a kept answer has no tokens any more.
    """
    completion: dict[str, Any] = msgspec.json.decode(body)
    usage, choices = completion.pop("usage", None), completion.pop("choices")
    completion["object"] = "chat.completion.chunk"
    chunks = [{**completion, "choices": [piece], "usage": None} for choice in choices for piece in _pieces(choice)]
    if usage is not None:
        chunks.append({**completion, "choices": [], "usage": usage})
    return (*(Frame(0, b"data: " + msgspec.json.encode(chunk) + b"\n\n") for chunk in chunks), Frame(0, DONE))


def _pieces(choice: dict[str, Any]) -> list[dict[str, Any]]:
    """Cut one choice into the `choices` entries of its chunks."""
    message, logprobs = choice.get("message") or {}, choice.get("logprobs")
    deltas: list[dict[str, Any]] = [{"role": message.get("role", "assistant"), "content": ""}]
    deltas += [{name: value} for name, value in message.items() if name not in _OWN_CHUNKS and value is not None]
    texts = [{name: message[name]} for name in ("content", "refusal") if message.get(name)]
    calls = [delta for index, call in enumerate(message.get("tool_calls") or ()) for delta in _call(index, call)]
    if message.get("function_call"):
        calls.append({"function_call": message["function_call"]})
    pieces = [_piece(choice, delta) for delta in deltas + texts + calls]
    if logprobs is not None:
        # Log probabilities belong to text; an answer without any still shows what it has.
        bearer = pieces[len(deltas)] if texts else pieces[-1]
        bearer["logprobs"] = logprobs
    rest = {name: value for name, value in choice.items() if name not in {"message", "index", "logprobs"}}
    return [*pieces, {**_piece(choice, {}), **rest}]


def _piece(choice: dict[str, Any], delta: dict[str, Any]) -> dict[str, Any]:
    return {"index": choice.get("index", 0), "delta": delta, "logprobs": None, "finish_reason": None}


def _call(index: int, call: dict[str, Any]) -> list[dict[str, Any]]:
    """Open a tool call with everything but its arguments, then give these."""
    function = call.get("function") or {}
    opening = {"index": index, **call, "function": {**function, "arguments": ""}}
    filling = {"index": index, "function": {"arguments": function.get("arguments", "")}}
    return [{"tool_calls": [opening]}, {"tool_calls": [filling]}]
