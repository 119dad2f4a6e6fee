"""`python -m tests.bench.deciding`: what a decision takes, at any length of prompt, and what `POST /v1/route` does."""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

from rich.console import Console
from rich.table import Table

from classifiers.bundle import DEFAULT_BUNDLE, load_bundle
from classifiers.types import Conversation, Turn
from router.engine import Engine
from router.intent import load_phrases
from router.types import Needs, RouteRequest
from tests.bench.load import LoadError, Samples, closed_loop, post
from tests.bench.prompts import INCIDENT, LEDGER, MEETING, PROMPTS
from tests.bench.subjects import HOST, StartError, Subject, gateway_over_upstream
from tests.golden.conversations.judging import two_tier_engine

GOAL_P99_MS = 5.0
"""A decision's, by reflex, whatever the prompt."""
GOAL_ROUTE_P50_MS = 1.0
"""`POST /v1/route`'s, from writing the request to its answer's last byte."""

_ROUTE = "/v1/route"
_LENGTHS = (10_000, 130_000, 1_000_000, 4_000_000)
_ANSWER = "Here is what I found. " * 40


@dataclass(frozen=True, slots=True)
class Decided:
    """How long decisions of one sort of prompt take, in milliseconds of waiting and of CPU."""

    prompt: str
    count: int
    p50: float
    p99: float
    cpu_p50: float
    cpu_p99: float

    @property
    def reached(self) -> bool:
        """Whether the goal is reached, by CPU: waiting for a core that others use is not ours."""
        return self.cpu_p99 <= GOAL_P99_MS


@dataclass(frozen=True, slots=True)
class Routed:
    """How long an explanation takes over HTTP at one connection, in milliseconds.

    `cpu` is the gateway's own; `health_p50` that of `GET /healthz`, for comparison.
    """

    requests: int
    p50: float
    p99: float
    cpu: float
    health_p50: float

    @property
    def reached(self) -> bool:
        """Whether the goal is reached."""
        return self.p50 <= GOAL_ROUTE_P50_MS


def main() -> int:
    """Measure and print; 1 when the gateway did not serve."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.deciding", description=__doc__)
    parser.add_argument("--rounds", type=int, default=200, metavar="N", help="decisions of each sort of prompt")
    parser.add_argument("--requests", type=int, default=2000, metavar="N", help="requests to /v1/route")
    parser.add_argument(
        "--bundle", default=DEFAULT_BUNDLE, help="the gateway's; of another, /v1/route alone is measured"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    options = parser.parse_args()
    sorts = sorts_of_prompts() if options.bundle == DEFAULT_BUNDLE else ()
    decided = [time_decisions(name, make, options.rounds) for name, make in sorts]
    try:
        routed = asyncio.run(time_route(options.requests, options.bundle))
    except (StartError, LoadError) as error:
        print(error, file=sys.stderr)
        return 1
    if options.json:
        print(json.dumps({"decisions": [asdict(one) for one in decided], "route": asdict(routed)}, indent=2))
    else:
        _print(decided, routed, Console())
    return 0


def sorts_of_prompts() -> Iterator[tuple[str, Callable[[int], Conversation]]]:
    """Give what is decided on, by name; a number makes each one new, since what is known again is not read again."""
    yield "10 to 300 words", lambda n: Conversation.from_prompt(f"{PROMPTS[n % len(PROMPTS)]} #{n}")
    for length in _LENGTHS:
        for name, text in (("English", INCIDENT), ("code", LEDGER), ("Chinese", MEETING)):
            long = (text * (length // len(text) + 1))[:length]
            yield f"{name}, {length:,}", lambda n, long=long: Conversation.from_prompt(f"{long} #{n}")
    for turns in (20, 200, 2000):
        yield f"{turns} turns", lambda n, turns=turns: _talk(turns, n)


def time_decisions(name: str, make: Callable[[int], Conversation], rounds: int) -> Decided:
    """Decide many times, each time on something new."""
    engine = _engine()
    waited: list[float] = []
    worked: list[float] = []
    for number in range(-10, rounds):  # the first warm up
        request = RouteRequest("auto", make(number), Needs(prompt_tokens=100))
        began, began_cpu = time.perf_counter(), time.thread_time()
        engine.decide(request)
        if number >= 0:
            worked.append((time.thread_time() - began_cpu) * 1e3)
            waited.append((time.perf_counter() - began) * 1e3)
    return Decided(name, rounds, *_p50_p99(waited), *_p50_p99(worked))


async def time_route(requests: int, bundle: str) -> Routed:
    """Ask a gateway of its own for explanations, one after the other."""
    with gateway_over_upstream(routing={"bundle": bundle}) as (_, gateway):
        subject = gateway.subject
        questions = (_post(subject, _ROUTE, _question(number)) for number in itertools.count())
        health = itertools.repeat(_post(subject, "/healthz", b"").replace(b"POST", b"GET", 1))
        await _one_by_one(subject.port, questions, 200)
        idle = await _one_by_one(subject.port, health, requests)
        before = gateway.cpu_seconds()
        routed = await _one_by_one(subject.port, questions, requests)
        cpu = gateway.cpu_seconds() - before
    times = [answer.seconds * 1e3 for answer in routed.answers]
    health_p50 = statistics.median(answer.seconds * 1e3 for answer in idle.answers)
    return Routed(len(times), *_p50_p99(times), round(cpu / len(times) * 1e3, 3), round(health_p50, 3))


async def _one_by_one(port: int, requests: Iterator[bytes], most: int) -> Samples:
    return await closed_loop(HOST, port, requests, connections=1, seconds=120, most=most)


def _post(subject: Subject, path: str, body: bytes) -> bytes:
    return post(path, body, dict(subject.headers), f"{HOST}:{subject.port}")


def _question(number: int) -> bytes:
    content = f"{PROMPTS[number % len(PROMPTS)]} #{number:08d}"
    body = {"model": "auto", "messages": [{"role": "user", "content": content}]}
    return json.dumps(body, ensure_ascii=False).encode()


def _engine() -> Engine:
    load_phrases()
    return two_tier_engine(load_bundle(DEFAULT_BUNDLE))


def _talk(turns: int, number: int) -> Conversation:
    said = itertools.chain.from_iterable(
        (Turn("user", PROMPTS[at % len(PROMPTS)]), Turn("assistant", _ANSWER)) for at in range(turns)
    )
    return Conversation((*said, Turn("user", f"And why is that? #{number}")))


def _p50_p99(times: list[float]) -> tuple[float, float]:
    parts = statistics.quantiles(times, n=100, method="inclusive")
    return round(parts[49], 3), round(parts[98], 3)


def _print(decided: list[Decided], routed: Routed, console: Console) -> None:
    table = Table(title=f"One decision, by {DEFAULT_BUNDLE} (ms)")
    for title in ("prompt (characters)", "p50", "p99", "CPU p50", "CPU p99", f"CPU p99 ≤ {GOAL_P99_MS:g}"):
        table.add_column(title, justify="left" if title.startswith("prompt") else "right")
    for one in decided:
        figures = (f"{value:.2f}" for value in (one.p50, one.p99, one.cpu_p50, one.cpu_p99))
        table.add_row(one.prompt, *figures, _verdict(one.reached))
    if decided:
        console.print(table)
    over_http = Table(title=f"POST {_ROUTE}, {routed.requests:,} times at one connection (ms)")
    for title in ("p50", "p99", "CPU", "p50 of GET /healthz", f"p50 ≤ {GOAL_ROUTE_P50_MS:g}"):
        over_http.add_column(title, justify="right")
    figures = (f"{value:.2f}" for value in (routed.p50, routed.p99, routed.cpu, routed.health_p50))
    over_http.add_row(*figures, _verdict(routed.reached) if decided else "")  # the goal is reflex's
    console.print(over_http)


def _verdict(reached: bool) -> str:
    return "[green]pass[/green]" if reached else "[bold red]miss[/bold red]"


if __name__ == "__main__":
    sys.exit(main())
