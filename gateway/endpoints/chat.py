"""``POST /v1/chat/completions``: the gateway's main door."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import msgspec
from fastapi import APIRouter, Request, Response

from classifiers.types import Conversation, Turn
from gateway.calls.cascade import forward_chat
from gateway.calls.errand import Errand, Outgoing
from gateway.endpoints.deciding import decide, read_choices
from gateway.errors import InvalidField
from gateway.exchange import Call, Exchange, Reply, StreamReply
from gateway.sessions import IDENTITY_FIELDS
from gateway.show import Show
from gateway.showing import choose_show, take_wish
from gateway.upstream.dialects import Thinking
from gateway.upstream.dialects.controls import CONTROL_FIELDS
from gateway.upstream.pool import Backend
from gateway.vault import History, Mended, Origin, Vault, mend, will_think
from gateway.wire.body import Parsed, parse
from gateway.wire.chat import ChatRequest, Message
from gateway.wire.openapi import describe
from router.types import Decision, Effort, Needs, RouteRequest, Target

routes = APIRouter(tags=["OpenAI"])

NAMING_FIELDS = (*IDENTITY_FIELDS, "user")

BYTES_PER_TOKEN = 3
"""A safe (high) estimate of tokens: English has about 4 bytes a token, Chinese 3 to 4."""


@routes.post("/v1/chat/completions", **describe(ChatRequest, "Create a chat completion", streams=True))
async def chat_completions(request: Request) -> Response:
    """Answer a conversation with the model that it needs."""
    return Exchange(request, "chat", serve_chat)


async def serve_chat(call: Call) -> Reply | StreamReply:
    """Answer as chat clients expect it, with as much of the reasoning as the caller may and wants to see."""
    chat, wish = take_wish(parse(call.body, ChatRequest))
    both_names = call.rooms.settings.reasoning.both_names
    return await answer_chat(call, chat, choose_show(call, wish), both_names=both_names)


Native = Callable[[Backend, Target, int | None, History], Outgoing]
"""Writes a request for a backend that speaks the caller's API itself: for a target, with a raised cap, a history."""


async def answer_chat(
    call: Call,
    chat: Parsed[ChatRequest],
    show: Show = Show.PASS,
    *,
    both_names: bool = False,
    native: Native | None = None,
) -> Reply | StreamReply:
    """Decide, forward. Other surfaces take all of the reasoning, and show it in their own ways.

    Args:
        call: the request being served.
        chat: what it asks.
        show: how much of the reasoning the client sees.
        both_names: whether it gets `reasoning` beside `reasoning_content`.
        native: writes the same request for those backends that answer it in the surface's own words.
    """
    check_number(chat.typed.messages, call.rooms.settings.server.max_messages)
    call.wants_stream = bool(chat.typed.stream)
    request = read_chat(chat, call)
    decision = await decide(call, request, chat.decode(NAMING_FIELDS))
    history = await recall_history(call, chat, decision, native=native is not None)

    def errand_of(asked: Parsed[ChatRequest], max_tokens: int | None) -> Errand:
        # What a cascade makes of the request (a probe, a self-check) is read by it, and so always a chat completion.
        own = native if asked is chat else None
        prompt_tokens = request.needs.prompt_tokens
        errand = _errand(asked, max_tokens, prompt_tokens, history=history, vault=call.rooms.vault, native=own)
        return replace(errand, show=show, both_names=both_names)

    reply = await forward_chat(call, decision, chat, errand_of)
    return await call.rooms.shadows.follow(call, chat, errand_of, reply)


def check_number(messages: Sequence[Message], most: int) -> None:
    """Raise InvalidField if a request has more messages than that."""
    if len(messages) > most:
        raise InvalidField(f"A request may have {most} messages here, and has {len(messages)}.", param="messages")


def _errand(
    asked: Parsed[ChatRequest],
    max_tokens: int | None,
    prompt_tokens: int,
    *,
    history: History,
    vault: Vault | None,
    native: Native | None,
) -> Errand:
    """Make the errand for a request: the caller's own, or one that a cascade made of it."""
    request, options = asked.typed, asked.typed.stream_options
    known = history if request.messages is history.messages else None

    def prepare(backend: Backend, target: Target) -> Outgoing:
        cap = _cap_for(backend, target, max_tokens, asked.typed, prompt_tokens)
        if native is not None and backend.speaks_responses:
            return native(backend, target, cap, history)
        return prepare_chat(asked, backend, target, cap, history=known, vault=vault)

    return Errand(
        path="chat/completions",
        fields=asked.fields,
        prepare=prepare,
        stream=bool(request.stream),
        usage_asked=bool(options and options.include_usage),
        choices=request.n or 1,
        may_be_native=native is not None,
        resume=partial(resume_chat, asked, known) if _can_be_resumed(asked) else None,
    )


def _cap_for(backend: Backend, target: Target, cap: int | None, request: ChatRequest, prompt_tokens: int) -> int | None:
    """Give a target's cap: one above the caller's own makes room to think, and is for those alone that do.

    It asks for no more than the context window holds behind the prompt: that would be refused.
    """
    own = _own_cap(request)
    if cap is None or own is None or cap <= own:
        return cap
    cap = min(cap, backend.settings.context_window - prompt_tokens)
    return cap if cap > own and target.thinks(backend.dialect.habit) else None


def _own_cap(request: ChatRequest) -> int | None:
    return request.max_completion_tokens or request.max_tokens


def _can_be_resumed(chat: Parsed[ChatRequest]) -> bool:
    """Whether the rest of an answer means the same without its beginning: one text, bound to no format."""
    request = chat.typed
    bound = request.response_format is not None and request.response_format.type != "text"
    return bool(request.stream) and (request.n or 1) == 1 and not request.logprobs and not bound


def resume_chat(
    chat: Parsed[ChatRequest],
    history: History | None,
    backend: Backend,
    target: Target,
    said: str,
    tokens: int,
) -> Outgoing | None:
    """Write the request to go on with an answer that broke off; None where the backend cannot.

    It goes on without thinking, and so within the caller's own cap: what has been said was thought out already, and
    thoughts would come before the rest.
    """
    continuation, dialect = backend.continuation, backend.dialect
    if continuation is None or (dialect.thinking != "never" and Effort.NONE not in dialect.efforts):
        return None
    request = chat.typed
    asked = _own_cap(request)
    rest = None if asked is None else max(1, asked - tokens)
    effort = Effort.NONE if dialect.thinking != "never" else target.effort
    outgoing = prepare_chat(chat, backend, replace(target, effort=effort), rest, history=history)
    body = msgspec.json.decode(outgoing.body, type=dict[str, Any])
    body["messages"].append({"role": "assistant", "content": said, **continuation.message})
    return replace(outgoing, body=msgspec.json.encode(body | continuation.request))


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
        stream=bool(request.stream),
        checkable=True,
        attributes={f"metadata.{name}": value for name, value in (request.metadata or {}).items()},
    )


async def recall_history(call: Call, chat: Parsed[ChatRequest], decision: Decision, *, native: bool = False) -> History:
    """Give the request's messages, with what the vault holds of their reasoning for any backend that may answer."""
    rooms = call.rooms
    history = History(chat.typed.messages, chat.fields["messages"])
    if rooms.vault is None or len(history.messages) == 1:
        return history
    backends = [rooms.backends[target.backend] for target in decision.targets]
    dialects = [backend.dialect for backend in backends]
    own_items = native and any(backend.speaks_responses for backend in backends)
    keepsakes = await rooms.vault.recall(call.caller.tenant, chat, dialects, own_items=own_items)
    call.record.leave("vault")
    return replace(history, keepsakes=keepsakes)


def prepare_chat(
    chat: Parsed[ChatRequest],
    backend: Backend,
    target: Target,
    raised_max_tokens: int | None = None,
    *,
    history: History | None = None,
    vault: Vault | None = None,
) -> Outgoing:
    """Write the request as one backend wants it: its model id, thinking switch and history, and usage in streams.

    Args:
        chat: the request as it came.
        backend: who is to answer.
        target: at which effort.
        raised_max_tokens: another cap than the caller's: larger, to leave room for thinking, or a cascade's.
        history: the messages with what is known of them; None takes them as they came.
        vault: keeps the answer's reasoning, where it may be wanted again.
    """
    cap = {} if raised_max_tokens is None else {_cap_field(chat.typed): raised_max_tokens}
    if history is None:
        history = History(chat.typed.messages, chat.fields["messages"])
    thinking, mended = _think_and_mend(chat, backend, target.effort, cap, history)
    changes = {"model": backend.settings.model, **cap, **thinking.set}
    if mended.messages is not None:
        changes["messages"] = mended.messages
    if chat.typed.stream:
        written = chat.decode(("stream_options",)).get("stream_options") or {}
        changes["stream_options"] = {**written, "include_usage": True}
    told = thinking.header + (f" max_tokens={raised_max_tokens}" if cap else "")
    if mended.note:
        told += f" history={mended.note}"
    listener = vault.listen(chat, backend.dialect, backend.settings.model, backend.reasoning) if vault else None
    return Outgoing(chat.with_fields(changes, thinking.drop), told, mended, listener)


def _think_and_mend(
    chat: Parsed[ChatRequest], backend: Backend, effort: Effort | None, cap: Mapping[str, int], history: History
) -> tuple[Thinking, Mended]:
    """Compile the effort and mend the history; think not where the backend would refuse what is missing of it."""
    dialect = backend.dialect
    origin = Origin.of(dialect, backend.settings.model)
    thinking = backend.compile_thinking(effort, chat, cap)
    mended = mend(history, dialect, origin, thinks=will_think(dialect, thinking.applied))
    if not mended.refused or Effort.NONE not in dialect.efforts:
        return thinking, mended
    unthinking = backend.compile_thinking(Effort.NONE, chat, cap)
    without = mend(history, dialect, origin, thinks=False)
    return replace(unthinking, asked=effort), replace(without, missing=mended.missing)


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
        max_tokens=_own_cap(request),
    )


def _text_bytes(turns: Sequence[Turn]) -> int:
    return sum(len(turn.text.encode(errors="replace")) for turn in turns)


def _part_types(messages: Sequence[Message]) -> set[str]:
    return {part.type for message in messages if isinstance(message.content, list) for part in message.content}
