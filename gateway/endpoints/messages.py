"""``POST /v1/messages`` and ``/v1/messages/count_tokens``: Anthropic's API, over whatever `auto` chooses."""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing

import msgspec
from fastapi import APIRouter, Request, Response

from gateway.endpoints.chat import answer_chat
from gateway.errors import UnknownModel
from gateway.exchange import Call, Exchange, Reply, StreamReply
from gateway.show import Show
from gateway.showing import choose_show
from gateway.surfaces.messages import (
    MESSAGES_ERRORS,
    MessageStream,
    Telling,
    Thoughts,
    estimate_tokens,
    write_chat,
    write_message,
    write_prompt,
)
from gateway.surfaces.messages.errors import REQUEST_ID_HEADER
from gateway.wire.body import parse
from gateway.wire.chat import ChatRequest
from gateway.wire.messages import CountTokensRequest, MessagesRequest, Thinking
from gateway.wire.openapi import describe
from router.policy import AUTO

ESTIMATE_HEADER = "x-thalamus-tokens"
routes = APIRouter(tags=["Anthropic"])


@routes.post("/v1/messages", **describe(MessagesRequest, "Create a message", streams=True, errors="MessagesError"))
async def messages(request: Request) -> Response:
    """Answer a conversation in Anthropic's Messages API with the model that it needs."""
    return Exchange(request, "messages", serve_message, MESSAGES_ERRORS)


@routes.post(
    "/v1/messages/count_tokens", **describe(CountTokensRequest, "Estimate a prompt's tokens", errors="MessagesError")
)
async def count_tokens(request: Request) -> Response:
    """Estimate the length of a prompt; whoever would answer has its own tokeniser, and is not asked."""
    return Exchange(request, "count_tokens", serve_token_count, MESSAGES_ERRORS)


async def serve_message(call: Call) -> Reply | StreamReply:
    """Parse, ask as a chat request, tell the answer as a message."""
    request = parse(call.body, MessagesRequest).typed
    chat = write_chat(request, routed=_is_routed(call, request.model))
    show = choose_show(call)
    reply = await answer_chat(call, parse(msgspec.json.encode(chat), ChatRequest))
    telling = _tell(call, request, estimate_tokens(chat), show)
    headers = _with_request_id(reply.headers)
    if isinstance(reply, Reply):
        return Reply(write_message(reply.body, telling), headers, reply.status, reply.after)
    events = _write_events(MessageStream(telling), reply)
    return StreamReply(await anext(events), events, headers, reply.after)


async def serve_token_count(call: Call) -> Reply:
    """Parse, estimate."""
    request = parse(call.body, CountTokensRequest).typed
    call.caller.check_may_ask_for(request.model)
    if request.model not in call.rooms.engine.names:
        raise UnknownModel(f"The model '{request.model}' does not exist here.", param="model")
    tokens = estimate_tokens(write_prompt(request))
    return Reply(msgspec.json.encode({"input_tokens": tokens}), _with_request_id({ESTIMATE_HEADER: "estimated"}))


def _is_routed(call: Call, model: str) -> bool:
    return call.rooms.engine.policy.aliases.get(model, model) == AUTO


def _tell(call: Call, request: MessagesRequest, prompt_tokens: int, show: Show) -> Telling:
    target = call.record.target
    backend = target.backend if target is not None else ""
    settings = call.rooms.settings.backends.get(backend)
    return Telling(
        message_id=f"msg_{secrets.token_hex(12)}",
        model=settings.model if settings is not None else request.model,
        backend=backend,
        thoughts=_thoughts(request.thinking, show),
        stop_sequences=tuple(request.stop_sequences or ()),
        prompt_tokens=prompt_tokens,
    )


def _thoughts(thinking: Thinking | None, show: Show) -> Thoughts:
    """Show reasoning to those who asked for it and may see it: to others, an answer's first block is its text.

    Where only its length may be seen, blocks come signed and without text, as for `display: omitted`.
    """
    if thinking is None or thinking.type not in ("enabled", "adaptive") or show is Show.HIDE:
        return Thoughts.HIDDEN
    return Thoughts.OMITTED if thinking.display == "omitted" or show is Show.COUNT else Thoughts.SHOWN


def _with_request_id(headers: Mapping[str, str]) -> dict[str, str]:
    """Add the id that Anthropic's SDKs show. It is the decision's, which the log has as well."""
    request_id = headers.get("x-thalamus-decision-id") or f"req_{secrets.token_hex(12)}"
    return {**headers, REQUEST_ID_HEADER: request_id}


async def _write_events(stream: MessageStream, reply: StreamReply) -> AsyncGenerator[bytes, None]:
    """Yield the events for what is there, possibly none, and then for all that arrives."""
    async with aclosing(reply.rest) as rest:
        yield stream.feed(reply.first)
        async for piece in rest:
            if told := stream.feed(piece):
                yield told
