"""`python -m tests.bench.tracing`: what tracing costs, on and off, as ratios of CPU time per request in one run.

The gateways take turns, round by round, so that whatever else the machine does meets all of them alike; the ratio told
is the median of the rounds'. `--before FOLDER` adds the gateway of another checkout.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import statistics
import tempfile
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import yaml

from tests.bench.load import closed_loop, post
from tests.bench.subjects import HOST, SUBJECT_CORE, Running, Subject, free_port, started, thalamus, upstream
from tests.gateway.otlp_receiver import running_collector

CONNECTIONS = 32
ROUND_REQUESTS = 1200
PROMPTS = ("What is the capital of France?", "Prove that there are infinitely many primes.", "写一首关于秋天的短诗。")


def main() -> None:
    """Measure, and print a table or JSON."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.tracing", description=__doc__)
    parser.add_argument("--before", type=Path, metavar="FOLDER", help="another checkout, measured as well")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with ExitStack() as open_until_end:
        folder = Path(open_until_end.enter_context(tempfile.TemporaryDirectory(prefix="thalamus-bench-")))
        collector = open_until_end.enter_context(running_collector())
        source = upstream(free_port())
        open_until_end.enter_context(started(source, 1 - SUBJECT_CORE, folder))
        subjects = {
            "off": _gateway("off", source, folder, {"enabled": False}),
            "ratio 0.1": _gateway("tenth", source, folder, {"enabled": True, "endpoint": collector.url, "ratio": 0.1}),
            "ratio 1": _gateway("all", source, folder, {"enabled": True, "endpoint": collector.url, "ratio": 1.0}),
        }
        if options.before is not None:
            earlier = _gateway("before", source, folder, None)
            subjects["before"] = replace(earlier, environment={"PYTHONPATH": str(options.before.resolve())})
        running = {
            name: open_until_end.enter_context(started(subject, SUBJECT_CORE, folder))
            for name, subject in subjects.items()
        }
        measured = asyncio.run(_take_turns(running, options.rounds))
    figures = {
        name: {
            "cpu_ms": round(statistics.median(times) * 1e3, 3),
            "of_off": round(statistics.median(a / b for a, b in zip(times, measured["off"], strict=True)), 3),
        }
        for name, times in measured.items()
    }
    if options.json:
        print(json.dumps(figures, indent=2))
        return
    print(f"{'tracing':<12}{'CPU ms/request':>16}{'of off':>9}")
    for name, figure in figures.items():
        print(f"{name:<12}{figure['cpu_ms']:>16.3f}{figure['of_off']:>9.3f}")


def _gateway(name: str, source: Subject, folder: Path, tracing: dict | None) -> Subject:
    (own := folder / name).mkdir()
    subject = thalamus(free_port(), source.port, own)
    config = own / "settings" / "thalamus.yaml"
    settings = yaml.safe_load(config.read_text("utf-8"))
    if tracing is not None:
        config.write_text(yaml.safe_dump({**settings, "tracing": tracing}), encoding="utf-8")
    return replace(subject, name=name)


async def _take_turns(running: dict[str, Running], rounds: int) -> dict[str, list[float]]:
    measured: dict[str, list[float]] = {name: [] for name in running}
    for number in range(rounds + 1):
        for name, one in running.items():
            seconds = await _one_round(one)
            if number:  # the first warms up
                measured[name].append(seconds)
    return measured


async def _one_round(one: Running) -> float:
    """Give the CPU seconds that one request took."""
    subject, before = one.subject, one.cpu_seconds()
    bodies = [
        json.dumps({"model": "auto", "messages": [{"role": "user", "content": prompt}]}).encode() for prompt in PROMPTS
    ]
    requests = itertools.cycle(
        [post("/v1/chat/completions", body, dict(subject.headers), f"{HOST}:{subject.port}") for body in bodies]
    )
    samples = await closed_loop(HOST, subject.port, requests, connections=CONNECTIONS, seconds=60, most=ROUND_REQUESTS)
    return (one.cpu_seconds() - before) / len(samples.answers)


if __name__ == "__main__":
    main()
