"""One request from its headers to its last byte: who calls, what is answered, and the record of it.

An endpoint hands a handler to `Exchange`. The handler parses, decides and opens the backend, and returns a `Reply`;
the exchange sends it. Both run under one `try … finally`, so that the record is written once however the request
ends, and under a watch for the client: when it leaves, the exchange is cancelled and the backend's call with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from operator import attrgetter

import structlog
from fastapi import Request, Response
from starlette.types import Receive, Scope, Send

from gateway.accounting import Outcome, Record
from gateway.auth import Caller
from gateway.errors import BodyTimeout, BodyTooLarge, InternalError, ThalamusError
from gateway.rooms import Rooms
from gateway.settings import ServerSettings
from gateway.streaming import error_frame
from router.types import Session

_log = structlog.get_logger("thalamus")


@dataclass(slots=True)
class Reply:
    """A whole answer. `after` runs once the client has its last byte.

    `native`: it is a response as its backend gave it, and not a chat completion.
    """

    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    status: int = HTTPStatus.OK
    after: Callable[[], Awaitable[None]] | None = None
    native: bool = False


@dataclass(slots=True)
class StreamReply:
    """An answer that arrives in pieces. The first piece is there; `rest` is closed by whoever sends it.

    `native`: it is the events of a response as its backend gave them, and not those of a chat completion.
    """

    first: bytes
    rest: AsyncGenerator[bytes, None]
    headers: Mapping[str, str] = field(default_factory=dict)
    after: Callable[[], Awaitable[None]] | None = None
    native: bool = False


@dataclass(slots=True)
class Call:
    """One request being served: what a handler may see and fill in.

    `remember`, once set, keeps what the conversation's next request should know of the backend that answered.
    """

    rooms: Rooms
    headers: Mapping[str, str]
    caller: Caller
    record: Record
    body: bytes
    remember: Callable[[Session], Awaitable[None]] | None = None


Served = tuple[Call, Reply | StreamReply]
Handler = Callable[[Call], Awaitable[Reply | StreamReply]]


@dataclass(frozen=True, slots=True)
class ErrorShape:
    """How a surface writes failures: as a whole answer with its headers, and as the last event of a stream."""

    body: Callable[[ThalamusError], bytes]
    event: Callable[[ThalamusError], bytes]
    headers: Callable[[ThalamusError], Mapping[str, str]] = attrgetter("headers")


OPENAI_ERRORS = ErrorShape(body=lambda error: error.body(), event=error_frame)


class Exchange(Response):
    """Serves one request with a handler. A Response, so that an endpoint can simply return it."""

    def __init__(self, request: Request, endpoint: str, handler: Handler, errors: ErrorShape = OPENAI_ERRORS) -> None:
        # Response.__init__ would render a body and headers that this class sends itself.
        self.background = None
        self.status_code = HTTPStatus.OK
        self._request = request
        self._rooms: Rooms = request.app.state.rooms
        self._record = Record(endpoint)
        self._handler = handler
        self._errors = errors
        self._started = False

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Serve, and write the record whatever happens."""
        record, rooms = self._record, self._rooms
        rooms.metrics.in_flight.inc()
        try:
            served = await self._serve_until_client_leaves(receive, send)
            if record.error is None:
                record.outcome = Outcome.DONE
            if served is not None:
                await keep_for_later(*served)
        except ClientLeft:
            record.outcome, record.error = Outcome.DROPPED, "client_left"
        except asyncio.CancelledError:
            record.outcome, record.error = Outcome.DROPPED, "shutdown"
            raise
        finally:
            rooms.metrics.in_flight.dec()
            rooms.accounts.close(record)
            if rooms.limits:
                await rooms.limits.count(record)

    async def _serve_until_client_leaves(self, receive: Receive, send: Send) -> Served | None:
        """Serve, and stop when the client goes; give what was answered, None if that was an error."""
        try:
            caller = self._identify()
            body = await read_body(self._request, receive, self._rooms.settings.server)
        except ThalamusError as error:
            await self._send_error(error, send)
            return None
        serving = asyncio.current_task()
        left = False

        async def watch() -> None:
            nonlocal left
            while (await receive())["type"] != "http.disconnect":
                pass
            left = True
            if serving is not None:
                serving.cancel()

        watcher = asyncio.create_task(watch())
        try:
            return await self._serve(caller, body, send)
        except asyncio.CancelledError:
            if left and serving is not None and serving.uncancel() == 0:
                raise ClientLeft from None
            raise
        finally:
            watcher.cancel()

    def _identify(self) -> Caller:
        headers = self._request.headers
        caller = self._rooms.keyring.identify(headers.get("authorization"), headers.get("x-api-key"))
        self._record.tenant, self._record.key = caller.tenant, caller.name
        return caller

    async def _serve(self, caller: Caller, body: bytes, send: Send) -> Served | None:
        call = Call(self._rooms, self._request.headers, caller, self._record, body)
        try:
            reply = await self._handler(call)
            if isinstance(reply, StreamReply):
                await self._send_stream(reply, send)
            else:
                await self._send(reply, send)
        except ThalamusError as error:
            await self._send_error(error, send)
        except Exception:  # noqa: BLE001
            # The edge: a defect must not leave a client without an answer, nor the log without a traceback.
            _log.exception("defect", endpoint=self._record.endpoint)
            await self._send_error(InternalError(), send)
        else:
            return call, reply
        return None

    async def _send(self, reply: Reply, send: Send) -> None:
        headers = {"content-type": "application/json", **reply.headers, "content-length": str(len(reply.body))}
        await self._start(reply.status, headers, send)
        await send({"type": "http.response.body", "body": reply.body})

    async def _send_stream(self, reply: StreamReply, send: Send) -> None:
        headers = {
            "content-type": "text/event-stream; charset=utf-8",
            "cache-control": "no-cache",
            "x-accel-buffering": "no",
            **reply.headers,
        }
        async with aclosing(reply.rest) as rest:
            await self._start(HTTPStatus.OK, headers, send)
            if reply.first:
                await send({"type": "http.response.body", "body": reply.first, "more_body": True})
            async for piece in rest:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def _send_error(self, error: ThalamusError, send: Send) -> None:
        """Answer with an error; as the last event where the answer has already begun."""
        self._record.error = error.code
        if self._started:
            await send({"type": "http.response.body", "body": self._errors.event(error)})
            return
        await self._send(Reply(self._errors.body(error), self._errors.headers(error), error.status), send)

    async def _start(self, status: int, headers: Mapping[str, str], send: Send) -> None:
        self._started = True
        record = self._record
        record.status = int(status)
        record.gateway_s = max(0.0, record.since_start() - record.upstream_s)
        encoded = [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": int(status), "headers": encoded})


async def keep_for_later(call: Call, reply: Reply | StreamReply) -> None:
    """Keep what later requests may use: the answer, and the conversation's state.

    Runs when the client has its last byte and may be gone: nothing here can be cancelled by its leaving.
    """
    record = call.record
    if reply.after is not None:
        await reply.after()
    session = record.decision.session if record.decision else None
    if call.remember is not None and session is not None and record.target is not None:
        tier = record.target.tier or session.tier
        await call.remember(replace(session, tier=tier, backend=record.target.backend))


class ClientLeft(Exception):
    """The client closed the connection before its answer was complete."""


async def read_body(request: Request, receive: Receive, server: ServerSettings) -> bytes:
    """Read a request's body.

    Raises:
        BodyTooLarge: it is longer than allowed; what follows is not read.
        BodyTimeout: it was not complete in time.
        ClientLeft: the client was gone before the body was complete.
    """
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > server.max_body_bytes:
        raise _too_large(server.max_body_bytes)
    try:
        async with asyncio.timeout(server.body_timeout_s):
            return await _read_chunks(receive, server.max_body_bytes)
    except TimeoutError:
        raise BodyTimeout(f"The body was not complete within {server.body_timeout_s:g} seconds.") from None


async def _read_chunks(receive: Receive, limit: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientLeft
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise _too_large(limit)
        chunks.append(chunk)
        if not message.get("more_body", False):
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _too_large(limit: int) -> BodyTooLarge:
    return BodyTooLarge(f"The body exceeds {limit} bytes, the limit of this gateway (server.max_body_bytes).")
