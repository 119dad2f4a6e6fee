"""``python -m tests.unit.router.intent_cases``: how well explicit intent is read, on open and held-back cases."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from tests.unit.router.intent_cases import HELD_BACK, OPEN, ORDINARY, measure, said


def main() -> None:
    """Print the figures; which held-back cases are missed is not told, so that no rule is written for them."""
    table = Table(title="Explicit intent")
    for column in ("cases", "all", "direction", "of these", "precision", "recall"):
        table.add_column(column, justify="left" if column in ("cases", "direction") else "right")
    for name, cases in (("open", OPEN), ("held back", HELD_BACK)):
        for direction in ("up", "down", "none"):
            figures = measure(cases, direction)
            shares = (f"{figures.precision:.3f}", f"{figures.recall:.3f}")
            table.add_row(name, str(len(cases)), direction, str(figures.cases), *shares)
    console = Console()
    console.print(table)
    wrong = sum(said(prompt) != "none" for prompt in ORDINARY)
    console.print(f"{wrong} of {len(ORDINARY)} ordinary prompts read as intent")


main()
