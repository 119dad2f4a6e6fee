"""Builds the rooms from a configuration, with nothing of the web about it; what they opened is closed at the end."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import asdict

import structlog
from pydantic import SecretStr

from classifiers.batching import Batches
from classifiers.bundle import DEFAULT_BUNDLE, BundleError, BundleModel, load_bundle
from classifiers.cascade import Batcher, BundleCascade, open_model
from classifiers.heuristic import HeuristicModel
from classifiers.sentences import SentenceEncoder
from classifiers.types import DifficultyModel
from gateway.admission import Admission, Gate
from gateway.auth import Keyring
from gateway.cache.exact import ExactCache
from gateway.cache.opening import Opened, open_store
from gateway.cache.semantic.cache import SemanticCache
from gateway.cache.semantic.embedding import Embedder, Vector
from gateway.cache.semantic.index import NearestIndex
from gateway.cache.settings import CacheSettings, RedisSettings, decode_key
from gateway.cache.store import MemoryStore
from gateway.calls.attempts import Attempts
from gateway.flights import Flights
from gateway.keys import FileKeyStore, KeyStore, ManagedKeys
from gateway.ledger import Ledger
from gateway.ledger.opening import open_book
from gateway.limits import Limits
from gateway.limits.window import LocalWindows
from gateway.metrics import Metrics
from gateway.policy import read_policy
from gateway.process.lifecycle import Worker
from gateway.process.pulse import Pulse
from gateway.records.accounting import Accounts
from gateway.records.decision_log import DecisionLog, DecisionLogSettings
from gateway.records.inquiries import Inquiries
from gateway.records.logs import request_logger
from gateway.records.prices import find_price
from gateway.records.recent import Recent
from gateway.redaction import Redactor
from gateway.rooms import Rooms
from gateway.second_opinion import SecondOpinion
from gateway.sessions import Sessions
from gateway.settings import (
    KeyStoreSettings,
    LedgerSettings,
    RedactionSettings,
    Settings,
    SettingsError,
)
from gateway.shadow import Shadows
from gateway.surfaces.responses.background import Background
from gateway.surfaces.responses.events import TENANT_BYTES as EVENT_BYTES
from gateway.surfaces.responses.events import EventStore
from gateway.surfaces.responses.keeping import TENANT_BYTES, ResponseStore
from gateway.surfaces.responses.room import ResponsesRoom
from gateway.surfaces.responses.sealing import Seal
from gateway.tracing.tracer import Tracer
from gateway.upstream.dialects import DialectError, Dialects, load_dialects
from gateway.upstream.http import Connections
from gateway.upstream.opening import opened_backend
from gateway.upstream.pool import Backend
from gateway.vault import Vault
from router.engine import Engine
from router.guard import FellBack, GuardedModel, GuardEvent
from router.intent import load_phrases
from router.types import Tier

STATE_BYTES = 32 * 1024 * 1024
"""Room for conversations and counters in the process, when there is no Redis."""

VAULT_BYTES = 64 * 1024 * 1024
"""Room for models' reasoning in the process, when there is no Redis."""

_log = structlog.get_logger("thalamus")


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
        engine = Engine(read_policy(settings, dialects), self._guarded(model, settings.routing.budget_ms))
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


def _check_dials(engine: Engine, model: DifficultyModel) -> None:
    """Refuse a share of deep calls that nobody knows the threshold of, unless the model itself is missing."""
    policy = engine.policy
    for dial in (policy.dial, *(named.dial for named in policy.routes if named.dial)):
        if policy.threshold(dial, model.thresholds) is None and not isinstance(model, HeuristicModel):
            raise SettingsError(
                f"routing: dial {dial}: {model.name} has no curve to read its threshold from; find it on your own "
                f"requests by `thalamus calibrate LOG --dial {dial} --write`, or choose a notch"
            )


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
