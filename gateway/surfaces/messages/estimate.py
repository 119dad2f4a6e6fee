"""How long a prompt is, in tokens, without the tokeniser of whoever will read it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.reasoning import Meter

MESSAGE_TOKENS = 4
"""What a chat template writes around a message, about."""

IMAGE_TOKENS = 1600
"""A large picture on Claude (platform.claude.com/docs/en/build-with-claude/vision); small ones cost less."""

FILE_TOKENS = 3000
"""A page or two of a PDF: how many there are is not looked at."""

_MEDIA_TOKENS = {"image_url": IMAGE_TOKENS, "file": FILE_TOKENS}


def estimate_tokens(chat: Mapping[str, Any]) -> int:
    """Estimate the tokens of a chat request's `messages` and `tools`; within a third for text in most languages."""
    meter = Meter()
    extra = 0
    for message in chat["messages"]:
        extra += MESSAGE_TOKENS + _read_content(meter, message.get("content"))
        meter.add(message.get("reasoning_content", ""))
        for call in message.get("tool_calls", ()):
            meter.add(call["function"]["name"] + call["function"]["arguments"])
    if tools := chat.get("tools"):
        meter.add(msgspec.json.encode(tools).decode())
    return meter.tokens + extra


def _read_content(meter: Meter, content: Any) -> int:
    """Meter a content's text and give the tokens of its media."""
    if not isinstance(content, list):
        meter.add(content or "")
        return 0
    for part in content:
        meter.add(part.get("text", ""))
    return sum(_MEDIA_TOKENS.get(part["type"], 0) for part in content)
