"""The OpenAPI document: request shapes come from the same structs that check the requests."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.wire.chat import ChatRequest, CompletionRequest
from gateway.wire.embeddings import EmbeddingRequest

_REF = "#/components/schemas/{name}"
SHAPES: tuple[type[msgspec.Struct], ...] = (ChatRequest, CompletionRequest, EmbeddingRequest)

_ERROR_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": ["string", "null"]},
            },
        }
    },
}
_ERROR = {
    "description": "What went wrong",
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
}


_STREAMED = {"description": "The answer", "content": {"application/json": {}, "text/event-stream": {}}}


def describe(shape: type[msgspec.Struct] | None, summary: str, *, streams: bool = False) -> dict[str, Any]:
    """Give a route's description: what it takes, what it answers, and OpenAI's shape for its errors."""
    described: dict[str, Any] = {
        "summary": summary,
        "response_model": None,
        "responses": {"4XX": _ERROR, "5XX": _ERROR} | ({200: _STREAMED} if streams else {}),
        "openapi_extra": {"security": [{"bearer": []}]},
    }
    if shape is not None:
        schema = {"$ref": _REF.format(name=shape.__name__)}
        described["openapi_extra"]["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": schema}},
        }
    return described


def add_components(document: dict[str, Any]) -> dict[str, Any]:
    """Add the request shapes, the error shape and the key to a generated document."""
    _, schemas = msgspec.json.schema_components(SHAPES, ref_template=_REF)
    components = document.setdefault("components", {})
    components.setdefault("schemas", {}).update(schemas | {"Error": _ERROR_SCHEMA})
    components["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer"}}
    return document
