"""What all strict stand-ins share: a scripted tool loop, true memory of what was thought, and refusals."""

from __future__ import annotations

import itertools
import json
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Body = Mapping[str, Any]
Message = dict[str, Any]

CITIES = ("Paris", "罗马")
"""Asked for one after the other: a loop makes as many calls, then answers."""


class Refused(Exception):
    """A 400, with the provider's reason."""


@dataclass(frozen=True, slots=True)
class Mind:
    """How a provider understands one request.

    Attributes:
        effort: what it works at; "none": without thinking.
        budget: tokens that it may think, if that was said.
        shown: whether it was asked to show what it thinks.
    """

    effort: str
    budget: int | None = None
    shown: bool = True

    @property
    def thinks(self) -> bool:
        """Whether it thinks at all."""
        return self.effort != "none"


class Provider:
    """A provider serving one family. Subclasses say what it understands, what it refuses and how it answers."""

    text_field: str | None = "reasoning_content"
    """Where it puts its reasoning; None: it gives no text."""
    tag: str | None = None
    """Set where reasoning comes inside the content; `opener` says whether the opening tag is there."""
    opener = True
    forgiving = False
    """Whether fields that the provider documents as ignored are. Strict is what a gateway must stand, that says what
    it sends and why; forgiving is what the provider itself does."""

    def __init__(self, family: str, host: str) -> None:
        self.family = family
        self.host = host
        self.lost = ""
        """What a forgiving provider had to do without in its latest answer, though it thinks worse without it."""
        self.minds: list[Mind] = []
        """How each request was understood, the latest last."""
        self._thoughts: dict[tuple[str, ...], Any] = {}
        self._numbers = itertools.count()

    def serve(self, body: Body) -> tuple[Message, Mind]:
        """Answer a request.

        Raises:
            Refused: the provider would.
        """
        self.lost = ""
        mind = self.mind(body)
        self.check(body, mind)
        self.check_history(body["messages"], mind)
        self.minds.append(mind)
        message = self.say(body, mind)
        return message, mind

    def mind(self, body: Body) -> Mind:
        """Understand the switches of a request, or refuse them."""
        raise NotImplementedError

    def check(self, body: Body, mind: Mind) -> None:
        """Refuse parameters that do not go with thinking."""

    def check_history(self, messages: Sequence[Message], mind: Mind) -> None:
        """Refuse a history that lacks what must be there, or holds what must not."""

    def carry(self, thought: str, message: Message) -> Any:
        """Put a thought into an answer; give what must come back unchanged."""
        if self.tag is not None:
            opener = f"<{self.tag}>" if self.opener else ""
            message["content"] = f"{opener}{thought}</{self.tag}>\n\n{message['content'] or ''}"
        elif self.text_field is not None:
            message[self.text_field] = thought
        return thought

    def call_id(self, number: int) -> str:
        """Give a tool call's id; `number` counts the calls of the conversation."""
        return f"call_{number:02}_{uuid.uuid4().hex[:22]}"

    def say(self, body: Body, mind: Mind) -> Message:
        """Write the next message of the script."""
        messages = body["messages"]
        answered = sum(message["role"] == "tool" for message in _since_user(messages))
        first_turn = sum(message["role"] == "user" for message in messages) == 1
        message: Message = {"role": "assistant", "content": None}
        if body.get("tools") and first_turn and answered < len(CITIES):
            arguments = json.dumps({"city": CITIES[answered]}, ensure_ascii=False)
            call = {"name": _tool(body["tools"]), "arguments": arguments}
            message["tool_calls"] = [{"id": self.call_id(answered), "type": "function", "function": call}]
        else:
            message["content"] = f"It is mild. 天气温和。({uuid.uuid4().hex[:8]})"
        name = self._name(messages, message)
        if mind.thinks:
            self._thoughts[name] = self.carry(self._think(mind), message)
        return message

    def thought_of(self, messages: Sequence[Message], position: int) -> Any:
        """Give what was thought for a message of the history; None if it was not this model that thought."""
        return self._thoughts.get(self._name(messages[:position], messages[position]))

    def demand(self, messages: Sequence[Message], position: int, held: Any, *, always: bool) -> None:
        """Refuse a message without its own reasoning, unmodified.

        Args:
            messages: the history.
            position: the message's.
            held: what it carries.
            always: whether some reasoning is demanded even of a message for which this model did not think.
        """
        thought = self.thought_of(messages, position)
        if (thought is not None or always) and not held:
            inline = isinstance(thought, str) and thought in str(messages[position].get("content"))
            self._object(
                f"messages[{position}]: reasoning is missing and must be passed back", refuses=always, to=not inline
            )
        elif thought is not None and held != thought:
            # Nobody can check a text, and everybody a signature.
            self._object(f"messages[{position}]: reasoning was modified", refuses=not isinstance(held, str))

    def _object(self, why: str, *, refuses: bool, to: bool = True) -> None:
        """Refuse, or where the provider would go on with a worse answer and is forgiving, note what it lost."""
        if refuses or not self.forgiving:
            raise Refused(why)
        if to:
            self.lost = why

    def waste(self, body: Body, fields: Collection[str], why: str) -> None:
        """Refuse fields without effect, unless forgiving."""
        if not self.forgiving:
            refuse(body, fields, why)

    def waste_reasoning(self, messages: Sequence[Message]) -> None:
        """Refuse reasoning that nobody would read, unless forgiving."""
        if not self.forgiving:
            self.refuse_reasoning(messages)

    def refuse_reasoning(self, messages: Sequence[Message]) -> None:
        """Refuse any reasoning in the history."""
        names = ("reasoning", "reasoning_content", "reasoning_details", "thinking_blocks", "extra_content")
        for position, message in enumerate(messages):
            carrying = [message, *(message.get("tool_calls") or ())]
            if any(name in carrier for carrier in carrying for name in names) or "<think" in str(
                message.get("content")
            ):
                raise Refused(f"messages[{position}]: no reasoning may be sent back")

    def _think(self, mind: Mind) -> str:
        return f"Effort {mind.effort}, thought {next(self._numbers)} of {self.family}: 想一想 {uuid.uuid4().hex}"

    def _name(self, before: Sequence[Message], message: Message) -> tuple[str, ...]:
        calls = message.get("tool_calls") or ()
        said = tuple(str(earlier.get("content")) for earlier in before if earlier["role"] == "user")
        return (*said, *(_arguments(call) for call in calls), "" if calls else str(message.get("content")).strip())


def choose(value: Any, allowed: Collection[str], field: str) -> str:
    """Give a value that is one of those allowed, or refuse it."""
    if value not in allowed:
        raise Refused(f"{field}: {value!r} is not one of {', '.join(sorted(allowed))}")
    return str(value)


def switch_of(body: Body, allowed: Collection[str]) -> str | None:
    """Give the type in ``thinking``, if the field was sent."""
    thinking = body.get("thinking")
    if thinking is None:
        return None
    if set(thinking) - {"type"}:
        raise Refused("thinking: unknown keys")
    return choose(thinking.get("type"), allowed, "thinking.type")


def refuse(body: Body, fields: Collection[str], why: str) -> None:
    """Refuse any of some fields."""
    for field in fields:
        if field in body:
            raise Refused(f"{field}: {why}")


def refuse_forced_tool(body: Body, allowed: Collection[str] = ("auto", "none")) -> None:
    """Refuse a tool_choice that forces a call."""
    if body.get("tool_choice", "auto") not in allowed:
        raise Refused("tool_choice: cannot be forced while thinking")


def in_loop(messages: Sequence[Message]) -> Iterator[int]:
    """Yield the positions of assistants' calls after which no user spoke."""
    start = len(messages) - len(_since_user(messages))
    return calling(messages, start)


def calling(messages: Sequence[Message], start: int = 0) -> Iterator[int]:
    """Yield the positions of assistants' messages that call tools."""
    for position, message in enumerate(messages):
        if position >= start and message["role"] == "assistant" and message.get("tool_calls"):
            yield position


def _since_user(messages: Sequence[Message]) -> Sequence[Message]:
    last = max(position for position, message in enumerate(messages) if message["role"] == "user")
    return messages[last + 1 :]


def _tool(tools: Sequence[Mapping[str, Any]]) -> str:
    """Name the tool that tells the weather; clients put a prefix of their own before it."""
    names = [tool["function"]["name"] for tool in tools]
    return next(name for name in names if name.endswith("get_weather"))


def _arguments(call: Mapping[str, Any]) -> str:
    """Write what a call asks: ids do not survive every API."""
    return json.dumps(json.loads(call["function"]["arguments"]), sort_keys=True)
