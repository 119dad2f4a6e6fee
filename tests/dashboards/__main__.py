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
from matplotlib.ticker import FuncFormatter

from tests.dashboards.reading import boards, filled_in, raw_panels
from tests.dashboards.run import Run, observed_run

_CELL = 0.62  # inches a column of Grafana's grid of 24
_ROW = 0.36
_SCALE = {"percentunit": (100, " %"), "s": (1, " s"), "currencyUSD": (1, " $")}


def draw(board: Any, run: Run, until: float, path: Path) -> None:
    """Draw one dashboard as it is laid out in Grafana; each panel with its data, its title and its query's lines."""
    shown = [(panel, panel["gridPos"]) for panel in raw_panels(board)]
    height = max(at["y"] + at["h"] for _, at in shown)
    figure = plt.figure(figsize=(24 * _CELL, height * _ROW), dpi=80)
    figure.patch.set_facecolor("#f4f5f7")
    for panel, at in shown:
        left, top = at["x"] / 24, 1 - at["y"] / height
        wide, high = at["w"] / 24, at["h"] / height
        margin_x, margin_y = 0.032, 0.9 / height
        box = (left + margin_x, top - high + 1.6 * margin_y, wide - 1.35 * margin_x, high - 3.0 * margin_y)
        lines = _lines(panel, run, until)
        if panel["type"] == "stat":
            _draw_number(figure, (left, top - high, wide, high), panel, lines)
        elif panel["type"] == "heatmap":
            _draw_heat(figure.add_axes(box), panel, lines)
        else:
            _draw_lines(figure.add_axes(box), panel, lines)
    figure.savefig(path, facecolor=figure.get_facecolor())
    plt.close(figure)


Lines = list[tuple[str, list[float], list[float]]]


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
    return _SCALE.get(panel["fieldConfig"]["defaults"].get("unit", ""), (1, ""))


def _draw_lines(axes: Any, panel: Any, lines: Lines) -> None:
    factor, mark = _unit(panel)
    for legend, x, y in lines[:8]:
        axes.plot(x, [value * factor for value in y], linewidth=1.3, label=textwrap.shorten(legend, 34))
    axes.set_title(panel["title"], fontsize=8.5, loc="left", fontweight="bold")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}{mark}"))
    axes.tick_params(labelsize=6)
    axes.grid(visible=True, alpha=0.3)
    axes.margins(y=0.25)
    axes.set_ylim(bottom=0)
    if lines:
        axes.legend(fontsize=5.5, loc="upper left", framealpha=0.6)


def _draw_heat(axes: Any, panel: Any, lines: Lines) -> None:
    below = sorted(lines, key=lambda line: float(line[0].replace("+Inf", "inf")))
    times = below[0][1]
    before = [0.0] * len(times)
    shares = []
    for _, _, values in below:
        shares.append([max(now - last, 0) for now, last in zip(values, before, strict=False)])
        before = values
    axes.imshow(shares, aspect="auto", origin="lower", cmap="YlOrRd", extent=(times[0], times[-1], 0, len(shares)))
    axes.set_yticks(range(1, len(shares) + 1), [line[0] for line in below], fontsize=6)
    axes.tick_params(labelsize=6)
    axes.set_title(panel["title"], fontsize=8.5, loc="left", fontweight="bold")


def _draw_number(figure: Any, box: tuple[float, float, float, float], panel: Any, lines: Lines) -> None:
    factor, mark = _unit(panel)
    values = [value for _, _, y in lines for value in y if not math.isnan(value)]
    left, bottom, wide, high = box
    figure.text(left + wide / 2, bottom + high * 0.75, panel["title"], ha="center", fontsize=7.5, fontweight="bold")
    text = f"{values[-1] * factor:.3g}{mark}" if values else "no data"
    figure.text(left + wide / 2, bottom + high * 0.32, text, ha="center", fontsize=15, color="#1f6f43")


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
