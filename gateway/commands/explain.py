"""Decisions and dialects as a person would want to read them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rich.bar import Bar
from rich.console import Console
from rich.table import Table

from classifiers.types import Conversation
from gateway.building import open_serving_model
from gateway.endpoints.chat import BYTES_PER_TOKEN
from gateway.policy import read_policy
from gateway.settings import Settings
from gateway.upstream.dialects import load_dialects
from router.engine import Engine
from router.policy import AUTO, DIAL_WORDS, read_dial
from router.types import Decision, Needs, RouteRequest

_WIDEST = 1000
"""Columns of a terminal; wider than any table here."""


def explain(settings: Settings, prompt: str, dial: str | None) -> Decision:
    """Decide for one prompt as the gateway would.

    Raises:
        ValueError: the dial has no such notch, or nobody can serve the prompt.
    """
    if dial is not None and (dial := read_dial(dial)) is None:
        raise ValueError(f"--dial: there are: {DIAL_WORDS}")
    policy = read_policy(settings, load_dialects(settings.dialects))
    engine = Engine(policy, open_serving_model(settings.routing.bundle))
    needs = Needs(prompt_tokens=len(prompt.encode(errors="replace")) // BYTES_PER_TOKEN)
    return engine.decide(RouteRequest(AUTO, Conversation.from_prompt(prompt), needs, dial=dial))


def print_decision(decision: Decision) -> None:
    """Print a decision with its reasons."""
    console = Console(highlight=False)
    first = decision.targets[0]
    grid = Table.grid(padding=(0, 2))
    grid.add_row("[bold]tier[/bold]", f"[bold]{decision.tier}[/bold]   because: {decision.reason}")
    grid.add_row("target", f"{first.backend}   effort {first.effort or 'default'}")
    if decision.estimate is not None:
        estimate = decision.estimate
        bound = f"   goes deep from {decision.threshold:.2f}" if decision.threshold is not None else ""
        grid.add_row("difficulty", f"{estimate.difficulty:.2f}{bound} (dial {decision.dial})")
        grid.add_row("", Bar(1.0, 0.0, estimate.difficulty, width=40, color="yellow"))
        grid.add_row("answers right", f"fast {estimate.p_fast:.0%}   deep {estimate.p_deep:.0%}")
        grid.add_row("kind", f"{estimate.kind} ({estimate.kind_confidence:.0%})")
        grid.add_row("thinking", f"about {estimate.thinking_tokens} tokens")
        grid.add_row("judged by", estimate.model)
    for signal in decision.signals:
        if signal.value not in (None, False) or signal.note:
            value = "-" if signal.value is None else str(signal.value)
            grid.add_row(signal.name, f"{value}   {signal.note}".rstrip())
    for step in decision.steps:
        grid.add_row(step.rule, f"{step.saw} → {step.did}")
    if decision.runner_up:
        grid.add_row("runner-up", decision.runner_up)
    if len(decision.targets) > 1:
        grid.add_row("falls back to", ", ".join(target.backend for target in decision.targets[1:]))
    console.print(grid)


def print_dialects(rows: Iterable[Mapping[str, Any]]) -> None:
    """Print the dialect table, one line per family and host."""
    table = Table("family", "host", "thinking", "efforts", "unsent", "reasoning in", "replay", "checked", box=None)
    for row in rows:
        table.add_row(
            row["family"],
            row["host"],
            row["thinking"],
            " ".join(row["efforts"]) or "-",
            row["default"] or "?",
            (row["inline_tag"] and f"<{row['inline_tag']}>") or row["reasoning_field"],
            row["replay"],
            row["checked"] + ("" if row["verified"] else " (unverified)"),
        )
    console = Console(highlight=False)
    # A narrow terminal breaks its lines itself; cut names would be of no use to anybody, least of all in a pipe.
    unbounded = console.options.update(width=_WIDEST)
    console.width = max(console.width, console.measure(table, options=unbounded).maximum)
    console.print(table)
