"""Writes the evaluation as a page with pictures, and prints it as tables."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from classifiers.training.card import add_measured
from classifiers.training.evaluate import Judged, calibration, curves

_SCORERS: Final = ("model", "length", "LiteLLM", "k-means", "random")
"""In the order of the tables; LiteLLM's rules where it is installed."""
_COLOURS: Final = {
    "model": "#0b6e4f",
    "length": "#c44536",
    "k-means": "#197bbd",
    "LiteLLM": "#8a5a9e",
    "random": "#9a9a9a",
}

_FIGURES: Final = (
    ("auc_hard", "AUC fast wrong"),
    ("auc_only_deep", "AUC only deep right"),
    ("apgr", "APGR"),
    ("cpt50", "CPT 50 %"),
    ("cpt80", "CPT 80 %"),
)


def write(folder: Path, figures: Mapping[str, Any], judged: Judged, bundles: Sequence[Path]) -> None:
    """Write ``<bundle>.md`` and its pictures into `folder`, and the main figures into the card of a single bundle."""
    folder.mkdir(parents=True, exist_ok=True)
    name = figures["bundle"]
    pictures = [_draw_reliability(folder, name, judged), *_draw_curves(folder, name, figures, judged)]
    shown = "\n\n".join(f"![{picture}]({picture})" for picture in pictures)
    tables = "\n\n".join(f"## {title}\n\n{_markdown(head, rows)}" for title, head, rows in _tables(figures))
    calibrated = f"Expected calibration error over all validation sources: **{figures['calibration_error']}**."
    text = (
        f"# Validation of {name}\n\nWritten by `thalamus evaluate --report`. Sources are held out whole; "
        f"the threshold is the balanced notch, {figures['threshold']}. {calibrated} "
        f"Bundle: {figures['size_mb']} MB.\n\n"
        f"{tables}\n\n## Pictures\n\n{shown}\n"
    )
    (folder / f"{name}.md").write_text(text, encoding="utf-8")
    if len(bundles) == 1:
        places = {picture: os.path.relpath(folder / picture, bundles[0]) for picture in pictures}
        add_measured(bundles[0], figures, places)


def print_tables(figures: Mapping[str, Any]) -> None:
    """Print every table of the report to the terminal."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    for title, head, rows in _tables(figures):
        table = Table(*head, title=title)
        for row in rows:
            table.add_row(*map(str, row))
        console.print(table)
    console.print(f"expected calibration error {figures['calibration_error']}, size {figures['size_mb']} MB")


def _tables(figures: Mapping[str, Any]) -> list[tuple[str, list[str], list[list[Any]]]]:
    scorers = [each for each in _SCORERS if all(each in row for row in figures["sources"].values())]
    return [
        ("Sources", ["source", "n", "figure", *scorers], _source_rows(figures["sources"], scorers)),
        *(
            (f"{title}: AUC fast wrong", [head, "n", *scorers], _scorer_rows(figures[part], scorers))
            for title, head, part in (
                ("Length bands", "characters", "length_bands"),
                ("Languages", "language", "languages"),
            )
        ),
        (
            "Calibration error by source",
            ["source", "n", "error"],
            [[source, row["n"], row["calibration_error"]] for source, row in figures["sources"].items()],
        ),
        (
            "Everyday chat sent deep",
            ["language or source", "n", "share"],
            [[name, row["n"], row["deep"]] for name, row in figures["chat_deep"].items()],
        ),
        (
            "Slices (own data, held-out templates)",
            ["slice", "n", "mean label", "mean difficulty", "AUC", "sent deep"],
            [
                [name, row["n"], row["mean_label"], row["mean_difficulty"], _or_dash(row["auc"]), row["deep"]]
                for name, row in figures["slices"].items()
            ],
        ),
        ("Translations", ["figure", "value"], [[name, value] for name, value in figures["translations"].items()]),
        (
            "Latency of one estimate, µs",
            ["prompt", "p50", "p99"],
            [[name, row["p50"], row["p99"]] for name, row in figures["latency_us"].items()],
        ),
    ]


def _source_rows(sources: Mapping[str, Any], scorers: Sequence[str]) -> list[list[Any]]:
    return [
        [source, row["n"], title, *(row[scorer][figure] for scorer in scorers)]
        for source, row in sources.items()
        for figure, title in _FIGURES
        if figure in row["model"]
    ]


def _scorer_rows(groups: Mapping[str, Any], scorers: Sequence[str]) -> list[list[Any]]:
    return [[name, row["n"], *(row[scorer] for scorer in scorers)] for name, row in groups.items()]


def _or_dash(value: float | None) -> str:
    return "–" if value is None else str(value)


def _markdown(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    lines += ["| " + " | ".join(map(str, row)) + " |" for row in rows]
    return "\n".join(lines)


def _draw_reliability(folder: Path, name: str, judged: Judged) -> str:
    from matplotlib.figure import Figure

    bins = calibration(judged)
    figure = Figure(figsize=(5, 5), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="#9a9a9a", linewidth=1)
    axes.scatter(bins.predicted, bins.observed, s=40 + 800 * bins.share, color=_COLOURS["model"], alpha=0.7)
    axes.set(xlabel="claimed difficulty", ylabel="observed share of failures", title=f"{name}: reliability")
    axes.set(xlim=(0, 1), ylim=(0, 1))
    picture = f"{name}-reliability.png"
    figure.savefig(folder / picture, dpi=110)
    return picture


def _draw_curves(folder: Path, name: str, figures: Mapping[str, Any], judged: Judged) -> list[str]:
    from matplotlib.figure import Figure

    pictures = []
    for source in figures["sources"]:
        drawn = curves(judged, source)
        if drawn is None:
            continue
        figure = Figure(figsize=(6, 4), layout="constrained")
        axes = figure.subplots()
        for scorer, line in drawn.items():
            axes.plot(line.share * 100, line.quality * 100, color=_COLOURS[scorer], label=scorer)
        axes.set(xlabel="calls sent deep, %", ylabel="answers right, %", title=f"{name} on {source}")
        axes.legend(frameon=False)
        pictures.append(f"{name}-{source}.png")
        figure.savefig(folder / pictures[-1], dpi=110)
    return pictures
