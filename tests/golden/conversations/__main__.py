"""``python -m tests.golden.conversations``: the suite's figures, and the misses grouped by what went wrong."""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from classifiers.bundle import load_bundle
from router.engine import Engine
from tests.golden.conversations.judging import Judgement, Ruling, judge, two_tier_engine
from tests.golden.conversations.suite import Script, load_suite

_EXCERPT_CHARS = 64


def main(arguments: Sequence[str] | None = None) -> None:
    """Judge the parts that were asked for and print them."""
    options = _read_arguments(arguments)
    engine = two_tier_engine(load_bundle(options.bundle))
    parts = _judge_parts(engine, load_suite())
    shown = list(parts) if options.open == options.held_back else ["open" if options.open else "held back"]
    # Both figures may be seen at any time; what was missed in the held-back part only when asked for by name.
    told = [name for name in shown if name == "open" or options.held_back]
    if options.json:
        print(json.dumps(_as_data({name: parts[name] for name in shown}, told), ensure_ascii=False, indent=2))
        return
    console = Console()
    console.print(_figures_table({name: parts[name] for name in shown}, engine.model.name))
    for name in told:
        console.print(_misses_table(name, parts[name].misses))


def _read_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.golden.conversations", description=__doc__)
    parser.add_argument("--bundle", default="reflex-v1", help="name or path of the difficulty model")
    parser.add_argument("--open", action="store_true", help="only the open conversations")
    parser.add_argument(
        "--held-back", action="store_true", help="only the held-back ones, misses included: not while tuning rules"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    return parser.parse_args(arguments)


def _judge_parts(engine: Engine, suite: Sequence[Script]) -> Mapping[str, Judgement]:
    return {
        "open": judge(engine, [script for script in suite if not script.held_back]),
        "held back": judge(engine, [script for script in suite if script.held_back]),
        "whole": judge(engine, suite),
    }


def _figures_table(parts: Mapping[str, Judgement], model: str) -> Table:
    table = Table(title=f"Scripted conversations, decided with {model}")
    for column in ("part", "conversations", "turns", "as annotated", "needless switches /100", "pins broken", "deep"):
        table.add_column(column, justify="left" if column == "part" else "right")
    for name, judgement in parts.items():
        figures = judgement.figures
        table.add_row(
            name,
            str(figures.conversations),
            str(figures.turns),
            f"{figures.as_annotated:.1%}",
            f"{figures.needless_switches:.1f}",
            str(figures.pins_broken),
            f"{figures.deep_share:.0%}",
        )
    return table


def _misses_table(part: str, misses: Sequence[Ruling]) -> Table:
    table = Table(title=f"{len(misses)} misses, {part}", show_lines=False)
    for column in ("conversation", "turn", "asked", "difficulty", "from", "why the annotation"):
        table.add_column(column, overflow="fold")
    for fault, rulings in _by_fault(misses).items():
        table.add_section()
        table.add_row(f"[bold]{escape(fault)}: {len(rulings)}[/bold]")
        for ruling in rulings:
            table.add_row(
                ruling.script.id,
                str(ruling.number),
                escape(_excerpt(ruling)),
                _two_digits(ruling.decision.difficulty),
                _two_digits(ruling.decision.threshold),
                escape(ruling.turn.why),
            )
    return table


def _by_fault(misses: Sequence[Ruling]) -> Mapping[str, Sequence[Ruling]]:
    """Group the misses, the most frequent fault first."""
    groups: dict[str, list[Ruling]] = defaultdict(list)
    for ruling in misses:
        groups[ruling.fault].append(ruling)
    return dict(sorted(groups.items(), key=lambda group: -len(group[1])))


def _excerpt(ruling: Ruling) -> str:
    text = ruling.turn.user if ruling.turn.user is not None else f"(tool) {ruling.turn.tool}"
    line = " ".join(text.split())
    return line if len(line) <= _EXCERPT_CHARS else f"{line[:_EXCERPT_CHARS]}…"


def _two_digits(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _as_data(parts: Mapping[str, Judgement], told: Sequence[str]) -> Mapping[str, Any]:
    return {
        name: asdict(judgement.figures)
        | ({"misses": [_miss_as_data(miss) for miss in judgement.misses]} if name in told else {})
        for name, judgement in parts.items()
    }


def _miss_as_data(miss: Ruling) -> Mapping[str, Any]:
    return {
        "conversation": miss.script.id,
        "turn": miss.number,
        "fault": miss.fault,
        "asked": _excerpt(miss),
        "expected": miss.turn.expect,
        "decided": miss.decision.tier,
        "reason": miss.decision.reason,
        "difficulty": miss.decision.difficulty,
        "own_difficulty": miss.decision.estimate and miss.decision.estimate.difficulty,
        "threshold": miss.decision.threshold,
        "why": miss.turn.why,
    }


if __name__ == "__main__":
    main()
