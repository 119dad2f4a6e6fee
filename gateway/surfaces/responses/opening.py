"""Output items that are still being streamed: each announces itself, passes deltas on, and sums up when it ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from gateway.surfaces.responses.answering import NO_ARGUMENTS, Asked
from gateway.surfaces.responses.items import (
    Dictionary,
    Status,
    call_item,
    message_item,
    refusal_part,
    text_part,
)

_encode = msgspec.json.Encoder().encode


class Events:
    """Writes server-sent events and numbers them.

    Attributes:
        announced: whether the response was announced already, as one that waits for its turn.
        number: of the next event.
    """

    def __init__(self) -> None:
        self.announced = False
        self.number = 0
        self._written: list[bytes] = []

    def write(self, kind: str, fields: Mapping[str, Any]) -> None:
        """Write one event."""
        data = _encode({"type": kind, "sequence_number": self.number, **fields})
        self._written.append(b"event: %b\ndata: %b\n\n" % (kind.encode(), data))
        self.number += 1

    def announce(self, queued: Dictionary) -> None:
        """Announce a response that waits for its turn."""
        self.announced = True
        self.write("response.created", {"response": queued})
        self.write("response.queued", {"response": queued})

    def pass_on(self, frame: bytes) -> None:
        """Pass on an event that is written already, its number included."""
        self._written.append(frame)
        self.number += 1

    def comment(self, frame: bytes) -> None:
        """Pass on a frame without data, which keeps the connection alive."""
        self._written.append(frame)

    def take(self) -> bytes:
        """Give what was written since the last time."""
        written, self._written = b"".join(self._written), []
        return written


class OpenItem:
    """What all open items have in common."""

    kind: str

    def __init__(self, asked: Asked, events: Events, index: int) -> None:
        self.index = index
        self._asked = asked
        self.id = asked.item_id(self.kind, index)
        self._events = events
        self._place = {"item_id": self.id, "output_index": index}

    def item(self, status: Status) -> Dictionary:
        """Give the item as it stands."""
        raise NotImplementedError

    def end(self, status: Status) -> Dictionary:
        """Say that nothing will be added, and give the item."""
        self._sum_up()
        item = self.item(status)
        self._write("output_item.done", {"output_index": self.index, "item": item})
        return item

    def _announce(self) -> None:
        self._write("output_item.added", {"output_index": self.index, "item": self.item("in_progress")})

    def _sum_up(self) -> None:
        """Write the events that come before the item's own end."""
        raise NotImplementedError

    def _write(self, kind: str, fields: Mapping[str, Any]) -> None:
        self._events.write(f"response.{kind}", fields)


class OpenMessage(OpenItem):
    """What the model says: text, a refusal, or one after the other."""

    kind = "message"

    def __init__(self, asked: Asked, events: Events, index: int) -> None:
        super().__init__(asked, events, index)
        self._ended: list[Dictionary] = []
        self._texts: list[str] = []
        self._refusals: list[str] = []
        self._logprobs: list[Any] = []
        self._announce()

    def item(self, status: Status) -> Dictionary:
        """Give the message as it stands."""
        part = self._part()
        return message_item(self.id, [*self._ended, part] if part else self._ended, status)

    def add_text(self, text: str, logprobs: Sequence[Any]) -> None:
        """Add to the text."""
        if self._refusals:
            self._end_part()
        if not self._texts:
            self._write("content_part.added", {**self._at(), "part": text_part("")})
        self._texts.append(text)
        self._logprobs.extend(logprobs)
        self._write("output_text.delta", {**self._at(), "delta": text, "logprobs": logprobs})

    def add_refusal(self, text: str) -> None:
        """Add to the refusal."""
        if self._texts:
            self._end_part()
        if not self._refusals:
            self._write("content_part.added", {**self._at(), "part": refusal_part("")})
        self._refusals.append(text)
        self._write("refusal.delta", {**self._at(), "delta": text})

    def _at(self) -> Dictionary:
        return {**self._place, "content_index": len(self._ended)}

    def _part(self) -> Dictionary | None:
        if self._texts:
            return text_part("".join(self._texts), self._logprobs)
        return refusal_part("".join(self._refusals)) if self._refusals else None

    def _sum_up(self) -> None:
        if self._part():
            self._end_part()

    def _end_part(self) -> None:
        part = self._part() or {}
        at = self._at()
        if self._texts:
            self._write("output_text.done", {**at, "text": part["text"], "logprobs": part["logprobs"]})
        else:
            self._write("refusal.done", {**at, "refusal": part["refusal"]})
        self._write("content_part.done", {**at, "part": part})
        self._ended.append(part)
        self._texts, self._refusals, self._logprobs = [], [], []


class OpenReasoning(OpenItem):
    """What the model thinks, as content or, where that was asked for, in the place of a summary; or nothing of it."""

    kind = "reasoning"

    def __init__(self, asked: Asked, events: Events, index: int) -> None:
        super().__init__(asked, events, index)
        self._texts: list[str] = []
        if asked.summarised:
            self._place["summary_index"] = 0
            self._part_event, self._text_event, self._type = (
                "reasoning_summary_part",
                "reasoning_summary_text",
                "summary_text",
            )
        else:
            self._place["content_index"] = 0
            self._part_event, self._text_event, self._type = "content_part", "reasoning_text", "reasoning_text"
        self._announce()
        self._tell("part", "added", {"part": {"type": self._type, "text": ""}})

    @property
    def text(self) -> str:
        """All that was thought so far, whether it is shown or not."""
        return "".join(self._texts)

    def item(self, status: Status) -> Dictionary:
        """Give the reasoning as it stands."""
        return self._asked.reasoning(self.index, self.text, status)

    def add(self, text: str) -> None:
        """Add a thought."""
        self._texts.append(text)
        self._tell("text", "delta", {"delta": text})

    def _sum_up(self) -> None:
        self._tell("text", "done", {"text": self.text})
        self._tell("part", "done", {"part": {"type": self._type, "text": self.text}})

    def _tell(self, of: Literal["part", "text"], what: str, fields: Dictionary) -> None:
        """Write an event of the text or of its part, if the caller sees them."""
        if not self._asked.hides:
            event = self._part_event if of == "part" else self._text_event
            self._write(f"{event}.{what}", {**self._place, **fields})


class OpenCall(OpenItem):
    """A function that the model calls."""

    kind = "function_call"

    def __init__(self, asked: Asked, events: Events, index: int, call_id: str | None, name: str) -> None:
        super().__init__(asked, events, index)
        self.call_id = call_id or self.id
        self._name = name
        self._arguments: list[str] = []
        self._announce()

    @property
    def is_whole(self) -> bool:
        """Whether the arguments are complete, so that nothing can follow."""
        try:
            msgspec.json.decode("".join(self._arguments))
        except (msgspec.DecodeError, RecursionError):
            return False
        return True

    def item(self, status: Status) -> Dictionary:
        """Give the call as it stands."""
        return call_item(self.id, self.call_id, self._name, "".join(self._arguments), status)

    def add(self, arguments: str) -> None:
        """Add to the arguments."""
        self._arguments.append(arguments)
        self._write("function_call_arguments.delta", {**self._place, "delta": arguments})

    def _sum_up(self) -> None:
        if not self._arguments:
            self.add(NO_ARGUMENTS)
        arguments = "".join(self._arguments)
        self._write("function_call_arguments.done", {**self._place, "name": self._name, "arguments": arguments})
