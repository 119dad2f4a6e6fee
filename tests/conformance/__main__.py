"""Writes docs/conformance.md from a run: ``python -m tests.conformance``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from router.types import Effort
from tests.conformance.rows import Row, all_rows
from tests.conformance.trials import ASKED, Habit, Told, faults_of_effort, faults_of_loop, try_effort, try_tool_loop
from tests.conformance.world import World, running_world

PAGE = Path(__file__).parents[2] / "docs" / "conformance.md"
_OURS = frozenset(
    {"model", "messages", "stream", "stream_options", "temperature", "max_tokens", "max_completion_tokens"}
)

_HEAD = """# Conformance

Every dialect row, tried through the gateway against a strict stand-in that behaves as the provider documents, refusals
included (`tests/conformance/standins`). No real provider was called. This page is written by
`python -m tests.conformance`; `pytest tests/conformance` runs the same trials.

- **asked → applied**: what the header `x-thalamus-thinking` says was applied, where that differs from what was asked.
  An effort passes when the provider takes the request, works at the effort told, and its reasoning arrives as
  `reasoning_content`, plain and streamed.
- **sent**: what reaches the provider at `high`, streamed.
- **loop**: four requests with two tool calls and a further question, at `high`, plain and streamed, by a client that
  drops reasoning from the history, and by one that keeps what it got.
- Claude's stand-in takes what the gateway hands to its transport; `elsewhere` is a host that no row describes.

"""
_COLUMNS = (
    "| family | host | asked → applied | sent at high | efforts | loop, dropping | loop, keeping |\n"
    "|---|---|---|---|---|---|---|\n"
)


def main() -> None:
    """Try every row and write the page."""
    with running_world() as world:
        lines = [_line(world, row) for row in all_rows()]
    failed = sum("FAIL" in line for line in lines)
    summary = f"{len(lines)} rows, {len(lines) - failed} pass everything, {failed} do not.\n\n"
    PAGE.write_text(_HEAD + summary + _COLUMNS + "".join(lines), encoding="utf-8")
    print(f"{PAGE.relative_to(Path.cwd())}: {summary.strip()}")


def _line(world: World, row: Row) -> str:
    plain = _sweep(world, row, stream=False)
    streamed = _sweep(world, row, stream=True)
    faults = [
        fault
        for told in (plain, streamed)
        for effort, answer in told.items()
        for fault in faults_of_effort(row, effort, answer)
    ]
    cells = (
        row.family,
        row.host.replace("*", "elsewhere"),
        _ladder(streamed),
        f"`{_sent(streamed[Effort.HIGH])}`",
        _verdict(faults),
        _verdict(_loop_faults(world, row, "drops")),
        _verdict(_loop_faults(world, row, "keeps")),
    )
    return "| " + " | ".join(cells) + " |\n"


def _sweep(world: World, row: Row, *, stream: bool) -> Mapping[Effort | None, Told]:
    return {effort: world.run(try_effort(world, row, effort, stream=stream)) for effort in ASKED}


def _loop_faults(world: World, row: Row, habit: Habit) -> list[str]:
    runs = [world.run(try_tool_loop(world, row, habit, stream=stream, effort=Effort.HIGH)) for stream in (False, True)]
    return [fault for told in runs for fault in faults_of_loop(row, told)]


def _ladder(told: Mapping[Effort | None, Told]) -> str:
    """Write the efforts that differ from what was asked; the rest is said in one word."""
    changed = [
        f"{effort}→{applied}"
        for effort, answer in told.items()
        if effort is not None and (applied := answer.thinking.get("applied", "?")) != effort
    ]
    return ", ".join(changed) or "as asked"


def _sent(told: Told) -> str:
    return json.dumps({name: value for name, value in told.sent.items() if name not in _OURS})


def _verdict(faults: list[str]) -> str:
    return "pass" if not faults else "FAIL: " + faults[0].replace("|", "/")[:120]


main()
