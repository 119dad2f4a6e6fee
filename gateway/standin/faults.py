"""What goes wrong: which request draws a fault, and what the fault does to an answer on its way out."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

import msgspec

from gateway.standin.behaviour import Behaviour, Fault, Framing
from gateway.standin.replies import Frame

JSON = b"application/json"
HTML = b"text/html; charset=utf-8"
_COMMENT_EVERY_MS = 50
_HUGE = 1 << 20
"""Characters of a huge event's text."""


class Ending(Enum):
    """How a connection ends before its answer does."""

    STALL = "stall"
    CLOSE = "close"
    RESET = "reset"


_MID_STREAM = {
    "stall-mid-stream": Ending.STALL,
    "close-mid-stream": Ending.CLOSE,
    "reset-mid-stream": Ending.RESET,
}
BEFORE_HEADERS = {
    "stall-before-headers": Ending.STALL,
    "close-before-headers": Ending.CLOSE,
    "reset-before-headers": Ending.RESET,
}


class FaultDraw:
    """Draws faults for requests, in their order, repeatably from a seed."""

    def __init__(self, behaviour: Behaviour) -> None:
        self._random = random.Random(behaviour.fault_seed)
        self._drawn = 0

    def draw(self, behaviour: Behaviour) -> Fault | None:
        """Return what goes wrong with the next request, or None."""
        if not behaviour.faults or (behaviour.fault_limit is not None and self._drawn >= behaviour.fault_limit):
            return None
        if behaviour.fault_rate < 1 and self._random.random() >= behaviour.fault_rate:
            return None
        self._drawn += 1
        return self._random.choice(behaviour.faults)


@dataclass(frozen=True, slots=True)
class PlainReply:
    """A body with its promises: `declared` is its Content-Length where that is a lie."""

    body: bytes
    status: int = 200
    content_type: bytes = JSON
    headers: tuple[tuple[bytes, bytes], ...] = ()
    declared: int | None = None
    ending: Ending | None = None


_STATUS_KINDS = {
    400: ("invalid_request_error", "invalid_value", "The request was refused."),
    401: ("invalid_request_error", "invalid_api_key", "Incorrect API key provided."),
    403: ("invalid_request_error", "unsupported_country_region_territory", "Country or region not supported."),
    404: ("invalid_request_error", "model_not_found", "The model does not exist."),
    408: ("server_error", "request_timeout", "The request timed out."),
    409: ("invalid_request_error", "conflict", "The resource was changed by another request."),
    422: ("invalid_request_error", "unprocessable_entity", "The request could not be followed."),
    429: ("requests", "rate_limit_exceeded", "Rate limit reached. Please try again later."),
    500: ("server_error", "internal_error", "The server had an error while processing your request."),
    502: ("server_error", "bad_gateway", "Bad gateway."),
    503: ("server_error", "service_unavailable", "The engine is currently overloaded, please try again later."),
    504: ("server_error", "gateway_timeout", "Gateway timeout."),
    529: ("overloaded_error", "overloaded", "Overloaded."),
}


def status_reply(fault: Fault, behaviour: Behaviour) -> PlainReply | None:
    """Return the error answer of a `status-…` fault or of a refusal, None for any other fault."""
    if fault == "content-refused":
        message = "Your request was rejected as a result of our safety system."
        return PlainReply(_error(message, "invalid_request_error", "content_policy_violation"), 400)
    if not fault.startswith("status-"):
        return None
    status = int(fault.removeprefix("status-"))
    headers: tuple[tuple[bytes, bytes], ...] = ()
    if status in {429, 503} and behaviour.retry_after is not None:
        headers = ((b"retry-after", behaviour.retry_after.encode()),)
    if behaviour.error_body == "empty":
        return PlainReply(b"", status, HTML, headers)
    kind, code, message = _STATUS_KINDS[status]
    if behaviour.error_body == "html":
        page = f"<html><head><title>{status}</title></head><body><h1>{message}</h1></body></html>\n"
        return PlainReply(page.encode(), status, HTML, headers)
    return PlainReply(_error(message, kind, code), status, JSON, headers)


def spoil_body(body: dict[str, Any], fault: Fault | None) -> PlainReply:
    """Return a plain answer as the fault leaves it."""
    whole = PlainReply(msgspec.json.encode(body))
    half = whole.body[: len(whole.body) // 2]
    match fault:
        case "not-json":
            return replace(whole, body=b"upstream connect error or disconnect/reset before headers")
        case "truncated-json":
            return replace(whole, body=half)
        case "invalid-utf8":
            return replace(whole, body=_broken_text(whole.body))
        case "huge-event":
            return replace(whole, body=_grown(whole.body))
        case "no-usage":
            return replace(whole, body=msgspec.json.encode({key: body[key] for key in body if key != "usage"}))
        case "wrong-content-type":
            return replace(whole, content_type=HTML)
        case "content-length-long":
            return replace(whole, declared=len(whole.body) + 100, ending=Ending.CLOSE)
        case "content-length-short":
            return replace(whole, declared=len(half))
        case "stall-before-first-token":
            return replace(whole, body=b"", declared=len(whole.body), ending=Ending.STALL)
        case "stall-mid-stream" | "close-mid-stream" | "reset-mid-stream":
            return replace(whole, body=half, declared=len(whole.body), ending=_MID_STREAM[fault])
        case _:
            return whole


def spoil_frames(frames: Iterator[Frame], fault: Fault | None, tokens: int) -> Iterator[Frame | Ending]:
    """Yield a stream's frames as the fault leaves them: it strikes half-way through the `tokens`."""
    if fault is None:
        yield from frames
        return
    if fault == "stall-before-first-token":
        yield Ending.STALL
        return
    seen, strikes_after, struck = 0, max(1, tokens // 2), False
    for frame in frames:
        if (frame.kind == "usage" and fault == "no-usage") or (frame.kind == "done" and fault == "no-done"):
            continue
        if not struck and (seen >= strikes_after or frame.kind in {"usage", "done"}):
            struck = True
            yield from _strike(frame, fault)
            if fault in _MID_STREAM or fault == "error-event":
                return
        else:
            yield frame
        seen += frame.kind == "token"


def _strike(frame: Frame, fault: Fault) -> Iterator[Frame | Ending]:
    """Yield what comes in the place of one frame."""
    match fault:
        case "stall-mid-stream" | "close-mid-stream" | "reset-mid-stream":
            yield _MID_STREAM[fault]
        case "comments-mid-stream":
            while True:  # the client leaves
                yield frame._replace(wait_ms=_COMMENT_EVERY_MS, kind="comment", data=b"keep-alive")
        case "error-event":
            yield frame._replace(data=_error("The server had an error while processing your request.", "server_error"))
        case "not-json":
            yield frame._replace(kind="other", data=b"upstream connect error")
            yield frame
        case "truncated-json":
            yield frame._replace(data=frame.data[: len(frame.data) // 2])
        case "invalid-utf8":
            yield frame._replace(data=_broken_text(frame.data))
        case "huge-event":
            yield frame._replace(data=_grown(frame.data))
        case _:
            yield frame


def event_bytes(frame: Frame, number: int, framing: tuple[Framing, ...]) -> bytes:
    """Write one frame as a server-sent event, or a comment, in the framing asked for."""
    if frame.kind == "silence":
        return b""
    if not framing:
        return b"".join((b": " if frame.kind == "comment" else b"data: ", frame.data, b"\n\n"))
    end = b"\r\n" if "crlf" in framing else b"\n"
    lines = [b"data: " + frame.data] if frame.kind != "comment" else [b": " + frame.data]
    if "named" in framing:
        lines = [b"event: message", b"id: %d" % number, *lines]
    if "commented" in framing:
        lines = [b": event %d" % number, *lines]
    mark = b"\xef\xbb\xbf" if "bom" in framing and number == 0 else b""
    return mark + end.join(lines) + end + end


def _error(message: str, kind: str, code: str | None = None) -> bytes:
    return msgspec.json.encode({"error": {"message": message, "type": kind, "param": None, "code": code}})


def _broken_text(data: bytes) -> bytes:
    """Put a byte that UTF-8 never uses into the first text."""
    place = data.find(b'"') + 1
    return data[:place] + b"\xff" + data[place:]


def _grown(data: bytes) -> bytes:
    """Make the first choice's text huge; data without choices stays as it is."""
    if not data.startswith(b"{"):
        return data
    body = msgspec.json.decode(data)
    for choice in body["choices"][:1]:
        holder = choice.get("message") or choice.get("delta") or choice
        holder["text" if "text" in choice else "content"] = "x" * _HUGE
    return msgspec.json.encode(body)
