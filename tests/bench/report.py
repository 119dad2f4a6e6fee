"""From samples to figures, a table for people and a file for programs."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from rich.console import Console
from rich.table import Table

from tests.bench.phases import Measured

GATEWAY = "thalamus"
RAW = "raw"
YARDSTICK = "bare-relay"


@dataclass(frozen=True, slots=True)
class Figures:
    """One subject's figures: times in milliseconds unless the name says otherwise."""

    name: str
    p50: float
    p95: float
    p99: float
    added_p50: float | None
    requests_per_second: float
    busy_p50: float
    busy_p99: float
    cpu_per_request: float
    cpu_per_hit: float | None
    cpu_per_event_us: float
    cpu_per_renamed_event_us: float
    cpu_per_split_event_us: float
    first_event_p50: float
    first_event_p99: float
    events_per_second: float
    resident_mb: float
    start_seconds: float


@dataclass(frozen=True, slots=True)
class Goal:
    """A figure that the gateway has to reach."""

    what: str
    field: str
    limit: float
    unit: str
    at_least: bool = False

    def reached(self, figures: Figures) -> bool:
        """Whether the figure is on the right side of the limit."""
        value = getattr(figures, self.field)
        return bool(value >= self.limit if self.at_least else value <= self.limit)


GOALS = (
    Goal("CPU per routed request, 32 connections", "cpu_per_request", 1.0, "ms"),
    Goal("requests per second on one core, 32 connections", "requests_per_second", 900, "/s", at_least=True),
    Goal("p50 added over raw, one connection", "added_p50", 1.2, "ms"),
    Goal("CPU per answer from the cache, 32 connections", "cpu_per_hit", 0.6, "ms"),
    Goal("CPU per streamed event, 100 streams", "cpu_per_event_us", 60, "µs"),
    Goal("CPU per event whose reasoning is renamed", "cpu_per_renamed_event_us", 150, "µs"),
    Goal("CPU per event that tags are looked for in", "cpu_per_split_event_us", 150, "µs"),
)


def figures_of(results: Sequence[Measured]) -> list[Figures]:
    """Return the figures of all subjects; the first one is the raw upstream."""
    raw_p50 = _percentile(_milliseconds(results[0]), 50)
    return [_figures(result, raw_p50) for result in results]


def _figures(result: Measured, raw_p50: float) -> Figures:
    single = _milliseconds(result)
    busy = [answer.seconds * 1000 for answer in result.busy.answers]
    plain = result.streams["plain"]
    first = [a.first_event_seconds * 1000 for a in plain.samples.answers if a.first_event_seconds is not None]
    name = result.running.subject.name
    p50 = _percentile(single, 50)
    return Figures(
        name=name,
        p50=p50,
        p95=_percentile(single, 95),
        p99=_percentile(single, 99),
        added_p50=None if name == RAW else p50 - raw_p50,
        requests_per_second=len(busy) / result.busy.seconds,
        busy_p50=_percentile(busy, 50),
        busy_p99=_percentile(busy, 99),
        cpu_per_request=result.busy_cpu * 1000 / len(busy),
        cpu_per_hit=result.hits_cpu * 1000 / len(result.hits.answers) if result.hits.answers else None,
        cpu_per_event_us=plain.cpu_per_event_us,
        cpu_per_renamed_event_us=result.streams["renamed"].cpu_per_event_us,
        cpu_per_split_event_us=result.streams["apart"].cpu_per_event_us,
        first_event_p50=_percentile(first, 50),
        first_event_p99=_percentile(first, 99),
        events_per_second=plain.samples.events / plain.samples.seconds,
        resident_mb=result.resident_bytes / 1e6,
        start_seconds=result.running.start_seconds,
    )


def as_json(figures: Sequence[Figures], context: dict[str, object]) -> dict[str, object]:
    """Return everything a program may want: where it was measured, the figures, and the goals."""
    return {
        "context": context,
        "figures": [asdict(subject) for subject in figures],
        "goals": [asdict(goal) | {"reached": goal.reached(own)} for own in _gateway(figures) for goal in GOALS],
    }


def print_report(figures: Sequence[Figures], console: Console) -> None:
    """Print the table of all subjects, the ratios, and the goals with pass or miss."""
    console.print(_table(figures))
    for own in _gateway(figures):
        console.print(_ratios(own, figures))
        console.print(_goals(own))


def _gateway(figures: Sequence[Figures]) -> list[Figures]:
    return [subject for subject in figures if subject.name == GATEWAY]


_ROWS = (
    ("one connection: p50", "p50", "{:.2f} ms"),
    ("p95", "p95", "{:.2f} ms"),
    ("p99", "p99", "{:.2f} ms"),
    ("p50 added over raw", "added_p50", "{:+.2f} ms"),
    ("32 connections: requests", "requests_per_second", "{:,.0f} /s"),
    ("p50", "busy_p50", "{:.1f} ms"),
    ("p99", "busy_p99", "{:.1f} ms"),
    ("CPU per request", "cpu_per_request", "{:.2f} ms"),
    ("CPU per answer from the cache", "cpu_per_hit", "{:.2f} ms"),
    ("100 streams: CPU per event", "cpu_per_event_us", "{:.0f} µs"),
    ("`reasoning` renamed: CPU per event", "cpu_per_renamed_event_us", "{:.0f} µs"),
    ("`<think>` taken apart: CPU per event", "cpu_per_split_event_us", "{:.0f} µs"),
    ("time to first token, p50", "first_event_p50", "{:.1f} ms"),
    ("time to first token, p99", "first_event_p99", "{:.1f} ms"),
    ("events", "events_per_second", "{:,.0f} /s"),
    ("resident memory", "resident_mb", "{:.0f} MB"),
    ("start to first answer", "start_seconds", "{:.2f} s"),
)


def _table(figures: Sequence[Figures]) -> Table:
    table = Table(title="Measured side by side")
    table.add_column("")
    for subject in figures:
        table.add_column(subject.name, justify="right")
    for title, field, form in _ROWS:
        values = [getattr(subject, field) for subject in figures]
        table.add_row(title, *("–" if value is None else form.format(value) for value in values))
    return table


def _ratios(own: Figures, figures: Sequence[Figures]) -> Table:
    table = Table(title="The gateway as a multiple of the others")
    others = [subject for subject in figures if subject.name != GATEWAY]
    table.add_column("")
    for other in others:
        table.add_column(f"of {other.name}", justify="right")
    for title, field in (
        ("p50 at one connection", "p50"),
        ("requests per second", "requests_per_second"),
        ("CPU per request", "cpu_per_request"),
        ("CPU per streamed event", "cpu_per_event_us"),
        ("CPU per event with `reasoning` renamed", "cpu_per_renamed_event_us"),
        ("CPU per event with `<think>` taken apart", "cpu_per_split_event_us"),
        ("time to first token, p50", "first_event_p50"),
        ("resident memory", "resident_mb"),
    ):
        table.add_row(title, *(f"{getattr(own, field) / getattr(other, field):.2f} ×" for other in others))
    return table


def _goals(own: Figures) -> Table:
    table = Table(title="Figures to reach")
    table.add_column("")
    table.add_column("goal", justify="right")
    table.add_column("measured", justify="right")
    table.add_column("")
    for goal in GOALS:
        sign = "≥" if goal.at_least else "≤"
        value = getattr(own, goal.field)
        verdict = "[green]pass[/green]" if goal.reached(own) else "[bold red]miss[/bold red]"
        table.add_row(goal.what, f"{sign} {goal.limit:g} {goal.unit}", f"{value:,.2f} {goal.unit}", verdict)
    return table


def _milliseconds(result: Measured) -> list[float]:
    return [answer.seconds * 1000 for answer in result.single.answers]


def _percentile(values: Sequence[float], percent: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]
