"""Failures in Anthropic's shape. Statuses stay what they are: the SDKs retry on 408, 409, 429 and 5xx."""

from __future__ import annotations

import secrets
from collections.abc import Mapping

import msgspec

from gateway.errors import ThalamusError
from gateway.exchange import ErrorShape
from gateway.limits.headers import anthropic_headers

REQUEST_ID_HEADER = "request-id"

_TYPES: Mapping[int, str] = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_TOO_LONG = "context_length_exceeded"


class _Words(msgspec.Struct):
    message: str
    code: str | None = None


class _Body(msgspec.Struct):
    """The part of OpenAI's error shape that Anthropic's has as well."""

    error: _Words


_bodies = msgspec.json.Decoder(_Body)


def error_type(status: int) -> str:
    """Give Anthropic's word for a status."""
    return _TYPES.get(status) or ("invalid_request_error" if status < 500 else "api_error")


def error_body(error: ThalamusError) -> bytes:
    """Write a failure as a whole answer. `details.error_code` is the gateway's own, closed code."""
    words = _read_words(error)
    # Claude Code makes room in its conversation when it reads this, and at no other word for it.
    message = f"prompt is too long: {words.message}" if words.code == _TOO_LONG else words.message
    details = {"error_code": words.code or error.code}
    told = {"type": error_type(error.status), "message": message, "details": details}
    return msgspec.json.encode({"type": "error", "error": told})


def error_event(error: ThalamusError) -> bytes:
    """Write a failure as the last event of a stream."""
    return b"event: error\ndata: " + error_body(error) + b"\n\n"


def error_headers(error: ThalamusError) -> Mapping[str, str]:
    """Give a failure's headers, with the id that Anthropic's SDKs show: the decision's, where there was one."""
    request_id = error.headers.get("x-thalamus-decision-id") or f"req_{secrets.token_hex(12)}"
    return {**error.headers, REQUEST_ID_HEADER: request_id}


def _read_words(error: ThalamusError) -> _Words:
    """Read the message and code from the error's own body, which may be a backend's."""
    try:
        return _bodies.decode(error.body()).error
    except msgspec.DecodeError:
        return _Words(error.message, error.code)


PING = b'event: ping\ndata: {"type":"ping"}\n\n'

MESSAGES_ERRORS = ErrorShape(
    body=error_body, event=error_event, headers=error_headers, keep_alive=PING, standing=anthropic_headers
)
