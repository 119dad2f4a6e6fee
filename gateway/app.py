"""The one place where things are built: settings in, a FastAPI application out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict
from functools import partial
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi_offline import FastAPIOffline
from pydantic import SecretStr
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope, Send

from classifiers.batching import Batches
from classifiers.bundle import DEFAULT_BUNDLE, BundleError, BundleModel, load_bundle
from classifiers.cascade import Batcher, BundleCascade, open_model
from classifiers.dial_curve import share_curve
from classifiers.heuristic import HeuristicModel
from classifiers.sentences import SentenceEncoder
from classifiers.types import DifficultyModel
from gateway.accounting import Accounts
from gateway.admission import Admission, Gate
from gateway.attempts import Attempts
from gateway.auth import Keyring
from gateway.cache.exact import ExactCache
from gateway.cache.opening import Opened, open_store
from gateway.cache.semantic.cache import SemanticCache
from gateway.cache.semantic.embedding import Embedder, Vector
from gateway.cache.semantic.index import NearestIndex
from gateway.cache.settings import CacheSettings, RedisSettings, decode_key
from gateway.cache.store import MemoryStore
from gateway.decision_log import DecisionLog, DecisionLogSettings
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
from gateway.flights import Flights
from gateway.inquiries import Inquiries
from gateway.keys import FileKeyStore, KeyStore, ManagedKeys
from gateway.ledger import Ledger
from gateway.ledger.opening import open_book
from gateway.lifecycle import Lifecycle, Worker
from gateway.limits import Limits
from gateway.limits.window import LocalWindows
from gateway.logs import request_logger
from gateway.metrics import Metrics
from gateway.prices import find_price
from gateway.pulse import Pulse, beating
from gateway.recent import Recent
from gateway.redaction import Redactor
from gateway.resuming import resumable
from gateway.rooms import Rooms
from gateway.second_opinion import SecondOpinion
from gateway.security_headers import secured
from gateway.sessions import Sessions
from gateway.settings import (
    AnswerCheckSettings,
    BackendSettings,
    CascadeSettings,
    KeyStoreSettings,
    LedgerSettings,
    RedactionSettings,
    Settings,
    SettingsError,
)
from gateway.shadow import Shadows
from gateway.surfaces.messages import MESSAGES_ERRORS
from gateway.surfaces.responses.background import Background, running_background
from gateway.surfaces.responses.events import TENANT_BYTES as EVENT_BYTES
from gateway.surfaces.responses.events import EventStore
from gateway.surfaces.responses.keeping import TENANT_BYTES, ResponseStore
from gateway.surfaces.responses.room import ResponsesRoom
from gateway.surfaces.responses.sealing import Seal
from gateway.tracing.tracer import Tracer
from gateway.upstream.dialects import DialectError, Dialects, load_dialects
from gateway.upstream.http import Connections, open_connections
from gateway.upstream.opening import opened_backend
from gateway.upstream.pool import Backend
from gateway.upstream.sharing import Sharing
from gateway.vault import Vault
from gateway.wire.openapi import add_components
from router.engine import Engine
from router.guard import FellBack, GuardedModel, GuardEvent
from router.intent import load_phrases
from router.policy import Policy, TierTarget
from router.routes import Cascade, NamedRoute, compile_rule
from router.types import Abilities, AnswerCheck, Candidate, Tier

STATE_BYTES = 32 * 1024 * 1024
"""Room for conversations and counters in the process, when there is no Redis."""

SHOW_EVERY_S = 1.0
"""How often a worker brings up to date what the others show of it."""

VAULT_BYTES = 64 * 1024 * 1024
"""Room for models' reasoning in the process, when there is no Redis."""

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


class Builder:
    """Builds rooms from configurations, one after the other, and closes at the end all that they opened."""

    def __init__(
        self,
        connections: Connections,
        background: Background,
        closing: AsyncExitStack,
        pulse: Pulse | None = None,
        worker: Worker | None = None,
    ) -> None:
        self._connections = connections
        self._pulse = pulse or Pulse()
        self._gates: dict[Tier, Gate] = {}
        self._background = background
        self._closing = closing
        self._metrics = Metrics()
        self._crew = None if worker is None else worker.crew
        self._recent = Recent(self._crew)
        self._inquiries = Inquiries(self._recent.find)
        self._memory = MemoryStore(STATE_BYTES)
        self._reasoning = MemoryStore(VAULT_BYTES)
        self._responses = MemoryStore(TENANT_BYTES)
        self._events = MemoryStore(EVENT_BYTES)
        self._worker = worker
        self._seal = Seal() if worker is None else Seal(worker.secret)
        self._decision_logs: dict[tuple[DecisionLogSettings, str], DecisionLog] = {}
        self._stores: dict[tuple[CacheSettings, RedisSettings], Opened] = {}
        self._windows = LocalWindows()
        self._ledgers: dict[tuple[LedgerSettings, RedisSettings], Ledger | None] = {}
        self._flights: dict[tuple[RedisSettings, SecretStr | None], Flights] = {}
        self._managed_keys: dict[tuple[KeyStoreSettings, RedisSettings], ManagedKeys] = {}
        self._limits: dict[RedisSettings, Limits] = {}
        self._tracers: dict[str, Tracer] = {}
        self._failing_models: set[str] = set()
        self._batcher: Batcher | None = None
        self._encoder: SentenceEncoder | None = None
        self._embedding: Batches[str, Vector] | None = None
        self._nearest: dict[tuple[CacheSettings, RedisSettings], NearestIndex] = {}
        self._attempts: Attempts | None = None
        self._shadows = Shadows(1 if worker is None else worker.of)
        closing.push_async_callback(self._shadows.close)

    async def build(self, settings: Settings, previous: Rooms | None = None) -> Rooms:
        """Build what a configuration describes; backends that did not change are taken over, calls and all.

        Raises:
            SettingsError: something that it names is not installed or cannot be loaded.
        """
        try:
            dialects = load_dialects(settings.dialects)
        except DialectError as error:
            raise SettingsError(str(error)) from None
        backends = await self._open_backends(settings, dialects, previous)
        opened = await self._open_store(settings.cache, settings.redis)
        # Without Redis, answers must not push conversations and counters out of the process's memory.
        state = opened.store if opened.redis else self._memory
        limits = await self._open_limits(settings.redis, opened)
        managed_keys = await self._open_keys(settings)
        load_phrases()
        model = await asyncio.to_thread(open_serving_model, settings.routing.bundle)
        self._metrics.show_model(model.name, getattr(model, "reference", None))
        prices = {name: find_price(backend.settings, backend.dialect.host) for name, backend in backends.items()}
        ledger = await self._open_ledger(settings)
        decision_log = self._open_decision_log(settings.decision_log, settings.redaction)
        cache = self._open_cache(settings.cache, opened)
        tracer = self._open_tracer(settings)
        accounts = Accounts(
            prices={name: price for name, price in prices.items() if price is not None},
            deep=settings.tiers.deep[0].backend,
            writers=(
                self._metrics.record_request,
                request_logger(settings.telemetry),
                *(() if ledger is None else (ledger,)),
                *(() if decision_log is None else (decision_log,)),
                *(() if tracer is None else (tracer,)),
                self._recent.writer(redact=_redactor(settings.redaction) if settings.decision_log.content else None),
            ),
        )
        for name, old in previous.backends.items() if previous else ():
            if backends.get(name) is not old:
                old.pool.retire()
        engine = Engine(read_policy(settings), self._guarded(model, settings.routing.budget_ms))
        _check_dials(engine, model)
        return Rooms(
            settings=settings,
            keyring=Keyring(settings.keys, settings.limits, managed_keys),
            managed_keys=managed_keys,
            engine=engine,
            second_opinion=self._open_second_opinion(model, settings.routing.second_budget_ms),
            backends=backends,
            attempts=self._open_attempts(settings),
            admission=self._open_admission(settings, backends),
            pulse=self._pulse,
            accounts=accounts,
            metrics=self._metrics,
            tracer=tracer,
            sessions=Sessions(state, settings.routing.session_ttl_s),
            limits=limits,
            ledger=ledger,
            flights=self._open_flights(settings, opened),
            cache=cache,
            semantic=await self._open_semantic(settings, opened, cache, model),
            vault=self._open_vault(settings, opened),
            responses=self._open_responses(settings.cache, opened),
            recent=self._recent,
            shadows=self._shadows,
            decision_log=decision_log,
            board=opened.board,
            inquiries=self._inquiries,
            crew=self._crew,
        )

    def _open_attempts(self, settings: Settings) -> Attempts:
        """Give the purses of retries; a reload that leaves their settings alone leaves them as full as they are."""
        if self._attempts is None or self._attempts.settings != settings.attempts:
            self._attempts = Attempts(settings.attempts, self._metrics.record_attempt)
        return self._attempts

    def _open_admission(self, settings: Settings, backends: Mapping[str, Backend]) -> Admission:
        """Give the tiers' gates; after a reload, those within are still counted."""
        tiers = {
            tier: {target.backend: backends[target.backend].pool for target in targets}.values()
            for tier, targets in settings.tiers.items()
        }
        admission = Admission(settings.admission, tiers, self._metrics.record_queue, self._gates)
        self._gates |= admission.gates
        return admission

    def _guarded(self, model: DifficultyModel, budget_ms: float) -> GuardedModel:
        """Put the safety net under what judges in the event loop: never the slow half of a cascade."""
        quick = model.at_once if isinstance(model, BundleCascade) else model
        return GuardedModel(quick, HeuristicModel(), budget_s=budget_ms / 1e3, on_event=self._report_guard)

    def _open_second_opinion(self, model: DifficultyModel, budget_ms: float) -> SecondOpinion | None:
        """Put a cascade's second model behind the one thread that slow models run in; a reload swaps it there."""
        if not isinstance(model, BundleCascade):
            return None
        if self._batcher is None:
            self._batcher = self._closing.enter_context(Batcher(model.second))
        self._batcher.swap(model.second)
        return SecondOpinion(model, self._batcher, budget_s=budget_ms / 1e3, on_event=self._report_guard)

    def _report_guard(self, event: GuardEvent) -> None:
        """Count what went wrong with the difficulty model; say once that it fails."""
        self._metrics.record_guard(event)
        if isinstance(event, FellBack) and event.model not in self._failing_models:
            self._failing_models.add(event.model)
            _log.error("difficulty model failed", **asdict(event), instead="heuristic")

    def _open_tracer(self, settings: Settings) -> Tracer | None:
        """Give the tracer where one is wanted, once per configuration of it."""
        tracing, redaction = settings.tracing, settings.redaction
        if not tracing.is_on():
            return None
        place = repr((tracing, redaction))  # headers are in a dict, which is no key
        if place not in self._tracers:
            try:
                from gateway.tracing.export import OtlpExport  # OpenTelemetry costs a fifth of a second
            except ImportError as error:
                raise SettingsError(
                    f"tracing: it needs OpenTelemetry ({error.name} is missing): pip install 'thalamus-gateway[otel]', "
                    "or set tracing.enabled: false"
                ) from None
            export = OtlpExport(tracing, _redactor(redaction), self._metrics.record_dropped_spans)
            self._closing.push_async_callback(asyncio.to_thread, export.close)
            self._tracers[place] = Tracer(tracing, export)
        return self._tracers[place]

    def _open_decision_log(self, settings: DecisionLogSettings, redaction: RedactionSettings) -> DecisionLog | None:
        """Open the decision log where one is wanted, once per configuration of it."""
        if settings.path is None:
            return None
        place = settings, repr(redaction)
        if place not in self._decision_logs:
            path = settings.path
            if self._worker is not None:  # files that are put aside when they are full cannot be shared
                path = path.with_stem(f"{path.stem}-{self._worker.slot}")
            try:
                log = DecisionLog(path, settings, self._metrics.record_dropped_lines, _redactor(redaction))
            except OSError as error:
                raise SettingsError(f"decision_log.path: {settings.path}: {error.strerror}") from None
            self._closing.callback(log.close)
            self._decision_logs[place] = log
        return self._decision_logs[place]

    async def _open_store(self, cache: CacheSettings, redis: RedisSettings) -> Opened:
        """Open the store that is asked for, once per configuration of it."""
        if (cache, redis) not in self._stores:
            opening = open_store(cache, redis, on_event=self._metrics.record_cache)
            self._stores[cache, redis] = await self._closing.enter_async_context(opening)
        return self._stores[cache, redis]

    async def _open_keys(self, settings: Settings) -> ManagedKeys:
        """Give the keys of the key store, once per configuration of it."""
        place = settings.key_store, settings.redis
        if place not in self._managed_keys:
            store: KeyStore = FileKeyStore(settings.key_store.path)
            if settings.key_store.place == "redis":
                from gateway.keys.redis_store import open_redis_key_store  # redis-py costs half a second

                store = await self._closing.enter_async_context(open_redis_key_store(settings.redis))
            managed = ManagedKeys(store, settings.key_store.refresh_s)
            await self._closing.enter_async_context(managed.kept())
            self._managed_keys[place] = managed
        return self._managed_keys[place]

    async def _open_ledger(self, settings: Settings) -> Ledger | None:
        """Give the ledger that is asked for, once per configuration of it."""
        place = settings.ledger, settings.redis
        if place not in self._ledgers:
            book = await self._closing.enter_async_context(open_book(settings))
            ledger = None if book is None else Ledger(book, self._metrics.record_ledger_failure)
            if ledger is not None:
                await self._closing.enter_async_context(ledger.kept())
            self._ledgers[place] = ledger
        return self._ledgers[place]

    def _open_flights(self, settings: Settings, opened: Opened) -> Flights:
        """Give the calls that identical requests share; they outlive configurations."""
        key = settings.cache.encryption_key
        place = settings.redis, key
        if place not in self._flights:
            log = None
            if opened.redis is not None:
                from gateway.flights.redis_log import RedisLog  # redis-py costs half a second

                log = RedisLog(
                    opened.redis,
                    key_prefix=settings.redis.key_prefix,
                    encryption_key=decode_key(key) if key is not None else None,
                )
            flights = Flights(log)
            self._closing.push_async_callback(flights.finish)
            self._flights[place] = flights
        return self._flights[place]

    async def _open_limits(self, settings: RedisSettings, opened: Opened) -> Limits:
        """Give what has been used of all limits; it outlives configurations."""
        if settings not in self._limits:
            shared = None
            if opened.redis is not None:
                from gateway.limits.redis_windows import RedisWindows  # redis-py costs half a second

                shared = RedisWindows(opened.redis, key_prefix=settings.key_prefix)
            limits = Limits(self._windows, shared, self._metrics.record_limit)
            await self._closing.enter_async_context(limits.kept())
            self._limits[settings] = limits
        return self._limits[settings]

    def _open_cache(self, settings: CacheSettings, opened: Opened) -> ExactCache | None:
        if settings.mode == "off":
            return None
        return ExactCache(opened.store, settings, on_event=self._metrics.record_cache)

    async def _open_semantic(
        self, settings: Settings, opened: Opened, cache: ExactCache | None, model: DifficultyModel
    ) -> SemanticCache | None:
        """Give the semantic cache; its index outlives configurations that leave the cache's settings alone.

        Raises:
            SettingsError: the extra is not installed.
        """
        if cache is None or settings.cache.mode != "semantic":
            return None
        from gateway.cache.semantic import opening  # an extra: loaded where it is used

        place = settings.cache, settings.redis
        try:
            if self._encoder is None:
                self._encoder = await asyncio.to_thread(opening.open_encoder, model)
            if place not in self._nearest:
                self._nearest[place] = opening.open_index(settings.cache, settings.redis, opened.redis)
        except opening.ExtraMissing as error:
            raise SettingsError(str(error)) from None
        if self._embedding is None:
            self._embedding = self._closing.enter_context(opening.open_batches(self._encoder))
        return SemanticCache(
            cache,
            self._nearest[place],
            Embedder(self._encoder, self._embedding, budget_s=settings.cache.semantic.budget_ms / 1e3),
            settings.cache.semantic,
            secret=b"" if settings.cache.encryption_key is None else decode_key(settings.cache.encryption_key),
            on_event=self._metrics.record_cache,
        )

    def _open_vault(self, settings: Settings, opened: Opened) -> Vault | None:
        if not settings.vault.enabled:
            return None
        key = settings.cache.encryption_key
        return Vault(
            opened.store if opened.redis else self._reasoning,
            ttl_s=settings.vault.ttl_s,
            max_bytes=settings.vault.max_value_bytes,
            tenant_quota_bytes=settings.vault.tenant_quota_bytes,
            encryption_key=decode_key(key) if key is not None else None,
        )

    def _open_responses(self, settings: CacheSettings, opened: Opened) -> ResponsesRoom:
        key = settings.encryption_key
        return ResponsesRoom(
            store=ResponseStore(opened.shared if opened.redis else self._responses),
            events=EventStore(opened.shared if opened.redis else self._events),
            background=self._background,
            seal=self._seal if key is None else Seal(decode_key(key)),
        )

    async def _open_backends(
        self, settings: Settings, dialects: Dialects, previous: Rooms | None
    ) -> dict[str, Backend]:
        """Open the backends; those that did not change are taken over, with all that is known of them."""
        backends: dict[str, Backend] = {}
        for name, backend_settings in settings.backends.items():
            old = previous.backends.get(name) if previous else None
            if old is not None and old.settings == backend_settings:
                backends[name] = old
                old.pool.queue.size, old.pool.queue.wait_s = settings.admission.queue, settings.admission.wait_s
                continue
            opening = opened_backend(
                name, backend_settings, dialects, self._connections, settings.admission, self._metrics.record_queue
            )
            backends[name] = await self._closing.enter_async_context(opening)
            if old is not None:
                backends[name].pool.take_over(old.pool)
        return backends


def _redactor(settings: RedactionSettings) -> Redactor:
    return Redactor(settings.rules, settings.patterns, settings.max_chars)


def open_serving_model(bundle: str) -> DifficultyModel:
    """Open a difficulty model; a bundle that cannot be trusted is replaced by the heuristic, and that is said.

    A bundle that takes milliseconds is made the second of a cascade that always asks it: the first, whose estimate is
    there at once, stands in whenever the second is late.
    """
    try:
        model = open_model(bundle)
        if isinstance(model, BundleModel) and model.reads_sentences:
            return BundleCascade(load_bundle(DEFAULT_BUNDLE), model, band=1.0)
    except BundleError as error:
        _log.error("bundle refused", bundle=bundle, why=str(error), instead="heuristic")
        return HeuristicModel()
    return model


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
        share_curve=share_curve(settings.routing.bundle),
        thresholds={str(notch): bound for notch, bound in settings.routing.thresholds.items()},
        min_gain=settings.routing.min_gain,
        routes=tuple(
            NamedRoute(
                name=name,
                rule=compile_rule(route.when),
                tier=route.tier,
                effort=route.effort,
                dial=route.dial,
                check=None if route.cascade is None else _answer_check(route.cascade),
            )
            for name, route in settings.routing.routes.items()
        ),
        cascade=None if settings.routing.cascade is None else _cascade(settings.routing.cascade),
        at_limit=settings.routing.at_limit,
    )


def _cascade(written: CascadeSettings) -> Cascade:
    return Cascade(_answer_check(written), None if written.when is None else compile_rule(written.when))


def _answer_check(written: AnswerCheckSettings) -> AnswerCheck:
    return AnswerCheck(written.min_confidence, written.self_check, written.allow_streams, written.probe_tokens)


def _check_dials(engine: Engine, model: DifficultyModel) -> None:
    """Refuse a share of deep calls that nobody knows the threshold of, unless the model itself is missing."""
    policy = engine.policy
    for dial in (policy.dial, *(named.dial for named in policy.routes if named.dial)):
        if policy.threshold(dial, model.thresholds) is None and not isinstance(model, HeuristicModel):
            raise SettingsError(
                f"routing: dial {dial}: {model.name} has no curve to read its threshold from; find it on your own "
                f"requests by `thalamus calibrate LOG --dial {dial} --write`, or choose a notch"
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
