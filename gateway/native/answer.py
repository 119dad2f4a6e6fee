"""One finished response of a backend. Shapes follow OpenAI's API reference, "Responses"."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import msgspec

from gateway.errors import UpstreamError, UpstreamFailed, UpstreamRateLimited
from gateway.reasoning import Meter
from gateway.records.prices import Usage
from gateway.upstream.refusals import kind_of_refusal

Dictionary = dict[str, Any]

REASONING_ITEMS = "reasoning_items"
"""The field of a chat message in which the vault keeps a backend's own reasoning items."""

_CALLERS_FAULT = ("invalid_", "image_", "unsupported_", "failed_to_download", "empty_image", "context_length")
"""How the codes of errors begin that the request is to blame for."""

_FINISH = {"max_output_tokens": "length", "content_filter": "content_filter"}
_read = msgspec.json.Decoder(Dictionary).decode


class _InputDetails(msgspec.Struct):
    cached_tokens: int | None = None


class _OutputDetails(msgspec.Struct):
    reasoning_tokens: int | None = None


class _Usage(msgspec.Struct):
    """The ``usage`` object; any part of it may be missing."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    input_tokens_details: _InputDetails | None = None
    output_tokens_details: _OutputDetails | None = None


@dataclass(frozen=True, slots=True)
class NativeAnswer:
    """A response as its backend gave it.

    Attributes:
        response: the response object; its usage counts reasoning, estimated and marked so where the backend does not.
        usage: the same as the gateway counts it, None where the backend counts nothing.
    """

    response: Dictionary
    usage: Usage | None

    @property
    def calls_tools(self) -> bool:
        """Whether it calls functions: then its reasoning has to come back with them, which no chat completion holds."""
        return any(item["type"] == "function_call" for item in _items(self.response))

    def as_chat(self, *, with_items: bool = False) -> bytes | None:
        """Write the chat completion that says the same; None where no such thing can.

        Args:
            with_items: whether the message carries the reasoning items themselves, as the vault keeps them.
        """
        output = _items(self.response)
        if any(item["type"] not in ("reasoning", "message", "function_call") for item in output):
            return None
        message: Dictionary = {"role": "assistant", "content": _said(output, "output_text", "text") or None}
        if refusal := _said(output, "refusal", "refusal"):
            message["refusal"] = refusal
        if thought := "".join(map(_thought, output)):
            message["reasoning_content"] = thought
        if calls := [_call(item) for item in output if item["type"] == "function_call"]:
            message["tool_calls"] = calls
        if with_items:
            message[REASONING_ITEMS] = list(_placed_reasoning(output))
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": self._finish(bool(calls))}
        chat: Dictionary = {"id": f"chatcmpl-{self.response.get('id')}", "object": "chat.completion"}
        chat |= {"choices": [choice]}
        chat |= {"created": self.response.get("created_at"), "model": self.response.get("model")}
        return msgspec.json.encode(chat | ({} if self.usage is None else {"usage": _chat_usage(self.usage)}))

    def _finish(self, calls: bool) -> str:
        details = self.response.get("incomplete_details") or {}
        if self.response.get("status") == "incomplete":
            return _FINISH.get(str(details.get("reason")), "length")
        return "tool_calls" if calls else "stop"


def read_answer(body: bytes, backend: str) -> NativeAnswer:
    """Read a whole response.

    Raises:
        UpstreamError: it is none, or says that it failed.
    """
    try:
        body.decode()
        response = _read(body)
        return check_answer(response, backend)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise UpstreamFailed(f"Backend '{backend}' sent an answer that is no response.", backend=backend) from None


def check_answer(response: Dictionary, backend: str) -> NativeAnswer:
    """Take a response that has ended.

    Raises:
        msgspec.DecodeError: it has another shape.
        UpstreamError: it says that it failed.
    """
    if response.get("status") in ("failed", "cancelled"):
        raise failure_of(response.get("error"), backend)
    if not isinstance(response.get("output"), list):
        raise msgspec.ValidationError("no output")
    return counted(response)


def counted(response: Dictionary) -> NativeAnswer:
    """Give a response with its reasoning counted in its usage, if the backend counts anything.

    Counts that newer clients rely on and many backends leave out are given as 0.

    Raises:
        msgspec.DecodeError: its usage has another shape.
    """
    written = response.get("usage")
    if written is None:
        return NativeAnswer(response, None)
    usage = _read_usage(msgspec.convert(written, _Usage))
    inside = {"cached_tokens": 0, "cache_write_tokens": 0, **(written.get("input_tokens_details") or {})}
    outside = {"reasoning_tokens": 0, **(written.get("output_tokens_details") or {})}
    if not usage.reasoning and (estimate := _estimate(response)):
        usage = usage.with_estimate(estimate)
        outside |= {"reasoning_tokens": usage.reasoning, "reasoning_tokens_estimated": True}
    told = {**written, "input_tokens_details": inside, "output_tokens_details": outside}
    return NativeAnswer({**response, "usage": told}, usage)


def failure_of(error: Any, backend: str) -> UpstreamError:
    """Give the failure that a response's or an event's error object means."""
    told: Mapping[str, Any] = error if isinstance(error, Mapping) else {}
    code = str(told.get("code") or told.get("type") or "")
    if code.startswith("rate_limit"):
        return UpstreamRateLimited(f"Backend '{backend}' is rate-limiting.", backend=backend)
    if code.startswith(_CALLERS_FAULT):
        body = {"message": str(told.get("message") or code), "type": "invalid_request_error", "param": None}
        answer = msgspec.json.encode({"error": {**body, "code": code}})
        what = f"Backend '{backend}' refused the request."
        return kind_of_refusal(answer)(what, backend=backend, status=HTTPStatus.BAD_REQUEST, answer=answer)
    return UpstreamFailed(f"Backend '{backend}' reported an error in the middle of its answer.", backend=backend)


def _read_usage(fields: _Usage) -> Usage:
    inside, outside = fields.input_tokens_details, fields.output_tokens_details
    return Usage(
        input=fields.input_tokens or 0,
        output=fields.output_tokens or 0,
        cached=(inside and inside.cached_tokens) or 0,
        reasoning=(outside and outside.reasoning_tokens) or 0,
    )


def _chat_usage(usage: Usage) -> Dictionary:
    reasoning: Dictionary = {"reasoning_tokens": usage.reasoning}
    if usage.reasoning_estimated:
        reasoning["reasoning_tokens_estimated"] = True
    return {
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.input + usage.output,
        "prompt_tokens_details": {"cached_tokens": usage.cached},
        "completion_tokens_details": reasoning,
    }


def _estimate(response: Dictionary) -> int:
    """Estimate the tokens of the reasoning that is there as text; a summary is not what was thought."""
    meter = Meter()
    for item in _items(response):
        meter.add(_thought(item))
    return meter.tokens


def _items(response: Dictionary) -> list[Dictionary]:
    return [item for item in response["output"] if isinstance(item, dict) and isinstance(item.get("type"), str)]


def _thought(item: Dictionary) -> str:
    return _texts(item, "reasoning_text", "text") if item["type"] == "reasoning" else ""


def _said(output: list[Dictionary], kind: str, name: str) -> str:
    return "".join(_texts(item, kind, name) for item in output if item["type"] == "message")


def _texts(item: Dictionary, kind: str, name: str) -> str:
    parts = item.get("content") or ()
    return "".join(str(part.get(name) or "") for part in parts if isinstance(part, dict) and part.get("type") == kind)


def _call(item: Dictionary) -> Dictionary:
    function = {"name": item.get("name") or "", "arguments": item.get("arguments") or ""}
    return {"id": item.get("call_id") or item.get("id"), "type": "function", "function": function}


def _placed_reasoning(output: list[Dictionary]) -> Iterator[Dictionary]:
    """Yield the reasoning items, each with the id of the call that follows it, None where none does."""
    for number, item in enumerate(output):
        if item["type"] == "reasoning":
            after = next((later for later in output[number + 1 :] if later["type"] != "reasoning"), None)
            before = after.get("call_id") if after is not None and after["type"] == "function_call" else None
            yield {"before": before, "item": item}
