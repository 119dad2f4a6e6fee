"""A conversation of items, written as the messages of a chat completion.

What the model thought, said and called before anybody else spoke becomes one assistant message, as backends expect it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.errors import InvalidField
from gateway.surfaces.responses.sealing import Sealed
from gateway.wire.responses import (
    FunctionCallItem,
    FunctionCallOutputItem,
    InputAudio,
    InputFile,
    InputImage,
    InputText,
    Item,
    ItemReference,
    MessageItem,
    OutputText,
    Part,
    ReasoningItem,
    Refusal,
)

Message = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Placed:
    """An item and where it stands in the request.

    Attributes:
        item: as far as it is understood.
        written: as it was sent, or is kept.
        place: its path, for errors.
        thought: the text of a reasoning item.
        sealed: a reasoning item as the backend that wrote it takes it back; None where there is no such form.
    """

    item: Item
    written: Mapping[str, Any]
    place: str
    thought: str = ""
    sealed: Sealed | None = None


@dataclass(slots=True)
class Transcript:
    """Items, written as messages.

    Attributes:
        messages: of a chat completion.
        starts: by the position of an assistant's message, the number of the first item that is in it.
    """

    messages: list[Message] = field(default_factory=list)
    starts: dict[int, int] = field(default_factory=dict)


def write_messages(instructions: str | None, items: Iterable[Placed]) -> Transcript:
    """Write items as messages, after the instructions.

    Developer messages become system messages, which every backend knows.

    Raises:
        InvalidField: an item cannot be said in a chat completion, or answers a call that nobody made.
    """
    writer = _Writer()
    if instructions is not None:
        writer.messages.append({"role": "system", "content": instructions})
    for number, placed in enumerate(items):
        writer.add(number, placed)
    writer.end_turn()
    return Transcript(writer.messages, writer.starts)


@dataclass(slots=True)
class _Writer:
    """Messages so far, and the assistant's turn that is still being put together."""

    messages: list[Message] = field(default_factory=list)
    starts: dict[int, int] = field(default_factory=dict)
    _first: int | None = None
    _thoughts: list[str] = field(default_factory=list)
    _said: list[str] = field(default_factory=list)
    _calls: list[dict[str, Any]] = field(default_factory=list)
    _called: set[str] = field(default_factory=set)

    def add(self, number: int, placed: Placed) -> None:
        """Add one item."""
        match placed.item:
            case ReasoningItem():
                if self._said or self._calls:
                    self.end_turn()
                self._begin_turn(number)
                self._thoughts.append(placed.thought)
            case FunctionCallItem(call_id=call_id, name=name, arguments=arguments):
                self._begin_turn(number)
                call = {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}
                self._calls.append(call)
                self._called.add(call_id)
            case MessageItem(role="assistant", content=content):
                if self._said and not self._calls:
                    self.end_turn()
                self._begin_turn(number)
                self._said.append(said_text(content, placed.place))
            case MessageItem(role=role, content=content):
                self.end_turn()
                role = "system" if role == "developer" else role
                self.messages.append({"role": role, "content": _heard(content, f"{placed.place}.content")})
            case FunctionCallOutputItem() as output:
                self.end_turn()
                self._add_output(output, placed.place)
            case ItemReference():
                raise TypeError("references are resolved before a conversation is written")

    def end_turn(self) -> None:
        """Write the assistant's turn, if there is one. Thoughts that led to nothing are nobody's message."""
        if self._said or self._calls:
            message: Message = {"role": "assistant", "content": "\n\n".join(self._said) if self._said else None}
            if thought := "\n\n".join(thought for thought in self._thoughts if thought):
                message["reasoning_content"] = thought
            if self._calls:
                message["tool_calls"] = self._calls
            if self._first is not None:
                self.starts[len(self.messages)] = self._first
            self.messages.append(message)
        self._thoughts, self._said, self._calls, self._first = [], [], [], None

    def _begin_turn(self, number: int) -> None:
        if self._first is None:
            self._first = number

    def _add_output(self, output: FunctionCallOutputItem, place: str) -> None:
        if output.call_id not in self._called:
            raise InvalidField(
                f"No tool call found for function call output with call_id {output.call_id}.", param=place
            )
        given = _heard(output.output, f"{place}.output")
        if not isinstance(given, str) and any(part["type"] != "text" for part in given):
            raise InvalidField("A function's output can only be text here.", param=f"{place}.output")
        self.messages.append({"role": "tool", "tool_call_id": output.call_id, "content": given})


def said_text(content: str | Sequence[Part], place: str) -> str:
    """Give an assistant's message as text: lists are not understood by every backend."""
    if isinstance(content, str):
        return content
    texts = []
    for number, part in enumerate(content):
        match part:
            case OutputText(text=text) | InputText(text=text) | Refusal(refusal=text):
                texts.append(text)
            case _:
                raise InvalidField("The assistant can only have said text.", param=f"{place}.content[{number}]")
    return "".join(texts)


def _heard(content: str | Sequence[Part], place: str) -> str | list[dict[str, Any]]:
    """Give what the model gets to read, as text where it is nothing else."""
    if isinstance(content, str):
        return content
    parts = [_part(part, f"{place}[{number}]") for number, part in enumerate(content)]
    if len(parts) == 1 and parts[0]["type"] == "text":
        return str(parts[0]["text"])
    return parts


def _part(part: Part, place: str) -> dict[str, Any]:
    match part:
        case InputText(text=text) | OutputText(text=text):
            return {"type": "text", "text": text}
        case InputImage(image_url=str(url), detail=detail):
            return {"type": "image_url", "image_url": _given(url=url, detail=detail)}
        case InputFile(file_data=str(data), filename=filename):
            return {"type": "file", "file": _given(file_data=data, filename=filename)}
        case InputAudio(input_audio=audio):
            return {"type": "input_audio", "input_audio": audio}
        case InputImage() | InputFile():
            raise InvalidField(
                "Files are not kept here: send an image as 'image_url', and a file as 'file_data'.", param=place
            )
        case Refusal():
            raise InvalidField("Only the assistant refuses.", param=place)


def _given(**fields: Any) -> Mapping[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
