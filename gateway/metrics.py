"""Every Prometheus object, and one function that counts a finished record.

Labels take values from closed sets or from the configuration, never from a caller.

Several processes on one port keep their values in files (`share_metrics`), and each gives the sum of all: what was
counted by a process that has ended stays, what it said of how things are goes with it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
    values,
)
from prometheus_client.multiprocess import MultiProcessCollector

from gateway.accounting import Record
from gateway.admission import Gate
from gateway.attempts import AttemptEvent
from gateway.cache.events import (
    AnswerLookedUp,
    AnswerOffered,
    BreakerChanged,
    CacheEvent,
    Evicted,
    NearLookedUp,
    RedisCalled,
)
from gateway.prices import Usage
from gateway.queueing import QueueEvent
from gateway.upstream.pool import Pool
from gateway.upstream.replica import CONDITIONS
from gateway.vault import Mended
from router.guard import FellBack, GuardEvent
from router.types import Tier

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
disable_created_metrics()  # type: ignore[no-untyped-call]  # a series per counter that nobody reads
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
_OVERHEAD = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 1)
_PROBABILITY = tuple(tenth / 10 for tenth in range(1, 11))


def share_metrics(slot: int) -> None:
    """Keep all metrics made from now on in files, in the folder that PROMETHEUS_MULTIPROC_DIR names.

    Files are named by the slot and not by the process, so that a worker counts on where its predecessor ended, and
    there are never more files than slots.
    """
    values.ValueClass = values.MultiProcessValue(lambda: slot)  # type: ignore[no-untyped-call]


def _is_shared() -> bool:
    return bool(getattr(values.ValueClass, "_multiprocess", False))


class Metrics:
    """The gateway's metrics in a registry of their own."""

    def __init__(self) -> None:
        self.is_shared = _is_shared()
        self._shown: dict[Any, set[tuple[str, ...]]] = {}
        self.registry = registry = CollectorRegistry()
        self._children: dict[tuple[Any, tuple[str, ...]], Any] = {}
        self._requests = Counter(
            "thalamus_requests",
            "Requests by how they ended",
            ("endpoint", "tier", "backend", "outcome", "error"),
            registry=registry,
        )
        self._decisions = Counter(
            "thalamus_decisions",
            "Decisions by what was decided and why",
            ("tier", "reason", "kind", "effort"),
            registry=registry,
        )
        self._difficulty = Histogram(
            "thalamus_difficulty", "Difficulty of routed requests", buckets=_PROBABILITY, registry=registry
        )
        self._tokens = Counter("thalamus_tokens", "Tokens by backend and sort", ("backend", "sort"), registry=registry)
        self._cost = Counter("thalamus_cost_dollars", "Cost of calls", ("backend",), registry=registry)
        self._saved = Counter(
            "thalamus_saved_dollars",
            "Estimated savings against sending everything to the deep tier",
            registry=registry,
        )
        self._overspent = Counter(
            "thalamus_overspent_dollars",
            "Estimated extra cost against sending everything to the deep tier",
            registry=registry,
        )
        self._attempts = Counter(
            "thalamus_attempts",
            "Calls to backends by result; those that could not be made have no replica",
            ("backend", "replica", "error"),
            registry=registry,
        )
        self._course = Counter(
            "thalamus_attempt_events",
            "Hedges, retries and continuations, by what became of them",
            ("what", "backend", "result"),
            registry=registry,
        )
        self._shed = Counter(
            "thalamus_shed_requests", "Requests turned away because the event loop was late", registry=registry
        )
        self._lag = Gauge(
            "thalamus_event_loop_lag_seconds",
            "How late the event loop has been in its last beats",
            multiprocess_mode="livemax",
            registry=registry,
        )
        self._tasks = Gauge(
            "thalamus_event_loop_tasks",
            "Tasks of the event loop: a few for the process, and some for each request under way",
            multiprocess_mode="livesum",
            registry=registry,
        )
        self._tier_calls = Gauge(
            "thalamus_tier_in_flight",
            "Requests in tiers whose number is bounded",
            ("tier",),
            multiprocess_mode="livesum",
            registry=registry,
        )
        self._keep_alives = Counter(
            "thalamus_keep_alives", "Signs of life sent to clients of silent streams", ("endpoint",), registry=registry
        )
        self._queued = Histogram(
            "thalamus_queue_wait_seconds",
            "Time that requests waited in line, by how that ended",
            ("queue", "result"),
            buckets=_SECONDS,
            registry=registry,
        )
        self._replicas = Gauge(
            "thalamus_replica_condition",
            "1 for what each replica is: serving, draining, unhealthy, cooling (after 429) or broken (breaker open)",
            ("backend", "replica", "condition"),
            multiprocess_mode="livemax",
            registry=registry,
        )
        self._replica_calls = Gauge(
            "thalamus_replica_in_flight",
            "Calls in flight",
            ("backend", "replica"),
            multiprocess_mode="livesum",
            registry=registry,
        )
        self._replica_tokens = Gauge(
            "thalamus_replica_tokens_in_flight",
            "Estimated tokens of the calls in flight",
            ("backend", "replica"),
            multiprocess_mode="livesum",
            registry=registry,
        )
        self._queue_depth = Gauge(
            "thalamus_queue_depth",
            "Requests waiting in line",
            ("queue",),
            multiprocess_mode="livesum",
            registry=registry,
        )
        self._first_token = Histogram(
            "thalamus_first_token_seconds",
            "Time to the first output-bearing event of streams",
            ("tier", "backend"),
            buckets=_SECONDS,
            registry=registry,
        )
        self._total = Histogram(
            "thalamus_request_seconds",
            "Time from request to the answer's last byte",
            ("endpoint", "tier"),
            buckets=_SECONDS,
            registry=registry,
        )
        self._upstream = Histogram(
            "thalamus_upstream_seconds",
            "Time spent waiting for backends",
            ("backend",),
            buckets=_SECONDS,
            registry=registry,
        )
        self._overhead = Histogram(
            "thalamus_gateway_seconds",
            "Time to the first byte not spent waiting for backends",
            ("endpoint",),
            buckets=_OVERHEAD,
            registry=registry,
        )
        self._decision_time = Histogram(
            "thalamus_decision_seconds", "Time to decide", buckets=_OVERHEAD, registry=registry
        )
        self.in_flight = Gauge(
            "thalamus_in_flight_requests", "Requests being served", multiprocess_mode="livesum", registry=registry
        )
        self._model = Gauge(
            "thalamus_difficulty_model_info",
            "The difficulty model in use",
            ("model",),
            multiprocess_mode="livemax",
            registry=registry,
        )
        self._cache = Counter(
            "thalamus_cache_events", "What the cache and Redis did", ("event", "outcome"), registry=registry
        )
        self._redis_seconds = Histogram(
            "thalamus_redis_seconds", "Time of calls to Redis", ("operation",), buckets=_OVERHEAD, registry=registry
        )
        self._breaker = Gauge(
            "thalamus_redis_breaker",
            "1 for the state of the breaker before Redis",
            ("state",),
            multiprocess_mode="livemax",
            registry=registry,
        )
        self._fallbacks = Counter(
            "thalamus_decision_fallbacks",
            "Decisions that the heuristic judged, because the difficulty model raised",
            ("model",),
            registry=registry,
        )
        self._overruns = Counter(
            "thalamus_decision_overruns",
            "Estimates that took longer than routing.budget_ms",
            ("model",),
            registry=registry,
        )
        self._checks = Counter(
            "thalamus_cascade_checks",
            "Fast answers by what their check found",
            ("backend", "finding"),
            registry=registry,
        )
        self._history = Counter(
            "thalamus_history_messages",
            "Earlier messages whose reasoning was restored, is missing, or was stripped",
            ("backend", "outcome"),
            registry=registry,
        )
        self._dropped_lines = Counter(
            "thalamus_decision_log_dropped_lines",
            "Lines of the decision log that the disk was too slow for",
            registry=registry,
        )
        self._feedback = Counter(
            "thalamus_feedback", "Verdicts of callers on answers", ("verdict", "tier"), registry=registry
        )
        self._refusals = Counter(
            "thalamus_limit_refusals",
            "Requests that met a limit: calls, tokens, dollars or concurrent, of a tier or of the key itself",
            ("unit", "scope"),
            registry=registry,
        )
        self._ledger_failures = Counter(
            "thalamus_ledger_failures", "Times that usage could not be written; it is tried again", registry=registry
        )
        self._reloads = Counter("thalamus_settings_reloads", "Configuration reloads", ("result",), registry=registry)

    def record_cache(self, event: CacheEvent) -> None:
        """Count what the cache or Redis did."""
        match event:
            case RedisCalled(operation, outcome, seconds):
                self._cache.labels("redis", outcome).inc()
                self._redis_seconds.labels(operation).observe(seconds)
            case BreakerChanged(state):
                self._show(self._breaker, {(state,): 1})
            case AnswerLookedUp(outcome):
                self._cache.labels("lookup", outcome).inc()
            case AnswerOffered(outcome):
                self._cache.labels("offer", outcome).inc()
            case NearLookedUp(hit):
                self._cache.labels("first-level", "hit" if hit else "miss").inc()
            case Evicted(reason):
                self._cache.labels("eviction", reason).inc()

    def record_attempt(self, event: AttemptEvent) -> None:
        """Count a hedge, a retry that there was nothing left for, or a continuation."""
        self._child(self._course, event.what, event.backend, event.result).inc()

    def record_keep_alive(self, endpoint: str) -> None:
        """Count a sign of life."""
        self._child(self._keep_alives, endpoint).inc()

    def record_shed(self) -> None:
        """Count a request that was turned away for the event loop's sake."""
        self._shed.inc()

    def record_queue(self, event: QueueEvent) -> None:
        """Count somebody who waited in line."""
        self._child(self._queued, event.queue, event.result).observe(event.waited_s)

    def show_load(self, pools: Iterable[Pool], gates: Mapping[Tier, Gate], lag_s: float) -> None:
        """Say how replicas, tiers, lines and the loop are now; called when somebody looks, not when it changes."""
        self._lag.set(lag_s)
        self._tasks.set(len(asyncio.all_tasks()))
        pools = list(pools)
        now = time.monotonic()
        replicas = [(pool.backend, replica) for pool in pools for replica in pool.replicas]
        queues = [*(gate.queue for gate in gates.values()), *(pool.queue for pool in pools)]
        self._show(self._tier_calls, {(tier.value,): gate.in_flight for tier, gate in gates.items()})
        self._show(self._queue_depth, {(queue.name,): len(queue) for queue in queues})
        self._show(self._replica_calls, {(backend, one.name): one.in_flight for backend, one in replicas})
        self._show(self._replica_tokens, {(backend, one.name): one.tokens for backend, one in replicas})
        conditions: dict[tuple[str, ...], float] = {
            (backend, one.name, known): float(known == condition)
            for backend, one in replicas
            for condition in (one.condition(now),)
            for known in CONDITIONS
        }
        self._show(self._replicas, conditions)

    def _show(self, gauge: Any, series: Mapping[tuple[str, ...], float]) -> None:
        """Set a gauge's series to these; others that it has had are gone, or 0 where files keep them."""
        for labels in self._shown.get(gauge, set()) - series.keys():
            if self.is_shared:
                gauge.labels(*labels).set(0)
            else:
                gauge.remove(*labels)
                self._children.pop((gauge, labels), None)
        for labels, value in series.items():
            self._child(gauge, *labels).set(value)
        self._shown[gauge] = set(series)

    def record_dropped_lines(self, lines: int) -> None:
        """Count lines of the decision log that could not be written; called from the log's thread."""
        self._dropped_lines.inc(lines)

    def record_feedback(self, verdict: str, tier: str) -> None:
        """Count what a caller thinks of an answer; the tier is who answered."""
        self._feedback.labels(verdict, tier).inc()

    def show_model(self, name: str) -> None:
        """Say which difficulty model decides from now on."""
        self._show(self._model, {(name,): 1})

    def record_guard(self, event: GuardEvent) -> None:
        """Count what went wrong with the difficulty model."""
        metric = self._fallbacks if isinstance(event, FellBack) else self._overruns
        self._child(metric, event.model).inc()

    def record_history(self, backend: str, mended: Mended) -> None:
        """Count the messages of a history whose reasoning was put back, is missing, or was taken out."""
        for outcome in ("restored", "missing", "stripped"):
            if count := getattr(mended, outcome):
                self._child(self._history, backend, outcome).inc(count)

    def record_limit(self, unit: str, scope: str) -> None:
        """Count a limit that was met: `tier` moves a request to another, `key` refuses it."""
        self._refusals.labels(unit, scope).inc()

    def record_ledger_failure(self) -> None:
        """Count a time that usage could not be written."""
        self._ledger_failures.inc()

    def record_reload(self, result: str) -> None:
        """Count one reload: `applied` or `refused`."""
        self._reloads.labels(result).inc()

    def record_request(self, record: Record) -> None:
        """Count one finished request."""
        target, decision = record.target, record.decision
        backend = target.backend if target else ""
        tier = target.tier.value if target and target.tier else ""
        child = self._child
        child(self._requests, record.endpoint, tier, backend, record.outcome.value, record.error or "").inc()
        child(self._total, record.endpoint, tier).observe(record.total_s)
        child(self._overhead, record.endpoint).observe(record.gateway_s)
        for attempt in record.attempts:
            child(self._attempts, attempt.backend, attempt.replica, attempt.error or "").inc()
            if attempt.check is not None:
                child(self._checks, attempt.backend, attempt.check).inc()
        if record.attempts:
            child(self._upstream, backend).observe(record.upstream_s)
        if record.first_token_s is not None:
            child(self._first_token, tier, backend).observe(record.first_token_s)
        if decision is not None:
            kind, effort = decision.kind, decision.effort
            decided = decision.tier.value if decision.tier else ""
            child(self._decisions, decided, decision.reason.value, kind or "", effort or "").inc()
            self._decision_time.observe(record.decision_s)
            if decision.difficulty is not None:
                self._difficulty.observe(decision.difficulty)
        self._count_usage(record, backend)

    def _count_usage(self, record: Record, backend: str) -> None:
        for spending in record.besides:
            self._count_call(spending.backend, spending.usage, spending.cost)
        if record.usage is None:
            return
        self._count_call(backend, record.usage, record.own_cost)
        if record.saved is not None:
            (self._saved if record.saved >= 0 else self._overspent).inc(abs(record.saved))

    def _count_call(self, backend: str, usage: Usage, cost: float | None) -> None:
        amounts = (("input", usage.input), ("output", usage.output))
        details = (("cached", usage.cached), ("reasoning", usage.reasoning))
        for sort, tokens in (*amounts, *details):
            if tokens:
                self._child(self._tokens, backend, sort).inc(tokens)
        if cost is not None:
            self._child(self._cost, backend).inc(cost)

    def _child(self, metric: Any, *labels: str) -> Any:
        """Give a metric's series for some labels, found once: prometheus-client locks and copies at every look."""
        key = (metric, labels)
        found = self._children.get(key)
        if found is None:
            found = self._children[key] = metric.labels(*labels)
        return found

    def render(self) -> bytes:
        """Write all metrics in Prometheus' text format; of all workers where there are several."""
        if not self.is_shared:
            return generate_latest(self.registry)
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry)
