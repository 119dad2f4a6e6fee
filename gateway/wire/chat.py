"""``POST /v1/chat/completions`` and ``POST /v1/completions``: the fields that the gateway looks at.

Shapes follow OpenAI's API reference. Fields that are not listed travel on unread, so that a backend's own
extensions (``chat_template_kwargs``, ``top_k``, ``cache_salt`` …) work without the gateway knowing them.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

Name = Annotated[str, Meta(min_length=1, max_length=256)]
Count = Annotated[int, Meta(ge=1, le=1 << 31)]
Penalty = Annotated[float, Meta(ge=-2, le=2)]


class Part(msgspec.Struct):
    """One part of a message's content; the payload of its type travels unread."""

    type: str
    text: str | None = None
    image_url: dict[str, Any] | str | None = None
    input_audio: dict[str, Any] | None = None


class ToolCallFunction(msgspec.Struct):
    """What an assistant asked a tool to do; `arguments` is JSON in a string, as the model wrote it."""

    name: str
    arguments: str = ""


class ToolCall(msgspec.Struct):
    """One tool call in an assistant's message."""

    id: str | None = None
    type: str = "function"
    function: ToolCallFunction | None = None


class Message(msgspec.Struct):
    """One message of the conversation."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[Part] | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None
    name: str | None = None


class StreamOptions(msgspec.Struct):
    """How a stream is framed."""

    include_usage: bool | None = None


class Tool(msgspec.Struct):
    """A tool that the model may call. Its definition travels unread."""

    type: str


class ResponseFormat(msgspec.Struct):
    """``text``, ``json_object`` or ``json_schema`` (structured outputs)."""

    type: str


class ChatRequest(msgspec.Struct):
    """A chat completion request."""

    model: Name
    messages: Annotated[list[Message], Meta(min_length=1)]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    tools: list[Tool] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormat | None = None
    reasoning_effort: str | None = None
    max_tokens: Count | None = None
    max_completion_tokens: Count | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    n: Annotated[int, Meta(ge=1, le=128)] | None = None
    stop: str | list[str] | None = None
    seed: int | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    user: str | None = None
    metadata: dict[str, str] | None = None


class CompletionRequest(msgspec.Struct):
    """A legacy text completion request. A prompt may be token ids, which only the backend can read."""

    model: Name
    prompt: str | Annotated[list[str | int | list[int]], Meta(min_length=1)]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: Annotated[int, Meta(ge=0, le=1 << 31)] | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    n: Annotated[int, Meta(ge=1, le=128)] | None = None
    logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    stop: str | list[str] | None = None
    seed: int | None = None
    user: str | None = None
