"""The items of a conversation as the Responses API shows them, and their ids."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from gateway.wire.responses import kind_of

Status = Literal["in_progress", "completed", "incomplete"]
Dictionary = dict[str, Any]

_PREFIXES = {"message": "msg", "reasoning": "rs", "function_call": "fc", "function_call_output": "fco"}
_ITEM_ID = re.compile(r"[a-z]+_([0-9a-f]{48})[0-9a-f]{4}")
_RESPONSE_ID = re.compile(r"resp_[0-9a-f]{48}")


def new_response_id() -> str:
    """Give an id that nobody can guess."""
    return f"resp_{secrets.token_hex(24)}"


def is_response_id(written: str) -> bool:
    """Whether this could be a response's id."""
    return _RESPONSE_ID.fullmatch(written) is not None


def item_id(response_id: str, kind: str, number: int) -> str:
    """Give the id of a response's item: it holds the response's own, so that a reference leads there."""
    return f"{_PREFIXES.get(kind, 'item')}_{response_id.removeprefix('resp_')}{number:04x}"


def response_of_item(written: str) -> str | None:
    """Give the id of the response that an item belongs to; None if the id is none of ours."""
    found = _ITEM_ID.fullmatch(written)
    return f"resp_{found[1]}" if found else None


def message_item(identity: str, parts: Sequence[Dictionary], status: Status) -> Dictionary:
    """Give the model's message."""
    return {"id": identity, "type": "message", "status": status, "role": "assistant", "content": list(parts)}


def text_part(text: str, logprobs: Sequence[Any] = ()) -> Dictionary:
    """Give what the model said."""
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": list(logprobs)}


def refusal_part(text: str) -> Dictionary:
    """Give what the model said in place of an answer."""
    return {"type": "refusal", "refusal": text}


def call_item(identity: str, call_id: str, name: str, arguments: str, status: Status) -> Dictionary:
    """Give the model's call of a function."""
    return {
        "id": identity,
        "type": "function_call",
        "status": status,
        "call_id": call_id,
        "name": name,
        "arguments": arguments,
    }


def reasoning_item(
    identity: str, text: str, status: Status, *, as_summary: bool = False, sealed: str | None = None
) -> Dictionary:
    """Give what the model thought: as content, or where a summary was asked for as that, in full."""
    item: Dictionary = {"id": identity, "type": "reasoning", "summary": [], "status": status}
    if as_summary:
        item["summary"] = [{"type": "summary_text", "text": text}] if text else []
    else:
        item["content"] = [{"type": "reasoning_text", "text": text}] if text else []
    if sealed is not None:
        item["encrypted_content"] = sealed
    return item


def listed_item(item: Mapping[str, Any], response_id: str, number: int) -> Dictionary:
    """Give an item of the caller's in the full form in which items are kept and listed."""
    kind = kind_of(item)
    full = {"status": "completed", **item, "type": kind}
    full["id"] = item.get("id") or item_id(response_id, kind, number)
    if kind == "message" and isinstance(item["content"], str):
        said = item["content"]
        full["content"] = [text_part(said) if item["role"] == "assistant" else {"type": "input_text", "text": said}]
    return full
