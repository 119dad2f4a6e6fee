"""Counts what happened, one function per event, in the metrics that the catalogue declares.

Several processes on one port keep their values in files (`share_metrics`), and each gives the sum of all: what was
counted by a process that has ended stays, what it said of how things are goes with it.
"""

from __future__ import annotations

import asyncio
import math
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from itertools import product
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.openmetrics import exposition as openmetrics

from classifiers.traits import place
from gateway.admission import Gate
from gateway.cache.events import (
    AnswerLookedUp,
    AnswerOffered,
    BreakerChanged,
    CacheEvent,
    Evicted,
    NearLookedUp,
    RedisCalled,
    SimilarLookedUp,
    SimilarOffered,
)
from gateway.calls.attempts import AttemptEvent
from gateway.limits.spending import MOST_TENANTS, Budget
from gateway.metrics import catalogue
from gateway.metrics.batch import Batch
from gateway.metrics.catalogue import Metric
from gateway.metrics.drift import Drift
from gateway.metrics.registry import is_shared, make_all
from gateway.queueing import QueueEvent
from gateway.records.accounting import Record
from gateway.records.prices import Usage
from gateway.records.verdicts import Finding, Source, finding_of, is_false_hit, outcome_of
from gateway.upstream.pool import Pool
from gateway.upstream.replica import CONDITIONS
from gateway.vault import Mended
from router.guard import FellBack, GuardEvent
from router.signals import LANGUAGE
from router.types import Reason, Tier

if TYPE_CHECKING:
    from gateway.records.recent import (
        Remembered,  # what is shown of the last decisions needs prices, and they the backends
    )

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS_TYPE = openmetrics.CONTENT_TYPE_LATEST

_DEEP = frozenset({Tier.DEEP, Tier.DEEP_MINI})


class Metrics:
    """The gateway's metrics in a registry of their own."""

    def __init__(self) -> None:
        self.is_shared = is_shared()
        self._shown: dict[Metric, set[tuple[str, ...]]] = {}
        self.registry = CollectorRegistry()
        self._metrics = make_all(self.registry)
        self._children: dict[tuple[Metric, tuple[str, ...]], Any] = {}
        self._tenants: set[str] = set()
        self._batch = Batch(self._child)
        self._model = ""
        self._drift = Drift({})
        self._under_way: dict[int, float] = {}
        """When each request began (`time.perf_counter`), oldest first."""
        self._show(catalogue.BUILD_INFO, {(version("thalamus-gateway"),): 1})
        # From 0 on, or an alert on their increase would miss the first of each.
        for result in ("applied", "refused"):
            self._child(catalogue.RELOADS, result)
        for unit, scope in product(("calls", "tokens", "dollars", "concurrent"), ("key", "tier")):
            self._child(catalogue.REFUSALS, unit, scope)

    def record_cache(self, event: CacheEvent) -> None:
        """Count what the cache or Redis did."""
        match event:
            case RedisCalled(operation, outcome, seconds):
                self._child(catalogue.CACHE_EVENTS, "redis", outcome).inc()
                self._child(catalogue.REDIS_SECONDS, operation).observe(seconds)
            case BreakerChanged(state):
                self._show(catalogue.REDIS_BREAKER, {(state,): 1})
            case AnswerLookedUp(outcome):
                self._child(catalogue.CACHE_EVENTS, "lookup", outcome).inc()
            case AnswerOffered(outcome):
                self._child(catalogue.CACHE_EVENTS, "offer", outcome).inc()
            case SimilarLookedUp(outcome, facet):
                self._child(catalogue.CACHE_EVENTS, "semantic", outcome if facet is None else f"unlike-{facet}").inc()
            case SimilarOffered(outcome):
                self._child(catalogue.CACHE_EVENTS, "semantic-offer", outcome).inc()
            case NearLookedUp(hit):
                self._child(catalogue.CACHE_EVENTS, "first-level", "hit" if hit else "miss").inc()
            case Evicted(reason):
                self._child(catalogue.CACHE_EVENTS, "eviction", reason).inc()

    def record_attempt(self, event: AttemptEvent) -> None:
        """Count a hedge, a retry that there was nothing left for, or a continuation."""
        self._child(catalogue.ATTEMPT_EVENTS, event.what, event.backend, event.result).inc()

    def record_keep_alive(self, endpoint: str) -> None:
        """Count a sign of life."""
        self._child(catalogue.KEEP_ALIVES, endpoint).inc()

    def record_shed(self) -> None:
        """Count a request that was turned away for the event loop's sake."""
        self._child(catalogue.SHED).inc()

    def record_queue(self, event: QueueEvent) -> None:
        """Count somebody who waited in line."""
        self._child(catalogue.QUEUE_WAIT, event.queue, event.result).observe(event.waited_s)

    def show_load(self, pools: Iterable[Pool], gates: Mapping[Tier, Gate], lag_s: float) -> None:
        """Say how replicas, tiers, lines and the loop are now; called when somebody looks, not when it changes."""
        self.write_counts()
        self._child(catalogue.LAG).set(lag_s)
        self._show(catalogue.DRIFT, {(signal,): index for signal, index in self._drift.indices().items()})
        self._child(catalogue.TASKS).set(len(asyncio.all_tasks()))
        self._child(catalogue.MEMORY_BLOCKS).set(sys.getallocatedblocks())
        oldest = next(iter(self._under_way.values()), None)
        self._child(catalogue.OLDEST_REQUEST).set(0.0 if oldest is None else time.perf_counter() - oldest)
        pools = list(pools)
        now = time.monotonic()
        replicas = [(pool.backend, replica) for pool in pools for replica in pool.replicas]
        queues = [*(gate.queue for gate in gates.values()), *(pool.queue for pool in pools)]
        self._show(catalogue.TIER_CALLS, {(tier.value,): gate.in_flight for tier, gate in gates.items()})
        self._show(catalogue.QUEUE_DEPTH, {(queue.name,): len(queue) for queue in queues})
        self._show(catalogue.REPLICA_CALLS, {(backend, one.name): one.in_flight for backend, one in replicas})
        self._show(catalogue.REPLICA_TOKENS, {(backend, one.name): one.tokens for backend, one in replicas})
        conditions: dict[tuple[str, ...], float] = {
            (backend, one.name, known): float(known == condition)
            for backend, one in replicas
            for condition in (one.condition(now),)
            for known in CONDITIONS
        }
        self._show(catalogue.REPLICA_CONDITION, conditions)

    def show_budgets(self, budgets: Iterable[Budget]) -> None:
        """Say what tenants may spend and have spent, of those tenants that have series of their own."""
        shown = [(self._tenant(one.tenant), one) for one in budgets]
        own = [(tenant, one) for tenant, one in shown if tenant == one.tenant]
        self._show(catalogue.BUDGET, {(tenant, f"{one.window_s:g}"): one.dollars for tenant, one in own})
        self._show(catalogue.BUDGET_SPENT, {(tenant, f"{one.window_s:g}"): one.spent for tenant, one in own})
        tightest: dict[tuple[str, ...], float] = {}
        for tenant, one in own:
            tightest[tenant,] = min(one.per_30_days, tightest.get((tenant,), math.inf))
        self._show(catalogue.BUDGET_30D, tightest)

    def _show(self, gauge: Metric, series: Mapping[tuple[str, ...], float]) -> None:
        """Set a gauge's series to these; others that it has had are gone, or 0 where files keep them."""
        for labels in self._shown.get(gauge, set()) - series.keys():
            if self.is_shared:
                self._child(gauge, *labels).set(0)
            else:
                self._metrics[gauge].remove(*labels)
                self._children.pop((gauge, labels), None)
        for labels, value in series.items():
            self._child(gauge, *labels).set(value)
        self._shown[gauge] = set(series)

    def record_dropped_lines(self, lines: int) -> None:
        """Count lines of the decision log that could not be written; called from the log's thread."""
        self._child(catalogue.DROPPED_LINES).inc(lines)

    def record_dropped_spans(self, why: str, spans: int) -> None:
        """Count spans that were not exported; called from the exporter's thread as well."""
        self._child(catalogue.DROPPED_SPANS, why).inc(spans)

    def record_feedback(self, verdict: str, about: Remembered) -> None:
        """Count what a caller thinks of an answer. One that the semantic cache gave says nothing of the tier."""
        self._child(catalogue.FEEDBACK, verdict, about.tier).inc()
        if about.cache.startswith("hit") and is_false_hit(verdict, about.tier):
            self._child(catalogue.FALSE_HITS, about.cache).inc()
        finding = finding_of(verdict, about.tier)
        if finding is not None and about.tier and about.kept_as is None:
            self.record_finding("feedback", finding, about.tier, about.kind, about.difficulty)

    def record_finding(self, source: Source, finding: Finding, tier: str, kind: str, difficulty: float | None) -> None:
        """Count whether a request was routed right."""
        self._child(catalogue.VERDICTS, source, tier, kind, outcome_of(finding, tier)).inc()
        if difficulty is not None:
            self._child(catalogue.JUDGED, source, finding).observe(difficulty)

    def record_shadow(self, tier: str, result: str) -> None:
        """Count a second answer, or why there is none."""
        self._child(catalogue.SHADOWS, tier, result).inc()

    def record_shadow_cost(self, backend: str, dollars: float) -> None:
        """Count what a second answer or its judge took."""
        self._child(catalogue.SHADOW_COST, backend).inc(dollars)

    def show_model(self, name: str, reference: Mapping[str, Sequence[float]] | None = None) -> None:
        """Say which difficulty model decides from now on, and how it judged its training data."""
        if name != self._model:
            self._model, self._drift = name, Drift(reference or {})
        self._show(catalogue.MODEL_INFO, {(name,): 1})

    def record_guard(self, event: GuardEvent) -> None:
        """Count what went wrong with the difficulty model."""
        metric = catalogue.DECISION_FALLBACKS if isinstance(event, FellBack) else catalogue.DECISION_OVERRUNS
        self._child(metric, event.model).inc()

    def record_history(self, backend: str, mended: Mended) -> None:
        """Count the messages of a history whose reasoning was put back, is missing, or was taken out."""
        for outcome in ("restored", "missing", "stripped"):
            if count := getattr(mended, outcome):
                self._child(catalogue.HISTORY, backend, outcome).inc(count)

    def record_limit(self, unit: str, scope: str) -> None:
        """Count a limit that was met: `tier` moves a request to another, `key` refuses it."""
        self._child(catalogue.REFUSALS, unit, scope).inc()

    def record_ledger_failure(self) -> None:
        """Count a time that usage could not be written."""
        self._child(catalogue.LEDGER_FAILURES).inc()

    def record_reload(self, result: str) -> None:
        """Count one reload: `applied` or `refused`."""
        self._child(catalogue.RELOADS, result).inc()

    def write_counts(self) -> None:
        """Bring what was counted of requests to where whoever looks will see it."""
        self._batch.write()

    def begin_request(self, record: Record) -> None:
        """Count a request that is being served from now on."""
        self._child(catalogue.IN_FLIGHT).inc()
        self._under_way[id(record)] = record.started

    def end_request(self, record: Record) -> None:
        """Count it no longer."""
        self._child(catalogue.IN_FLIGHT).dec()
        self._under_way.pop(id(record), None)

    def record_rooms(self, record: Record) -> None:
        """Count where a request's time went."""
        count = self._batch.count
        for room, seconds in record.rooms_s.items():
            count(catalogue.ROOM_SECONDS, room, by=seconds)
        if record.queued_s:
            count(catalogue.ROOM_SECONDS, "queue", by=record.queued_s)

    def record_request(self, record: Record) -> None:
        """Count one finished request."""
        target, count, observe = record.target, self._batch.count, self._batch.observe
        backend = target.backend if target else ""
        tier = target.tier or "" if target else ""
        count(catalogue.REQUESTS, record.endpoint, tier, backend, record.outcome, record.error or "")
        self._observe_traced(record, catalogue.REQUEST_SECONDS, record.endpoint, tier, value=record.total_s)
        observe(catalogue.GATEWAY_SECONDS, record.endpoint, value=record.gateway_s)
        count(catalogue.CACHED, record.cache)
        for attempt in record.attempts:
            count(catalogue.ATTEMPTS, attempt.backend, attempt.replica, attempt.error or "")
            if attempt.check is not None:
                count(catalogue.CHECKS, attempt.backend, attempt.check)
        if record.is_empty:
            count(catalogue.EMPTY_ANSWERS, tier, backend)
        if record.attempts:
            observe(catalogue.UPSTREAM_SECONDS, backend, value=record.upstream_s)
        self._count_pace(record, tier, backend)
        self._count_decision(record)
        self._count_usage(record, backend)

    def _count_pace(self, record: Record, tier: str, backend: str) -> None:
        if record.first_token_s is None:
            return
        observe = self._batch.observe
        self._observe_traced(record, catalogue.FIRST_TOKEN_SECONDS, tier, backend, value=record.first_token_s)
        if record.thinking_s is not None:
            observe(catalogue.THINKING_SECONDS, tier, backend, value=record.thinking_s)
        tokens = record.usage.output - 1 if record.usage is not None else 0
        if tokens > 0 and not record.is_kept:
            each = (record.total_s - record.first_token_s) / tokens
            observe(catalogue.OUTPUT_TOKEN_SECONDS, tier, backend, value=each)

    def _observe_traced(self, record: Record, metric: Metric, *labels: str, value: float) -> None:
        """Take a value into a histogram, with its trace beside it where it has one and that can be kept."""
        if record.trace_id and not self.is_shared:
            self._child(metric, *labels).observe(value, {"trace_id": record.trace_id})
        else:
            self._batch.observe(metric, *labels, value=value)

    def _count_decision(self, record: Record) -> None:
        decision, request = record.decision, record.request
        if decision is None:
            return
        count, observe = self._batch.count, self._batch.observe
        decided = decision.tier or ""
        count(catalogue.DECISIONS, decided, decision.reason, decision.kind or "", decision.effort or "")
        observe(catalogue.DECISION_SECONDS, value=record.decision_s)
        if decision.kind is not None:
            count(catalogue.LANGUAGES, str(decision.signal(LANGUAGE)), decided)
        if decision.difficulty is not None:
            observe(catalogue.DIFFICULTY, value=decision.difficulty)
            if decision.kind is not None and request is not None:
                language = str(decision.signal(LANGUAGE) or "") or None
                self._drift.note(place(request.conversation, decision.difficulty, decision.kind, language))
        before = request.session.tier if request is not None and request.session is not None else None
        if before is not None and decision.tier is not None and (before in _DEEP) != (decision.tier in _DEEP):
            direction = "up" if decision.tier in _DEEP else "down"
            by = "client" if decision.reason is Reason.CLIENT else "router"
            count(catalogue.TIER_CHANGES, direction, by)

    def _count_usage(self, record: Record, backend: str) -> None:
        count = self._batch.count
        if record.cost and record.tenant:
            count(catalogue.TENANT_COST, self._tenant(record.tenant), by=record.cost)
        for spending in record.besides:
            self._count_call(spending.backend, spending.usage, spending.cost)
        if record.usage is None:
            return
        self._count_call(backend, record.usage, record.own_cost)
        if record.saved is not None:
            count(catalogue.SAVED if record.saved >= 0 else catalogue.OVERSPENT, by=abs(record.saved))

    def _count_call(self, backend: str, usage: Usage, cost: float | None) -> None:
        count = self._batch.count
        amounts = (("input", usage.input), ("output", usage.output))
        details = (("cached", usage.cached), ("reasoning", usage.reasoning))
        for sort, tokens in (*amounts, *details):
            if tokens:
                count(catalogue.TOKENS, backend, sort, by=tokens)
        if cost is not None:
            count(catalogue.COST, backend, by=cost)

    def _tenant(self, tenant: str) -> str:
        if tenant not in self._tenants:
            if len(self._tenants) >= MOST_TENANTS:
                return "other"
            self._tenants.add(tenant)
        return tenant

    def _child(self, metric: Metric, *labels: str) -> Any:
        """Give a metric's series for some labels, found once: prometheus-client locks and copies at every look."""
        key = (metric, labels)
        found = self._children.get(key)
        if found is None:
            made = self._metrics[metric]
            found = self._children[key] = made.labels(*labels) if labels else made
        return found

    def render(self, *, as_openmetrics: bool = False) -> bytes:
        """Write all metrics in Prometheus' text format or OpenMetrics'; of all workers where there are several.

        Exemplars are in OpenMetrics' only, and of a single process only: files do not hold them.
        """
        self.write_counts()
        write = openmetrics.generate_latest if as_openmetrics else generate_latest
        if not self.is_shared:
            return bytes(write(self.registry))
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return bytes(write(registry))
