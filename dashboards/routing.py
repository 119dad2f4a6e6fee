"""Routing: for whoever owns quality."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard

from dashboards.parts import Part, Q, dashboard, graph, heat, part
from dashboards.promql import gauge, or_zero, quantile, rate, recorded, share

_DEEP, _DECIDED = 'tier=~"deep.*"', 'tier!=""'
_WRONG, _NEEDED = 'outcome!="right"', 'finding="deep-was-needed"'
_BACKEND = 'backend=~"$backend"'


def routing() -> Dashboard:
    """Build it."""
    reader = "For whoever owns quality: what is decided, why, and whether it still fits."
    return dashboard("routing", "Routing", reader, ("cluster", "backend"), _decisions(), _verdicts(), _fit())


def _decisions() -> Part:
    return part(
        "Decisions",
        graph(
            "Share of tiers",
            "What the dial sets. A mini in it means that limits or load decide.",
            Q(share("thalamus_decisions_total", "tier", _DECIDED), "{{tier}}"),
            unit="percentunit",
            is_stacked=True,
        ),
        graph(
            "Reasons",
            "Mostly `difficulty`. Many `limit-mini`, `load` or `fallback`: capacity decides. `client`: callers do.",
            Q(share("thalamus_decisions_total", "reason"), "{{reason}}"),
            unit="percentunit",
            is_stacked=True,
        ),
        graph(
            "Decisions by kind",
            "The applications' own mix. A new kind is a new application: see whether the dial fits it.",
            Q(share("thalamus_decisions_total", "kind"), "{{kind}}"),
            unit="percentunit",
            is_stacked=True,
        ),
        graph(
            "Deep by kind",
            "Maths and code above small talk. Level lines mean that the score does not tell them apart.",
            Q(
                f"{rate('thalamus_decisions_total', 'kind', _DEEP)} / "
                f"{rate('thalamus_decisions_total', 'kind', _DECIDED)}",
                "{{kind}}",
            ),
            unit="percentunit",
        ),
        graph(
            "Questions by language",
            "The callers' own mix. `other` are code, names and short words.",
            Q(share("thalamus_decisions_by_language_total", "language"), "{{language}}"),
            unit="percentunit",
            is_stacked=True,
        ),
        graph(
            "Deep by language",
            "Together, as far as the work is the same. One far above the others is misjudged: see its kinds.",
            Q(
                f"{rate('thalamus_decisions_by_language_total', 'language', _DEEP)} / "
                f"{rate('thalamus_decisions_by_language_total', 'language', _DECIDED)}",
                "{{language}}",
            ),
            unit="percentunit",
        ),
        graph(
            "Effort",
            "As configured. More `high` than usual costs time and reasoning tokens.",
            Q(share("thalamus_decisions_total", "effort"), "{{effort}}"),
            unit="percentunit",
            is_stacked=True,
        ),
        graph(
            "Time to decide",
            "Well under a millisecond with reflex; cortex takes some.",
            Q(quantile(0.5, "thalamus_decision_seconds"), "p50"),
            Q(quantile(0.99, "thalamus_decision_seconds"), "p99"),
            unit="s",
            width=16,
        ),
    )


def _verdicts() -> Part:
    return part(
        "Was the tier right?",
        graph(
            "Misroute rate",
            "Low and level, over six hours. Of `fast`: it fell short. Of `deep`: fast was enough. Shadow answers speak "
            "for all that the router decides, feedback for those who bother.",
            Q(recorded("thalamus:misroute:ratio_rate6h"), "{{tier}}, by {{source}}"),
            unit="percentunit",
        ),
        graph(
            "Regret",
            "`should-be-deep` costs quality: lower the threshold. `should-be-fast` costs money: raise it.",
            Q(rate("thalamus_routing_verdicts_total", "outcome, source"), "{{outcome}}, by {{source}}"),
            unit="ops",
            is_stacked=True,
        ),
        graph(
            "Misroutes by kind",
            "Level lines. One kind far above the others: give it a route of its own, or train on these verdicts.",
            Q(
                f"{rate('thalamus_routing_verdicts_total', 'kind', _WRONG)} / "
                f"{rate('thalamus_routing_verdicts_total', 'kind')}",
                "{{kind}}",
            ),
            unit="percentunit",
        ),
        graph(
            "Need of deep: claimed and found",
            "Together, for each source: the mean difficulty of the requests that were judged, and the share that "
            "needed deep. Apart: calibrate, or train on your own logs.",
            Q(recorded("thalamus:deep_needed:expected_rate1d"), "claimed, {{source}}"),
            Q(recorded("thalamus:deep_needed:ratio_rate1d"), "found, {{source}}"),
            unit="percentunit",
        ),
        graph(
            "Need of deep below each difficulty",
            "Lines in the order of their difficulties, each under its own number. Those that lie on each other mean "
            "that the score does not tell these requests apart.",
            Q(
                f"{rate('thalamus_judged_difficulty_bucket', 'le', _NEEDED)} / "
                f"({rate('thalamus_judged_difficulty_bucket', 'le')} > 0)",
                "below {{le}}",
            ),
            unit="percentunit",
        ),
        graph(
            "Second answers and feedback",
            "Mostly compared. `unjudged`: name a shadow.judge. `no-money`: the day's budget is spent. `busy`: there is "
            "no room to spare.",
            Q(rate("thalamus_shadow_answers_total", "tier, result"), "{{tier}} as well: {{result}}"),
            Q(rate("thalamus_feedback_total", "verdict, tier"), "feedback on {{tier}}: {{verdict}}"),
            unit="ops",
        ),
    )


def _fit() -> Part:
    return part(
        "Does the model still fit the traffic?",
        heat(
            "Difficulty",
            "The same bands every day. Bands that move mean that requests changed, or the model did (see the marks).",
            Q(rate("thalamus_difficulty_bucket", "le")),
        ),
        graph(
            "Difficulty against a week ago",
            "Under 0.15: the largest distance between the distributions of six hours now and a week ago. Above: "
            "ThalamusDifficultyDrifts.",
            Q(recorded("thalamus:difficulty:shift1w"), "distance"),
        ),
        graph(
            "Traffic against the training data",
            "Level; where it stands matters less than that it moves. A rise of 0.25 means that much has changed; "
            "which signal rises says what: other languages, longer prompts, more tools, another kind of work.",
            Q(gauge("thalamus_drift", "signal", how="max"), "{{signal}}"),
        ),
        graph(
            "Share of deep, now and over the week",
            "Together. Fifteen points apart: ThalamusDeepShareShifted.",
            Q(recorded("thalamus:deep:share_rate6h"), "6 h"),
            Q(recorded("thalamus:deep:share_rate7d"), "7 d"),
            unit="percentunit",
        ),
        graph(
            "Conversations that changed tier",
            "Few, and by the router. `up` by the client are users who were routed too low.",
            Q(rate("thalamus_tier_changes_total", "direction, by"), "{{direction}} by {{by}}"),
            unit="ops",
        ),
        graph(
            "Cascade checks",
            "Mostly passed. Each that fails is paid for twice: lower the threshold for this traffic.",
            Q(rate("thalamus_cascade_checks_total", "backend, finding", _BACKEND), "{{backend}} {{finding}}"),
            unit="ops",
        ),
        graph(
            "Difficulty model in use",
            "The bundle that was meant. `heuristic` means that none could be opened: the start's log says why.",
            Q(gauge("thalamus_difficulty_model_info", "model", how="count"), "{{model}}"),
        ),
        graph(
            "Decisions without the model, late ones, lines lost",
            "0. Fallbacks: the log has `difficulty model failed`. Overruns: too little CPU. Lines: a slow disk.",
            Q(or_zero(rate("thalamus_decision_fallbacks_total")), "judged by the heuristic"),
            Q(or_zero(rate("thalamus_decision_overruns_total")), "over routing.budget_ms"),
            Q(rate("thalamus_decision_log_dropped_lines_total"), "lines of the decision log lost"),
            unit="ops",
            width=16,
        ),
    )
