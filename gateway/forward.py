"""From a decision to an answer: the backends are asked in the decision's order until one begins to answer.

Whoever fails before its first byte is routed around, and the failures are told in ``x-thalamus-attempts``; after the
first byte nobody else is asked, so that no token is ever sent twice.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import TypeVar

from gateway.accounting import Attempt, Record
from gateway.errors import UpstreamError, UpstreamFailed
from gateway.exchange import Call, Reply, StreamReply
from gateway.streaming import Relay
from gateway.upstream.base import Answer
from gateway.upstream.pool import Backend
from gateway.wire.usage import usage_of
from router.types import Decision, Target

T = TypeVar("T")

PASSED_ON_HEADERS = ("x-request-id", "openai-processing-ms", "openai-version", "openai-organization")
"""Headers of a backend's answer that clients may rely on; all others stay behind."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A request as one backend gets it."""

    body: bytes
    thinking: str
    """Effort asked and applied, for the response header."""


Prepare = Callable[[Backend, Target], Outgoing]


async def forward(
    call: Call, decision: Decision, prepare: Prepare, *, path: str, stream: bool, usage_asked: bool
) -> Reply | StreamReply:
    """Ask the decision's targets in turn and give the first answer.

    Raises:
        UpstreamError: the last one's failure, when none answered; or at once, when a backend refused the request.
    """
    record = call.record
    record.stream = stream
    for number, target in enumerate(decision.targets, start=1):
        backend = call.rooms.backends[target.backend]
        record.target = target
        try:
            outgoing = prepare(backend, target)
            record.thinking = outgoing.thinking
            answer = await _timed(record, backend.open(path, outgoing.body))
            if stream:
                return await _begin_stream(call, decision, backend, answer, usage_asked)
            return await _read_whole(call, decision, backend, answer)
        except UpstreamError as error:
            record.attempts.append(Attempt(target.backend, error.code))
            error.headers |= decision_headers(decision, record)
            if not error.retryable or number == len(decision.targets):
                raise
    raise AssertionError("a decision has at least one target")


def decision_headers(decision: Decision, record: Record) -> dict[str, str]:
    """Say who answers and why."""
    target = record.target or decision.targets[0]
    failed = [attempt for attempt in record.attempts if attempt.error]
    headers = {
        "x-thalamus-decision-id": decision.id,
        "x-thalamus-backend": target.backend,
        "x-thalamus-reason": "fallback" if failed and target != decision.targets[0] else decision.reason.value,
        "x-thalamus-cache": "bypass",
    }
    if target.tier is not None:
        headers["x-thalamus-tier"] = target.tier.value
    if target.effort is not None:
        headers["x-thalamus-effort"] = target.effort.value
    if decision.difficulty is not None:
        headers["x-thalamus-difficulty"] = f"{decision.difficulty:.3f}"
    if record.thinking:
        headers["x-thalamus-thinking"] = record.thinking
    if failed:
        headers["x-thalamus-attempts"] = ", ".join(
            f"{attempt.backend}={attempt.error or 'ok'}" for attempt in record.attempts
        )
    return headers


async def _read_whole(call: Call, decision: Decision, backend: Backend, answer: Answer) -> Reply:
    try:
        body = await _timed(call.record, answer.read())
        call.record.usage = usage_of(body)
    except ValueError:
        raise UpstreamFailed(
            f"Backend '{backend.name}' sent an answer that is not JSON.", backend=backend.name
        ) from None
    finally:
        await answer.close()
    call.record.attempts.append(Attempt(backend.name, None))
    return Reply(body, decision_headers(decision, call.record) | _passed_on(answer.headers))


async def _begin_stream(
    call: Call, decision: Decision, backend: Backend, answer: Answer, usage_asked: bool
) -> StreamReply:
    """Wait for the first piece: until it is here, another backend may still be asked."""
    relay = Relay(backend.name, usage_asked=usage_asked)
    pieces = _relay(call.record, relay, answer)
    try:
        _check_is_event_stream(answer, backend)
        first = await anext(pieces, b"")
    except BaseException:  # cancelled or failed: nobody else will close what is not handed over
        await pieces.aclose()
        await answer.close()
        raise
    call.record.attempts.append(Attempt(backend.name, None))
    return StreamReply(first, pieces, decision_headers(decision, call.record) | _passed_on(answer.headers))


def _check_is_event_stream(answer: Answer, backend: Backend) -> None:
    if not answer.headers.get("content-type", "").startswith("text/event-stream"):
        raise UpstreamFailed(f"Backend '{backend.name}' did not answer with an event stream.", backend=backend.name)


async def _relay(record: Record, relay: Relay, answer: Answer) -> AsyncGenerator[bytes, None]:
    """Yield what can be sent on, as it arrives; close the backend's answer at the end, whatever the end is."""
    clock = time.perf_counter
    waiting = clock()
    try:
        async with aclosing(answer.chunks()) as chunks:
            async for chunk in chunks:
                record.upstream_s += clock() - waiting
                piece = relay.feed(chunk)
                if relay.output_seen and record.first_token_s is None:
                    record.first_token_s = record.since_start()
                if piece:
                    yield piece
                waiting = clock()
                if relay.done:
                    break
        if last := relay.finish():
            yield last
    finally:
        record.usage = relay.usage
        await answer.close()


async def _timed(record: Record, waiting: Awaitable[T]) -> T:
    started = time.perf_counter()
    try:
        return await waiting
    finally:
        record.upstream_s += time.perf_counter() - started


def _passed_on(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: headers[name] for name in PASSED_ON_HEADERS if name in headers}
