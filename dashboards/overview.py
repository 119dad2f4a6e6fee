"""Overview: for whoever is on call."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard

from dashboards.parts import Part, Q, dashboard, graph, number, part
from dashboards.promql import C, gauge, or_zero, quantile, rate, recorded, share

_TIER, _DEEP, _DECIDED = 'tier=~"$tier"', 'tier=~"deep.*"', 'tier!=""'


def overview() -> Dashboard:
    """Build it."""
    reader = "For whoever is on call: is it well, and if not, where."
    return dashboard("overview", "Overview", reader, ("cluster", "tier"), _figures(), _serving(), _gateway_itself())


def _figures() -> Part:
    return part(
        "",
        number("Requests", "As many as usual at this hour.", Q(rate("thalamus_requests_total")), "reqps"),
        number(
            "Availability, 1 h",
            "Above 99.5 %, the objective. Below it: see errors by code.",
            Q(f"1 - {recorded('thalamus:request_errors:ratio_rate1h')}"),
            "percentunit",
            warn=-0.995,
        ),
        number(
            "First token, fast, p95",
            "Under 2.5 s, the objective.",
            Q(quantile(0.95, "thalamus_first_token_seconds", where='tier!~"deep.*"')),
            "s",
            warn=2.5,
        ),
        number(
            "First token, deep, p95",
            "Under 30 s, the objective; reasoning counts.",
            Q(quantile(0.95, "thalamus_first_token_seconds", where='tier=~"deep.*"')),
            "s",
            warn=30,
        ),
        number(
            "Decided deep",
            "Near its own week: see Routing.",
            Q(f"{rate('thalamus_decisions_total', where=_DEEP)} / {rate('thalamus_decisions_total', where=_DECIDED)}"),
            "percentunit",
        ),
        number(
            "Saved, 6 h",
            "Share of what everything on the deep tier would cost. Near its own week: see Cost.",
            Q(recorded("thalamus:saved:share_rate6h")),
            "percentunit",
        ),
        number("In flight", "Falls to 0 when nobody asks.", Q(gauge("thalamus_in_flight_requests"))),
        number(
            "Alerts",
            "0. Each has a section in docs/runbook.md.",
            Q(or_zero(f'count(ALERTS{{alertname=~"Thalamus.*", alertstate="firing", {C}}})')),
            warn=1,
        ),
    )


def _serving() -> Part:
    return part(
        "Serving",
        graph(
            "Requests by outcome",
            "Nearly all done. `dropped` are clients that left: many mean that answers take too long for them.",
            Q(rate("thalamus_requests_total", "outcome", _TIER), "{{outcome}}"),
            unit="reqps",
            is_stacked=True,
        ),
        graph(
            "Errors by code",
            "Few, and callers' own (`invalid_…`). `upstream_…` is a backend, `overloaded` is load, `internal_error` a "
            "defect: see the runbook.",
            Q(rate("thalamus_requests_total", "error", 'outcome="failed"'), "{{error}}"),
            unit="reqps",
        ),
        graph(
            "Burn rate of the availability objective",
            "Under 1: the month's allowance lasts. Above 14.4 over an hour, or 6 over six, somebody is woken.",
            Q(f"{recorded('thalamus:request_errors:ratio_rate1h')} / 0.005", "1 h"),
            Q(f"{recorded('thalamus:request_errors:ratio_rate6h')} / 0.005", "6 h"),
        ),
        graph(
            "Time to first token",
            "Flat. A rise in one tier is a backend's queue (Backends) or the line here (Cache and limits).",
            Q(quantile(0.5, "thalamus_first_token_seconds", "tier", _TIER), "p50 {{tier}}"),
            Q(quantile(0.95, "thalamus_first_token_seconds", "tier", _TIER), "p95 {{tier}}"),
            unit="s",
        ),
        graph(
            "Time of whole requests",
            "Deep answers take minutes; compare each tier with itself.",
            Q(quantile(0.5, "thalamus_request_seconds", "tier", _TIER), "p50 {{tier}}"),
            Q(quantile(0.95, "thalamus_request_seconds", "tier", _TIER), "p95 {{tier}}"),
            unit="s",
        ),
        graph(
            "Requests by tier",
            "The shares that the dial sets. A tier that vanishes is a tier that cannot serve.",
            Q(share("thalamus_requests_total", "tier", f'outcome="done", {_TIER}'), "{{tier}}"),
            unit="percentunit",
            is_stacked=True,
        ),
    )


def _gateway_itself() -> Part:
    return part(
        "The gateway itself",
        graph(
            "The gateway's own time",
            "About a millisecond at p50. More means too little CPU, or large bodies.",
            Q(quantile(0.5, "thalamus_gateway_seconds"), "p50"),
            Q(quantile(0.99, "thalamus_gateway_seconds"), "p99"),
            unit="s",
        ),
        graph(
            "Own time by room, for each request",
            "All together about a millisecond. One that rises alone is the place to look: `limits`, `cache`, `vault` "
            "wait for Redis, `read` and `relay` for clients, `queue` for a place.",
            Q(
                f"{rate('thalamus_room_seconds_total', 'room')} / ignoring (room) group_left () "
                f"{rate('thalamus_requests_total')}",
                "{{room}}",
            ),
            unit="s",
            is_stacked=True,
        ),
        graph(
            "Event loop lag",
            "A few milliseconds. From half a second on requests of low priority are turned away.",
            Q(gauge("thalamus_event_loop_lag_seconds", "instance", how="max"), "{{instance}}"),
            unit="s",
        ),
        graph(
            "In flight, in line, tasks",
            "All fall back when nobody asks. In flight that never does is stuck; tasks that only grow are a leak.",
            Q(gauge("thalamus_in_flight_requests"), "in flight"),
            Q(gauge("thalamus_queue_depth"), "in line"),
            Q(gauge("thalamus_event_loop_tasks"), "tasks"),
        ),
        graph(
            "The oldest request",
            "Up to the time that an answer may take. Beyond an hour it hangs, and holds its places.",
            Q(gauge("thalamus_oldest_request_age_seconds", "instance", how="max"), "{{instance}}"),
            unit="s",
        ),
        graph(
            "Blocks of memory",
            "Falls back after a burst, where resident memory does not. Growth over hours at even load is a leak.",
            Q(gauge("thalamus_memory_blocks", "instance", how="max"), "{{instance}}"),
        ),
        graph(
            "Configuration reloads",
            "`refused` means that the file on disk is not what is being served: thalamus check says why.",
            Q(rate("thalamus_settings_reloads_total", "result"), "{{result}}"),
            unit="ops",
            width=12,
        ),
        graph(
            "Versions",
            "One. Two for longer than a rollout mean that it is stuck.",
            Q(gauge("thalamus_build_info", "version", how="count"), "{{version}}"),
            width=12,
        ),
    )
