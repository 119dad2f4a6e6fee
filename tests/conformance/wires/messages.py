"""Anthropic's Messages API: https://platform.claude.com/docs/en/api/messages and …/build-with-claude/streaming."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from tests.conformance.standins.base import Message, Mind, Refused
from tests.conformance.wires.base import event, pieces

_OTHERS = frozenset({"messages", "system", "tools", "stop_sequences", "metadata", "model"})
_CHOICES = {"auto": "auto", "any": "required", "none": "none", "tool": "named"}


class MessagesWire:
    """Blocks become messages with tool calls and ``thinking_blocks``; all other fields stay."""

    def read(self, body: Mapping[str, Any]) -> dict[str, Any]:
        chat = {name: value for name, value in body.items() if name not in _OTHERS}
        chat["messages"] = [message for turn in body["messages"] for message in _read_turn(turn)]
        if body.get("tools"):
            chat["tools"] = [
                {"type": "function", "function": {"name": tool["name"], "parameters": tool["input_schema"]}}
                for tool in body["tools"]
            ]
        if choice := body.get("tool_choice"):
            chat["tool_choice"] = _CHOICES[choice["type"]]
        return chat

    def streams(self, body: Mapping[str, Any], path: str) -> bool:
        return bool(body.get("stream"))

    def whole(self, message: Message, mind: Mind) -> dict[str, Any]:
        return {**_HEAD, "content": _blocks(message), "stop_reason": _reason(message), "usage": _USAGE}

    def events(self, message: Message, mind: Mind) -> Iterator[bytes]:
        yield _event(
            {"type": "message_start", "message": {**_HEAD, "content": [], "stop_reason": None, "usage": _USAGE}}
        )
        for index, block in enumerate(_blocks(message)):
            yield _event({"type": "content_block_start", "index": index, "content_block": _emptied(block)})
            for delta in _deltas(block):
                yield _event({"type": "content_block_delta", "index": index, "delta": delta})
            yield _event({"type": "content_block_stop", "index": index})
        delta = {"stop_reason": _reason(message), "stop_sequence": None}
        yield _event({"type": "message_delta", "delta": delta, "usage": {"output_tokens": 60}})
        yield _event({"type": "message_stop"})


_HEAD = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "stop_sequence": None}
_USAGE = {"input_tokens": 20, "output_tokens": 60, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0}


def _read_turn(turn: Mapping[str, Any]) -> Iterator[Message]:
    content = turn["content"]
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    text = "".join(block["text"] for block in blocks if block["type"] == "text")
    if turn["role"] == "assistant":
        yield _read_assistant(blocks, text)
        return
    for block in blocks:
        if block["type"] == "tool_result":
            yield {"role": "tool", "tool_call_id": block["tool_use_id"], "content": str(block.get("content"))}
    if text:
        yield {"role": "user", "content": text}


def _read_assistant(blocks: list[dict[str, Any]], text: str) -> Message:
    thoughts = [dict(block) for block in blocks if block["type"] in ("thinking", "redacted_thinking")]
    if any("signature" not in block for block in thoughts if block["type"] == "thinking"):
        raise Refused("messages: thinking.signature: field required")
    message: Message = {"role": "assistant", "content": text or None}
    if thoughts:
        message["thinking_blocks"] = thoughts
    calls = [
        {
            "id": block["id"],
            "type": "function",
            "function": {"name": block["name"], "arguments": json.dumps(block["input"])},
        }
        for block in blocks
        if block["type"] == "tool_use"
    ]
    return message | ({"tool_calls": calls} if calls else {})


def _blocks(message: Message) -> list[dict[str, Any]]:
    text = [{"type": "text", "text": message["content"]}] if message.get("content") else []
    uses = [
        {"type": "tool_use", "id": call["id"], "name": call["function"]["name"],
         "input": json.loads(call["function"]["arguments"])}
        for call in message.get("tool_calls") or ()
    ]  # fmt: skip
    return [*message.get("thinking_blocks", ()), *text, *uses]


def _emptied(block: Mapping[str, Any]) -> dict[str, Any]:
    empty = {"thinking": {"thinking": "", "signature": ""}, "text": {"text": ""}, "tool_use": {"input": {}}}
    return {**block, **empty[block["type"]]}


def _deltas(block: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    if block["type"] == "thinking":
        for piece in pieces(block["thinking"]):
            yield {"type": "thinking_delta", "thinking": piece}
        yield {"type": "signature_delta", "signature": block["signature"]}
    elif block["type"] == "text":
        for piece in pieces(block["text"]):
            yield {"type": "text_delta", "text": piece}
    else:
        for piece in pieces(json.dumps(block["input"], ensure_ascii=False)):
            yield {"type": "input_json_delta", "partial_json": piece}


def _reason(message: Message) -> str:
    return "tool_use" if message.get("tool_calls") else "end_turn"


def _event(data: dict[str, Any]) -> bytes:
    return event(data, data["type"])
