"""Cache and limits: answers from memory, Redis, lines, limits, and load that is turned away."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard

from dashboards.parts import Part, Q, dashboard, graph, part
from dashboards.promql import gauge, or_zero, quantile, rate, share

_BACKEND = 'backend=~"$backend"'
_LOOKED_UP, _HITS = 'cache!~"|bypass"', 'cache=~"hit-.*"'
_REDIS, _OWN = 'event="redis"', 'event!="redis"'


def cache_and_limits() -> Dashboard:
    """Build it."""
    reader = "For whoever tunes: what comes from memory, who waits, and who is refused."
    return dashboard(
        "cache-and-limits",
        "Cache and limits",
        reader,
        ("cluster", "tier", "backend"),
        _cache_and_redis(),
        _limits_and_load(),
    )


def _cache_and_redis() -> Part:
    return part(
        "Cache and Redis",
        graph(
            "Requests by what the cache did",
            "`bypass` are requests that take no part. A fall of hits after a new configuration: keys changed.",
            Q(share("thalamus_cached_requests_total", "cache"), "{{cache}}"),
            unit="percentunit",
            is_stacked=True,
        ),
        graph(
            "Hit rate",
            "Of those that take part. Level; what is right depends on the application.",
            Q(
                f"{rate('thalamus_cached_requests_total', where=_HITS)} / "
                f"{rate('thalamus_cached_requests_total', where=_LOOKED_UP)}"
            ),
            unit="percentunit",
        ),
        graph(
            "False hits",
            "0. Kept answers that callers called wrong. Of `hit-semantic` more than single ones: raise "
            "cache.semantic.threshold.",
            Q(or_zero(rate("thalamus_false_hits_total", "cache")), "{{cache}}"),
            unit="ops",
        ),
        graph(
            "What the cache did",
            "Offers follow misses. `eviction space` all the time: too small a store; `unavailable`: Redis is away.",
            Q(rate("thalamus_cache_events_total", "event, outcome", _OWN), "{{event}} {{outcome}}"),
            unit="ops",
        ),
        graph(
            "Calls to Redis",
            "All `ok`. `timeout`: it is slow; `unreachable`: it is away; `open`: the breaker spares us the wait.",
            Q(rate("thalamus_cache_events_total", "outcome", _REDIS), "{{outcome}}"),
            unit="ops",
        ),
        graph(
            "Time of calls to Redis, p99",
            "A millisecond or two; the deadline is redis.deadline_ms.",
            Q(quantile(0.99, "thalamus_redis_seconds", "operation"), "{{operation}}"),
            unit="s",
        ),
        graph(
            "Breaker before Redis",
            "`closed`. Open for five minutes: ThalamusRedisAway.",
            Q(gauge("thalamus_redis_breaker", "state", how="max"), "{{state}}"),
        ),
        graph(
            "Reasoning in histories",
            "`missing` near 0: otherwise the vault is too small or too short-lived for these conversations.",
            Q(rate("thalamus_history_messages_total", "backend, outcome", _BACKEND), "{{backend}} {{outcome}}"),
            unit="ops",
        ),
        graph(
            "Signs of life to silent streams",
            "Normal where models think. A rise without deep traffic: backends hang.",
            Q(rate("thalamus_keep_alives_total", "endpoint"), "{{endpoint}}"),
            unit="ops",
        ),
    )


def _limits_and_load() -> Part:
    return part(
        "Limits and load",
        graph(
            "Limits met",
            "Those of a `tier` are moved to its mini; those of a `key` get 429. Raise the limit or talk to the caller.",
            Q(rate("thalamus_limit_refusals_total", "unit, scope"), "{{unit}} of a {{scope}}"),
            unit="ops",
        ),
        graph(
            "In line",
            "0 in quiet times. Twenty for five minutes: ThalamusQueueDeep.",
            Q(gauge("thalamus_queue_depth", "queue"), "{{queue}}"),
        ),
        graph(
            "Wait in line, p95",
            "Under a second. More: the backends are too few for the load.",
            Q(quantile(0.95, "thalamus_queue_wait_seconds", "queue"), "{{queue}}"),
            unit="s",
        ),
        graph(
            "How waiting ended",
            "`admitted`. `full` and `evicted` are turned away, `late` has waited for too long, `left` gave up.",
            Q(rate("thalamus_queue_wait_seconds_count", "queue, result"), "{{queue}} {{result}}"),
            unit="ops",
        ),
        graph(
            "In flight by tier",
            "Under admission.tiers.NAME.concurrency; at it all the time, the line begins.",
            Q(gauge("thalamus_tier_in_flight", "tier", 'tier=~"$tier"'), "{{tier}}"),
        ),
        graph(
            "Load turned away",
            "0. Otherwise the process needs more CPU, or more replicas: ThalamusLoadShed.",
            Q(rate("thalamus_shed_requests_total")),
            unit="ops",
        ),
    )
