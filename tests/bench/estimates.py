"""What one estimate of each bundle costs: the part of a decision that no server is needed to measure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from rich.console import Console
from rich.table import Table

from classifiers.cascade import open_model
from classifiers.training.evaluate import latency

GOALS_US: Mapping[str, Mapping[str, int]] = {
    "reflex-v1": {"128 tokens": 300, "512 tokens": 1000, "32k tokens": 2000},
    "cortex-v1": {"128 tokens": 10_000},
}
"""The longest p50 of one estimate in microseconds, by bundle and length of the prompt."""


@dataclass(frozen=True, slots=True)
class Timed:
    """How long one bundle takes for prompts of one length, in microseconds."""

    bundle: str
    prompt: str
    p50: int
    p99: int
    goal: int | None

    @property
    def reached(self) -> bool | None:
        """Whether the goal is reached; None where there is none."""
        return None if self.goal is None else self.p50 <= self.goal


def time_estimates() -> list[Timed]:
    """Time the bundles of this repository, one estimate after the other on one thread."""
    timed = []
    for bundle, goals in GOALS_US.items():
        found = latency(open_model(bundle))
        timed += [
            Timed(bundle, prompt, round(figures["p50"]), round(figures["p99"]), goals.get(prompt))
            for prompt, figures in found.items()
        ]
    return timed


def print_estimates(timed: list[Timed], console: Console) -> None:
    """Print the table, with pass or miss where there is a goal."""
    table = Table(title="One estimate")
    for title in ("bundle", "prompt", "p50", "p99", "goal for p50", ""):
        table.add_column(title, justify="left" if title in {"bundle", "prompt", ""} else "right")
    for each in timed:
        goal = "" if each.goal is None else f"≤ {each.goal:,} µs"
        verdict = {True: "[green]pass[/green]", False: "[bold red]miss[/bold red]", None: ""}[each.reached]
        table.add_row(each.bundle, each.prompt, f"{each.p50:,} µs", f"{each.p99:,} µs", goal, verdict)
    console.print(table)


def estimates_as_json(timed: list[Timed]) -> list[dict[str, object]]:
    """Give the figures for a program."""
    return [asdict(each) | {"reached": each.reached} for each in timed]
