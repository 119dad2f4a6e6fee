"""`make soak`: hours of traffic with clients that leave, and whether anything grows or is left behind.

The gateway runs with its defaults and a cache. Every fifth client leaves, in any phase. Conversations come from a set
of 2,000, so that what is remembered in the process, which is bounded by bytes, is full early.

Resident memory keeps the mark of the moment when most was under way at once, since Python gives back an arena only
when nothing at all is left in it. So that a hiccup of the machine in the fortieth minute does not look like growth,
that moment is made at the start. What that could hide, a slow leak that fills the arenas' gaps first, shows in the
blocks of memory in use.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import random
import re
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import psutil
from rich.console import Console

from tests.bench.subjects import free_port
from tests.chaos.load import CHAT
from tests.chaos.scenarios import own_process
from tests.chaos.world import LONG, World
from tests.gateway.serving import RunningGateway

MOST_GROWTH = 0.02
SETTLES_S = 600.0
EVERY_S = 5.0
CONVERSATIONS = 2000
LEAVE_SHARE = 0.2
LINGER_S = 75.0
CROWD = 500
"""Requests at once, at the start."""

_GAUGES = ("thalamus_in_flight_requests", "thalamus_replica_in_flight", "thalamus_replica_tokens_in_flight",
           "thalamus_queue_depth", "thalamus_oldest_request_age_seconds")  # fmt: skip


@dataclass(frozen=True)
class Sample:
    """How the process is at one moment."""

    at_s: float
    rss: int
    blocks: float
    """Blocks of memory in use."""
    sockets: int
    tasks: int
    left_behind: float
    """Sum of the gauges that are 0 when nothing is under way."""
    counted: int
    """Requests that have their record."""


@dataclass
class Sent:
    """What was sent, and what became of it."""

    sent: int = 0
    left: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)


async def ask(session: aiohttp.ClientSession, number: int, sent: Sent, chance: random.Random) -> None:
    """Send one request, and perhaps leave before it is answered."""
    conversation = number % CONVERSATIONS
    body = {
        "model": "auto",
        "stream": bool(number % 2),
        "messages": [{"role": "user", "content": f"Conversation {conversation} says something of some length."}],
    }
    patience_s = chance.uniform(0.005, 0.15) if chance.random() < LEAVE_SHARE else 60.0
    try:
        async with asyncio.timeout(patience_s), session.post(CHAT, json=body) as answer:
            raw = await answer.read()
            sent.statuses[answer.status] += 1
            if answer.status != 200 or (body["stream"] and not raw.endswith(b"[DONE]\n\n")):
                sent.failures.append(f"{number}: {answer.status} {raw[-120:]!r}")
    except TimeoutError:
        sent.left += 1
        if patience_s == 60.0:
            sent.failures.append(f"{number}: no answer")
    except aiohttp.ClientError as error:
        sent.failures.append(f"{number}: {type(error).__name__}")


def counting(sent: Sent) -> aiohttp.TraceConfig:
    """Count a request once it is on its way: who leaves while still connecting has asked nothing."""

    async def count(*_: object) -> None:
        sent.sent += 1

    trace = aiohttp.TraceConfig()
    trace.on_request_headers_sent.append(count)
    return trace


async def sample(gateway: RunningGateway, session: aiohttp.ClientSession, started: float) -> Sample:
    """Look at the process, from outside and as it sees itself."""
    async with session.get("/metrics") as answer:
        text = await answer.text()

    def total(name: str) -> float:
        return sum(float(value) for value in re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", text, re.MULTILINE))

    process = psutil.Process(gateway.process.pid)
    return Sample(
        at_s=time.monotonic() - started,
        rss=process.memory_info().rss,
        blocks=total("thalamus_memory_blocks"),
        sockets=len(process.net_connections()),
        tasks=int(total("thalamus_event_loop_tasks")),
        left_behind=sum(total(name) for name in _GAUGES),
        counted=int(total("thalamus_requests_total")),
    )


async def settled(gateway: RunningGateway, session: aiohttp.ClientSession, started: float, sockets: int) -> Sample:
    """Wait until connections have gone, and look; those to backends are kept for 30 s, and looked at every 30 s."""
    deadline = time.monotonic() + LINGER_S
    while True:
        seen = await sample(gateway, session, started)
        if seen.sockets <= sockets or time.monotonic() >= deadline:
            return seen
        await asyncio.sleep(2.0)


@dataclass(frozen=True)
class Load:
    """So many requests a second or, with `clients`, so many at once, each asking again when it is answered."""

    rate: float
    clients: int | None = None

    async def next_turn(self, started: float, number: int, asking: set[asyncio.Task[None]]) -> None:
        """Wait until the request after `number` is due."""
        if self.clients is None:
            await asyncio.sleep(max(0.0, started + number / self.rate - time.monotonic()))
        elif len(asking) >= self.clients:
            await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)

    def __str__(self) -> str:
        return f"{self.rate:g}/s" if self.clients is None else f"{self.clients} at once"


async def soak(gateway: RunningGateway, load: Load, seconds: float, console: Console) -> tuple[Sent, list[Sample]]:
    """Load for so long; the first sample is of the gateway before, the last of the gateway after."""
    sent, samples, chance, started = Sent(), [], random.Random(1), time.monotonic()
    async with aiohttp.ClientSession(gateway.url, connector=aiohttp.TCPConnector(force_close=True)) as looking:
        samples.append(await sample(gateway, looking, started))
        asking = aiohttp.ClientSession(
            gateway.url, connector=aiohttp.TCPConnector(limit=0), trace_configs=[counting(sent)]
        )
        async with asking as session:
            await asyncio.gather(*(ask(session, number, sent, chance) for number in range(CROWD)))
            tasks: set[asyncio.Task[None]] = set()
            next_look, next_word = EVERY_S, 60.0
            for number in itertools.count():
                now = time.monotonic() - started
                if now >= seconds:
                    break
                if now >= next_look:
                    next_look += EVERY_S
                    samples.append(await sample(gateway, looking, started))
                if now >= next_word:
                    next_word += 60.0
                    last = samples[-1]
                    console.print(
                        f"{now / 60:5.0f} min  {last.rss / 2**20:.1f} MB  {last.blocks / 1000:.0f} thousand blocks  "
                        f"{last.tasks} tasks  {sent.sent} sent"
                    )
                task = asyncio.create_task(ask(session, number, sent, chance))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
                await load.next_turn(started, number, tasks)
            await asyncio.gather(*tasks)
        samples.append(await settled(gateway, looking, started, samples[0].sockets))
    return sent, samples


def judge(sent: Sent, samples: Sequence[Sample], seconds: float) -> tuple[str, list[str]]:
    """Say how it went, and what is wrong with that."""
    settled_s = min(SETTLES_S, seconds / 3)
    window_s = min(60.0, seconds / 6)
    early = [one for one in samples[1:-1] if settled_s <= one.at_s < settled_s + window_s]
    late = [one for one in samples[1:-1] if one.at_s >= seconds - window_s]
    before, after = samples[0], samples[-1]
    faults = list(sent.failures[:3])
    told = []
    # Of the blocks the least, since those of requests under way come and go.
    for what, first, last in (
        ("MB of resident memory", _mean_mb(early), _mean_mb(late)),
        ("thousand blocks in use", _least_blocks(early), _least_blocks(late)),
    ):
        told.append(f"{what} {last / first - 1:+.1%} ({first:.1f} → {last:.1f})")
        if last / first - 1 > MOST_GROWTH:
            faults.append(f"{what} grew by {last / first - 1:.1%}")
    if after.tasks > before.tasks or after.sockets > before.sockets or after.left_behind:
        faults.append(f"left behind: {before} → {after}")
    if after.counted - before.counted != sent.sent:
        faults.append(f"{after.counted - before.counted} records of {sent.sent} requests")
    words = (
        f"{sent.sent} requests, {sent.left} clients left, {len(sent.failures)} failed; {', '.join(told)} after the "
        f"first {settled_s / 60:.1f} minutes; tasks {before.tasks} → {after.tasks}, "
        f"sockets {before.sockets} → {after.sockets}"
    )
    return words, faults


def _mean_mb(samples: Sequence[Sample]) -> float:
    return statistics.mean(one.rss for one in samples) / 2**20


def _least_blocks(samples: Sequence[Sample]) -> float:
    return min(one.blocks for one in samples) / 1000


def run(load: Load, seconds: float, console: Console) -> tuple[str, list[str]]:
    """Start a stand-in and a gateway, load, judge."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="thalamus-soak-") as folder, own_process(port, "token_ms=10"):
        backends: dict[str, Any] = {"swift": {"model": "m", "url": f"http://127.0.0.1:{port}/v1"}}
        sections: dict[str, Any] = {
            "cache": {"mode": "exact", "ttl_s": 5},
            "telemetry": {"log_format": "json", "log_level": "warning"},
        }
        with World(Path(folder), LONG).gateway(backends, {"fast": "swift", "deep": "swift"}, **sections) as gateway:
            sent, samples = asyncio.run(soak(gateway, load, seconds, console))
    return judge(sent, samples, seconds)


def main() -> int:
    """Run from the command line; 1 if something grew, failed or was left behind."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--rate", type=float, default=200.0, help="requests a second")
    parser.add_argument(
        "--clients", type=int, help="so many requests at once instead, as fast as they are answered: for a busy machine"
    )
    options = parser.parse_args()
    console, load = Console(highlight=False), Load(options.rate, options.clients)
    words, faults = run(load, options.minutes * 60, console)
    console.print(f"{'missed' if faults else 'held'}: {options.minutes:g} min at {load}: {words}")
    for fault in faults:
        console.print(f"  {fault}", markup=False)
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
