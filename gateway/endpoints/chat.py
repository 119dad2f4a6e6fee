"""``POST /v1/chat/completions``: the gateway's main door."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter, Request, Response

from classifiers.types import Conversation, Turn
from gateway.endpoints.deciding import decide, read_choices
from gateway.exchange import Call, Exchange, Reply, StreamReply
from gateway.forward import Errand, Outgoing, forward
from gateway.sessions import IDENTITY_FIELDS
from gateway.upstream.dialects.controls import CONTROL_FIELDS
from gateway.upstream.pool import Backend
from gateway.wire.body import Parsed, parse
from gateway.wire.chat import ChatRequest, Message
from gateway.wire.openapi import describe
from router.types import Needs, RouteRequest, Target

routes = APIRouter(tags=["OpenAI"])

NAMING_FIELDS = (*IDENTITY_FIELDS, "user")

BYTES_PER_TOKEN = 3
"""A safe (high) estimate of tokens: English has about 4 bytes a token, Chinese 3 to 4."""


@routes.post("/v1/chat/completions", **describe(ChatRequest, "Create a chat completion", streams=True))
async def chat_completions(request: Request) -> Response:
    """Answer a conversation with the model that it needs."""
    return Exchange(request, "chat", serve_chat)


async def serve_chat(call: Call) -> Reply | StreamReply:
    """Parse, decide, forward."""
    chat = parse(call.body, ChatRequest)
    request = chat.typed
    decision = await decide(call, read_chat(chat, call), chat.decode(NAMING_FIELDS))
    options = request.stream_options
    errand = Errand(
        path="chat/completions",
        fields=chat.fields,
        prepare=lambda backend, target: prepare_chat(chat, backend, target, decision.raise_max_tokens),
        stream=bool(request.stream),
        usage_asked=bool(options and options.include_usage),
        choices=request.n or 1,
    )
    return await forward(call, decision, errand)


def read_chat(chat: Parsed[ChatRequest], call: Call) -> RouteRequest:
    """Read from a request all that the decision may look at."""
    request = chat.typed
    choices = read_choices(call.headers, chat.decode(CONTROL_FIELDS))
    turns = tuple(_turn(message) for message in request.messages)
    return RouteRequest(
        model=request.model,
        conversation=Conversation(turns, tools=len(request.tools or ())),
        needs=_needs(chat, turns),
        effort=choices.effort,
        tier=choices.tier,
        dial=choices.dial,
        attributes={f"metadata.{name}": value for name, value in (request.metadata or {}).items()},
    )


def prepare_chat(
    chat: Parsed[ChatRequest], backend: Backend, target: Target, raised_max_tokens: int | None = None
) -> Outgoing:
    """Write the request as one backend wants it: its model id, its thinking switch, and usage in streams."""
    cap = {} if raised_max_tokens is None else {_cap_field(chat.typed): raised_max_tokens}
    thinking = backend.compile_thinking(target.effort, chat, cap)
    changes = {"model": backend.settings.model, **cap, **thinking.set}
    if chat.typed.stream:
        written = chat.decode(("stream_options",)).get("stream_options") or {}
        changes["stream_options"] = {**written, "include_usage": True}
    told = thinking.header + (f" max_tokens={raised_max_tokens}" if cap else "")
    return Outgoing(chat.with_fields(changes, thinking.drop), told)


def _cap_field(request: ChatRequest) -> str:
    return "max_completion_tokens" if request.max_completion_tokens is not None else "max_tokens"


def _turn(message: Message) -> Turn:
    role = message.role
    if role == "developer":
        role = "system"
    elif role == "function":
        role = "tool"
    return Turn(role, _text(message))


def _text(message: Message) -> str:
    content = message.content
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    return "\n".join(part.text for part in content if part.text is not None)


def _needs(chat: Parsed[ChatRequest], turns: Sequence[Turn]) -> Needs:
    request = chat.typed
    types = _part_types(request.messages)
    vision, audio = "image_url" in types, "input_audio" in types
    # Media travel as base64 inside the messages, and say nothing about the length in tokens.
    written = _text_bytes(turns) if vision or audio else len(bytes(chat.fields["messages"]))
    length = written + len(bytes(chat.fields.get("tools", b"")))
    return Needs(
        tools=bool(request.tools),
        vision=vision,
        audio=audio,
        json=request.response_format is not None and request.response_format.type != "text",
        logprobs=bool(request.logprobs),
        prompt_tokens=length // BYTES_PER_TOKEN,
        max_tokens=request.max_completion_tokens or request.max_tokens,
    )


def _text_bytes(turns: Sequence[Turn]) -> int:
    return sum(len(turn.text.encode(errors="replace")) for turn in turns)


def _part_types(messages: Sequence[Message]) -> set[str]:
    return {part.type for message in messages if isinstance(message.content, list) for part in message.content}
