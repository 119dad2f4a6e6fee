"""Draws every panel's data of a short real run: `python -m tests.dashboards [FOLDER]`, one picture a dashboard."""

from __future__ import annotations

import math
import re
import sys
import tempfile
import textwrap
import time
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.font_manager import get_font_names
from matplotlib.patches import FancyBboxPatch
from matplotlib.ticker import FuncFormatter, MaxNLocator

from tests.dashboards.reading import boards, filled_in, raw_panels
from tests.dashboards.run import Run, observed_run

_CELL, _ROW = 0.62, 0.36
"""Inches a column and a row of Grafana's grid of 24."""

_TOP = 1.7
"""Rows above the panels for the dashboard's name."""

_UNITS = {"percentunit": (100, "%"), "s": (1, " s"), "currencyUSD": (1, " $"), "reqps": (1, " req/s"), "ops": (1, "/s")}
_GROUND, _CARD, _LINE, _INK, _SOFT = "#f5f5f3", "#ffffff", "#e2e2df", "#191a19", "#5f6461"
_COLOURS = ("#2f7fd1", "#d9822b", "#3a9a9a", "#a3527f", "#8a8f2a", "#5c6bc0", "#b5653a", "#6b8e23", "#7a4d8b")
_MEANT = {
    "fast": "#0a7a56", "deep": "#5a41c4", "done": "#0a7a56", "failed": "#c23b4e", "dropped": "#d9822b",
    "(none)": "#9aa09c",
}  # fmt: skip
"""Colours that some lines have in every panel, as in the console; the others are told apart by what is left."""

_STATES = {"green": "#0a6f4e", "red": "#b3261e"}
_FONT = {
    "font.family": [name for name in ("Inter", "DejaVu Sans") if name in get_font_names()],
    "font.size": 7.5,
    "text.color": _INK,
    "axes.edgecolor": _LINE,
    "xtick.color": _SOFT,
    "ytick.color": _SOFT,
    "axes.prop_cycle": mpl.cycler(color=_COLOURS),
}

Lines = list[tuple[str, list[float], list[float]]]


class Sheet:
    """One dashboard's picture: places are given in Grafana's grid, from the top left."""

    def __init__(self, rows: int) -> None:
        self.rows = rows + _TOP
        self.figure = plt.figure(figsize=(24 * _CELL, self.rows * _ROW), dpi=88, facecolor=_GROUND)

    def place(self, x: float, y: float, wide: float, high: float) -> tuple[float, float, float, float]:
        """Give a place in the figure's own shares."""
        return x / 24, 1 - (y + high + _TOP) / self.rows, wide / 24, high / self.rows

    def card(self, at: Any, title: str) -> None:
        """Draw a panel's ground and its title."""
        left, bottom, wide, high = self.place(at["x"] + 0.1, at["y"] + 0.12, at["w"] - 0.2, at["h"] - 0.24)
        shape = FancyBboxPatch(
            (left, bottom), wide, high, boxstyle="round,pad=0,rounding_size=0.004", mutation_aspect=24 / self.rows,
            transform=self.figure.transFigure, facecolor=_CARD, edgecolor=_LINE, linewidth=0.8, zorder=-1,
        )  # fmt: skip
        self.figure.add_artist(shape)
        self.say(at["x"] + 0.32, at["y"] + 0.72, title, weight="semibold", size=8)

    def say(self, x: float, y: float, text: str, **style: Any) -> None:
        """Write a line whose middle is at `y`."""
        left, bottom, _, _ = self.place(x, y, 0, 0)
        self.figure.text(left, bottom, text, va="center", **style)

    def axes(self, at: Any, *, legend_rows: int) -> Any:
        """Give the space of a panel's graph, under its title and over its legend."""
        low = 0.95 + 0.62 * legend_rows
        return self.figure.add_axes(self.place(at["x"] + 1.15, at["y"] + 1.5, at["w"] - 1.6, at["h"] - 1.5 - low))


def draw(board: Any, run: Run, until: float, path: Path) -> None:
    """Draw one dashboard as it is laid out in Grafana; each panel with its data, its title and its query's lines."""
    shown = [(panel, panel["gridPos"]) for panel in raw_panels(board)]
    with plt.rc_context(_FONT):
        sheet = Sheet(max(at["y"] + at["h"] for _, at in shown))
        sheet.say(0.2, -0.75, board["title"], size=13, weight="bold")
        for part in board["panels"]:
            if part["type"] == "row":
                sheet.say(0.2, part["gridPos"]["y"] + 0.55, part["title"], size=9, weight="semibold", color=_SOFT)
        for panel, at in shown:
            sheet.card(at, panel["title"])
            _DRAWN[panel["type"]](sheet, at, panel, _lines(panel, run, until))
        sheet.figure.savefig(path, facecolor=_GROUND)
        plt.close(sheet.figure)


def _lines(panel: Any, run: Run, until: float) -> Lines:
    found: Lines = []
    for target in panel["targets"]:
        for series in run.prometheus.over(filled_in(target["expr"], "15s"), run.began, until):
            points = [(float(at) - run.began, float(value)) for at, value in series["values"]]
            legend = target.get("legendFormat") or panel["title"]
            legend = re.sub(r"{{(\w+)}}", lambda found, of=series: of["metric"].get(found[1]) or "(none)", legend)
            found.append((legend, [x for x, _ in points], [y for _, y in points]))
    return found


def _unit(panel: Any) -> tuple[float, str]:
    return _UNITS.get(panel["fieldConfig"]["defaults"].get("unit", ""), (1, ""))


def _draw_lines(sheet: Sheet, at: Any, panel: Any, lines: Lines) -> None:
    columns = max(2, round(at["w"] / 2.7))
    shown = lines[: 3 * columns]
    axes = sheet.axes(at, legend_rows=math.ceil(len(shown) / columns))
    factor, mark = _unit(panel)
    stacked = panel["fieldConfig"]["defaults"]["custom"].get("stacking", {}).get("mode") == "normal"
    below: dict[float, float] = {}
    for legend, x, y in shown:
        base = [below.get(time, 0.0) if stacked else 0.0 for time in x]
        top = [low + value * factor for low, value in zip(base, y, strict=True)]
        [line] = axes.plot(x, top, linewidth=1.4, label=textwrap.shorten(legend, 24, placeholder="…"))
        line.set_color(_MEANT.get(legend, line.get_color()))
        axes.fill_between(x, base, top, color=line.get_color(), alpha=0.35 if stacked else 0.06, linewidth=0)
        below.update(zip(x, top, strict=True))
    _dress(axes, mark)
    axes.margins(x=0, y=0.12)
    axes.set_ylim(bottom=0)
    if len(shown) > 1 or any(legend != panel["title"] for legend, _, _ in shown):
        axes.legend(
            fontsize=7, loc="upper left", bbox_to_anchor=(-0.02, -0.13), ncols=columns, frameon=False, handlelength=1.1,
            borderaxespad=0, columnspacing=1.2, labelcolor=_SOFT,
        )  # fmt: skip


def _dress(axes: Any, mark: str) -> None:
    axes.set_facecolor("none")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.grid(visible=True, axis="y", color=_LINE, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, labelsize=7)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0f} s"))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _told(value, mark)))


def _draw_heat(sheet: Sheet, at: Any, panel: Any, lines: Lines) -> None:
    axes = sheet.axes(at, legend_rows=0)
    below = sorted(lines, key=lambda line: float(line[0].replace("+Inf", "inf")))
    times = below[0][1]
    before = [0.0] * len(times)
    shares = []
    for _, _, values in below:
        shares.append([max(now - last, 0) for now, last in zip(values, before, strict=False)])
        before = values
    extent = (times[0], times[-1], 0, len(shares))
    axes.imshow(shares, aspect="auto", origin="lower", cmap="Greens", extent=extent)
    _dress(axes, "")
    axes.grid(visible=False)
    axes.set_yticks(range(1, len(shares) + 1), [line[0] for line in below], fontsize=6.5)


def _draw_number(sheet: Sheet, at: Any, panel: Any, lines: Lines) -> None:
    factor, mark = _unit(panel)
    points = [(x, value) for _, x, y in lines[:1] for x, value in zip(x, y, strict=True) if not math.isnan(value)]
    if not points:
        sheet.say(at["x"] + 0.32, at["y"] + 1.9, "no data", size=13, color=_SOFT)
        return
    last = points[-1][1]
    colour = _state(panel, last)
    sheet.say(at["x"] + 0.32, at["y"] + 1.9, _told(last * factor, mark), size=15, weight="semibold", color=colour)
    axes = sheet.figure.add_axes(sheet.place(at["x"] + 0.1, at["y"] + 2.6, at["w"] - 0.2, at["h"] - 2.75))
    axes.axis("off")
    axes.plot(*zip(*points, strict=True), color=colour, linewidth=1.2)
    axes.fill_between(*zip(*points, strict=True), color=colour, alpha=0.1, linewidth=0)
    axes.margins(x=0, y=0.1)
    axes.set_ylim(bottom=0)


def _state(panel: Any, value: float) -> str:
    steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
    reached = [step["color"] for step in steps if step["value"] is None or value >= step["value"]]
    return _STATES[reached[-1]]


def _told(value: float, mark: str) -> str:
    """Write a value as Grafana does: seconds below one as milliseconds, three figures, the unit."""
    if mark == " s" and 0 < abs(value) < 1:
        return f"{value * 1000:.3g} ms"
    if mark == " $":
        return f"${value:.3g}"
    return f"{value:,.0f}{mark}" if abs(value) >= 1000 else f"{value:.3g}{mark}"


_DRAWN = {"stat": _draw_number, "heatmap": _draw_heat, "timeseries": _draw_lines}


def main() -> None:
    """Run, and draw all dashboards."""
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(".cache/dashboards")
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="thalamus-dashboards-") as folder, observed_run(Path(folder)) as run:
        until = time.time()
        for name, board in boards().items():
            draw(board, run, until, target / f"{name}.png")
            print(target / f"{name}.png")


if __name__ == "__main__":
    main()
