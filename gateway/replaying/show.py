"""Prints a replay or a calibration for a person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from rich.console import Console
from rich.table import Column, Table

from gateway.replaying.calibrate import Calibration
from gateway.replaying.curve import Point
from gateway.replaying.reading import Unreadable
from gateway.replaying.report import Report, Shift

_REFUSALS = {
    "unknown-model": "the model that they asked for does not exist",
    "nobody-can": "no backend has the abilities",
    "not-allowed": "the key's bounds leave no tier",
    "limit": "a limit was reached",
    "not-logged": "neither words nor signals are in the log",
}


def print_report(report: Report, console: Console) -> None:
    """Print what would change."""
    console.print(f"[bold]{report.requests:,}[/bold] requests, [bold]{report.changed:,}[/bold] get another target")
    for table in (_figures(report), _tiers(report), _moves(report), _kinds(report), _latencies(report), _curve(report)):
        if table.row_count:
            console.print()
            console.print(table)
    console.print()
    for note in _notes(report):
        console.print(note)


def print_calibration(found: Calibration, console: Console) -> None:
    """Print the threshold, what it comes to, and the lines to paste."""
    console.print(
        f"From difficulty [bold]{found.threshold:.4f}[/bold] on, {found.achieved:.1%} of {found.requests:,} requests "
        f"go deep (wanted: {found.wanted:.1%}; dial {found.dial}, judged by {found.bundle})."
    )
    for note in found.notes:
        console.print(note)
    table = Table("kind", *_right("requests", "deep", "share"), box=None)
    for kind, share in found.kinds.items():
        table.add_row(kind, f"{share.requests:,}", f"{share.deep:,}", f"{share.deep / share.requests:.1%}")
    console.print()
    console.print(table)
    console.print()
    console.print("In thalamus.yaml:")
    console.print(found.yaml, highlight=False, markup=False)


def print_unreadable(unreadable: Unreadable, console: Console) -> None:
    """Tell which lines were passed over."""
    if not unreadable.count:
        return
    console.print(f"[yellow]{unreadable.count:,} lines cannot be read and are left out:[/yellow]")
    for line in unreadable.shown:
        console.print(f"  {line}", markup=False, soft_wrap=True)


def _figures(report: Report) -> Table:
    table = Table("", *_right("before", "after", "change", "requests"), box=None)
    _add_shift(table, "cost", report.cost, "${:,.4f}".format, _relative)
    _add_shift(table, "expected right answers", report.quality, "{:.2%}".format, _points)
    _add_shift(table, "mean latency", report.latency, "{:.2f} s".format, _relative)
    return table


def _add_shift(
    table: Table, name: str, shift: Shift, written: Callable[[float], str], change: Callable[[float, float], str]
) -> None:
    if shift.before is not None and shift.after is not None:
        told = change(shift.before, shift.after)
        table.add_row(name, written(shift.before), written(shift.after), told, f"{shift.requests:,}")


def _relative(before: float, after: float) -> str:
    return f"{after / before - 1:+.1%}" if before else "-"


def _points(before: float, after: float) -> str:
    return f"{100 * (after - before):+.2f} points"


def _tiers(report: Report) -> Table:
    table = Table("tier", *_right("before", "after", "share before", "share after"), box=None)
    for tier, count in report.tiers.items():
        shares = (f"{side / report.requests:.1%}" for side in (count.before, count.after))
        table.add_row(tier, f"{count.before:,}", f"{count.after:,}", *shares)
    return table


def _moves(report: Report) -> Table:
    table = Table("what changes", *_right("requests"), "by kind", "because now", box=None)
    for name, move in report.moves.items():
        table.add_row(name, f"{move.requests:,}", _listed(move.kinds), _listed(move.reasons))
    return table


def _kinds(report: Report) -> Table:
    table = Table("kind", *_right("requests", "deep before", "deep after", "changed"), box=None)
    for kind, count in report.kinds.items():
        shares = (f"{deep / count.requests:.1%}" for deep in (count.deep_before, count.deep_after))
        table.add_row(kind, f"{count.requests:,}", *shares, f"{count.changed:,}")
    return table


def _latencies(report: Report) -> Table:
    table = Table("tier's median", *_right("whole answer", "first token", "answers"), box=None)
    for tier, latency in report.tier_latency.items():
        first = "-" if latency.first_token_s is None else f"{latency.first_token_s:.2f} s"
        table.add_row(tier, f"{latency.total_s:.2f} s", first, f"{latency.requests:,}")
    return table


def _curve(report: Report) -> Table:
    table = Table("threshold", *_right("deep", "$ per 1,000", "expected right"), box=None)
    if report.curve is None:
        return table
    for point in report.curve.points[::2]:
        table.add_row(f"{point.threshold:.3f}", *_point(point))
    table.add_row("before", *_point(report.curve.before), style="dim")
    table.add_row("after", *_point(report.curve.after), style="bold")
    return table


def _point(point: Point) -> tuple[str, str, str]:
    cost = "-" if point.cost_per_1000 is None else f"{point.cost_per_1000:,.3f}"
    return f"{point.deep_share:.1%}", cost, "-" if point.quality is None else f"{point.quality:.2%}"


def _notes(report: Report) -> list[str]:
    notes = [
        f"[yellow]{count:,} requests cannot be decided: {_REFUSALS[why]}.[/yellow]"
        for why, count in report.refused.items()
    ]
    if report.judged_by_others:
        notes.append(
            f"[yellow]{report.judged_by_others:,} requests were judged by another model than {report.bundle} and "
            "logged without their words: their judgement of then is used, against the new thresholds.[/yellow]"
        )
    if report.judged_anew:
        notes.append(f"{report.judged_anew:,} requests were judged anew by {report.bundle}.")
    if report.cost.requests < report.requests:
        notes.append(f"Cost is known of {report.cost.requests:,} of {report.requests:,} requests.")
    return [*notes, f"[dim]{report.assumptions}[/dim]"]


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.most_common())


def _right(*titles: str) -> list[Column]:
    return [Column(title, justify="right") for title in titles]
