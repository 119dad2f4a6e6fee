"""One request from its headers to its last byte: who calls, what is answered, and the record of it.

An endpoint hands a handler to `Exchange`. The handler parses, decides and opens the backend, and returns a `Reply`;
the exchange sends it. Both run under one `try … finally`, so that the record is written once however the request
ends, and under a watch for the client: when it leaves, the exchange is cancelled and the backend's call with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from operator import attrgetter

import structlog
from fastapi import Request, Response
from starlette.types import Receive, Scope, Send

from gateway.auth import Caller
from gateway.errors import BodyTimeout, BodyTooLarge, Draining, InternalError, Overloaded, ThalamusError
from gateway.keepalive import COMMENT, KeepAlive
from gateway.limits.headers import openai_headers
from gateway.limits.reservation import Standing
from gateway.process.lifecycle import Lifecycle
from gateway.queueing import Priority
from gateway.records.accounting import Outcome, Record
from gateway.rooms import Rooms
from gateway.security_headers import FOR_DATA
from gateway.settings import ServerSettings
from gateway.streaming import error_frame
from gateway.tracing.context import names_of, read_context
from gateway.tracing.tracer import Tracer
from gateway.wire.nesting import check_nesting
from router.types import Session

_log = structlog.get_logger("thalamus")
_STREAM_HEADERS = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache",
    "x-accel-buffering": "no",
}
CLOSE = (b"connection", b"close")
"""The header by which a gateway that is leaving asks its clients to connect anew, and so to another."""


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
    `is_detached`: it goes on without whoever sends it, and has its record closed by others.
    """

    first: bytes
    rest: AsyncGenerator[bytes, None]
    headers: Mapping[str, str] = field(default_factory=dict)
    after: Callable[[], Awaitable[None]] | None = None
    native: bool = False
    is_detached: bool = False


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
    priority: Priority = Priority.NORMAL
    """How urgent it is, where it has to wait in line."""
    wants_stream: bool = False
    """Whether the client waits for events, so that it can be shown signs of life before there are any."""
    announce: Callable[[], Mapping[str, str]] | None = None
    """Gives the headers as they are known before anybody has answered; None as long as nothing is decided."""


Served = tuple[Call, Reply | StreamReply]
Handler = Callable[[Call], Awaitable[Reply | StreamReply]]


@dataclass(frozen=True, slots=True)
class ErrorShape:
    """How a surface writes what is no answer: failures, and signs of life.

    Attributes:
        body: a failure as a whole answer; `headers` are that answer's.
        event: a failure as the last event of a stream.
        keep_alive: a sign of life inside a stream that has begun.
        standing: how the caller stands with its limits, as headers.
    """

    body: Callable[[ThalamusError], bytes]
    event: Callable[[ThalamusError], bytes]
    headers: Callable[[ThalamusError], Mapping[str, str]] = attrgetter("headers")
    keep_alive: bytes = COMMENT
    standing: Callable[[Sequence[Standing]], Mapping[str, str]] = openai_headers


OPENAI_ERRORS = ErrorShape(body=lambda error: error.body(), event=error_frame)


class Exchange(Response):
    """Serves one request with a handler. A Response, so that an endpoint can simply return it."""

    def __init__(self, request: Request, endpoint: str, handler: Handler, errors: ErrorShape = OPENAI_ERRORS) -> None:
        # Response.__init__ would render a body and headers that this class sends itself.
        self.background = None
        self.status_code = HTTPStatus.OK
        self._request = request
        self._rooms: Rooms = request.app.state.rooms
        self._life: Lifecycle = request.app.state.life
        self._record = Record(endpoint, trace_id=trace_of(request.headers))
        self._handler = handler
        self._errors = errors
        self._started = False
        self._is_complete = False
        self._is_detached = False
        self._announced: Mapping[str, str] | None = None
        self._has_begun = False

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Serve, and write the record whatever happens."""
        record, rooms = self._record, self._rooms
        rooms.metrics.begin_request(record)
        if rooms.tracer is not None:
            self._begin_trace(rooms.tracer)
        try:
            served = await self._serve_until_client_leaves(receive, send)
            if record.error is None and not self._is_detached:
                record.outcome = Outcome.DONE
            if served is not None:
                await keep_for_later(*served)
        except ClientLeft:
            if self._is_detached:
                return
            record.outcome, record.error = Outcome.DROPPED, "client_left"
        except asyncio.CancelledError:
            if not self._life.is_cut:
                record.outcome, record.error = Outcome.DROPPED, "shutdown"
                raise
            await self._tell_of_the_end(send)
        finally:
            if not self._is_detached:
                await close_record(rooms, record)

    def _begin_trace(self, tracer: Tracer) -> None:
        request = self._request
        trace = self._record.trace = tracer.begin(request.scope["method"], request.scope["path"], request.headers)
        names = names_of(trace.context())
        self._record.trace_id = names["trace_id"]
        structlog.contextvars.bind_contextvars(**names)  # other lines of the log that this request gives rise to

    async def _serve_until_client_leaves(self, receive: Receive, send: Send) -> Served | None:
        """Serve, and stop when the client goes; give what was answered, None if that was an error."""
        try:
            caller = self._identify()
            self._check_pulse(caller)
            body = await read_body(self._request, receive, self._rooms.settings.server)
            self._record.leave("read")
            check_nesting(body, self._rooms.settings.server.max_nesting)
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
        with self._record.trace.begin("auth"):
            caller = identify(self._request)
        self._record.tenant, self._record.key = caller.tenant, caller.name
        self._record.leave("auth")
        return caller

    def _check_pulse(self, caller: Caller) -> None:
        """Turn the request away, before it costs more, if the event loop is too late to serve it well.

        Raises:
            Overloaded: it is.
        """
        rooms = self._rooms
        if rooms.pulse.is_too_late_for(caller.priority, rooms.settings.admission.most_lag_s):
            rooms.metrics.record_shed()
            error = Overloaded("The gateway has more to do than it can do in time.")
            error.headers["retry-after"] = str(1 + round(rooms.pulse.lag_s))
            raise error

    async def _serve(self, caller: Caller, body: bytes, send: Send) -> Served | None:
        call = Call(self._rooms, self._request.headers, caller, self._record, body)
        # A request that does not even have the word wants no stream, and needs no timer.
        every_s = self._rooms.settings.server.keep_alive_s if b'"stream"' in body else None
        alive = KeepAlive(every_s, lambda: self._show_life(call, send))
        try:
            reply = await self._handler(call)
            self._note_overhead()
            if isinstance(reply, StreamReply):
                self._is_detached = reply.is_detached
                await self._send_stream(reply, alive, send)
            else:
                await self._send(reply, send)
        except ThalamusError as error:
            await self._send_error(error, send)
        except Exception:  # noqa: BLE001
            # The edge: a defect must not leave a client without an answer, nor the log without a traceback.
            _log.exception("defect", endpoint=self._record.endpoint)
            await self._send_error(InternalError(), send)
        else:
            return None if self._is_detached else (call, reply)
        finally:
            if not self._is_detached:
                self._record.leave("relay")
            await alive.stop()
        return None

    async def _show_life(self, call: Call, send: Send) -> None:
        """Send a sign of life to a client that waits for events; the answer's head first, if that is still to come.

        From then on a failure can only be told as an event. That is the price of keeping the connection.
        """
        if not call.wants_stream or call.announce is None:
            return
        if not self._started:
            self._announced = call.announce()
            await self._start(HTTPStatus.OK, _STREAM_HEADERS | dict(self._announced), send)
        sign = self._errors.keep_alive if self._has_begun else COMMENT
        if self._record.queue_place is not None:
            sign = b": waiting in line, place %d\n\n" % self._record.queue_place()
        self._rooms.metrics.record_keep_alive(self._record.endpoint)
        await send({"type": "http.response.body", "body": sign, "more_body": True})

    def _note_overhead(self) -> None:
        record = self._record
        record.gateway_s = max(0.0, record.since_start() - record.upstream_s - record.queued_s)

    async def _send(self, reply: Reply, send: Send) -> None:
        headers = {"content-type": "application/json", **reply.headers, "content-length": str(len(reply.body))}
        await self._start(reply.status, headers, send)
        await send({"type": "http.response.body", "body": reply.body})
        self._is_complete = True

    async def _send_stream(self, reply: StreamReply, alive: KeepAlive, send: Send) -> None:
        clock = asyncio.get_running_loop().time
        async with aclosing(reply.rest) as rest:
            if alive.saying is not None:
                await alive.saying
            first = reply.first
            if self._announced is None:
                await self._start(HTTPStatus.OK, _STREAM_HEADERS | dict(reply.headers), send)
            else:
                first = _tell_late(self._announced, reply.headers) + first
            if first:
                await send({"type": "http.response.body", "body": first, "more_body": True})
            self._has_begun = True
            async for piece in rest:
                if alive.saying is not None:
                    await alive.saying
                await send({"type": "http.response.body", "body": piece, "more_body": True})
                alive.sent_at = clock()
        await send({"type": "http.response.body", "body": b""})
        self._is_complete = True

    async def _tell_of_the_end(self, send: Send) -> None:
        """Tell a client whose answer is cut, because the process ends, that it was not whole."""
        if self._is_complete:
            return
        error = Draining("The gateway was stopped before this answer was complete.")
        error.headers["retry-after"] = "1"
        try:
            await self._send_error(error, send)
        except asyncio.CancelledError:  # a client that takes nothing does not keep the process
            self._record.outcome = Outcome.DROPPED

    async def _send_error(self, error: ThalamusError, send: Send) -> None:
        """Answer with an error; as the last event where the answer has already begun."""
        self._record.error = error.code
        if self._started:
            await send({"type": "http.response.body", "body": self._errors.event(error)})
            self._is_complete = True
            return
        self._note_overhead()
        await self._send(Reply(self._errors.body(error), self._errors.headers(error), error.status), send)

    async def _start(self, status: int, headers: Mapping[str, str], send: Send) -> None:
        self._started = True
        self._record.status = int(status)
        if self._record.standing:
            headers = {**headers, **self._errors.standing(self._record.standing)}
        encoded = [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in headers.items()]
        if self._life.is_leaving:
            encoded.append(CLOSE)
        await send({"type": "http.response.start", "status": int(status), "headers": encoded + FOR_DATA})


def _tell_late(announced: Mapping[str, str], headers: Mapping[str, str]) -> bytes:
    """Write, as a comment, the gateway's headers that came out otherwise than was announced before the answer began."""
    changed = [(name, value) for name, value in headers.items() if name.startswith("x-thalamus-")]
    lines = [f": {name}: {value}\n" for name, value in changed if announced.get(name) != value]
    return "".join([*lines, "\n"]).encode("latin-1", "replace") if lines else b""


def trace_of(headers: Mapping[str, str]) -> str:
    """Give the id of the trace that a request belongs to, by W3C's `traceparent`; "" where it has none."""
    context = read_context(headers)
    return "" if context is None else f"{context.trace_id:032x}"


async def close_record(rooms: Rooms, record: Record) -> None:
    """Count a request as served. Called exactly once for each."""
    rooms.metrics.end_request(record)
    rooms.accounts.close(record)
    if record.reservation is not None:
        rooms.limits.settle(record.reservation, record.used())
    record.leave("account")
    rooms.metrics.record_rooms(record)


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


def identify(request: Request) -> Caller:
    """Find out who calls; see `Keyring.identify`."""
    rooms: Rooms = request.app.state.rooms
    headers, client = request.headers, request.client
    address = client.host if client is not None else None
    return rooms.keyring.identify(headers.get("authorization"), headers.get("x-api-key"), address)


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
