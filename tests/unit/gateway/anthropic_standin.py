"""A small strict stand-in of Anthropic's Messages API: refuses what the API refuses, and answers by a script.

Written from https://platform.claude.com/docs/en/api/messages, …/build-with-claude/streaming and …/api/errors.
"""

import asyncio
import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import msgspec
import uvicorn
from msgspec import Meta, Struct

KEY = "sk-ant-standin-not-a-secret"
VERSION = "2023-06-01"
SIGNATURE = "EqQBCkYIBBgCKkDstandin"
PIECE = 8
"""Characters of text in one delta."""


class Block(Struct, tag_field="type", forbid_unknown_fields=True, kw_only=True):
    cache_control: dict[str, Any] | None = None


class Text(Block, tag="text"):
    text: Annotated[str, Meta(min_length=1)]
    citations: list[Any] | None = None


class Image(Block, tag="image"):
    source: dict[str, Any]


class ToolUse(Block, tag="tool_use"):
    id: Annotated[str, Meta(pattern="^[a-zA-Z0-9_-]+$")]
    name: str
    input: dict[str, Any]


class ToolResult(Block, tag="tool_result"):
    tool_use_id: str
    content: str | list[Text | Image] = ""
    is_error: bool = False


class ThinkingBlock(Struct, tag_field="type", tag="thinking", forbid_unknown_fields=True):
    thinking: str
    signature: str


class RedactedThinking(Struct, tag_field="type", tag="redacted_thinking", forbid_unknown_fields=True):
    data: str


class Message(Struct, forbid_unknown_fields=True):
    role: Literal["user", "assistant"]
    content: (
        str
        | Annotated[list[Text | Image | ToolUse | ToolResult | ThinkingBlock | RedactedThinking], Meta(min_length=1)]
    )

    def blocks(self) -> list[Any]:
        return [] if isinstance(self.content, str) else self.content


class Thinking(Struct, forbid_unknown_fields=True):
    type: Literal["enabled", "disabled", "adaptive", "between_tools"]
    budget_tokens: Annotated[int, Meta(ge=1024)] | None = None
    display: Literal["summarized", "omitted"] | None = None


class OutputConfig(Struct, forbid_unknown_fields=True):
    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = None
    format: dict[str, Any] | None = None


class InputSchema(Struct):
    type: Literal["object"]


class Tool(Struct, forbid_unknown_fields=True):
    name: Annotated[str, Meta(pattern="^[a-zA-Z0-9_-]{1,128}$")]
    input_schema: InputSchema
    description: str | None = None
    type: Literal["custom"] | None = None
    cache_control: dict[str, Any] | None = None
    strict: bool | None = None


class ToolChoice(Struct, forbid_unknown_fields=True):
    type: Literal["auto", "any", "tool", "none"]
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


class Metadata(Struct, forbid_unknown_fields=True):
    user_id: str | None = None


class MessagesRequest(Struct, forbid_unknown_fields=True, kw_only=True):
    model: str
    max_tokens: Annotated[int, Meta(ge=1)]
    messages: Annotated[list[Message], Meta(min_length=1)]
    system: str | list[Text] | None = None
    stream: bool = False
    temperature: Annotated[float, Meta(ge=0, le=1)] | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop_sequences: list[str] | None = None
    thinking: Thinking | None = None
    output_config: OutputConfig | None = None
    tools: list[Tool] | None = None
    tool_choice: ToolChoice | None = None
    metadata: Metadata | None = None
    service_tier: str | None = None
    cache_control: dict[str, Any] | None = None
    context_management: dict[str, Any] | None = None


class Refusal(Exception):
    """An error answer in the API's shape."""

    def __init__(self, status: int, kind: str, message: str, **headers: str) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_standin"}
        self.headers = headers


def invalid(message: str) -> Refusal:
    return Refusal(400, "invalid_request_error", message)


@dataclass
class Script:
    """What is answered, until a test changes it."""

    content: list[dict[str, Any]] = field(default_factory=lambda: [{"type": "text", "text": "Good day, 世界."}])
    stop_reason: str = "end_turn"
    usage: dict[str, Any] = field(default_factory=lambda: {"input_tokens": 11, "output_tokens": 7})
    refusal: Refusal | None = None
    wait_s: float = 0
    """Before the head of the answer."""
    event_wait_s: float = 0
    """Between two events."""
    error_event: str | None = None
    """Error type with which a stream breaks off after its first delta."""
    cut: bool = False
    """Whether a stream just ends after its first delta."""


@dataclass
class Entry:
    """One request as it came in."""

    headers: dict[str, str]
    body: dict[str, Any]
    port: int
    """The client's, which tells its connections apart."""
    client_left: bool = False


@dataclass
class AnthropicStandin:
    """The running stand-in."""

    url: str
    script: Script = field(default_factory=Script)
    requests: list[Entry] = field(default_factory=list)

    def reset(self) -> None:
        self.script = Script()
        self.requests.clear()

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        raw = await _read(receive)
        try:
            request = _check(scope, headers, raw)
            entry = Entry(headers, json.loads(raw), scope["client"][1])
            self.requests.append(entry)
            await _pause(self.script.wait_s, receive, entry)
            if self.script.refusal is not None:
                raise self.script.refusal
            if request.stream:
                await _stream(self.script, request, receive, send, entry)
            else:
                await _reply(send, 200, _message(self.script, request))
        except Refusal as refusal:
            await _reply(send, refusal.status, refusal.body, refusal.headers)
        except ConnectionAbortedError:
            entry.client_left = True


@contextmanager
def running_anthropic() -> Iterator[AnthropicStandin]:
    """Run the stand-in in a thread on a free loopback port, until the block ends."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        standin = AnthropicStandin(f"http://127.0.0.1:{listener.getsockname()[1]}")
        config = uvicorn.Config(standin, lifespan="off", log_level="critical", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        try:
            yield standin
        finally:
            server.should_exit = server.force_exit = True
            thread.join()


def _check(scope: dict[str, Any], headers: dict[str, str], raw: bytes) -> MessagesRequest:
    if (scope["method"], scope["path"]) != ("POST", "/v1/messages"):
        raise Refusal(404, "not_found_error", "Not found")
    if headers.get("x-api-key") != KEY:
        raise Refusal(401, "authentication_error", "invalid x-api-key")
    if headers.get("anthropic-version") != VERSION:
        raise invalid("anthropic-version: header is required")
    try:
        request = msgspec.json.decode(raw, type=MessagesRequest)
    except msgspec.MsgspecError as error:
        raise invalid(str(error)) from None
    _check_thinking(request)
    _check_turns(request)
    return request


def _check_thinking(request: MessagesRequest) -> None:
    thinking = request.thinking
    if thinking is None:
        return
    if (thinking.type == "enabled") != (thinking.budget_tokens is not None):
        raise invalid("thinking: budget_tokens goes with type enabled, and only with it")
    if thinking.budget_tokens is not None and thinking.budget_tokens >= request.max_tokens:
        raise invalid("`max_tokens` must be greater than `thinking.budget_tokens`")
    forced = request.tool_choice is not None and request.tool_choice.type in ("any", "tool")
    if thinking.type == "enabled" and forced:
        raise invalid("Thinking may not be enabled when tool_choice forces tool use.")
    if thinking.type == "enabled" and request.temperature not in (None, 1.0):
        raise invalid("`temperature` may only be set to 1 when thinking is enabled")


def _check_turns(request: MessagesRequest) -> None:
    """Tool results answer the calls just before them; thinking comes back signed, ahead of the calls."""
    if request.messages[0].role != "user":
        raise invalid("messages: first message must use the user role")
    open_calls: set[str] = set()
    for message in request.messages:
        blocks = message.blocks()
        answered = {block.tool_use_id for block in blocks if isinstance(block, ToolResult)}
        if answered != open_calls:
            raise invalid("messages: tool_use ids and tool_result blocks do not match")
        open_calls = {block.id for block in blocks if isinstance(block, ToolUse)}
        if any(isinstance(block, ThinkingBlock) and block.signature != SIGNATURE for block in blocks):
            raise invalid("messages: Invalid `signature` in `thinking` block")
        enabled = request.thinking is not None and request.thinking.type == "enabled"
        if enabled and open_calls and not isinstance(blocks[0], ThinkingBlock | RedactedThinking):
            raise invalid("messages: Expected `thinking` or `redacted_thinking`, but found `tool_use`")


def _message(script: Script, request: MessagesRequest) -> dict[str, Any]:
    return {
        "id": "msg_standin",
        "type": "message",
        "role": "assistant",
        "model": request.model,
        "content": script.content,
        "stop_reason": script.stop_reason,
        "stop_sequence": None,
        "usage": script.usage,
    }


def _events(script: Script, request: MessagesRequest) -> Iterator[dict[str, Any]]:
    usage = {**script.usage, "output_tokens": 1}
    message = _message(script, request) | {"content": [], "stop_reason": None, "usage": usage}
    yield {"type": "message_start", "message": message}
    yield {"type": "ping"}
    for index, block in enumerate(script.content):
        empty, deltas = _deltas(block)
        yield {"type": "content_block_start", "index": index, "content_block": empty}
        for delta in deltas:
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    end = {"stop_reason": script.stop_reason, "stop_sequence": None}
    yield {"type": "message_delta", "delta": end, "usage": script.usage}
    yield {"type": "message_stop"}


def _deltas(block: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Cut a whole block into its empty beginning and its deltas."""
    match block["type"]:
        case "text":
            return {**block, "text": ""}, [{"type": "text_delta", "text": piece} for piece in _pieces(block["text"])]
        case "thinking":
            thoughts = [{"type": "thinking_delta", "thinking": piece} for piece in _pieces(block["thinking"])]
            signature = {"type": "signature_delta", "signature": block["signature"]}
            return {**block, "thinking": "", "signature": ""}, [*thoughts, signature]
        case "tool_use":
            text = json.dumps(block["input"])
            return {**block, "input": {}}, [{"type": "input_json_delta", "partial_json": p} for p in _pieces(text)]
    return block, []


def _pieces(text: str) -> list[str]:
    return re.findall(f"(?s).{{1,{PIECE}}}", text)


async def _stream(script: Script, request: MessagesRequest, receive: Any, send: Any, entry: Entry) -> None:
    headers = [(b"content-type", b"text/event-stream; charset=utf-8")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    for event in _events(script, request):
        await _pause(script.event_wait_s, receive, entry)
        await _send_event(send, event)
        if event["type"] == "content_block_delta" and script.error_event is not None:
            error = {"type": script.error_event, "message": "Overloaded"}
            await _send_event(send, {"type": "error", "error": error})
            break
        if event["type"] == "content_block_delta" and script.cut:
            break
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _send_event(send: Any, event: dict[str, Any]) -> None:
    data = f"event: {event['type']}\ndata: {json.dumps(event)}\n\n"
    await send({"type": "http.response.body", "body": data.encode(), "more_body": True})


async def _reply(send: Any, status: int, body: dict[str, Any], headers: dict[str, str] | None = None) -> None:
    named = {"content-type": "application/json", "request-id": "req_standin", **(headers or {})}
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in named.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": json.dumps(body).encode()})


async def _read(receive: Any) -> bytes:
    pieces, more = [], True
    while more:
        message = await receive()
        pieces.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(pieces)


async def _pause(seconds: float, receive: Any, entry: Entry) -> None:
    """Let time pass while the client stays."""
    if not seconds:
        return
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while (await receive())["type"] != "http.disconnect":
                pass
            raise ConnectionAbortedError
