"""From the events of a streamed chat completion to the plain answer that the same request would have had."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import msgspec

DONE = b"[DONE]"
_OWN_FIELDS = frozenset({"index", "delta", "logprobs"})
_OWN_DELTAS = frozenset({"tool_calls", "function_call"})


class IncompleteStream(ValueError):
    """The events are not one whole chat completion: damaged, cut off, or an error among them."""


class _Function(msgspec.Struct):
    arguments: str | None = None


class _ToolCall(msgspec.Struct):
    index: int | None = None
    function: _Function | None = None


class _Delta(msgspec.Struct):
    tool_calls: list[_ToolCall] | None = None
    function_call: _Function | None = None


class _Piece(msgspec.Struct):
    """One entry of `choices`, as far as its shape is relied upon. A text completion has no `delta`."""

    delta: _Delta | None
    index: int = 0
    finish_reason: str | None = None
    logprobs: dict[str, list[Any] | None] | None = None


class _Chunk(msgspec.Struct):
    choices: list[_Piece] | None = None
    error: None = None


_check_chunk = msgspec.json.Decoder(_Chunk).decode
_read_chunk = msgspec.json.Decoder(dict[str, Any]).decode


def assemble(events: Iterable[bytes]) -> bytes:
    """Build a `chat.completion` from the data of its chunks, in order; `[DONE]` may be among them.

    Texts are concatenated (content, reasoning under any name, refusal, a tool call's arguments), lists are chained
    (log probabilities, reasoning details, annotations), tool calls are merged by index, and of anything else the
    last value counts.

    Raises:
        IncompleteStream: there is no choice, one has no finish reason, or an event is not a chunk.
    """
    answer: dict[str, Any] = {}
    choices: defaultdict[int, _Choice] = defaultdict(_Choice)
    for event in events:
        if event == DONE:
            continue
        chunk = _read(event)
        for piece in chunk.pop("choices", None) or ():
            choices[piece.get("index", 0)].add(piece)
        answer.update(_present(chunk))
    if not choices or any(choice.fields.get("finish_reason") is None for choice in choices.values()):
        raise IncompleteStream("no choice, or one without a finish reason")
    answer["object"] = "chat.completion"
    answer["choices"] = [{"index": index, **choices[index].whole()} for index in sorted(choices)]
    return msgspec.json.encode(answer)


@dataclass(slots=True)
class _Choice:
    """One choice as it grows: for each field of its message, and of each tool call, the values that came."""

    message: defaultdict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    calls: dict[int, _Call] = field(default_factory=dict)
    function_call: _Call | None = None
    logprobs: defaultdict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    fields: dict[str, Any] = field(default_factory=dict)

    def add(self, piece: Mapping[str, Any]) -> None:
        delta = piece["delta"] or {}
        for name, value in delta.items():
            if value is not None and name not in _OWN_DELTAS:
                self.message[name].append(value)
        for call in delta.get("tool_calls") or ():
            self._call_at(call).add(call)
        if delta.get("function_call"):
            self.function_call = self.function_call or _Call()
            self.function_call.add({"function": delta["function_call"]})
        for name, values in (piece.get("logprobs") or {}).items():
            self.logprobs[name].extend(values or ())
        self.fields.update({name: value for name, value in _present(piece).items() if name not in _OWN_FIELDS})

    def whole(self) -> dict[str, Any]:
        message: dict[str, Any] = {"content": None, **{name: _join(values) for name, values in self.message.items()}}
        message["role"] = self.message["role"][-1] if self.message["role"] else "assistant"
        if self.calls:
            message["tool_calls"] = [self.calls[index].whole() for index in sorted(self.calls)]
            message["content"] = message["content"] or None  # the opening chunk of many servers says ""
        if self.function_call is not None:
            message["function_call"] = self.function_call.whole()["function"]
        return {"message": message, "logprobs": dict(self.logprobs) or None, **self.fields}

    def _call_at(self, call: Mapping[str, Any]) -> _Call:
        """Find a tool call by index; without one a piece continues the last call, unless it brings another's id."""
        index = call.get("index")
        if index is None:
            index = max(self.calls, default=0)
            if index in self.calls and call.get("id") not in {None, self.calls[index].fields.get("id")}:
                index += 1
        return self.calls.setdefault(index, _Call())


@dataclass(slots=True)
class _Call:
    """One tool call as it grows. Its name usually comes whole, and from some servers again with every piece."""

    fields: dict[str, Any] = field(default_factory=dict)
    function: dict[str, Any] = field(default_factory=dict)
    arguments: list[str] = field(default_factory=list)

    def add(self, piece: Mapping[str, Any]) -> None:
        function = _present(piece.get("function") or {})
        self.arguments.append(function.pop("arguments", ""))
        self.function.update(function)
        self.fields.update(_present(piece))

    def whole(self) -> dict[str, Any]:
        function = {**self.function, "arguments": "".join(self.arguments)}
        return {**{name: value for name, value in self.fields.items() if name != "index"}, "function": function}


def _read(event: bytes) -> dict[str, Any]:
    try:
        _check_chunk(event)
        return _read_chunk(event)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise IncompleteStream("an event is not a chunk of a chat completion") from None


def _present(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _join(values: list[Any]) -> Any:
    """Concatenate texts, chain lists, and of anything else take the last."""
    if all(isinstance(value, str) for value in values):
        return "".join(values)
    if all(isinstance(value, list) for value in values):
        return list(chain.from_iterable(values))
    return values[-1]
