"""Names for assistants' messages: the same when the gateway sends one and when a client sends it back, stripped."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from hashlib import blake2b

import msgspec

from gateway.wire.chat import Message, ToolCall

_UNIQUE_ID = re.compile(r"(?=[A-Za-z]*\d)[A-Za-z0-9]{16,}|[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-")
"""Ids that are drawn at random name a message alone. Those that count (Kimi's `functions.search:0`) return in every
conversation, and need the conversation beside them."""

_DIGEST_BYTES = 20


def name_messages(messages: Sequence[Message], scope: str) -> Iterator[tuple[int, str]]:
    """Yield position and name of each assistant's message that says or calls anything.

    Args:
        messages: the history, from its beginning.
        scope: what the client calls its end user, "" if nothing.
    """
    naming = Naming(scope)
    for position, message in enumerate(messages):
        if message.role != "assistant":
            naming.pass_by(message)
        elif name := naming.name(text_of(message), message.tool_calls or ()):
            yield position, name


class Naming:
    """Follows a conversation and names what an assistant says in it.

    A name without unique tool-call ids depends on everything that users said before, so that the same short answer
    in another conversation is another message. System prompts do not count: many carry the time.
    """

    def __init__(self, scope: str) -> None:
        self._said = blake2b(scope.encode(errors="replace"), digest_size=_DIGEST_BYTES)
        self._answers = 0

    def pass_by(self, message: Message) -> None:
        """Take note of a message that is not the assistant's."""
        if message.role == "user":
            _frame(self._said, text_of(message))
            self._answers = 0

    def name(self, text: str, calls: Sequence[ToolCall]) -> str | None:
        """Name the assistant's next message; None if it is empty."""
        self._answers += 1
        unique = next((call.id for call in calls if call.id and _UNIQUE_ID.search(call.id)), None)
        if unique is not None:
            return blake2b(unique.encode(), digest_size=_DIGEST_BYTES, person=b"call").hexdigest()
        text = text.strip()
        if not (text or calls):
            return None
        digest = self._said.copy()
        _frame(digest, str(self._answers))
        if calls:  # some clients drop the text beside tool calls
            for call in calls:
                _frame(digest, _spelled(call))
        else:
            _frame(digest, text)
        return digest.hexdigest()


def text_of(message: Message) -> str:
    """Give the text of a message, its parts joined."""
    content = message.content
    if isinstance(content, list):
        return "\n".join(part.text for part in content if part.text is not None)
    return content or ""


def _spelled(call: ToolCall) -> str:
    """Spell a call the same way however a client wrote its arguments again."""
    if call.function is None:
        return call.id or ""
    return "\0".join((call.id or "", call.function.name, _canonical(call.function.arguments)))


def _canonical(arguments: str) -> str:
    try:
        return msgspec.json.encode(msgspec.json.decode(arguments), order="deterministic").decode()
    except (msgspec.DecodeError, RecursionError):
        return arguments.strip()


def _frame(digest: blake2b, text: str) -> None:
    """Add a text with its length, so that none can run into its neighbour."""
    data = text.encode(errors="replace")
    digest.update(b"%d:" % len(data))
    digest.update(data)
