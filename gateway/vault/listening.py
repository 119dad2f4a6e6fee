"""Hears what an assistant answers, plain or streamed, while it is on its way to the client."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from gateway.reasoning import ReasoningOptions
from gateway.streaming import Rewrite, event_data
from gateway.vault.identity import Naming
from gateway.vault.keepsake import TEXTS, Keepsake, Origin, take_keepsake
from gateway.wire.chat import Message, ToolCall

_SPOKEN = ("content", *TEXTS)
_MAX_TEXT = 4 * 1024 * 1024
"""Characters of one streamed answer that are held; what is longer is not kept."""


class _Choice(msgspec.Struct):
    index: int = 0
    message: dict[str, Any] | None = None
    delta: dict[str, Any] | None = None
    finish_reason: str | None = None


class _Answer(msgspec.Struct):
    choices: list[_Choice] = []


_read_answer = msgspec.json.Decoder(_Answer).decode
_read_calls = msgspec.json.Decoder(list[ToolCall]).decode


class Listener:
    """Collects one answer, and says at its end what is worth keeping, and under which names."""

    def __init__(self, origin: Origin, options: ReasoningOptions, history: Sequence[Message], scope: str) -> None:
        """Prepare for one answer.

        Args:
            origin: who answers.
            options: where its reasoning is looked for.
            history: the conversation that is answered.
            scope: what the client calls its end user, "" if nothing.
        """
        self._origin = origin
        self._options = options
        self._history = history
        self._scope = scope
        self._choices: dict[int, _Spoken] = {}
        self._room = _MAX_TEXT

    def hear_answer(self, body: bytes) -> None:
        """Take a whole answer, as the backend sent it."""
        for choice in _choices(body):
            if choice.message is not None:
                spoken = self._choices[choice.index] = _Spoken()
                spoken.message, spoken.truncated = choice.message, choice.finish_reason == "length"

    def hear_frame(self, frame: bytes) -> None:
        """Take one frame of a stream, as the backend sent it."""
        self._room -= len(frame)
        data = event_data(frame) if self._room > 0 else None
        if data is None:
            return
        for choice in _choices(data):
            spoken = self._choices.get(choice.index)
            if spoken is None:
                spoken = self._choices[choice.index] = _Spoken()
            if choice.delta:
                spoken.add(choice.delta)
            if choice.finish_reason == "length":
                spoken.truncated = True

    def around(self, rewrite: Rewrite) -> Rewrite:
        """Listen to the frames that go into a rewrite."""
        return _Overheard(self, rewrite)

    def keepsakes(self) -> Iterator[tuple[str, Keepsake]]:
        """Yield what is worth keeping, with the names under which it will be asked for."""
        if self._room <= 0:
            return
        for spoken in self._choices.values():
            seen, keepsake = take_keepsake(spoken.joined(), self._origin, self._options, truncated=spoken.truncated)
            if keepsake and (name := self._name(seen)):
                yield name, keepsake

    def _name(self, message: Mapping[str, Any]) -> str | None:
        naming = Naming(self._scope)
        for earlier in self._history:
            if earlier.role == "assistant":
                naming.name("", ())
            else:
                naming.pass_by(earlier)
        content = message.get("content")
        try:
            calls = _read_calls(msgspec.json.encode(message.get("tool_calls") or []))
        except msgspec.ValidationError:
            return None
        return naming.name(content if isinstance(content, str) else "", calls)


class _Overheard:
    """A rewrite that somebody listens to."""

    def __init__(self, listener: Listener, rewrite: Rewrite) -> None:
        self._listener = listener
        self._rewrite = rewrite

    def __call__(self, frame: bytes) -> bytes:
        self._listener.hear_frame(frame)
        return self._rewrite(frame)

    def flush(self) -> bytes:
        return self._rewrite.flush()


class _Spoken:
    """One choice of an answer, put together from what came of it."""

    def __init__(self) -> None:
        self.message: dict[str, Any] = {}
        self.truncated = False
        self._texts: dict[str, list[str]] = {}
        self._calls: dict[int, dict[str, Any]] = {}

    def add(self, delta: Mapping[str, Any]) -> None:
        """Add a delta."""
        for name, value in delta.items():
            if name in _SPOKEN and isinstance(value, str):
                self._texts.setdefault(name, []).append(value)
            elif name == "tool_calls" and isinstance(value, list):
                for call in value:
                    self._add_call(call)
            elif isinstance(value, list):
                _add_blocks(self.message.setdefault(name, []), value)
            elif value is not None:
                self.message[name] = value

    def joined(self) -> dict[str, Any]:
        """Give the message as it would have come in one piece."""
        texts = {name: "".join(pieces) for name, pieces in self._texts.items()}
        calls = [_joined_call(self._calls[index]) for index in sorted(self._calls)]
        return self.message | texts | ({"tool_calls": calls} if calls else {})

    def _add_call(self, piece: Any) -> None:
        if not isinstance(piece, dict):
            return
        index = piece.get("index")
        # Some servers leave the index out and send each call whole.
        call = self._calls.setdefault(index if isinstance(index, int) else len(self._calls), {"arguments": []})
        function = piece.get("function") or {}
        call["arguments"].append(function.get("arguments") or "")
        call["name"] = function.get("name") or call.get("name")
        call.update({name: value for name, value in piece.items() if name != "function" and value is not None})


def _joined_call(call: dict[str, Any]) -> dict[str, Any]:
    rest = {name: value for name, value in call.items() if name not in ("arguments", "name")}
    return rest | {"function": {"name": call["name"] or "", "arguments": "".join(call["arguments"])}}


def _add_blocks(blocks: list[Any], pieces: list[Any]) -> None:
    """Add pieces of blocks: what continues the last block is joined to it, down to its signature."""
    for piece in pieces:
        last = blocks[-1] if blocks else None
        if isinstance(last, dict) and isinstance(piece, dict) and _continues(last, piece):
            _join(last, piece)
        else:
            blocks.append(dict(piece) if isinstance(piece, dict) else piece)


def _continues(last: dict[str, Any], piece: dict[str, Any]) -> bool:
    """Whether a piece belongs to the block before it: the same sort and place, which no signature has closed yet."""
    same = all(last.get(name) == piece.get(name) for name in ("type", "index"))
    whole = "data" in last or "data" in piece
    return same and not whole and not last.get("signature")


def _join(last: dict[str, Any], piece: dict[str, Any]) -> None:
    for name, value in piece.items():
        if name in ("text", "thinking", "summary") and isinstance(value, str):
            last[name] = (last.get(name) or "") + value
        elif value is not None and value != "":
            last[name] = value


def _choices(data: bytes) -> list[_Choice]:
    """Read the choices of an answer or a frame; none where it has another shape, which is not for us to judge."""
    try:
        return _read_answer(data).choices
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return []
