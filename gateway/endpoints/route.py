"""``POST /v1/route``: the whole decision for a request, without calling anybody."""

from __future__ import annotations

import msgspec
from fastapi import APIRouter, Request, Response

from gateway.calls.forward import decision_headers
from gateway.endpoints.chat import NAMING_FIELDS, read_chat
from gateway.endpoints.deciding import decide
from gateway.exchange import Call, Exchange, Reply
from gateway.wire.body import parse
from gateway.wire.chat import ChatRequest
from gateway.wire.openapi import describe

routes = APIRouter(tags=["Thalamus"])


@routes.post("/v1/route", **describe(ChatRequest, "Show the decision for a chat request"))
async def route(request: Request) -> Response:
    """Explain who would answer a chat request and why; nothing is called and nothing is spent."""
    return Exchange(request, "route", serve_route)


async def serve_route(call: Call) -> Reply:
    """Parse, decide, explain."""
    chat = parse(call.body, ChatRequest)
    decision = await decide(call, read_chat(chat, call), chat.decode(NAMING_FIELDS), reserve=False)
    call.remember = None  # a question about a decision is no part of a conversation
    return Reply(msgspec.json.encode(decision.as_dict()), decision_headers(decision, call.record))
