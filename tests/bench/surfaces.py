"""`python -m tests.bench.surfaces`: what one streamed event costs where it is rewritten, on each surface.

The upstream streams an answer, or reasoning before it: under vLLM's name, or between `<think>` tags. The gateway gives
it as chat completions, as Anthropic's Messages, and as OpenAI's Responses.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import sys
from dataclasses import asdict, dataclass
from urllib.request import Request, urlopen

from rich.console import Console
from rich.table import Table

from tests.bench.load import LoadError, post, streams
from tests.bench.phases import STREAMS, Kind
from tests.bench.prompts import PROMPTS
from tests.bench.subjects import HOST, Running, StartError, Subject, gateway_over_upstream

GOAL_US = 150
SURFACES = ("chat/completions", "messages", "responses")

_COUNT, _TOKENS, _ANSWER, _TOKEN_MS = 100, 80, 20, 10


@dataclass(frozen=True, slots=True)
class Streamed:
    """What streams of one kind cost on one surface: microseconds of the gateway's CPU for each event that it gives."""

    surface: str
    reasoning: str
    events: int
    cpu_us: float

    @property
    def reached(self) -> bool:
        """Whether the goal is reached."""
        return self.cpu_us <= GOAL_US


def main() -> int:
    """Measure and print; 1 when a server failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.surfaces", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    try:
        found = asyncio.run(_measure(options.rounds))
    except (StartError, LoadError) as error:
        print(error, file=sys.stderr)
        return 1
    if options.json:
        print(json.dumps([asdict(one) for one in found], indent=2))
    else:
        _print(found)
    return 0


async def _measure(rounds: int) -> list[Streamed]:
    with gateway_over_upstream() as (source, gateway):
        found = []
        for kind in STREAMS:
            _behave(source, kind)
            await _stream(gateway, SURFACES[0])  # warms up
            for surface in SURFACES:
                each = [await _stream(gateway, surface) for _ in range(rounds)]
                events, cpu = (sum(values) for values in zip(*each, strict=True))
                found.append(Streamed(surface, kind, int(events), round(cpu / events * 1e6, 1)))
        return found


async def _stream(gateway: Running, surface: str) -> tuple[float, float]:
    """Let all streams run once; give the events that came and the CPU seconds that they took."""
    subject, before = gateway.subject, gateway.cpu_seconds()
    requests = (_ask(subject, surface, prompt) for prompt in itertools.cycle(PROMPTS))
    seen = await streams(HOST, subject.port, requests, count=_COUNT, over_seconds=0.4, patience=90)
    return seen.events, gateway.cpu_seconds() - before


def _ask(subject: Subject, surface: str, prompt: str) -> bytes:
    said = [{"role": "user", "content": prompt}]
    fields = {
        "chat/completions": {"messages": said},
        "messages": {"messages": said, "max_tokens": 30_000, "thinking": {"type": "adaptive"}},
        "responses": {"input": prompt, "store": False},
    }[surface]
    body = json.dumps({"model": subject.model, "stream": True, **fields}, ensure_ascii=False).encode()
    return post(f"/v1/{surface}", body, dict(subject.headers), f"{HOST}:{subject.port}")


def _behave(source: Subject, kind: Kind) -> None:
    answer = _TOKENS if kind == "plain" else _ANSWER
    thoughts = _TOKENS - answer
    pace = {"tokens": answer, "token_ms": _TOKEN_MS, "thinking_ms": thoughts * _TOKEN_MS}
    switches = {**STREAMS[kind], **pace, "thinking_tokens": thoughts}
    request = Request(f"http://{HOST}:{source.port}/standin/behaviour", data=json.dumps(switches).encode())
    with urlopen(request, timeout=10) as told:
        told.read()


def _print(found: list[Streamed]) -> None:
    table = Table(title=f"CPU per event given, {_COUNT} streams at once")
    for title in ("surface", "reasoning", "events", "CPU", f"≤ {GOAL_US} µs"):
        table.add_column(title, justify="left" if title in ("surface", "reasoning") else "right")
    for one in found:
        verdict = "[green]pass[/green]" if one.reached else "[bold red]miss[/bold red]"
        table.add_row(f"/v1/{one.surface}", one.reasoning, f"{one.events:,}", f"{one.cpu_us:.0f} µs", verdict)
    Console().print(table)


if __name__ == "__main__":
    sys.exit(main())
