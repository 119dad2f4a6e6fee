"""`python -m tests.bench.limiting`: how exactly four workers hold limits, over two minutes of pressing.

`thalamus serve --workers 4` over one Redis, and two keys that ask for several times what they may: one has a limit of
requests a minute, one of tokens a minute. Told is what went through in the first minute, which begins with nothing
used, and at most in any stretch of a minute.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import aiohttp
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from gateway.standin import running_standin
from tests.chaos.load import CHAT
from tests.gateway.serving import running_gateway, settings_over
from tests.unit.gateway.redis_server import running_redis

WITHIN = 0.01
"""By what share of a limit may be missed: that much less in the first minute, that much more in any."""

WINDOW_S = 60.0
WORKERS = 4
CLIENTS = 8
"""For each key; every one has a connection of its own, so that all workers are asked."""

_PAUSE_S = 0.1
_LIMITS = {"calls": 600, "tokens": 30_000}


@dataclass(frozen=True)
class Held:
    """What a limit let through."""

    limit: int
    first_minute: int
    any_minute: int
    answered: int
    refused: int

    @property
    def is_exact(self) -> bool:
        """Whether it let through what it says."""
        return self.first_minute >= self.limit * (1 - WITHIN) and self.any_minute <= self.limit * (1 + WITHIN)


class _Presser:
    """Asks with one key from all its clients, and notes when something was let through, and how much that was."""

    def __init__(self, unit: str, token: str) -> None:
        self._unit = unit
        self._token = token
        self._through: list[tuple[float, int]] = []
        self._refused = 0

    async def press(self, url: str, until: float) -> None:
        """Ask on one connection until time is up."""
        body = {"model": "fast", "max_tokens": 100, "messages": [{"role": "user", "content": "Say how it is."}]}
        headers = {"authorization": f"Bearer {self._token}"}
        async with aiohttp.ClientSession(url, headers=headers) as session:
            while (asked := time.monotonic()) < until:
                async with session.post(CHAT, json=body) as answer:
                    told: dict[str, Any] = await answer.json()
                if answer.status == 200:
                    self._through.append((asked, told["usage"]["total_tokens"] if self._unit == "tokens" else 1))
                elif answer.status == 429:
                    self._refused += 1
                else:
                    raise RuntimeError(f"{answer.status}: {told}")
                await asyncio.sleep(_PAUSE_S)

    def held(self, started: float) -> Held:
        """Sum up."""
        through = sorted(self._through)
        most = used = oldest = 0
        for at, amount in through:
            used += amount
            while through[oldest][0] <= at - WINDOW_S:
                used -= through[oldest][1]
                oldest += 1
            most = max(most, used)
        first = sum(amount for at, amount in through if at < started + WINDOW_S)
        return Held(_LIMITS[self._unit], first, most, len(through), self._refused)


async def measure(folder: Path, seconds: float) -> dict[str, Held]:
    """Press for some seconds, and give what each limit let through."""
    pressers = {unit: _Presser(unit, f"tha-bench-{unit}") for unit in _LIMITS}
    keys = [
        {
            "name": unit,
            "sha256": hashlib.sha256(f"tha-bench-{unit}".encode()).hexdigest(),
            "limits": [{"window_s": WINDOW_S, unit: most}],
        }
        for unit, most in _LIMITS.items()
    ]
    with running_standin() as standin, running_redis() as redis:
        shared = {"redis": {"url": redis.url, "deadline_ms": 1000}, "server": {"workers": WORKERS}}
        with running_gateway(settings_over(standin.url, keys=keys, **shared), folder) as gateway:
            started = time.monotonic()
            async with asyncio.TaskGroup() as crowd:
                for presser in pressers.values():
                    for _ in range(CLIENTS):
                        crowd.create_task(presser.press(gateway.url, started + seconds))
                crowd.create_task(_show(seconds))
    return {unit: presser.held(started) for unit, presser in pressers.items()}


async def _show(seconds: float) -> None:
    with Progress(console=Console(stderr=True), transient=True) as progress:
        for _ in progress.track(range(round(seconds)), description="pressing"):
            await asyncio.sleep(1)


def main() -> int:
    """Measure, and print a table or JSON; 1 if a limit was not held."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.limiting", description=__doc__)
    parser.add_argument("--seconds", type=float, default=2 * WINDOW_S)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="thalamus-limiting-") as folder:
        found = asyncio.run(measure(Path(folder), options.seconds))
    if options.json:
        print(json.dumps({unit: asdict(held) for unit, held in found.items()}))
    else:
        table = Table("limit", "a minute", "first minute", "most in any minute", "answered", "refused", box=None)
        for unit, held in found.items():
            table.add_row(unit, *(f"{value:,}" for value in asdict(held).values()))
        Console().print(table)
    return 0 if all(held.is_exact for held in found.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
