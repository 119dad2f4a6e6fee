"""The response object: as it starts out, and with a whole chat completion as its output."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from gateway.errors import ThalamusError, UpstreamRateLimited
from gateway.reasoning import Meter
from gateway.records.prices import Usage
from gateway.show import Show
from gateway.surfaces.responses.items import (
    Dictionary,
    Status,
    call_item,
    item_id,
    message_item,
    reasoning_item,
    refusal_part,
    text_part,
)
from gateway.surfaces.responses.keeping import Hidden
from gateway.surfaces.responses.sealing import Seal
from gateway.vault import Origin
from gateway.wire.responses import ReasoningOptions, ResponsesRequest, TextOptions, Tool
from gateway.wire.usage import UsageFields, read_usage

ResponseStatus = Literal["queued", "in_progress", "completed", "incomplete", "failed", "cancelled"]
NO_ARGUMENTS = "{}"
"""What a call without arguments says: an empty text is no JSON."""

CUT_SHORT = {"length": "max_output_tokens", "content_filter": "content_filter"}
"""Finish reasons of an answer that is not all there, and how this API names them."""


@dataclass(frozen=True, slots=True)
class Told:
    """A response as the caller sees it, and what it does not see of it.

    Attributes:
        response: the response object.
        hidden: by the ids of output items.
        origin: whose own words the items are, None where they were made from a chat completion.
    """

    response: Dictionary
    hidden: Mapping[str, Hidden] = field(default_factory=dict)
    origin: Origin | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """One request for a response, as far as its answer depends on it.

    Attributes:
        id: of the response.
        request: what the caller sent.
        tenant: whose it is.
        first_number: the number of the first output item; the caller's items are numbered before it.
        seal: closes the reasoning where the caller wants to carry it; None where not.
        created_at: seconds since 1970.
        show: how much of the reasoning the caller sees. A reasoning item without text is this API's way to hide it.
        prompt_tokens: an estimate, for backends that count nothing.
    """

    id: str
    request: ResponsesRequest
    tenant: str
    first_number: int
    seal: Seal | None
    created_at: int
    show: Show = Show.PASS
    prompt_tokens: int = 0

    @property
    def hides(self) -> bool:
        """Whether reasoning comes without its text."""
        return self.show is not Show.PASS

    @property
    def summarised(self) -> bool:
        """Whether the reasoning goes where the caller looks for a summary."""
        return self.request.reasoning is not None and self.request.reasoning.summary is not None

    def item_id(self, kind: str, index: int) -> str:
        """Give the id of an output item."""
        return item_id(self.id, kind, self.first_number + index)

    def reasoning(self, index: int, text: str, status: Status) -> Dictionary:
        """Give the item of what the model thought; it is sealed once it is all there."""
        whole = status != "in_progress"
        sealed = self.seal.close(text, self.tenant) if self.seal is not None and whole else None
        identity = self.item_id("reasoning", index)
        if self.hides:
            return reasoning_item(identity, "", status, as_summary=True, sealed=sealed)
        return reasoning_item(identity, text, status, as_summary=self.summarised, sealed=sealed)


def describe_response(asked: Asked, status: ResponseStatus, *, model: str | None = None) -> Dictionary:
    """Give the response object without any output: what was asked, and how far it is.

    Args:
        asked: the request.
        status: how far it is.
        model: who answers, once that is known.
    """
    request = asked.request
    text, thinking = request.text or TextOptions(), request.reasoning or ReasoningOptions()
    return {
        "id": asked.id,
        "object": "response",
        "created_at": asked.created_at,
        "status": status,
        "background": bool(request.background),
        "error": None,
        "incomplete_details": None,
        "instructions": request.instructions,
        "max_output_tokens": request.max_output_tokens,
        "max_tool_calls": request.max_tool_calls,
        "metadata": request.metadata or {},
        "model": model or request.model,
        "output": [],
        "parallel_tool_calls": request.parallel_tool_calls is not False,
        "previous_response_id": request.previous_response_id,
        "prompt_cache_key": request.prompt_cache_key,
        "reasoning": {"effort": thinking.effort, "summary": thinking.summary},
        "safety_identifier": request.safety_identifier,
        "service_tier": "default",
        "store": request.store is not False,
        "temperature": request.temperature,
        "text": {
            "format": {name: value for name, value in msgspec.to_builtins(text.format).items() if value is not None},
            "verbosity": text.verbosity,
        },
        "tool_choice": request.tool_choice or "auto",
        "tools": [_tool(tool) for tool in request.tools or ()],
        "top_logprobs": request.top_logprobs or 0,
        "top_p": request.top_p,
        "truncation": request.truncation or "disabled",
        "usage": None,
        "user": request.user,
    }


def finish(response: Dictionary, reason: str | None) -> Dictionary:
    """Give a response that has its output its final status, by the chat completion's finish reason."""
    if reason in CUT_SHORT:
        return {**response, "status": "incomplete", "incomplete_details": {"reason": CUT_SHORT[reason]}}
    return {**response, "status": "completed", "completed_at": int(time.time())}


def failed(response: Dictionary, error: ThalamusError) -> Dictionary:
    """Give a response that came to nothing, or not to its end."""
    code = "rate_limit_exceeded" if isinstance(error, UpstreamRateLimited) else "server_error"
    # The body has the backend's own words, where it was the backend that refused.
    message = msgspec.json.decode(error.body())["error"]["message"]
    return {**response, "status": "failed", "error": {"code": code, "message": message}}


def describe_usage(usage: Usage) -> Dictionary:
    """Give the token counts as this API names them."""
    estimated = {"reasoning_tokens_estimated": True} if usage.reasoning_estimated else {}
    return {
        "input_tokens": usage.input,
        "input_tokens_details": {"cached_tokens": usage.cached, "cache_write_tokens": 0},
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning, **estimated},
        "total_tokens": usage.input + usage.output,
    }


def with_usage(asked: Asked, response: Dictionary, thought: str) -> Dictionary:
    """Give a response with its usage estimated, and marked so, where there was reasoning and nobody counted."""
    if response["usage"] is not None or not thought:
        return response
    reasoning, said = Meter(), Meter()
    reasoning.add(thought)
    for item in response["output"]:
        said.add(item.get("arguments") or "")
        for part in (item.get("content") or ()) if item["type"] == "message" else ():
            said.add(part.get("text") or part.get("refusal") or "")
    output = said.tokens + reasoning.tokens
    usage = Usage(asked.prompt_tokens, output, reasoning=reasoning.tokens, reasoning_estimated=True)
    return {**response, "usage": describe_usage(usage) | {"estimated": True}}


class _Function(msgspec.Struct):
    name: str = ""
    arguments: str | None = None


class _ToolCall(msgspec.Struct):
    id: str | None = None
    function: _Function = msgspec.field(default_factory=_Function)


class Logprobs(msgspec.Struct):
    """Log-probabilities, which both APIs write alike."""

    content: list[Any] | None = None


class _Message(msgspec.Struct):
    content: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[_ToolCall] | None = None


class _Choice(msgspec.Struct):
    message: _Message
    finish_reason: str | None = None
    logprobs: Logprobs | None = None


class _Chat(msgspec.Struct):
    choices: list[_Choice]
    model: str | None = None
    usage: UsageFields | None = None


_chats = msgspec.json.Decoder(_Chat)


def answer_whole(asked: Asked, chat: bytes) -> Told:
    """Give the response that a whole chat completion makes.

    Raises:
        msgspec.DecodeError: it is no chat completion.
    """
    read = _chats.decode(chat)
    response = describe_response(asked, "in_progress", model=read.model)
    if read.usage is not None:
        response["usage"] = describe_usage(read_usage(read.usage))
    if not read.choices:
        return Told(finish(response, None))
    choice = read.choices[0]
    status: Status = "incomplete" if choice.finish_reason in CUT_SHORT else "completed"
    response["output"] = _output(asked, choice, status)
    thought = choice.message.reasoning_content or ""
    hidden = {asked.item_id("reasoning", 0): Hidden(text=thought)} if thought and asked.hides else {}
    return Told(finish(with_usage(asked, response, thought), choice.finish_reason), hidden)


def _output(asked: Asked, choice: _Choice, last: Status) -> list[Dictionary]:
    """Give the items of an answer; only the `last` one can have been cut short."""
    message = choice.message
    parts = _parts(choice)
    calls = message.tool_calls or []
    kinds = ["reasoning"] * bool(message.reasoning_content) + ["message"] * bool(parts) + ["function_call"] * len(calls)
    output: list[Dictionary] = []
    for index, kind in enumerate(kinds):
        status: Status = last if index == len(kinds) - 1 else "completed"
        if kind == "reasoning":
            output.append(asked.reasoning(index, message.reasoning_content or "", status))
        elif kind == "message":
            output.append(message_item(asked.item_id(kind, index), parts, status))
        else:
            call = calls[index - len(kinds) + len(calls)]
            arguments = call.function.arguments or NO_ARGUMENTS
            identity = asked.item_id(kind, index)
            output.append(call_item(identity, call.id or identity, call.function.name, arguments, status))
    return output


def _parts(choice: _Choice) -> list[Dictionary]:
    message = choice.message
    logprobs = (choice.logprobs and choice.logprobs.content) or ()
    parts = [text_part(message.content, logprobs)] if message.content else []
    return [*parts, refusal_part(message.refusal)] if message.refusal else parts


def _tool(tool: Tool) -> Mapping[str, Any]:
    described = {"type": tool.type, "name": tool.name, "parameters": tool.parameters, "strict": tool.strict}
    return described | ({"description": tool.description} if tool.description is not None else {})
