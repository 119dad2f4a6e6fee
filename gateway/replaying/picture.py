"""Draws a replay: what every threshold would cost and be worth, and who serves before and after."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from gateway.replaying.curve import Curve, Point
from gateway.replaying.reading import ReplayError
from gateway.replaying.report import Report

_COLOURS = {"before": "#8a8f98", "after": "#d1495b", "curve": "#2e6f95"}


def check_can_draw(path: Path) -> None:
    """Say at once, not after a long replay, that a picture cannot be drawn.

    Raises:
        ReplayError: matplotlib is not installed, or it writes no such format.
    """
    if find_spec("matplotlib") is None:
        raise ReplayError("--picture needs matplotlib, which is not installed: pip install 'thalamus-gateway[train]'")
    from matplotlib.backend_bases import FigureCanvasBase

    known = FigureCanvasBase.get_supported_filetypes()
    if path.suffix.removeprefix(".").lower() not in known:
        raise ReplayError(f"--picture {path}: end the name in one of: {', '.join(f'.{kind}' for kind in known)}")


def draw(report: Report, path: Path) -> None:
    """Draw a report into a file.

    Raises:
        ReplayError: the file cannot be written.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.8), layout="constrained")
    curve_side, tier_side = figure.subplots(1, 2, width_ratios=(3, 2))
    if report.curve is not None:
        _draw_curve(curve_side, report.curve)
    _draw_tiers(tier_side, report)
    figure.suptitle(f"{report.requests:,} logged requests decided again: {report.changed:,} change", fontsize=12)
    try:
        figure.savefig(path, dpi=150)
    except OSError as error:
        raise ReplayError(f"--picture {path}: cannot be written: {error.strerror}") from None


def _draw_curve(axes: Any, curve: Curve) -> None:
    """Plot quality over cost; over the share of deep calls where a price is missing."""
    priced = all(point.cost_per_1000 is not None for point in (*curve.points, curve.before, curve.after))

    def place(point: Point) -> tuple[float, float]:
        across = point.cost_per_1000 if priced else 100 * point.deep_share
        return across or 0.0, 100 * (point.quality or 0.0)

    line = [place(point) for point in curve.points]
    axes.plot(*zip(*line, strict=True), color=_COLOURS["curve"], marker=".", label="the new policy at every threshold")
    ends = (line[0], line[-1])
    axes.plot(*zip(*ends, strict=True), color=_COLOURS["curve"], linestyle=":", linewidth=1, label="routing by chance")
    for name, point, marker in (("before", curve.before, "s"), ("after", curve.after, "D")):
        label = f"{name}: {point.deep_share:.0%} deep"
        axes.plot(*place(point), linestyle="", marker=marker, markersize=10, color=_COLOURS[name], label=label)
    axes.set_xlabel("dollars per 1,000 requests" if priced else "deep calls, % (prices are missing)")
    axes.set_ylabel("expected right answers, %")
    axes.set_title(f"Quality for its price ({curve.requests:,} requests)", fontsize=10)
    axes.grid(alpha=0.25)
    axes.legend(frameon=False, fontsize=9)


def _draw_tiers(axes: Any, report: Report) -> None:
    rows = range(len(report.tiers))
    for offset, side in ((-0.2, "before"), (0.2, "after")):
        shares = [100 * getattr(count, side) / report.requests for count in report.tiers.values()]
        bars = axes.barh([row + offset for row in rows], shares, height=0.38, color=_COLOURS[side], label=side)
        axes.bar_label(bars, fmt="%.1f", padding=3, fontsize=9)
    axes.set_yticks(list(rows), list(report.tiers))
    axes.invert_yaxis()
    axes.margins(x=0.15)
    axes.set_xlabel("share of requests, %")
    axes.set_title("Who serves", fontsize=10)
    axes.legend(frameon=False, fontsize=9)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
