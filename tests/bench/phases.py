"""What is measured: one connection, thirty-two connections, a hundred streams of three kinds, round after round."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal
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


Kind = Literal["plain", "renamed", "apart"]
STREAMS: Mapping[Kind, Mapping[str, str | int]] = {
    "plain": {"thinking": "asked", "thinking_tokens": 0},
    "renamed": {"thinking": "always", "thinking_field": "reasoning"},
    "apart": {"thinking": "always", "thinking_field": "inline"},
}
"""The kinds of streams, and how the upstream makes them: without reasoning; with reasoning under vLLM's name, which the
gateway renames; with reasoning between tags inside the text, which it takes apart."""

_ANSWER_TOKENS = 20
"""Tokens of the answer in streams that think: the rest is reasoning, so that nearly every event is rewritten."""


@dataclass(slots=True)
class Streamed:
    """What was seen of one kind of streams."""

    samples: Samples = field(default_factory=Samples)
    cpu: float = 0.0

    @property
    def cpu_per_event_us(self) -> float:
        """CPU of the subject for one event that it passed on, in microseconds."""
        return self.cpu * 1e6 / self.samples.events


@dataclass(slots=True)
class Measured:
    """All that was seen of one subject; CPU is in seconds of the subject's processes."""

    running: Running
    single: Samples = field(default_factory=Samples)
    busy: Samples = field(default_factory=Samples)
    busy_cpu: float = 0.0
    streams: dict[Kind, Streamed] = field(default_factory=lambda: {kind: Streamed() for kind in STREAMS})
    hits: Samples = field(default_factory=Samples)
    hits_cpu: float = 0.0
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
        for kind in STREAMS:
            _behave_in_streams(upstream, kind, scale)
            for result in _turned(results, number):
                step(f"round {number}: {result.running.subject.name}, {scale.streams} streams ({kind})")
                await _measure_streams(result, kind, scale)
        _behave(upstream, tokens=_PLAIN_TOKENS, token_ms=0, **STREAMS["plain"])
    for result in results:
        result.resident_bytes = result.running.resident_bytes()
    return results


def count_steps(subjects: int, scale: Scale) -> int:
    """Return how often `measure` will call `step`."""
    return subjects * (1 + (2 + len(STREAMS)) * scale.rounds)


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
    if result.running.subject.cache_headers:
        await _measure_hits(result, scale)


async def _measure_hits(result: Measured, scale: Scale) -> None:
    """Measure answers from the cache, which the first passes over the prompts have filled."""
    await _closed_loop(result, connections=1, seconds=10, most=2 * len(PROMPTS), cached=True)
    before = result.running.cpu_seconds()
    result.hits.add(
        await _closed_loop(
            result, connections=BUSY_CONNECTIONS, seconds=scale.busy_seconds / 2, most=_MOST_REQUESTS, cached=True
        )
    )
    result.hits_cpu += result.running.cpu_seconds() - before


async def _measure_streams(result: Measured, kind: Kind, scale: Scale) -> None:
    subject, streamed = result.running.subject, result.streams[kind]
    before = result.running.cpu_seconds()
    seen = await streams(
        HOST,
        subject.port,
        map(_fresh, itertools.cycle(_requests(subject, stream=True))),
        count=scale.streams,
        over_seconds=scale.stream_seconds / 2,
        patience=_STREAM_PATIENCE,
    )
    streamed.samples.add(seen)
    streamed.cpu += result.running.cpu_seconds() - before


async def _closed_loop(
    result: Measured, *, connections: int, seconds: float, most: int, cached: bool = False
) -> Samples:
    subject = result.running.subject
    requests = itertools.cycle(_requests(subject, stream=False, cached=cached))
    if not cached:
        requests = map(_fresh, requests)
    return await closed_loop(HOST, subject.port, requests, connections=connections, seconds=seconds, most=most)


_FRESH = b"#00000000"
_numbers = itertools.count()


def _fresh(request: bytes) -> bytes:
    """Ask something that was never asked before: a gateway may know again what it has read once."""
    return request.replace(_FRESH, b"#%08d" % next(_numbers))


def _requests(subject: Subject, *, stream: bool, cached: bool = False) -> list[bytes]:
    """Return one request per prompt."""
    bodies = (
        {
            "model": subject.model,
            "messages": [{"role": "user", "content": f"{prompt} {_FRESH.decode()}"}],
            "temperature": 0.2,
            "stream": stream,
        }
        for prompt in PROMPTS
    )
    encoded = (json.dumps(body, ensure_ascii=False).encode() for body in bodies)
    headers = {**subject.headers, **(subject.cache_headers if cached else {})}
    return [post(CHAT, body, headers, f"{HOST}:{subject.port}") for body in encoded]


def _behave_in_streams(upstream: Subject, kind: Kind, scale: Scale) -> None:
    """Let the upstream stream as many tokens in every kind, at the same pace."""
    answer = scale.stream_tokens if kind == "plain" else _ANSWER_TOKENS
    thoughts = scale.stream_tokens - answer
    pace = {"tokens": answer, "token_ms": _TOKEN_MS, "thinking_ms": thoughts * _TOKEN_MS}
    _behave(upstream, **{**STREAMS[kind], **pace, "thinking_tokens": thoughts})


def _behave(upstream: Subject, **switches: float | str) -> None:
    url = f"http://{HOST}:{upstream.port}/standin/behaviour"
    with urlopen(Request(url, data=json.dumps(switches).encode()), timeout=10) as answer:
        answer.read()
