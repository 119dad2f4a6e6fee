"""What is read of a chat completion, whole or in chunks, to write a message from it."""

from __future__ import annotations

import msgspec

from gateway.wire.usage import UsageFields


class ContentPart(msgspec.Struct):
    """One part of an answer that came as a list."""

    text: str | None = None


class Thought(msgspec.Struct):
    """A thinking block in Claude's own form, as litellm hands it on."""

    thinking: str | None = None
    signature: str | None = None
    data: str | None = None


class Function(msgspec.Struct):
    """A called function, or a piece of one."""

    name: str | None = None
    arguments: str | None = None


class Call(msgspec.Struct):
    """A tool call, or a piece of one."""

    index: int | None = None
    id: str | None = None
    function: Function | None = None


class Said(msgspec.Struct):
    """A message, or a delta of one."""

    content: str | list[ContentPart] | None = None
    reasoning_content: str | None = None
    refusal: str | None = None
    thinking_blocks: list[Thought] | None = None
    tool_calls: list[Call] | None = None

    @property
    def text(self) -> str:
        """The visible text, a refusal included."""
        content = self.content or ""
        if not isinstance(content, str):
            content = "".join(part.text or "" for part in content)
        return content + (self.refusal or "")


class Choice(msgspec.Struct):
    """One answer. vLLM names the stop sequence that it met in `stop_reason`, SGLang in `matched_stop`."""

    message: Said | None = None
    delta: Said | None = None
    finish_reason: str | None = None
    stop_reason: str | int | None = None
    matched_stop: str | int | list[int] | None = None


class Completion(msgspec.Struct):
    """A whole answer, or one chunk of it."""

    model: str | None = None
    choices: list[Choice] = []
    usage: UsageFields | None = None


decode_completion = msgspec.json.Decoder(Completion).decode
"""Read a completion; raises msgspec.DecodeError for what is none."""
