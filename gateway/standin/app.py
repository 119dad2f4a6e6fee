"""The stand-in as an ASGI application: a strict OpenAI-compatible backend that can be told to misbehave."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qs

import msgspec

from gateway.standin.answers import Answer, answer_chat, answer_completion
from gateway.standin.behaviour import (
    Behaviour,
    SwitchError,
    adjusted,
    switches_in_headers,
    switches_in_model,
)
from gateway.standin.connection import ClientLeft, line_of
from gateway.standin.embeddings import embeddings_body
from gateway.standin.faults import BEFORE_HEADERS, FaultDraw, PlainReply, spoil_body, status_reply
from gateway.standin.journal import Journal
from gateway.standin.replies import (
    Frame,
    Heading,
    chat_body,
    chat_frames,
    completion_body,
    completion_frames,
    plain_wait_ms,
)
from gateway.standin.validate import ModelRequest, Refusal, check_key, check_model, check_window, parse
from gateway.standin.wire import ChatRequest, CompletionRequest, EmbeddingRequest
from gateway.standin.writing import (
    Exchange,
    Receive,
    Scope,
    Send,
    send_reply,
    write_after_blank_lines,
    write_plain,
    write_stream,
)

Application = Callable[[Scope, Receive, Send], Awaitable[None]]
_REQUESTS: Mapping[str, type[ModelRequest]] = {
    "/v1/chat/completions": ChatRequest,
    "/v1/completions": CompletionRequest,
    "/v1/embeddings": EmbeddingRequest,
}


def create_standin(behaviour: Behaviour | None = None) -> Application:
    """Return the application. Run it with `serve` or `running_standin`: its faults need uvicorn's sockets.

    Served are `POST /v1/chat/completions`, `/v1/completions` and `/v1/embeddings`, `GET /v1/models`,
    `/v1/models/{id}` and `/health`, and for tests `GET /standin/requests?last=N`, `GET` and `POST
    /standin/behaviour` (the switches to change) and `POST /standin/reset` (as it was started).
    """
    return _Standin(behaviour or Behaviour())


class _Standin:
    """State and routes of the stand-in."""

    def __init__(self, behaviour: Behaviour) -> None:
        self._initial = behaviour
        self._behaviour = behaviour
        self._draw = FaultDraw(behaviour)
        self._journal = Journal()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request."""
        path, method = scope["path"], scope["method"]
        with suppress(ClientLeft):  # while it was still sending its request
            body = await _read(receive)
            if path in _REQUESTS and method == "POST":
                await self._serve_model(scope, send, body)
            else:
                await send_reply(send, self._side_reply(method, path, scope, body))

    async def _serve_model(self, scope: Scope, send: Send, body: bytes) -> None:
        """Answer one request to a model, and note in the journal how that ended."""
        entry = self._journal.open(scope["method"], scope["path"], scope["headers"], body)
        exchange = Exchange(scope, send, line_of(scope), entry, self._behaviour)
        try:
            await self._answer(exchange)
        except Refusal as refusal:
            entry.status = refusal.status
            await send_reply(send, _refusal_reply(refusal))
            entry.finish("refused")
        except ClientLeft:
            entry.finish("client-left")
        else:
            entry.finish("completed" if entry.fault is None else "faulted")

    async def _answer(self, exchange: Exchange) -> None:
        if exchange.line.stale:
            exchange.entry.fault = "stale-connection"
            await exchange.line.hang_up(reset=True)
            return
        request, model = self._checked(exchange)
        behaviour, entry = exchange.behaviour, exchange.entry
        fault = self._draw.draw(behaviour)
        if fault == "stale-connection":
            exchange.line.stale, fault = True, None
        entry.fault = fault
        await exchange.wait(behaviour.first_byte_ms)
        if fault in BEFORE_HEADERS:
            await exchange.act(BEFORE_HEADERS[fault])
        elif fault is not None and (error := status_reply(fault, behaviour)) is not None:
            await write_plain(exchange, error)
        else:
            await _say(exchange, request, model)

    def _checked(self, exchange: Exchange) -> tuple[ModelRequest, str]:
        """Return the request and the bare model name, with the exchange's behaviour set for it."""
        behaviour = exchange.behaviour
        check_key(_header(exchange.scope, b"authorization"), behaviour)
        request = parse(
            exchange.entry.body, _REQUESTS[exchange.entry.path], refuse_unknown=behaviour.refuse_unknown_fields
        )
        model, switches = switches_in_model(request.model)
        changes = {**switches, **switches_in_headers(exchange.scope["headers"]), **(request.standin or {})}
        if changes:
            try:
                exchange.behaviour = adjusted(behaviour, changes)
            except SwitchError as error:
                raise Refusal(f"Invalid stand-in switch: {error}", param="standin") from error
        check_model(model, exchange.behaviour)
        return request, model

    def _side_reply(self, method: str, path: str, scope: Scope, body: bytes) -> PlainReply:
        """Answer everything that no model has to answer."""
        try:
            match method, path:
                case "GET", "/health":
                    status = 200 if self._behaviour.healthy else 503
                    return _reply({"status": "ok" if status == 200 else "unhealthy"}, status)
                case "GET", "/v1/models":
                    check_key(_header(scope, b"authorization"), self._behaviour)
                    return _reply({"object": "list", "data": [_model(name) for name in self._models()]})
                case "GET", _ if path.startswith("/v1/models/"):
                    check_key(_header(scope, b"authorization"), self._behaviour)
                    check_model(path.removeprefix("/v1/models/"), self._behaviour)
                    return _reply(_model(path.removeprefix("/v1/models/")))
                case "GET", "/standin/requests":
                    return _reply({"count": self._journal.count, "requests": self._journal.last(_last_asked(scope))})
                case "GET", "/standin/behaviour":
                    return _reply(self._behaviour)
                case "POST", "/standin/behaviour":
                    self._behave(_adjusted_by(self._behaviour, body))
                    return _reply(self._behaviour)
                case "POST", "/standin/reset":
                    self._behave(self._initial)
                    self._journal.clear()
                    return _reply(self._behaviour)
                case _:
                    raise _unknown_url(method, path)
        except Refusal as refusal:
            return _refusal_reply(refusal)

    def _models(self) -> tuple[str, ...]:
        return self._behaviour.models or ("standin",)

    def _behave(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour
        self._draw = FaultDraw(behaviour)


async def _say(exchange: Exchange, request: ModelRequest, model: str) -> None:
    """Answer a checked request, plain or streamed, as its fault allows."""
    behaviour, entry = exchange.behaviour, exchange.entry
    if isinstance(request, EmbeddingRequest):
        await write_plain(exchange, spoil_body(embeddings_body(request, model, behaviour), entry.fault))
        return
    answer, room = _answered(request, behaviour)
    check_window(answer.prompt_tokens, room, behaviour)
    heading = Heading(f"standin-{entry.number:08d}", int(time.time()), model)
    if request.stream:
        await write_stream(exchange, _frames(heading, request, answer, behaviour), answer.completion_tokens)
        return
    reply, wait_ms = (
        spoil_body(_body(heading, request, answer, behaviour), entry.fault),
        plain_wait_ms(answer, behaviour),
    )
    if answer.reasoning_tokens and behaviour.thinking_style == "keep-alive":
        await write_after_blank_lines(exchange, reply, wait_ms)
        return
    await exchange.wait(wait_ms)
    await write_plain(exchange, reply)


def _answered(request: ChatRequest | CompletionRequest, behaviour: Behaviour) -> tuple[Answer, int | None]:
    """Return what is said and how many tokens the caller made room for."""
    if isinstance(request, ChatRequest):
        return answer_chat(request, behaviour), request.max_completion_tokens or request.max_tokens
    return answer_completion(request, behaviour), request.max_tokens


def _body(
    heading: Heading, request: ChatRequest | CompletionRequest, answer: Answer, behaviour: Behaviour
) -> dict[str, Any]:
    if isinstance(request, ChatRequest):
        return chat_body(heading, request, answer, behaviour)
    return completion_body(heading, request, answer)


def _frames(
    heading: Heading, request: ChatRequest | CompletionRequest, answer: Answer, behaviour: Behaviour
) -> Iterator[Frame]:
    if isinstance(request, ChatRequest):
        return chat_frames(heading, request, answer, behaviour)
    return completion_frames(heading, request, answer, behaviour)


async def _read(receive: Receive) -> bytes:
    """Return the whole body.

    Raises:
        ClientLeft: when the client hangs up before it has sent everything.

    """
    pieces = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientLeft
        pieces.append(message["body"])
        if not message["more_body"]:
            return b"".join(pieces)


def _header(scope: Scope, wanted: bytes) -> bytes | None:
    return next((value for name, value in scope["headers"] if name == wanted), None)


def _last_asked(scope: Scope) -> int | None:
    """Return `N` of `?last=N`."""
    asked = parse_qs(scope["query_string"].decode("latin-1")).get("last", [""])[0]
    if asked and not asked.isdecimal():
        raise Refusal("'last' must be a whole number.", param="last", code="invalid_type")
    return int(asked) if asked else None


def _adjusted_by(behaviour: Behaviour, body: bytes) -> Behaviour:
    try:
        return adjusted(behaviour, msgspec.json.decode(body, type=dict[str, Any]))
    except (SwitchError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Refusal(f"Invalid stand-in switch: {error}", param="standin") from error


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 1735689600, "owned_by": "standin"}


def _reply(content: Any, status: int = 200) -> PlainReply:
    return PlainReply(msgspec.json.encode(content), status)


def _refusal_reply(refusal: Refusal) -> PlainReply:
    return _reply(refusal.body, refusal.status)


def _unknown_url(method: str, path: str) -> Refusal:
    if path in _REQUESTS:
        return Refusal(f"Not allowed to {method} on {path}. (HINT: Use POST.)", status=405, code="method_not_supported")
    return Refusal(f"Invalid URL ({method} {path})", status=404, code="unknown_url")
