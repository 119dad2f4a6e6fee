"""The application: endpoints, the hot path past the framework, and a lifespan that builds and closes the rooms."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi_offline import FastAPIOffline
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope, Send

from gateway.building import Builder
from gateway.endpoints import (
    admin,
    admin_cache,
    admin_decisions,
    admin_dial,
    admin_keys,
    admin_tenants,
    admin_usage,
    chat,
    completions,
    console,
    embeddings,
    feedback,
    health,
    messages,
    models,
    responses,
    route,
    streams,
)
from gateway.errors import InternalError, InvalidField, MethodNotAllowed, NotFound, RequestError, ThalamusError
from gateway.exchange import CLOSE, OPENAI_ERRORS, ErrorShape, Exchange, Handler
from gateway.process.lifecycle import Lifecycle, Worker
from gateway.process.pulse import beating
from gateway.resuming import resumable
from gateway.security_headers import secured
from gateway.settings import (
    Settings,
)
from gateway.surfaces.messages import MESSAGES_ERRORS
from gateway.surfaces.responses.background import running_background
from gateway.upstream.http import open_connections
from gateway.upstream.sharing import Sharing
from gateway.wire.openapi import add_components

SHOW_EVERY_S = 1.0
"""How often a worker brings up to date what the others show of it."""

_log = structlog.get_logger("thalamus")


def create_app(settings: Settings, worker: Worker | None = None) -> FastAPI:
    """Build the gateway. Backends are made ready when the application starts and closed when it stops.

    Args:
        settings: what is served.
        worker: which of several processes on one port this is; None when it is the only one.
    """
    app = FastAPIOffline(
        title="Thalamus",
        summary="One OpenAI endpoint, one model `auto`: every request gets the right model and the right effort.",
        version="0.1.0",
        lifespan=partial(_lifespan, settings, worker),
        redoc_url=None,
        redirect_slashes=False,  # a redirect would send the key again, to an address made from the Host header
    )
    for endpoint in (
        chat,
        completions,
        embeddings,
        messages,
        responses,
        streams,
        models,
        route,
        health,
        admin,
        admin_keys,
        admin_tenants,
        admin_usage,
        admin_decisions,
        admin_dial,
        admin_cache,
        feedback,
        console,
    ):
        app.include_router(endpoint.routes)
    app.add_exception_handler(ThalamusError, _answer_error)
    app.add_exception_handler(HTTPException, _answer_http_error)
    app.add_exception_handler(RequestValidationError, _answer_invalid_parameter)
    app.add_exception_handler(Exception, _answer_defect)
    _complete_openapi(app)
    app.state.started = int(time.time())
    app.state.life = Lifecycle()
    return app


class HotPath:
    """Takes the endpoints that carry the traffic past the framework, and leaves it everything else.

    FastAPI's middlewares and dependency resolution cost 75 to 150 µs a request, a tenth of the budget, and do nothing
    for an endpoint that reads its own body and answers its own errors. The same endpoints are registered in FastAPI
    as well, for the OpenAPI document. See docs/decisions/0004.
    """

    _ENDPOINTS: Mapping[str, tuple[str, Handler, ErrorShape]] = {
        "/v1/chat/completions": ("chat", chat.serve_chat, OPENAI_ERRORS),
        "/v1/completions": ("completions", completions.serve_completion, OPENAI_ERRORS),
        "/v1/embeddings": ("embeddings", embeddings.serve_embedding, OPENAI_ERRORS),
        "/v1/route": ("route", route.serve_route, OPENAI_ERRORS),
        "/v1/responses": ("responses", responses.serve_response, responses.RESPONSES_ERRORS),
        "/v1/messages": ("messages", messages.serve_message, MESSAGES_ERRORS),
        "/v1/messages/count_tokens": ("count_tokens", messages.serve_token_count, MESSAGES_ERRORS),
    }

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self._endpoints = {
            path: (name, resumable(handler, errors), errors)
            for path, (name, handler, errors) in self._ENDPOINTS.items()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection event."""
        endpoint = self._endpoints.get(scope["path"]) if scope["type"] == "http" else None
        if endpoint is None or scope["method"] != "POST":
            leaving: bool = self._app.state.life.is_leaving
            plain = secured(send) if scope["type"] == "http" else send
            await self._app(scope, receive, _closing(plain) if leaving else plain)
            return
        scope["app"] = self._app
        await Exchange(Request(scope, receive), *endpoint)(scope, receive, send)


def _closing(send: Send) -> Send:
    """Tell the client not to come back on this connection."""

    async def send_closing(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], CLOSE]
        await send(message)

    return send_closing


@asynccontextmanager
async def _lifespan(settings: Settings, worker: Worker | None, app: FastAPI) -> AsyncIterator[None]:
    async with (
        beating() as pulse,
        open_connections() as connections,
        AsyncExitStack() as closing,
        running_background(settings.server.drain_s) as background,
    ):
        app.state.builder = Builder(connections, background, closing, pulse, worker)
        app.state.rooms = await app.state.builder.build(settings)
        sharing = Sharing(
            lambda: (app.state.rooms.board, app.state.rooms.backends.values()), app.state.rooms.inquiries.answer
        )
        await sharing.once()  # so that nobody is called whom the others leave alone
        closing.push_async_callback(_end, asyncio.create_task(sharing.run()))
        if worker is not None:
            worker.crew.hear("disowned", partial(_disown, app))
            worker.crew.hear("counts", partial(_write_counts, app))
            closing.push_async_callback(_end, asyncio.create_task(_show_load(app)))
        app.state.life.is_started = True
        yield
        app.state.life.is_leaving = True


async def _disown(app: FastAPI, entry: list[str]) -> None:
    """Do as another worker has done, whose index of prompts is not this one's."""
    partition, name = entry
    if app.state.rooms.semantic is not None:
        await app.state.rooms.semantic.disown((partition, name))


async def _write_counts(app: FastAPI, _: None) -> bool:
    """Write what was counted, because another worker is asked for the metrics of all."""
    app.state.rooms.show_load()
    return True


async def _show_load(app: FastAPI) -> None:
    """Keep up to date what other workers show of this one: whoever is asked for metrics gives those of all."""
    while True:
        app.state.rooms.show_load()
        await asyncio.sleep(SHOW_EVERY_S)


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait((task,))


async def _answer_error(_request: Request, error: Exception) -> Response:
    if not isinstance(error, ThalamusError):
        raise error
    return Response(error.body(), error.status, error.headers, "application/json")


async def _answer_http_error(request: Request, error: Exception) -> Response:
    """Give the framework's own refusals (no such path, wrong method) OpenAI's shape."""
    if not isinstance(error, HTTPException):
        raise error
    where = f"{request.method} {request.url.path[:200]}"
    ours: ThalamusError
    if error.status_code == HTTPStatus.NOT_FOUND:
        ours = NotFound(f"Unknown request URL: {where}. The API is described at /docs.")
    elif error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        ours = MethodNotAllowed(f"Not allowed to {where}.")
    else:
        ours = RequestError(str(error.detail))
    return Response(ours.body(), ours.status, error.headers, "application/json")


async def _answer_invalid_parameter(_request: Request, error: Exception) -> Response:
    """Give the framework's refusal of a path's or query's parameter OpenAI's shape."""
    if not isinstance(error, RequestValidationError):
        raise error
    first = error.errors()[0]
    param = str(first["loc"][-1])
    ours = InvalidField(f"Invalid request. '{param}': {first['msg']}.", param=param)
    return Response(ours.body(), ours.status, media_type="application/json")


async def _answer_defect(request: Request, error: Exception) -> Response:
    _log.error("defect", path=request.url.path, exc_info=error)
    return Response(InternalError().body(), HTTPStatus.INTERNAL_SERVER_ERROR, media_type="application/json")


def _complete_openapi(app: FastAPI) -> None:
    """Add to the generated document what FastAPI cannot see: the shapes that msgspec checks."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = add_components(generate())
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]
