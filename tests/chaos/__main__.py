"""`python -m tests.chaos`: every scenario in its long form, written as a table into docs/reliability.md."""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from tests.chaos.scenarios import SCENARIOS
from tests.chaos.world import LONG, SHORT, Result, World

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
_TABLE = re.compile(r"(<!-- chaos: written by `make chaos` -->\n).*?(<!-- /chaos -->)", re.DOTALL)


def main() -> int:
    """Run the scenarios; 1 when one of them did not hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--short", action="store_true", help="the form that runs with the tests; writes nothing")
    parser.add_argument("--only", nargs="+", choices=list(SCENARIOS), default=list(SCENARIOS))
    options = parser.parse_args()
    console, results = Console(), []
    for name in options.only:
        console.print(f"{name} …")
        with tempfile.TemporaryDirectory(prefix="thalamus-chaos-") as folder:
            result = asyncio.run(SCENARIOS[name](World(Path(folder), SHORT if options.short else LONG)))
        results.append(result)
        console.print(f"  {'[red]missed' if result.faults else '[green]held'}[/]: {result.measured}", highlight=False)
        for fault in result.faults:
            console.print(f"    {fault}", highlight=False, markup=False)
    if not options.short:
        _write(dict(zip(options.only, results, strict=True)))
    return int(any(result.faults for result in results))


def _write(results: dict[str, Result]) -> None:
    """Write the rows of what was run; those of other scenarios stay, which are in the same order."""
    page = PAGE.read_text(encoding="utf-8")
    found = _TABLE.search(page)
    kept = dict(zip(SCENARIOS, found[0].splitlines()[3:-1] if found else (), strict=False))
    rows = [
        _row(results[name]) if name in results else kept[name] for name in SCENARIOS if name in results or name in kept
    ]
    table = "\n".join(["| harm | to be reached | measured |", "|---|---|---|", *rows])
    PAGE.write_text(_TABLE.sub(lambda match: f"{match[1]}{table}\n{match[2]}", page), encoding="utf-8")


def _row(result: Result) -> str:
    missed = " — **missed**" if result.faults else ""
    return f"| {result.name} | {result.goal} | {result.measured}{missed} |"


if __name__ == "__main__":
    sys.exit(main())
