"""`python -m tests.bench`: measure the gateway beside the raw upstream, a bare relay and LiteLLM's proxy."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import uvloop
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tests.bench.estimates import estimates_as_json, print_estimates, time_estimates
from tests.bench.load import LoadError
from tests.bench.machine import QUIET_CORES, cores_used_by_others, read_clock
from tests.bench.phases import QUICK, Measured, Scale, count_steps, measure
from tests.bench.report import GATEWAY, YARDSTICK, as_json, figures_of, print_report
from tests.bench.subjects import (
    LOAD_CORE,
    SUBJECT_CORE,
    Running,
    StartError,
    Subject,
    bare_relay,
    find_litellm,
    free_port,
    litellm,
    started,
    stay_on,
    thalamus,
    upstream,
)

SUBJECTS = (GATEWAY, YARDSTICK, "litellm")


def main() -> int:
    """Run the benchmark; 1 when a server failed."""
    options = _options()
    console = Console()
    scale = QUICK if options.quick else Scale()
    with tempfile.TemporaryDirectory(prefix="thalamus-bench-") as folder:
        try:
            results, others = _run(options.only, scale, Path(folder), console)
        except (StartError, LoadError) as error:
            console.print(f"[red]{error}[/red]", highlight=False)
            return 1
    figures = figures_of(results)
    timed = time_estimates()
    print_report(figures, console)
    print_estimates(timed, console)
    if others > QUIET_CORES:
        console.print(
            f"[yellow]Other processes kept {others:.1f} cores busy meanwhile: expect better figures.[/yellow]"
        )
    if options.json:
        context = {
            "python": platform.python_version(),
            "machine": platform.machine(),
            "cores": os.cpu_count(),
            "quick": options.quick,
            "cores_used_by_others": round(others, 2),
        }
        report = {**as_json(figures, context), "estimates": estimates_as_json(timed)}
        options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="about a minute in all, rougher figures")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to a file as well")
    parser.add_argument("--only", nargs="+", choices=SUBJECTS, default=SUBJECTS, help="what to measure beside raw")
    return parser.parse_args()


def _run(only: list[str], scale: Scale, folder: Path, console: Console) -> tuple[list[Measured], float]:
    """Measure the upstream and the subjects; return what was seen, and how many cores others used meanwhile."""
    stay_on(LOAD_CORE)
    raw = upstream(free_port())
    subjects = _subjects(only, raw.port, folder, console)
    with ExitStack() as stack, _progress(console) as progress:
        bar = progress.add_task("starting", total=len(subjects) + count_steps(1 + len(subjects), scale))

        def step(what: str) -> None:
            progress.update(bar, advance=1, description=what)

        running = [stack.enter_context(started(raw, LOAD_CORE, folder))]
        running += [_start(subject, stack, folder, step) for subject in subjects]
        before = read_clock(running)
        results = uvloop.run(measure(raw, running, scale, step))
        return results, cores_used_by_others(before, read_clock(running))


def _start(subject: Subject, stack: ExitStack, folder: Path, step: Callable[[str], None]) -> Running:
    step(f"starting {subject.name}")
    return stack.enter_context(started(subject, SUBJECT_CORE, folder))


def _subjects(only: list[str], upstream_port: int, folder: Path, console: Console) -> list[Subject]:
    """Return the subjects that were asked for and can be had."""
    subjects = []
    if GATEWAY in only:
        subjects.append(thalamus(free_port(), upstream_port, folder))
    if YARDSTICK in only:
        subjects.append(bare_relay(free_port(), upstream_port))
    if "litellm" in only:
        python = find_litellm()
        if python is None:
            console.print("LiteLLM's proxy is not installed: left out (make bench-litellm installs it).")
        else:
            subjects.append(litellm(free_port(), upstream_port, folder, python))
    return subjects


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=console
    )


if __name__ == "__main__":
    sys.exit(main())
