"""Gemini's own API: https://ai.google.dev/api/generate-content and …/gemini-api/docs/thought-signatures."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from tests.conformance.standins.base import Message, Mind
from tests.conformance.wires.base import event, pieces

_OPENING = re.compile(r"^<thought>(.*)</thought>\n\n", re.DOTALL)


class GeminiWire:
    """Parts become messages; ``generationConfig`` becomes the fields of Google's OpenAI-compatible endpoint."""

    def read(self, body: Mapping[str, Any]) -> dict[str, Any]:
        config = body.get("generationConfig") or {}
        chat: dict[str, Any] = {"messages": [message for turn in body["contents"] for message in _read_turn(turn)]}
        if thinking := config.get("thinkingConfig"):
            google = {
                re.sub(r"[A-Z]", lambda found: "_" + found[0].lower(), name): value for name, value in thinking.items()
            }
            chat["extra_body"] = {"google": {"thinking_config": google}}
        declared = [
            one
            for tool in body.get("tools") or ()
            for one in tool.get("functionDeclarations") or tool.get("function_declarations") or ()
        ]
        if declared:
            chat["tools"] = [{"type": "function", "function": declaration} for declaration in declared]
        return chat

    def streams(self, body: Mapping[str, Any], path: str) -> bool:
        return "streamGenerateContent" in path

    def whole(self, message: Message, mind: Mind) -> dict[str, Any]:
        return _answer(_parts(message), finish="STOP")

    def events(self, message: Message, mind: Mind) -> Iterator[bytes]:
        for part in _parts(message):
            if "text" not in part:
                yield event(_answer([part]))
            for piece in pieces(part.get("text")):
                yield event(_answer([{**part, "text": piece}]))
        yield event(_answer([{"text": ""}], finish="STOP"))


def _read_turn(turn: Mapping[str, Any]) -> Iterator[Message]:
    parts = turn["parts"]
    text = "".join(part["text"] for part in parts if "text" in part and not part.get("thought"))
    if turn.get("role") == "model":
        calls = [_read_call(part) for part in parts if "functionCall" in part or "function_call" in part]
        yield {"role": "assistant", "content": text or None} | ({"tool_calls": calls} if calls else {})
        return
    for part in parts:
        if result := part.get("functionResponse") or part.get("function_response"):
            yield {"role": "tool", "tool_call_id": result.get("id", ""), "content": json.dumps(result["response"])}
    if text:
        yield {"role": "user", "content": text}


def _read_call(part: Mapping[str, Any]) -> dict[str, Any]:
    call = part.get("functionCall") or part["function_call"]
    arguments = json.dumps(call["args"], ensure_ascii=False)
    read = {
        "id": call.get("id", ""),
        "type": "function",
        "function": {"name": call["name"], "arguments": arguments},
    }
    signature = part.get("thoughtSignature") or part.get("thought_signature")
    return read | ({"extra_content": {"google": {"thought_signature": signature}}} if signature else {})


def _parts(message: Message) -> list[dict[str, Any]]:
    content = message.get("content") or ""
    parts: list[dict[str, Any]] = []
    if found := _OPENING.match(content):
        parts.append({"text": found[1], "thought": True})
        content = content[found.end() :]
    if content:
        parts.append({"text": content})
    for call in message.get("tool_calls") or ():
        part = {"functionCall": {"name": call["function"]["name"], "args": json.loads(call["function"]["arguments"])}}
        signature = call.get("extra_content", {}).get("google", {}).get("thought_signature")
        parts.append(part | ({"thoughtSignature": signature} if signature else {}))
    return parts


def _answer(parts: list[dict[str, Any]], finish: str | None = None) -> dict[str, Any]:
    candidate = {"index": 0, "content": {"role": "model", "parts": parts}} | (
        {"finishReason": finish} if finish else {}
    )
    usage = {"promptTokenCount": 20, "candidatesTokenCount": 20, "thoughtsTokenCount": 40, "totalTokenCount": 80}
    return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "m", "responseId": "r-1"}
