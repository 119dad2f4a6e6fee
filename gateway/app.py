"""The one place where things are built: settings in, a FastAPI application out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from http import HTTPStatus
from typing import Any

import aiohttp
import structlog
from fastapi import FastAPI, Request, Response
from fastapi_offline import FastAPIOffline
from starlette.exceptions import HTTPException

from classifiers.bundle import BundleError, load_bundle
from classifiers.heuristic import HeuristicModel
from classifiers.types import DifficultyModel
from gateway.accounting import Accounts
from gateway.auth import Keyring
from gateway.endpoints import chat, completions, embeddings, health, models, route
from gateway.errors import InternalError, MethodNotAllowed, NotFound, RequestError, ThalamusError
from gateway.logs import log_request
from gateway.metrics import Metrics
from gateway.prices import find_price
from gateway.rooms import Rooms
from gateway.settings import BackendSettings, Settings, SettingsError
from gateway.upstream.base import Upstream
from gateway.upstream.dialects import DialectError, Dialects, load_dialects
from gateway.upstream.http import HttpUpstream, open_session
from gateway.upstream.local import EmbeddedUpstream
from gateway.upstream.pool import Backend
from gateway.wire.openapi import add_components
from router.engine import Engine
from router.policy import Policy, TierTarget
from router.types import Abilities, Candidate

_log = structlog.get_logger("thalamus")


def create_app(settings: Settings) -> FastAPI:
    """Build the gateway. Backends are made ready when the application starts and closed when it stops."""
    app = FastAPIOffline(
        title="Thalamus",
        summary="One OpenAI endpoint, one model `auto`: every request gets the right model and the right effort.",
        version="0.1.0",
        lifespan=partial(_lifespan, settings),
        redoc_url=None,
    )
    for endpoint in (chat, completions, embeddings, models, route, health):
        app.include_router(endpoint.routes)
    app.add_exception_handler(ThalamusError, _answer_error)
    app.add_exception_handler(HTTPException, _answer_http_error)
    app.add_exception_handler(Exception, _answer_defect)
    _complete_openapi(app)
    app.state.started = int(time.time())
    app.state.ready = False
    return app


class Builder:
    """Builds rooms from configurations, one after the other, and closes at the end all that they opened."""

    def __init__(self, session: aiohttp.ClientSession, closing: AsyncExitStack) -> None:
        self._session = session
        self._closing = closing
        self._metrics = Metrics()

    async def build(self, settings: Settings, previous: Rooms | None = None) -> Rooms:
        """Build what a configuration describes; backends that did not change are taken over, calls and all.

        Raises:
            SettingsError: something that it names is not installed or cannot be loaded.
        """
        try:
            dialects = load_dialects(settings.dialects)
        except DialectError as error:
            raise SettingsError(str(error)) from None
        backends: dict[str, Backend] = {}
        for name, backend_settings in settings.backends.items():
            old = previous.backends.get(name) if previous else None
            if old is not None and old.settings == backend_settings:
                backends[name] = old
            else:
                backends[name] = await self._open_backend(name, backend_settings, dialects)
        model = open_model(settings.routing.bundle)
        self._metrics.show_model(model.name)
        prices = {name: find_price(backend.settings, backend.dialect.host) for name, backend in backends.items()}
        accounts = Accounts(
            prices={name: price for name, price in prices.items() if price is not None},
            deep=settings.tiers.deep[0].backend,
            writers=(self._metrics.record_request, log_request),
        )
        return Rooms(
            settings=settings,
            keyring=Keyring(settings.keys),
            engine=Engine(read_policy(settings), model),
            backends=backends,
            accounts=accounts,
            metrics=self._metrics,
        )

    async def _open_backend(self, name: str, settings: BackendSettings, dialects: Dialects) -> Backend:
        upstream = self._upstream(name, settings)
        await upstream.start()
        self._closing.push_async_callback(upstream.close)
        family = settings.family or dialects.guess_family(settings.model)
        host = settings.host or (dialects.guess_host(str(settings.url)) if settings.url else None)
        limit = settings.max_concurrency
        return Backend(
            name=name,
            settings=settings,
            upstream=upstream,
            dialect=dialects.find(family, host),
            slots=None if limit is None else asyncio.Semaphore(limit),
        )

    def _upstream(self, name: str, settings: BackendSettings) -> Upstream:
        if settings.transport == "embedded":
            return EmbeddedUpstream(name, settings, self._session)
        if settings.transport == "litellm":
            from gateway.upstream.litellm import LitellmUpstream  # costs seconds and over 100 MB

            return LitellmUpstream(name, settings)
        return HttpUpstream(name, settings, self._session)


def open_model(bundle: str) -> DifficultyModel:
    """Open a difficulty model; a bundle that cannot be trusted is replaced by the heuristic, and that is said."""
    try:
        return load_bundle(bundle)
    except BundleError as error:
        _log.error("bundle refused", bundle=bundle, why=str(error), instead="heuristic")
        return HeuristicModel()


def read_policy(settings: Settings) -> Policy:
    """Translate the settings into what the decision reads."""
    return Policy(
        tiers={
            tier: tuple(TierTarget(target.backend, target.effort) for target in targets)
            for tier, targets in settings.tiers.items()
        },
        candidates={name: _candidate(name, backend) for name, backend in settings.backends.items()},
        aliases=settings.aliases,
        dial=settings.routing.dial,
        thresholds={str(notch): bound for notch, bound in settings.routing.thresholds.items()},
    )


def _candidate(name: str, backend: BackendSettings) -> Candidate:
    abilities = backend.abilities
    return Candidate(
        name=name,
        abilities=Abilities(
            tools=abilities.tools,
            vision=abilities.vision,
            audio=abilities.audio,
            json=abilities.json_schema,
            logprobs=abilities.logprobs,
        ),
        context_window=backend.context_window,
    )


@asynccontextmanager
async def _lifespan(settings: Settings, app: FastAPI) -> AsyncIterator[None]:
    async with open_session() as session, AsyncExitStack() as closing:
        app.state.builder = Builder(session, closing)
        app.state.rooms = await app.state.builder.build(settings)
        app.state.ready = True
        yield
        app.state.ready = False


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
