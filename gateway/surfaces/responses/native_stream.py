"""A response in a backend's own words, told as the caller's: with the gateway's ids, and as much reasoning as it sees.

No I/O: bytes go in, however they are cut, and events come out. Deltas, which are nearly all of a stream, are not
parsed: an id and perhaps a number are exchanged in their bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from gateway.errors import ThalamusError, UpstreamFailed
from gateway.native.answer import counted
from gateway.native.relay import ANNOUNCING, ENDING, event_kind
from gateway.streaming import event_data, split_frames
from gateway.surfaces.responses.answering import Asked, Told, describe_response, failed
from gateway.surfaces.responses.items import Dictionary, text_part
from gateway.surfaces.responses.keeping import Hidden
from gateway.surfaces.responses.opening import Events
from gateway.surfaces.responses.sealing import Sealed
from gateway.vault import Origin

_ITEM_ID = re.compile(rb'"item_id":\s*"([^"\\]*)"')
_NUMBER = re.compile(rb'"sequence_number":\s*(\d+)')
_INDEX = re.compile(rb'"output_index":\s*(\d+)')
_REASONING = "response.reasoning"
"""How the types of events begin that tell reasoning; parts of it have the types of any part."""

_DELTAS = {
    "response.output_text.delta": "text",
    "response.refusal.delta": "refusal",
    "response.function_call_arguments.delta": "arguments",
    "response.reasoning_text.delta": "thought",
    "response.reasoning_summary_text.delta": "summary",
}
_read = msgspec.json.Decoder(dict[str, Any]).decode


class NativeStream:
    """One answer on its way from a backend's response to the caller's.

    Attributes:
        response: the response object as far as it has come; final once the backend's has ended, or after `fail`.
        hidden: what the caller does not see of it, by the ids of output items.
    """

    def __init__(self, asked: Asked, origin: Origin, events: Events | None = None) -> None:
        """Prepare for one answer.

        Args:
            asked: what was asked.
            origin: who answers.
            events: have announced the response already, perhaps.
        """
        self.response: Dictionary = describe_response(asked, "in_progress")
        self.hidden: dict[str, Hidden] = {}
        self._asked = asked
        self._origin = origin
        self._events = events or Events()
        self._rest = b""
        self._begun = False
        self._ids: dict[bytes, str] = {}
        self._thinking: set[bytes] = set()
        self._items: dict[int, Dictionary] = {}
        self._deltas: dict[int, list[bytes]] = {}

    def feed(self, data: bytes) -> bytes:
        """Take a piece of the backend's stream and give the events that it makes.

        Raises:
            UpstreamFailed: an event is none of this API.
        """
        frames, self._rest = split_frames(self._rest + data)
        for frame in frames:
            self._take(frame.replace(b"\r\n", b"\n"))
        return self._events.take()

    def finish(self) -> bytes:
        """Say that the stream has ended; the last event is `last`'s to give."""
        return self._events.take()

    def fail(self, error: ThalamusError) -> None:
        """Say that the stream has broken off, or never began. What was said so far stays, marked as incomplete."""
        self.response = failed(self._broken_off(), error)

    def cancel(self) -> None:
        """Say that the caller wants no more of it."""
        self.response = {**self._broken_off(), "status": "cancelled"}

    def last(self, response: Dictionary) -> bytes:
        """Give the event that ends the stream: completed, incomplete or failed, as the response's status says."""
        self._events.write(f"response.{response['status']}", {"response": response})
        return self._events.take()

    @property
    def told(self) -> Told:
        """What was told so far, and what was not."""
        return Told(self.response, self.hidden, self._origin)

    def take_response(self, response: Dictionary) -> None:
        """Take the whole response of the backend; its items become the caller's."""
        items = response.get("output") or ()
        output = [self._own(item, index) for index, item in enumerate(items) if isinstance(item, dict)]
        self.response = {**self._own_response(response), "output": output}

    def _take(self, frame: bytes) -> None:
        kind = event_kind(frame)
        if kind is None:
            self._events.comment(frame)
        elif kind in _DELTAS:
            self._take_delta(kind, frame)
        elif kind in ANNOUNCING:
            self._begin(self._decode(frame).get("response"))
        elif kind in ENDING:
            self._begin(None)
            self.take_response(counted(self._decode(frame).get("response") or {"output": []}).response)
        else:
            self._begin(None)
            self._take_event(kind, self._decode(frame))

    def _take_delta(self, kind: str, frame: bytes) -> None:
        """Pass a delta on with our id in it, and our number if that is another; keep it until its item is whole."""
        place = _INDEX.search(frame)
        if place is not None:
            self._deltas.setdefault(int(place[1]), []).append(frame)
        if self._asked.hides and kind.startswith(_REASONING):
            return
        self._begin(None)
        named = _ITEM_ID.search(frame)
        if named is not None and (ours := self._ids.get(named[1])) is not None:
            frame = frame[: named.start(1)] + ours.encode() + frame[named.end(1) :]
        numbered = _NUMBER.search(frame)
        if numbered is not None and int(numbered[1]) != self._events.number:
            frame = frame[: numbered.start(1)] + b"%d" % self._events.number + frame[numbered.end(1) :]
        if not frame.startswith(b"event:"):
            frame = b"event: %b\n" % kind.encode() + frame
        self._events.pass_on(frame)

    def _take_event(self, kind: str, event: Dictionary) -> None:
        fields = {name: value for name, value in event.items() if name not in ("type", "sequence_number")}
        index = event.get("output_index")
        if kind in ("response.output_item.added", "response.output_item.done") and isinstance(index, int):
            done = kind.endswith("done")
            fields["item"] = self._items[index] = self._own(event.get("item") or {}, index, done=done)
            self._deltas.pop(index, None)
        elif self._is_hidden(kind, event):
            return
        elif isinstance(named := event.get("item_id"), str):
            fields["item_id"] = self._ids.get(named.encode(), named)
        self._events.write(kind, fields)

    def _is_hidden(self, kind: str, event: Dictionary) -> bool:
        """Whether an event tells reasoning that the caller does not see."""
        if not self._asked.hides:
            return False
        return kind.startswith(_REASONING) or str(event.get("item_id")).encode() in self._thinking

    def _begin(self, response: Any) -> None:
        """Announce the response, once it is known who answers."""
        if isinstance(response, dict):
            self.response = self._own_response({**response, "status": "in_progress"})
        if self._begun:
            return
        self._begun = True
        if not self._events.announced:
            self._events.write("response.created", {"response": self.response})
        self._events.write("response.in_progress", {"response": self.response})

    def _own_response(self, response: Dictionary) -> Dictionary:
        """Give a response object under our id, and with what the caller asked where the backend was asked otherwise."""
        asked = describe_response(self._asked, "in_progress")
        ours = ("id", "created_at", "background", "instructions", "metadata", "previous_response_id", "store", "user")
        return {**asked, **response, **{name: asked[name] for name in ours}, "output": []}

    def _own(self, item: Dictionary, index: int, *, done: bool = True) -> Dictionary:
        """Give an output item under our id."""
        kind, named = str(item.get("type")), str(item.get("id"))
        identity = self._asked.item_id(kind, index)
        self._ids[named.encode()] = identity
        own = {**item, "id": identity}
        return self._own_reasoning(own, named, done=done) if kind == "reasoning" else own

    def _own_reasoning(self, item: Dictionary, named: str, *, done: bool) -> Dictionary:
        """Give a reasoning item as the caller sees it, and keep what it does not see of it."""
        asked = self._asked
        self._thinking.add(named.encode())
        encrypted = item.pop("encrypted_content", None)
        thought = "".join(str(part.get("text") or "") for part in item.get("content") or () if isinstance(part, dict))
        if not done:
            return {**item, "summary": []} if asked.hides else item
        self.hidden[item["id"]] = Hidden(thought if asked.hides else "", named, encrypted)
        if asked.hides:
            item.pop("content", None)
            item["summary"] = []
        if asked.seal is not None and encrypted:
            item["encrypted_content"] = asked.seal.label(Sealed(self._origin, named, encrypted), asked.tenant)
        elif asked.seal is not None and thought:
            item["encrypted_content"] = asked.seal.close(thought, asked.tenant)
        return item

    def _broken_off(self) -> Dictionary:
        self._begin(None)
        for index, frames in self._deltas.items():
            if index in self._items:
                item = _with_deltas(self._items[index], map(self._decode, frames))
                if item["type"] == "reasoning" and self._asked.hides:
                    item = {**item, "summary": []}
                    item.pop("content", None)
                self._items[index] = {**item, "status": "incomplete"}
        return {**self.response, "output": [self._items[index] for index in sorted(self._items)]}

    def _decode(self, frame: bytes) -> Dictionary:
        try:
            return _read(event_data(frame) or b"")
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise UpstreamFailed("The backend sent an event that is none of a response.", backend="") from None


def _with_deltas(item: Dictionary, deltas: Iterable[Dictionary]) -> Dictionary:
    """Give an item that was never finished with what was said of it."""
    said: dict[str, str] = dict.fromkeys(_DELTAS.values(), "")
    for event in deltas:
        said[_DELTAS[event["type"]]] += str(event.get("delta") or "")
    match item.get("type"):
        case "function_call":
            return {**item, "arguments": said["arguments"]}
        case "reasoning":
            content = {"content": [{"type": "reasoning_text", "text": said["thought"]}]} if said["thought"] else {}
            summary = [{"type": "summary_text", "text": said["summary"]}] if said["summary"] else []
            return {**item, "summary": summary, **content}
        case "message":
            parts = [text_part(said["text"])] if said["text"] else []
            parts += [{"type": "refusal", "refusal": said["refusal"]}] if said["refusal"] else []
            return {**item, "content": parts}
        case _:
            return item
