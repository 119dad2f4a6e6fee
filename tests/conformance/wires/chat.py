"""OpenAI's chat completions, with the fields that other vendors add."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tests.conformance.standins.base import Message, Mind
from tests.conformance.wires.base import event, pieces

_SIGNED = (("reasoning_details", "text"), ("thinking_blocks", "thinking"))


class ChatWire:
    """The stand-ins' own words."""

    def read(self, body: Mapping[str, Any]) -> dict[str, Any]:
        return dict(body)

    def streams(self, body: Mapping[str, Any], path: str) -> bool:
        return bool(body.get("stream"))

    def whole(self, message: Message, mind: Mind) -> dict[str, Any]:
        finish = "tool_calls" if message.get("tool_calls") else "stop"
        choice = {"index": 0, "message": message, "finish_reason": finish}
        return {"id": "c-1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice],
                "usage": _usage(mind)}  # fmt: skip

    def events(self, message: Message, mind: Mind) -> Iterator[bytes]:
        """Cut a message into deltas: text in pieces, arguments in two, a signature after its thought."""
        yield _chunk([_delta({"role": "assistant", "content": ""})])
        yield from _reasoning(message)
        for piece in pieces(message.get("content")):
            yield _chunk([_delta({"content": piece})])
        for index, call in enumerate(message.get("tool_calls") or ()):
            function = call["function"]
            half = len(function["arguments"]) // 2
            opening = {**call, "index": index, "function": {**function, "arguments": function["arguments"][:half]}}
            yield _chunk([_delta({"tool_calls": [opening]})])
            rest = {"index": index, "function": {"arguments": function["arguments"][half:]}}
            yield _chunk([_delta({"tool_calls": [rest]})])
        yield _chunk([_delta({}) | {"finish_reason": "tool_calls" if message.get("tool_calls") else "stop"}])
        yield _chunk([], usage=_usage(mind))
        yield b"data: [DONE]\n\n"


def _reasoning(message: Mapping[str, Any]) -> Iterator[bytes]:
    """Cut reasoning into deltas in which every field that carries it has the same piece, and then its signature."""
    texts = [name for name in ("reasoning_content", "reasoning") if message.get(name)]
    blocks, key = next((pair for pair in _SIGNED if message.get(pair[0])), ("", ""))
    (block,) = message[blocks] if blocks else ({},)
    for piece in pieces(message[texts[0]] if texts else block.get(key)):
        delta: dict[str, Any] = dict.fromkeys(texts, piece)
        if blocks:
            unsigned = {name: value for name, value in block.items() if name != "signature"}
            delta[blocks] = [{**unsigned, key: piece}]
        yield _chunk([_delta(delta)])
    if block.get("signature"):
        yield _chunk([_delta({blocks: [{**block, key: ""}]})])


def _delta(delta: dict[str, Any]) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "finish_reason": None}


def _chunk(choices: list[dict[str, Any]], **fields: Any) -> bytes:
    return event(
        {"id": "c-1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices, **fields}
    )


def _usage(mind: Mind) -> dict[str, Any]:
    details = {"completion_tokens_details": {"reasoning_tokens": 40}} if mind.thinks else {}
    return {"prompt_tokens": 20, "completion_tokens": 60, "total_tokens": 80, **details}
