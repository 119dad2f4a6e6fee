"""What is kept of one assistant's message: its reasoning as text, and what only the model that wrote it takes back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.reasoning import ReasoningOptions, normalise_message
from gateway.upstream.dialects import Dialect

TEXTS = ("reasoning_content", "reasoning")
"""Fields of a message that carry reasoning as plain text."""

SEALED = ("reasoning_details", "thinking_blocks", "extra_content", "encrypted_content", "reasoning_items")
"""Fields that carry signatures or encrypted reasoning, which only the model that made them takes back."""

CARRIERS = (*TEXTS, *SEALED)

CALL_SEALS = ("extra_content", "provider_specific_fields", "thought_signature")
"""Fields of a tool call that carry a signature: Gemini's, as its own endpoint and as litellm name it."""


class Origin(msgspec.Struct, frozen=True, array_like=True):
    """Who wrote a message: the model's family, or its id where the family is not known, and its host."""

    family: str
    host: str

    @classmethod
    def of(cls, dialect: Dialect, model: str) -> Origin:
        """Give the origin of what a backend answers."""
        return cls(model if dialect.family == "*" else dialect.family, dialect.host)


class Keepsake(msgspec.Struct, frozen=True, array_like=True):
    """The reasoning of one message.

    Attributes:
        origin: who wrote it.
        text: the reasoning as text, "" if it came without.
        sealed: fields of `SEALED`, as they were.
        calls: for each tool call, its fields of `CALL_SEALS`.
    """

    origin: Origin
    text: str
    sealed: dict[str, Any]
    calls: list[dict[str, Any]]

    def __bool__(self) -> bool:
        """Whether there is anything to put back."""
        return bool(self.text or self.sealed or any(self.calls))


def take_keepsake(
    message: Mapping[str, Any], origin: Origin, options: ReasoningOptions, *, truncated: bool = False
) -> tuple[dict[str, Any], Keepsake]:
    """Read what is to be kept of a message as its backend sent it; give the message as the client sees it, too."""
    seen, reasoning = normalise_message(message, options, truncated=truncated)
    sealed = {name: message[name] for name in SEALED if message.get(name)}
    return seen, Keepsake(origin, reasoning, sealed, [call_seals(call) for call in message.get("tool_calls") or ()])


def call_seals(call: Any) -> dict[str, Any]:
    """Give what a tool call carries of `CALL_SEALS`."""
    if not isinstance(call, Mapping):
        return {}
    return {name: call[name] for name in CALL_SEALS if call.get(name)}
