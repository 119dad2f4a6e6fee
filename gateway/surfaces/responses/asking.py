"""A request for a response, written as the chat completion that answers it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from gateway.errors import InvalidField
from gateway.surfaces.responses.history import Message, Transcript
from gateway.wire.body import Parsed
from gateway.wire.responses import KNOWN_FIELDS, ResponsesRequest, TextFormat, Tool

BYTES_PER_TOKEN = 3
"""As the gateway estimates a prompt's length for the decision."""

_SAME_IN_CHAT = (
    "temperature",
    "top_p",
    "metadata",
    "user",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "service_tier",
)
_UNSUPPORTED = {
    "conversation": "Conversations are not kept here: go on with 'previous_response_id', or send all items.",
    "prompt": "Prompt templates are not kept here: send 'instructions' and 'input'.",
    "context_management": "Conversations are not compacted here; 'truncation' can be 'auto'.",
    "moderation": "There is no moderation here.",
}
_CHOICES = ("none", "auto", "required")


def check_request(request: ResponsesRequest) -> None:
    """Refuse what cannot be done here, rather than leave it out.

    Raises:
        InvalidField: naming the field.
    """
    for name, why in _UNSUPPORTED.items():
        if getattr(request, name) is not None:
            raise InvalidField(why, param=name)
    for number, tool in enumerate(request.tools or ()):
        if tool.type != "function":
            raise InvalidField(
                f"Tools of type '{tool.type[:64]}' run at OpenAI. Here, every tool is a function.",
                param=f"tools[{number}].type",
            )
        if tool.name is None:
            raise InvalidField("A function needs a name.", param=f"tools[{number}].name")
    form = request.text.format if request.text else TextFormat()
    if form.type == "json_schema" and (form.name is None or form.schema is None):
        raise InvalidField("A JSON schema needs a name and the schema.", param="text.format")
    if request.background and request.store is False:
        raise InvalidField("A background response must be stored, or nobody could fetch it.", param="store")


def write_chat(parsed: Parsed[ResponsesRequest], messages: Sequence[Message], *, stream: bool) -> bytes:
    """Write the chat completion request. Fields that the Responses API does not know travel on as they are.

    Raises:
        InvalidField: the choice of tools is none, or names a tool that is not offered.
    """
    request = parsed.typed
    body: dict[str, Any] = {name: raw for name, raw in parsed.fields.items() if name not in KNOWN_FIELDS}
    body |= {"model": request.model, "messages": messages}
    body |= {name: value for name in _SAME_IN_CHAT if (value := getattr(request, name)) is not None}
    body |= _tools(request)
    body |= _format(request)
    if request.max_output_tokens is not None:
        body["max_tokens"] = request.max_output_tokens
    if request.reasoning is not None and request.reasoning.effort is not None:
        body["reasoning_effort"] = request.reasoning.effort
    if wants_logprobs(request):
        body |= {"logprobs": True, "top_logprobs": request.top_logprobs or 0}
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return msgspec.json.encode(body)


def wants_logprobs(request: ResponsesRequest) -> bool:
    """Whether the caller wants the log-probabilities of the answer's tokens."""
    return bool(request.top_logprobs) or "message.output_text.logprobs" in (request.include or ())


def truncate(transcript: Transcript, room_tokens: int) -> Transcript:
    """Drop the oldest messages until the rest fits, whole tool exchanges at a time.

    System messages stay, and so does the last message, even where that is too much. Media count nothing.
    """
    messages = transcript.messages
    talk = [number for number, message in enumerate(messages) if message["role"] != "system"]
    size = sum(map(_text_bytes, messages))
    while len(talk) > 1 and (size > room_tokens * BYTES_PER_TOKEN or messages[talk[0]]["role"] == "tool"):
        size -= _text_bytes(messages[talk.pop(0)])
    stays = set(talk)
    kept = [number for number, message in enumerate(messages) if number in stays or message["role"] == "system"]
    starts = {new: transcript.starts[old] for new, old in enumerate(kept) if old in transcript.starts}
    return Transcript([messages[number] for number in kept], starts)


def _text_bytes(message: Message) -> int:
    content = message["content"]
    if isinstance(content, list):
        content = [part for part in content if part["type"] == "text"]
    return len(msgspec.json.encode({**message, "content": content}))


def _tools(request: ResponsesRequest) -> dict[str, Any]:
    """Write the tools and the choice among them; a choice of several is made by offering only those."""
    tools = request.tools or []
    choice = request.tool_choice
    if isinstance(choice, Mapping) and choice.get("type") == "allowed_tools":
        allowed = {_chosen_name(chosen) for chosen in choice.get("tools") or ()}
        tools = [tool for tool in tools if tool.name in allowed]
        choice = choice.get("mode")
    if not tools:
        return {}
    written: dict[str, Any] = {"tools": [_tool(tool) for tool in tools]}
    if choice is not None:
        written["tool_choice"] = _choice(choice, tools)
    if request.parallel_tool_calls is not None:
        written["parallel_tool_calls"] = request.parallel_tool_calls
    return written


def _tool(tool: Tool) -> dict[str, Any]:
    function = {
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.parameters,
        "strict": tool.strict,
    }
    return {"type": "function", "function": {name: value for name, value in function.items() if value is not None}}


def _choice(choice: object, tools: Sequence[Tool]) -> Any:
    if choice in _CHOICES:
        return choice
    name = _chosen_name(choice)
    if all(tool.name != name for tool in tools):
        raise InvalidField("'tool_choice' is none, auto, required, or a function of 'tools'.", param="tool_choice")
    return {"type": "function", "function": {"name": name}}


def _chosen_name(choice: object) -> str | None:
    if not isinstance(choice, Mapping) or choice.get("type") != "function":
        return None
    name = choice.get("name")
    return name if isinstance(name, str) else None


def _format(request: ResponsesRequest) -> dict[str, Any]:
    """Write how the answer is to be written."""
    if request.text is None:
        return {}
    written: dict[str, Any] = {}
    form = request.text.format
    if form.type == "json_object":
        written["response_format"] = {"type": "json_object"}
    elif form.type == "json_schema":
        schema = {"name": form.name, "schema": form.schema, "description": form.description, "strict": form.strict}
        schema = {name: value for name, value in schema.items() if value is not None}
        written["response_format"] = {"type": "json_schema", "json_schema": schema}
    if request.text.verbosity is not None:
        written["verbosity"] = request.text.verbosity
    return written
