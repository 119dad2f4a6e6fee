"""The OpenAPI document: request shapes come from the same structs that check the requests."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.wire.chat import ChatRequest, CompletionRequest
from gateway.wire.embeddings import EmbeddingRequest
from gateway.wire.feedback import FeedbackRequest
from gateway.wire.messages import CountTokensRequest, MessagesRequest
from gateway.wire.responses import ResponsesRequest

_REF = "#/components/schemas/{name}"
SHAPES: tuple[type[msgspec.Struct], ...] = (
    ChatRequest,
    CompletionRequest,
    EmbeddingRequest,
    MessagesRequest,
    CountTokensRequest,
    ResponsesRequest,
    FeedbackRequest,
)

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
_MESSAGES_ERROR_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["type", "error"],
    "properties": {
        "type": {"const": "error"},
        "error": {
            "type": "object",
            "required": ["type", "message"],
            "properties": {"type": {"type": "string"}, "message": {"type": "string"}},
        },
    },
}
_ERROR_SCHEMAS = {"Error": _ERROR_SCHEMA, "MessagesError": _MESSAGES_ERROR_SCHEMA}

_STREAMED = {"description": "The answer", "content": {"application/json": {}, "text/event-stream": {}}}


def describe(
    shape: type[msgspec.Struct] | None, summary: str, *, streams: bool = False, errors: str = "Error"
) -> dict[str, Any]:
    """Give a route's description: what it takes, what it answers, and the shape of its errors: OpenAI's or another."""
    failed = {
        "description": "What went wrong",
        "content": {"application/json": {"schema": {"$ref": _REF.format(name=errors)}}},
    }
    described: dict[str, Any] = {
        "summary": summary,
        "response_model": None,
        "responses": {"4XX": failed, "5XX": failed} | ({200: _STREAMED} if streams else {}),
        "openapi_extra": {"security": [{"bearer": []}, {"key": []}]},
    }
    if shape is not None:
        schema = {"$ref": _REF.format(name=shape.__name__)}
        described["openapi_extra"]["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": schema}},
        }
    return described


def add_components(document: dict[str, Any]) -> dict[str, Any]:
    """Add the request shapes, the error shapes and the two ways to send a key to a generated document."""
    _, schemas = msgspec.json.schema_components(SHAPES, ref_template=_REF)
    components = document.setdefault("components", {})
    components.setdefault("schemas", {}).update(schemas | _ERROR_SCHEMAS)
    components["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer"},
        "key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
    }
    return document
