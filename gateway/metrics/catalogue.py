"""Every metric that the gateway exports, as data: its name, type, labels, meaning, and what to do about it.

docs/metrics.md is written from this file. Labels take values from closed sets or from the configuration, never from a
caller. Names are Prometheus' (counters gain `_total`); the conventions of OpenTelemetry for generative AI that a metric
corresponds to are named in `convention`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Type = Literal["counter", "gauge", "histogram"]

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
"""Buckets of what models take, in seconds."""
OVERHEAD = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 1)
"""Buckets of what the gateway itself takes, in seconds."""
PER_TOKEN = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.2, 0.5, 1)
PROBABILITY = tuple(tenth / 10 for tenth in range(1, 11))

Across = Literal["livesum", "livemax", "livemostrecent"]
"""How the gauges of several workers become one."""


@dataclass(frozen=True, slots=True, eq=False)
class Metric:
    """One metric. Each is itself alone: they are looked up by identity for every count.

    Attributes:
        name: without the endings that Prometheus' library adds.
        meaning: one sentence.
        action: what good looks like, and what to do when it does not.
        group: the heading that it stands under in the docs.
        across: for gauges, how those of several workers become one.
        convention: the metric of OpenTelemetry's conventions for generative AI (1.37) that it corresponds to.
    """

    name: str
    type: Type
    meaning: str
    action: str
    group: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    across: Across = "livesum"
    convention: str = ""

    @property
    def exported(self) -> str:
        """The name that queries use; a histogram's is followed by `_bucket`, `_sum` and `_count`."""
        return f"{self.name}_total" if self.type == "counter" else self.name


_REQUESTS, _ROUTING, _BACKENDS = "Requests", "Routing", "Backends and attempts"
_MONEY, _CACHE, _LIMITS, _PROCESS = "Tokens and money", "Cache and Redis", "Limits and load", "The process"

REQUESTS = Metric(
    "thalamus_requests",
    "counter",
    "Requests by how they ended: `done`, `failed` (with the error's code) or `dropped` (the client left).",
    "The share of `failed` with a server's error is the availability that the burn-rate alerts watch. Look at `error` "
    "first, then at `thalamus_attempts_total` for what backends said.",
    _REQUESTS,
    ("endpoint", "tier", "backend", "outcome", "error"),
)
IN_FLIGHT = Metric(
    "thalamus_in_flight_requests",
    "gauge",
    "Requests being served now.",
    "The signal to scale on. Back at 0 whenever nobody asks; if not, something is stuck.",
    _REQUESTS,
)
OLDEST_REQUEST = Metric(
    "thalamus_oldest_request_age_seconds",
    "gauge",
    "Age of the request that has been under way for longest; 0 when there is none.",
    "Never more than `attempts.deadline_s` (an hour): older ones hang, and hold their places.",
    _REQUESTS,
    across="livemax",
)
REQUEST_SECONDS = Metric(
    "thalamus_request_seconds",
    "histogram",
    "Time from the request to the answer's last byte.",
    "Deep answers take minutes: read it by tier. With a trace its slow buckets carry the trace's id as an exemplar.",
    _REQUESTS,
    ("endpoint", "tier"),
    SECONDS,
    convention="gen_ai.server.request.duration",
)
GATEWAY_SECONDS = Metric(
    "thalamus_gateway_seconds",
    "histogram",
    "Time to the answer's first byte that was spent neither waiting for backends nor in line.",
    "About a millisecond. More means too little CPU, or large bodies.",
    _REQUESTS,
    ("endpoint",),
    OVERHEAD,
)
DECISION_SECONDS = Metric(
    "thalamus_decision_seconds",
    "histogram",
    "Time to decide, a second opinion included.",
    "Well under a millisecond with reflex. More means too little CPU.",
    _REQUESTS,
    (),
    OVERHEAD,
)
ROOM_SECONDS = Metric(
    "thalamus_room_seconds",
    "counter",
    "The gateway's own seconds by room; waiting for backends is no room's. `read` is bodies arriving, `queue` the "
    "wait in line, `relay` includes the wait for clients that read slowly, `account` what is kept afterwards.",
    "Divided by requests it is each room's mean. `decide` under half a millisecond; a rise in one alone says where to "
    "look: `limits`, `cache` and `vault` wait for Redis, `read` and `relay` for clients, `queue` for places.",
    _REQUESTS,
    ("room",),
)
KEEP_ALIVES = Metric(
    "thalamus_keep_alives",
    "counter",
    "Signs of life sent to clients of silent streams.",
    "Normal where models think for long. A rise without deep traffic means that backends hang.",
    _REQUESTS,
    ("endpoint",),
)
DECISIONS = Metric(
    "thalamus_decisions",
    "counter",
    "Decisions by what was decided and why.",
    "The share of `deep` is what the dial sets. Many `limit-mini`, `load` or `fallback` mean that capacity decides.",
    _ROUTING,
    ("tier", "reason", "kind", "effort"),
)
LANGUAGES = Metric(
    "thalamus_decisions_by_language",
    "counter",
    "Routed requests by the script and, where common words tell, the language of their last question: `other` is what "
    "neither tells.",
    "The share of `deep` should follow the work and not the language: one that goes deep far more often on the same "
    "work is misjudged.",
    _ROUTING,
    ("language", "tier"),
)
DIFFICULTY = Metric(
    "thalamus_difficulty",
    "histogram",
    "Calibrated difficulty of routed requests.",
    "A shape that moves away from last week's is drift: calibrate the dial again, or train on your own logs.",
    _ROUTING,
    (),
    PROBABILITY,
)
DRIFT = Metric(
    "thalamus_drift",
    "gauge",
    "Population stability index of the last 5,000 requests against the training data, for each of difficulty, kind, "
    "language, length, turns and tools.",
    "Traffic is never like training data: look at how it moves. A rise of 0.25 means that much has changed: calibrate "
    "the dial again, or train on your own logs.",
    _ROUTING,
    ("signal",),
    across="livemax",
)
TIER_CHANGES = Metric(
    "thalamus_tier_changes",
    "counter",
    "Conversations whose next request went to another tier than the one before: `up` or `down`, by the `router` or by "
    "the `client` that named a tier or effort.",
    "Changes by the client are the honest sign of misrouting: users who switch up were routed too low.",
    _ROUTING,
    ("direction", "by"),
)
CHECKS = Metric(
    "thalamus_cascade_checks",
    "counter",
    "Fast answers by what their check found.",
    "Many that fail mean that the threshold is too high for this traffic: each is paid for twice.",
    _ROUTING,
    ("backend", "finding"),
)
MODEL_INFO = Metric(
    "thalamus_difficulty_model_info",
    "gauge",
    "1 for the difficulty model in use.",
    "`heuristic` means that no bundle could be opened: the start's log says why.",
    _ROUTING,
    ("model",),
    across="livemax",
)
DECISION_FALLBACKS = Metric(
    "thalamus_decision_fallbacks",
    "counter",
    "Decisions that the heuristic judged, because the difficulty model raised.",
    "0. Otherwise the log has `difficulty model failed` with the place.",
    _ROUTING,
    ("model",),
)
DECISION_OVERRUNS = Metric(
    "thalamus_decision_overruns",
    "counter",
    "Estimates that took longer than `routing.budget_ms`.",
    "Rare. Many mean too little CPU, or cortex under a load that it cannot keep up with.",
    _ROUTING,
    ("model",),
)
DROPPED_LINES = Metric(
    "thalamus_decision_log_dropped_lines",
    "counter",
    "Lines of the decision log that the disk was too slow for.",
    "0. The log is incomplete where it rises: look at the disk.",
    _ROUTING,
)
DROPPED_SPANS = Metric(
    "thalamus_trace_dropped_spans",
    "counter",
    "Spans that the collector will not get: `queue` is full, `export` failed, `trace` has too many.",
    "0. `export` means that the collector is away or refuses; requests notice nothing.",
    _PROCESS,
    ("why",),
)
FEEDBACK = Metric(
    "thalamus_feedback",
    "counter",
    "Verdicts of callers on answers, by the tier that answered.",
    "Many `deep` verdicts on fast answers: the dial is too low.",
    _ROUTING,
    ("verdict", "tier"),
)
VERDICTS = Metric(
    "thalamus_routing_verdicts",
    "counter",
    "Requests of which a verdict tells whether their tier was right: `should-be-deep` fell short on the fast tier, "
    "`should-be-fast` went deep where fast was enough. `source` is callers' `feedback` or `shadow` answers.",
    "The share that is not `right` is the misroute rate. Much `should-be-deep`: lower the threshold of the kind. Much "
    "`should-be-fast`: raise it, or train on these verdicts (`thalamus feedback export`).",
    _ROUTING,
    ("source", "tier", "kind", "outcome"),
)
SHADOWS = Metric(
    "thalamus_shadow_answers",
    "counter",
    "Second answers by the tier that gave them and what came of them: `same`, `fast` or `deep` is better; `unjudged` "
    "(no rule tells, no judge); `cut-off`, `unreadable`, `failed`, `late`; not asked: `no-room`, `no-money`, `busy`, "
    "`nobody` may.",
    "Mostly compared. `unjudged`: name a `shadow.judge`. `no-money`: the day's budget is spent.",
    _ROUTING,
    ("tier", "result"),
)
JUDGED = Metric(
    "thalamus_judged_difficulty",
    "histogram",
    "Difficulty of requests by what a verdict found: `deep-was-needed` or `fast-was-enough`.",
    "Calibrated means that among requests of difficulty 0.3 about 30 % need deep. Shadow answers tell that fairly; "
    "feedback is of those who bother.",
    _ROUTING,
    ("source", "finding"),
    PROBABILITY,
)
ATTEMPTS = Metric(
    "thalamus_attempts",
    "counter",
    "Calls to backends by result; those that could not be made have no replica.",
    "The error share of one replica against the others tells a sick machine from a sick model.",
    _BACKENDS,
    ("backend", "replica", "error"),
)
ATTEMPT_EVENTS = Metric(
    "thalamus_attempt_events",
    "counter",
    "Hedges, retries and continuations, by what became of them.",
    "A purse that is often empty means that a backend fails for longer than retries can hide.",
    _BACKENDS,
    ("what", "backend", "result"),
)
EMPTY_ANSWERS = Metric(
    "thalamus_empty_answers",
    "counter",
    "Answers that were cut before they said anything: thinking had used up `max_tokens`.",
    "A few are hard questions. Many on one backend mean that it thinks where it is taken not to: give its `family`.",
    _BACKENDS,
    ("tier", "backend"),
)
UPSTREAM_SECONDS = Metric(
    "thalamus_upstream_seconds",
    "histogram",
    "Time spent waiting for backends.",
    "Compare with the request's time: the rest is the gateway's and the line's.",
    _BACKENDS,
    ("backend",),
    SECONDS,
    convention="gen_ai.client.operation.duration",
)
FIRST_TOKEN_SECONDS = Metric(
    "thalamus_first_token_seconds",
    "histogram",
    "Time to the first output-bearing event of streams: text, reasoning or a tool call.",
    "What a person waits. A rise on one backend is its queue: see its engine's panel.",
    _BACKENDS,
    ("tier", "backend"),
    SECONDS,
    convention="gen_ai.server.time_to_first_token",
)
OUTPUT_TOKEN_SECONDS = Metric(
    "thalamus_output_token_seconds",
    "histogram",
    "Mean time per output token of streams after the first, one value a stream.",
    "10 to 50 ms is usual. A rise at an even load means that batches grow or KV cache is short.",
    _BACKENDS,
    ("tier", "backend"),
    PER_TOKEN,
    convention="gen_ai.server.time_per_output_token",
)
THINKING_SECONDS = Metric(
    "thalamus_thinking_seconds",
    "histogram",
    "Time from a stream's first reasoning to its first answer, of streams that showed reasoning.",
    "What a person watches a model think. A rise at an even effort means harder questions or a slower backend.",
    _BACKENDS,
    ("tier", "backend"),
    SECONDS,
)
REPLICA_CONDITION = Metric(
    "thalamus_replica_condition",
    "gauge",
    "1 for what each replica is: serving, draining, unhealthy, cooling (after 429) or broken (breaker open).",
    "All `serving`. `broken` for minutes needs a person.",
    _BACKENDS,
    ("backend", "replica", "condition"),
    across="livemax",
)
REPLICA_CALLS = Metric(
    "thalamus_replica_in_flight",
    "gauge",
    "Calls in flight at each replica.",
    "Even between replicas of one weight, but for conversations that stay.",
    _BACKENDS,
    ("backend", "replica"),
)
REPLICA_TOKENS = Metric(
    "thalamus_replica_tokens_in_flight",
    "gauge",
    "Estimated tokens of the calls in flight.",
    "What the replica's KV cache has to hold.",
    _BACKENDS,
    ("backend", "replica"),
)
HISTORY = Metric(
    "thalamus_history_messages",
    "counter",
    "Earlier messages whose reasoning was restored from the vault, is missing, or was stripped.",
    "`missing` means that the vault is too small or too short-lived for these conversations.",
    _BACKENDS,
    ("backend", "outcome"),
)
TOKENS = Metric(
    "thalamus_tokens",
    "counter",
    "Tokens by backend and sort: input and output; cached is a part of input, reasoning of output.",
    "A rise of reasoning at an even number of requests means more effort than before.",
    _MONEY,
    ("backend", "sort"),
    convention="gen_ai.client.token.usage",
)
COST = Metric(
    "thalamus_cost_dollars",
    "counter",
    "Cost of calls, by the prices in the configuration.",
    "What the bill will say, if prices are right.",
    _MONEY,
    ("backend",),
)
TENANT_COST = Metric(
    "thalamus_tenant_cost_dollars",
    "counter",
    "Cost by tenant. Tenants beyond the first two hundred are counted as `other`.",
    "For the exact account use `thalamus usage`: this is for watching.",
    _MONEY,
    ("tenant",),
)
BUDGET = Metric(
    "thalamus_tenant_budget_dollars",
    "gauge",
    "Dollars that a tenant may spend in any stretch of `window_s` seconds: its own limit, else its keys' together.",
    "As agreed. Beyond the first two hundred tenants none is shown.",
    _MONEY,
    ("tenant", "window_s"),
    across="livemostrecent",
)
BUDGET_SPENT = Metric(
    "thalamus_tenant_budget_spent_dollars",
    "gauge",
    "Dollars spent of it in the stretch that ends now. With several workers and no Redis, of the one that was asked.",
    "Under the budget; at it the tenant's requests get 429.",
    _MONEY,
    ("tenant", "window_s"),
    across="livemostrecent",
)
BUDGET_30D = Metric(
    "thalamus_tenant_budget_30d_dollars",
    "gauge",
    "What a tenant's tightest budget comes to in thirty days.",
    "Above the forecast of the tenant's spending; otherwise `ThalamusSpendOverBudget`.",
    _MONEY,
    ("tenant",),
    across="livemostrecent",
)
SHADOW_COST = Metric(
    "thalamus_shadow_cost_dollars",
    "counter",
    "Cost of second answers and of their judge. It is in no other figure of cost, and no caller's.",
    "Under `shadow.budget_usd_per_day`.",
    _MONEY,
    ("backend",),
)
SAVED = Metric(
    "thalamus_saved_dollars",
    "counter",
    "Estimated savings against sending everything to the deep tier.",
    "Divided by savings and cost together it is the share saved. A collapse means that nearly everything goes deep.",
    _MONEY,
)
OVERSPENT = Metric(
    "thalamus_overspent_dollars",
    "counter",
    "Estimated extra cost against sending everything to the deep tier.",
    "Small. It rises where cascades pay twice.",
    _MONEY,
)
LEDGER_FAILURES = Metric(
    "thalamus_ledger_failures",
    "counter",
    "Times that usage could not be written; it is tried again.",
    "0. Nothing is lost while the process lives: mend the disk or Redis before it ends.",
    _MONEY,
)
CACHED = Metric(
    "thalamus_cached_requests",
    "counter",
    "Requests by what the cache did: `hit-exact`, `hit-semantic`, `hit-shared` (followed another's call), `miss`, "
    "`bypass`.",
    "A fall of hits after a change of the configuration means that keys changed with it.",
    _CACHE,
    ("cache",),
)
CACHE_EVENTS = Metric(
    "thalamus_cache_events",
    "counter",
    "What the cache and Redis did.",
    "`redis` with another outcome than `ok` means that Redis is slow or away; requests go on without it.",
    _CACHE,
    ("event", "outcome"),
)
FALSE_HITS = Metric(
    "thalamus_false_hits",
    "counter",
    "Answers from the cache that a caller has called wrong, by what the cache did.",
    "0. Of `hit-semantic` the entry is given to nobody else any more; more than single ones: raise "
    "`cache.semantic.threshold`.",
    _CACHE,
    ("cache",),
)
REDIS_SECONDS = Metric(
    "thalamus_redis_seconds",
    "histogram",
    "Time of calls to Redis.",
    "Under a millisecond; the deadline is `redis.deadline_ms`.",
    _CACHE,
    ("operation",),
    OVERHEAD,
)
REDIS_BREAKER = Metric(
    "thalamus_redis_breaker",
    "gauge",
    "1 for the state of the breaker before Redis.",
    "`closed`. While it is `open` limits are the process's share, and caches miss.",
    _CACHE,
    ("state",),
    across="livemax",
)
REFUSALS = Metric(
    "thalamus_limit_refusals",
    "counter",
    "Requests that met a limit: calls, tokens, dollars or concurrent, of a tier or of the key itself.",
    "Those of a `tier` are moved to its mini; those of a `key` get 429. Raise the limit or talk to the caller.",
    _LIMITS,
    ("unit", "scope"),
)
QUEUE_WAIT = Metric(
    "thalamus_queue_wait_seconds",
    "histogram",
    "Time that requests waited in line, by how that ended.",
    "0 in quiet times. Seconds mean that the backends are too few for the load.",
    _LIMITS,
    ("queue", "result"),
    SECONDS,
)
QUEUE_DEPTH = Metric(
    "thalamus_queue_depth",
    "gauge",
    "Requests waiting in line.",
    "0 in quiet times. A line that only grows is shed at its bound.",
    _LIMITS,
    ("queue",),
)
TIER_CALLS = Metric(
    "thalamus_tier_in_flight",
    "gauge",
    "Requests in tiers whose number is bounded.",
    "Under `admission.tiers.*.concurrency`.",
    _LIMITS,
    ("tier",),
)
SHED = Metric(
    "thalamus_shed_requests",
    "counter",
    "Requests turned away because the event loop was late.",
    "0. Otherwise the process needs more CPU, or more replicas.",
    _LIMITS,
)
LAG = Metric(
    "thalamus_event_loop_lag_seconds",
    "gauge",
    "How late the event loop has been in all of its last beats.",
    "A few milliseconds.",
    _PROCESS,
    across="livemax",
)
TASKS = Metric(
    "thalamus_event_loop_tasks",
    "gauge",
    "Tasks of the event loop: a few for the process, and some for each request under way.",
    "Falls back to a handful when nobody asks; if not, something leaks.",
    _PROCESS,
)
MEMORY_BLOCKS = Metric(
    "thalamus_memory_blocks",
    "gauge",
    "Blocks of memory that Python objects hold now.",
    "Falls back after a burst, where resident memory does not. Growth over hours at even load is a leak.",
    _PROCESS,
)
RELOADS = Metric(
    "thalamus_settings_reloads",
    "counter",
    "Configuration reloads by result.",
    "`refused` means that the file on disk is not what is being served: `thalamus check` says why.",
    _PROCESS,
    ("result",),
)
BUILD_INFO = Metric(
    "thalamus_build_info",
    "gauge",
    "1 for the version of the gateway.",
    "Two versions for longer than a rollout mean that it is stuck.",
    _PROCESS,
    ("version",),
    across="livemax",
)

CATALOGUE: tuple[Metric, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Metric))
"""All of them, in the order of this file."""
