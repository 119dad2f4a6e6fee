"""What is measured: one connection, thirty-two connections, a hundred streams, round after round."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from urllib.request import Request, urlopen

from tests.bench.load import Samples, closed_loop, post, streams
from tests.bench.prompts import PROMPTS
from tests.bench.subjects import CHAT, HOST, Running, Subject

_PLAIN_TOKENS = 30
_TOKEN_MS = 10


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured. Every round visits every subject, so that a machine's moods hit all alike."""

    rounds: int = 5
    single_requests: int = 400
    single_seconds: float = 3.0
    busy_seconds: float = 3.0
    streams: int = 100
    stream_tokens: int = 200
    warm_up_requests: int = 400

    @property
    def stream_seconds(self) -> float:
        """How long one stream lasts when nobody delays it."""
        return self.stream_tokens * _TOKEN_MS / 1000


QUICK = Scale(
    rounds=2, single_requests=200, single_seconds=1.5, busy_seconds=1.5, stream_tokens=80, warm_up_requests=150
)
BUSY_CONNECTIONS = 32
_MOST_REQUESTS = 100_000
_STREAM_PATIENCE = 90


@dataclass(slots=True)
class Measured:
    """All that was seen of one subject; CPU is in seconds of the subject's processes."""

    running: Running
    single: Samples = field(default_factory=Samples)
    busy: Samples = field(default_factory=Samples)
    busy_cpu: float = 0.0
    streamed: Samples = field(default_factory=Samples)
    streamed_cpu: float = 0.0
    resident_bytes: int = 0


async def measure(
    upstream: Subject, subjects: list[Running], scale: Scale, step: Callable[[str], None]
) -> list[Measured]:
    """Measure all subjects and return them in their order; `step` hears what is done next."""
    results = [Measured(running) for running in subjects]
    _behave(upstream, tokens=_PLAIN_TOKENS, token_ms=0)
    for result in results:
        step(f"{result.running.subject.name}: warming up")
        await _closed_loop(result, connections=8, seconds=10, most=scale.warm_up_requests)
    for number in range(1, scale.rounds + 1):
        for result in _turned(results, number):
            await _measure_plain(result, scale, lambda what, n=number: step(f"round {n}: {what}"))
        _behave(upstream, tokens=scale.stream_tokens, token_ms=_TOKEN_MS)
        for result in _turned(results, number):
            step(f"round {number}: {result.running.subject.name}, {scale.streams} streams")
            await _measure_streams(result, scale)
        _behave(upstream, tokens=_PLAIN_TOKENS, token_ms=0)
    for result in results:
        result.resident_bytes = result.running.resident_bytes()
    return results


def count_steps(subjects: int, scale: Scale) -> int:
    """Return how often `measure` will call `step`."""
    return subjects * (1 + 3 * scale.rounds)


def _turned(results: list[Measured], number: int) -> Iterator[Measured]:
    """Yield the subjects, beginning with another in each round."""
    start = number % len(results)
    yield from results[start:] + results[:start]


async def _measure_plain(result: Measured, scale: Scale, step: Callable[[str], None]) -> None:
    name = result.running.subject.name
    step(f"{name}, 1 connection")
    result.single.add(
        await _closed_loop(result, connections=1, seconds=scale.single_seconds, most=scale.single_requests)
    )
    step(f"{name}, {BUSY_CONNECTIONS} connections")
    before = result.running.cpu_seconds()
    result.busy.add(
        await _closed_loop(result, connections=BUSY_CONNECTIONS, seconds=scale.busy_seconds, most=_MOST_REQUESTS)
    )
    result.busy_cpu += result.running.cpu_seconds() - before


async def _measure_streams(result: Measured, scale: Scale) -> None:
    subject = result.running.subject
    before = result.running.cpu_seconds()
    seen = await streams(
        HOST,
        subject.port,
        _requests(subject, stream=True),
        count=scale.streams,
        over_seconds=scale.stream_seconds / 2,
        patience=_STREAM_PATIENCE,
    )
    result.streamed.add(seen)
    result.streamed_cpu += result.running.cpu_seconds() - before


async def _closed_loop(result: Measured, *, connections: int, seconds: float, most: int) -> Samples:
    subject = result.running.subject
    requests = _requests(subject, stream=False)
    return await closed_loop(HOST, subject.port, requests, connections=connections, seconds=seconds, most=most)


def _requests(subject: Subject, *, stream: bool) -> list[bytes]:
    """Return one request per prompt."""
    bodies = (
        {
            "model": subject.model,
            "messages": [{"role": "user", "content": prompt}],
            "temperature": 0.2,
            "stream": stream,
        }
        for prompt in PROMPTS
    )
    encoded = (json.dumps(body, ensure_ascii=False).encode() for body in bodies)
    return [post(CHAT, body, dict(subject.headers), f"{HOST}:{subject.port}") for body in encoded]


def _behave(upstream: Subject, **switches: float) -> None:
    url = f"http://{HOST}:{upstream.port}/standin/behaviour"
    with urlopen(Request(url, data=json.dumps(switches).encode()), timeout=10) as answer:
        answer.read()
