"""``POST /v1/embeddings``: passed on to the backend or alias that the client names."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from classifiers.types import Conversation
from gateway.calls.errand import Errand, Outgoing
from gateway.calls.forward import forward
from gateway.endpoints.deciding import decide
from gateway.errors import InvalidField
from gateway.exchange import Call, Exchange, Reply, StreamReply
from gateway.wire.body import parse
from gateway.wire.embeddings import EmbeddingRequest
from gateway.wire.openapi import describe
from router.types import RouteRequest

routes = APIRouter(tags=["OpenAI"])


@routes.post("/v1/embeddings", **describe(EmbeddingRequest, "Create embeddings"))
async def embeddings(request: Request) -> Response:
    """Embed text with the named backend."""
    return Exchange(request, "embeddings", serve_embedding)


async def serve_embedding(call: Call) -> Reply | StreamReply:
    """Parse, find the backend, forward. Vectors of different models cannot be mixed, so nothing is routed."""
    embedding = parse(call.body, EmbeddingRequest)
    engine = call.rooms.engine
    model = engine.policy.aliases.get(embedding.typed.model, embedding.typed.model)
    if model in engine.names and model not in call.rooms.backends:
        raise InvalidField(
            "Embeddings are not routed: name a backend, or an alias of one, as the model. "
            f"There are: {', '.join(call.rooms.backends)}.",
            param="model",
        )
    decision = await decide(call, RouteRequest(model=embedding.typed.model, conversation=Conversation(())))
    errand = Errand(
        path="embeddings",
        fields=embedding.fields,
        prepare=lambda backend, _target: Outgoing(embedding.with_fields({"model": backend.settings.model}), ""),
    )
    return await forward(call, decision, errand)
