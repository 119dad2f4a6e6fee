"""A streamed chat completion, written as the events of a message.

`MessageStream` does no I/O: bytes go in, cut anywhere, and bytes come out. Anthropic's blocks come one after the
other, while chat's tool calls may be told side by side: the first call is passed on as it comes, and what belongs to
other blocks from then on waits until the answer has ended.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from gateway.reasoning import Meter
from gateway.streaming import event_data, split_frames
from gateway.surfaces.messages.answer import call_id, read_completion
from gateway.surfaces.messages.completion import Call, Choice, Completion, Said, Thought
from gateway.surfaces.messages.ending import Telling, Thoughts, write_counts, write_ending, write_usage
from gateway.surfaces.messages.thoughts import Signer
from gateway.wire.usage import UsageFields

_DONE = b"[DONE]"
_DELTAS: Mapping[str, tuple[str, str]] = {
    "text": ("text_delta", "text"),
    "thinking": ("thinking_delta", "thinking"),
    "tool_use": ("input_json_delta", "partial_json"),
}
_encode = msgspec.json.encode


@dataclass(slots=True)
class _Block:
    """One block: what its first event shows, and what was said for it while it waits."""

    key: str
    start: dict[str, Any]
    pieces: list[str] = field(default_factory=list)
    signer: Signer | None = None
    """Of thinking that nobody else has signed yet."""


class MessageStream:
    """Writes one answer's events.

    Args:
        telling: how the answer is told.
    """

    def __init__(self, telling: Telling) -> None:
        self._telling = telling
        self._rest = b""
        self._begun = False
        self._ended = False
        self._index = -1
        self._open: _Block | None = None
        self._waiting: dict[str, _Block] = {}
        self._calls: dict[int, str] = {}
        self._names = 0
        self._ending = Choice()
        self._refused = False
        self._usage: UsageFields | None = None
        self._meter = Meter()
        self._thought = Meter()

    def feed(self, chunk: bytes) -> bytes:
        """Take what arrived and give what can be told: whole events.

        Raises:
            UpstreamFailed: an event is no chunk of a chat completion.
        """
        frames, self._rest = split_frames(self._rest + chunk)
        return b"".join([self._translate(frame) for frame in frames])

    def _translate(self, frame: bytes) -> bytes:
        if self._ended:
            return b""
        data = event_data(frame)
        if frame.startswith(b": x-thalamus-"):  # the gateway's own word
            return frame
        if data is None:  # a comment: the backend is alive
            return self._begin(None) + _event("ping", {})
        if data == _DONE:
            return self._end()
        chunk = read_completion(data, self._telling)
        told = self._begin(chunk.model)
        return told + self._tell(chunk)

    def _begin(self, model: str | None) -> bytes:
        """Open the message, once."""
        if self._begun:
            return b""
        self._begun = True
        message: dict[str, Any] = {
            "id": self._telling.message_id,
            "type": "message",
            "role": "assistant",
            "model": model or self._telling.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": write_counts(self._telling.prompt_tokens, 0),
        }
        return _event("message_start", {"message": message}) + _event("ping", {})

    def _tell(self, chunk: Completion) -> bytes:
        if chunk.usage is not None:
            self._usage = chunk.usage
        if not chunk.choices:
            return b""
        choice = chunk.choices[0]
        if choice.finish_reason is not None:
            self._ending = choice
        return self._say(choice.delta) if choice.delta is not None else b""

    def _say(self, said: Said) -> bytes:
        """Tell one delta: reasoning, signatures, text, tool calls."""
        told = b""
        if said.reasoning_content:
            self._meter.add(said.reasoning_content)
            self._thought.add(said.reasoning_content)
        if self._telling.thoughts is not Thoughts.HIDDEN:
            if said.reasoning_content:
                told += self._think(said.reasoning_content)
            for thought in said.thinking_blocks or ():
                told += self._take_signature(thought)
        if text := said.text:
            self._meter.add(text)
            told += self._add(_Block("text", {"type": "text", "text": ""}), text)
        if said.refusal:
            self._refused = True
        for call in said.tool_calls or ():
            told += self._call(call)
        return told

    def _think(self, piece: str) -> bytes:
        start = {"type": "thinking", "thinking": "", "signature": ""}
        return self._add(_Block("thinking", start, signer=Signer()), piece)

    def _take_signature(self, thought: Thought) -> bytes:
        """Take what the model gives of its own: a signature ends its block, redacted thinking is one by itself."""
        if thought.data:
            return self._add(_Block(self._name("redacted"), {"type": "redacted_thinking", "data": thought.data}), "")
        if not thought.signature:
            return b""
        told = b"" if self._is_open("thinking") else self._think("")
        if not self._is_open("thinking"):  # it waits behind a tool call, and will be signed by the gateway
            return told
        return told + self._close(thought.signature)

    def _call(self, call: Call) -> bytes:
        function = call.function
        if function is None:
            return b""
        place = call.index or 0
        if place not in self._calls or (call.id and function.name):
            # An id and a name are a new call even where the index is not: some backends count none.
            self._calls[place] = self._name("tool_use")
        start = {"type": "tool_use", "id": call_id(call), "name": function.name or "", "input": {}}
        piece = function.arguments or ""
        self._meter.add((function.name or "") + piece)
        return self._add(_Block(self._calls[place], start), piece)

    def _name(self, kind: str) -> str:
        """Give a key that no other block has."""
        self._names += 1
        return f"{kind}:{self._names}"

    def _is_open(self, key: str) -> bool:
        return self._open is not None and self._open.key == key

    def _add(self, block: _Block, piece: str) -> bytes:
        """Add a piece to a block: to the open one, to one that waits, or to a new one."""
        if self._open is not None:
            if self._open.key == block.key:
                return self._write(self._open, piece)
            if self._open.start["type"] == "tool_use":
                self._waiting.setdefault(block.key, block).pieces.append(piece)
                return b""
        return self._close() + self._start(block) + self._write(block, piece)

    def _start(self, block: _Block) -> bytes:
        self._open = block
        self._index += 1
        return _event("content_block_start", {"index": self._index, "content_block": block.start})

    def _write(self, block: _Block, piece: str) -> bytes:
        """Tell a piece of the open block; of omitted thinking, only note it."""
        if block.signer is not None:
            block.signer.add(piece)
            if self._telling.thoughts is Thoughts.OMITTED:
                return b""
        return self._delta(*_DELTAS[block.start["type"]], piece) if piece else b""

    def _close(self, signature: str | None = None) -> bytes:
        """End the open block, if there is one; thinking with the model's signature or the gateway's."""
        block = self._open
        if block is None:
            return b""
        self._open = None
        told = b""
        if block.signer is not None:
            told = self._delta("signature_delta", "signature", signature or block.signer.signature())
        return told + _event("content_block_stop", {"index": self._index})

    def _delta(self, kind: str, name: str, piece: str) -> bytes:
        return _event("content_block_delta", {"index": self._index, "delta": {"type": kind, name: piece}})

    def _end(self) -> bytes:
        """Tell what has waited, why the answer ended and what it cost."""
        told = self._begin(None) + self._close()
        for block in self._waiting.values():
            told += self._start(block) + self._write(block, "".join(block.pieces)) + self._close()
        self._ended = True
        ending = write_ending(self._ending, self._telling, called=bool(self._calls), refused=self._refused)
        usage = write_usage(self._usage, self._telling, self._meter, self._thought)
        return told + _event("message_delta", {"delta": ending, "usage": usage}) + _event("message_stop", {})


def _event(name: str, fields: dict[str, Any]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode(), _encode({"type": name, **fields}))
