"""From a decision to an answer: the cache is asked, then the backends in the decision's order until one answers.

Whoever fails before its first byte is routed around, and the failures are told in ``x-thalamus-attempts``; after the
first byte nobody else is asked, so that no token is ever sent twice.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from gateway.accounting import Attempt, Record
from gateway.cache.answer import Answer as KeptAnswer
from gateway.cache.exact import Plan
from gateway.cache.key import NotCanonical, cache_key
from gateway.cache.replay import Recorder, paced
from gateway.cache.replay import replay as replay_kept
from gateway.errors import UpstreamError, UpstreamFailed
from gateway.exchange import Call, Reply, StreamReply
from gateway.native import NativeAnswer, NativeRelay, read_answer
from gateway.reasoning import FrameRewriter, ReasoningOptions, rewrite_answer, show_answer, shown
from gateway.show import Show
from gateway.streaming import Relay
from gateway.upstream.base import Answer
from gateway.upstream.pool import Backend
from gateway.vault import Listener, Mended
from gateway.wire.usage import usage_of
from router.types import Decision, Target

T = TypeVar("T")

PASSED_ON_HEADERS = ("x-request-id", "openai-processing-ms", "openai-version", "openai-organization")
"""Headers of a backend's answer that clients may rely on; all others stay behind."""

CACHE_HEADER = "x-thalamus-cache"
_OPT_IN = {"on": True, "off": False}


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A request as one backend gets it."""

    body: bytes
    thinking: str
    """Effort asked and applied, for the response header."""
    mended: Mended | None = None
    """What was done to the history's reasoning, where anything could be."""
    listener: Listener | None = None
    """Hears the answer for the vault, where its reasoning may be wanted again."""
    native: bool = False
    """Whether it is a request for a response, which the backend answers in that API's own words."""


@dataclass(frozen=True, slots=True)
class Errand:
    """What is to be fetched, whoever answers.

    Attributes:
        path: of the endpoint below the backend's base URL, such as ``chat/completions``.
        fields: the client's request, field by field, for the cache.
        prepare: writes the request for one backend.
        stream: whether the answer is streamed.
        usage_asked: whether the client wants the usage in its stream.
        choices: how many answers it wants; 0 where answers have no reasoning to normalise.
        show: how much of the reasoning the client sees.
        both_names: whether it gets `reasoning` beside `reasoning_content`.
        inspect: reads a whole answer before it is kept or sent, and gives what is.
    """

    path: str
    fields: Mapping[str, msgspec.Raw]
    prepare: Callable[[Backend, Target], Outgoing]
    stream: bool = False
    usage_asked: bool = False
    choices: int = 0
    show: Show = Show.PASS
    both_names: bool = False
    inspect: Callable[[bytes], bytes] | None = None

    def normal(self, backend: Backend, body: bytes) -> bytes:
        """Give a whole answer with its reasoning under one name, as it is kept for whoever asks next."""
        return rewrite_answer(body, backend.reasoning) if self.choices else body

    def shown(self, backend: Backend, body: bytes) -> bytes:
        """Give a whole answer in its normal form with as much of the reasoning as the client sees."""
        return show_answer(body, self._options(backend)) if self.choices else body

    def rewriter(self, backend: Backend) -> FrameRewriter | None:
        """Give what does both to the frames of a stream."""
        return FrameRewriter(self._options(backend), choices=self.choices) if self.choices else None

    def _options(self, backend: Backend) -> ReasoningOptions:
        return shown(backend.reasoning, self.show, both_names=self.both_names)


async def forward(call: Call, decision: Decision, errand: Errand) -> Reply | StreamReply:
    """Give the answer: a kept one, or the first that a target of the decision gives.

    Raises:
        UpstreamError: the last one's failure, when none answered; or at once, when a backend refused the request.
    """
    call.record.stream = errand.stream
    keeping = _plan_keeping(call, decision, errand)
    if keeping is not None and (kept := await keeping.find(call, decision, errand)):
        return kept
    for number, target in enumerate(decision.targets, start=1):
        try:
            return await _ask(call, decision, target, errand, keeping)
        except UpstreamError as error:
            call.record.attempts.append(Attempt(target.backend, error.code))
            error.headers |= decision_headers(decision, call.record)
            if not error.retryable or number == len(decision.targets):
                raise
    raise AssertionError("a decision has at least one target")


def decision_headers(decision: Decision, record: Record) -> dict[str, str]:
    """Say who answers and why."""
    target = record.target or decision.targets[0]
    failed = any(attempt.error for attempt in record.attempts)
    headers = {
        "x-thalamus-decision-id": decision.id,
        "x-thalamus-backend": target.backend,
        "x-thalamus-reason": "fallback" if failed and target != decision.targets[0] else decision.reason.value,
        CACHE_HEADER: record.cache,
    }
    if target.tier is not None:
        headers["x-thalamus-tier"] = target.tier.value
    if target.effort is not None:
        headers["x-thalamus-effort"] = target.effort.value
    if decision.difficulty is not None:
        headers["x-thalamus-difficulty"] = f"{decision.difficulty:.3f}"
    if record.thinking:
        headers["x-thalamus-thinking"] = record.thinking
    if decision.resets_in_s is not None:
        headers["x-thalamus-limit-reset"] = f"{decision.resets_in_s:.0f}"
    if any(attempt.result != "ok" for attempt in record.attempts):
        headers["x-thalamus-attempts"] = ", ".join(f"{attempt.backend}={attempt.result}" for attempt in record.attempts)
    return headers


@dataclass(frozen=True, slots=True)
class _Keeping:
    """What the cache may do for one request."""

    key: str
    plan: Plan

    async def find(self, call: Call, decision: Decision, errand: Errand) -> Reply | StreamReply | None:
        """Give the kept answer as a reply, if there is one."""
        cache, record = call.rooms.cache, call.record
        hit = await cache.lookup(self.key, self.plan) if cache else None
        if hit is None:
            record.cache = "miss"
            return None
        record.cache, record.target = "hit-exact", decision.targets[0]
        headers = decision_headers(decision, record) | {"age": f"{hit.age_s:.0f}"}
        backend = call.rooms.backends[record.target.backend]
        if not errand.stream:
            return Reply(errand.shown(backend, errand.normal(backend, hit.answer.body)), headers)
        frames = replay_kept(hit.answer, usage_asked=errand.usage_asked, rewrite=errand.rewriter(backend))
        record.first_token_s = record.since_start()
        return StreamReply(b"", paced(frames, call.rooms.settings.cache.replay_pace), headers)

    async def keep(self, call: Call, answer: KeptAnswer) -> None:
        """Offer an answer to the cache."""
        if call.rooms.cache is not None:
            await call.rooms.cache.offer(self.key, answer, self.plan)


def _plan_keeping(call: Call, decision: Decision, errand: Errand) -> _Keeping | None:
    """Decide whether the cache takes part, and name the request in it."""
    cache = call.rooms.cache
    if cache is None:
        return None
    fields = {
        name: msgspec.json.decode(errand.fields[name]) for name in ("temperature", "seed") if name in errand.fields
    }
    endpoint = f"/v1/{errand.path}"
    plan = cache.plan(
        endpoint,
        fields,
        cache_control=call.headers.get("cache-control"),
        opted_in=_OPT_IN.get(call.headers.get(CACHE_HEADER, "")),
    )
    if not (plan.read or plan.write):
        return None
    first = decision.targets[0]
    model = call.rooms.backends[first.backend].settings.model
    try:
        key = cache_key(call.caller.tenant, endpoint, f"{first.backend}/{model}", first.effort, errand.fields)
    except NotCanonical:
        return None
    return _Keeping(key, plan)


async def _ask(
    call: Call, decision: Decision, target: Target, errand: Errand, keeping: _Keeping | None
) -> Reply | StreamReply:
    """Ask one target."""
    record = call.record
    record.target = target
    backend = call.rooms.backends[target.backend]
    outgoing = errand.prepare(backend, target)
    record.thinking = outgoing.thinking
    if outgoing.mended is not None:
        call.rooms.metrics.record_history(backend.name, outgoing.mended)
    if target != decision.targets[0]:
        keeping = None  # kept under the first target's name, it would pass for that one's answer
    answer = await _timed(record, backend.open("responses" if outgoing.native else errand.path, outgoing.body))
    if outgoing.native and errand.stream:
        reply: Reply | StreamReply = await _begin_native_stream(call, backend, answer, keeping, outgoing.listener)
    elif outgoing.native:
        reply = await _read_native(call, backend, answer, keeping, outgoing.listener)
    elif errand.stream:
        reply = await _begin_stream(call, backend, answer, errand, keeping, outgoing.listener)
    else:
        reply = await _read_whole(call, backend, answer, errand, keeping, outgoing.listener)
    if outgoing.listener is not None:
        reply.after = _keep_reasoning(call, outgoing.listener, reply.after)
    record.attempts.append(Attempt(target.backend, None))
    reply.headers = decision_headers(decision, record) | _passed_on(answer.headers)
    return reply


def _keep_reasoning(
    call: Call, listener: Listener, before: Callable[[], Awaitable[None]] | None
) -> Callable[[], Awaitable[None]]:
    """Give what is to run once the client has its answer: what was planned already, then the vault."""

    async def keep() -> None:
        if before is not None:
            await before()
        if call.rooms.vault is not None:
            await call.rooms.vault.keep(call.caller.tenant, listener)

    return keep


async def _read_whole(
    call: Call,
    backend: Backend,
    answer: Answer,
    errand: Errand,
    keeping: _Keeping | None,
    listener: Listener | None,
) -> Reply:
    try:
        body = await _timed(call.record, answer.read())
        if listener is not None:
            listener.hear_answer(body)
        body = errand.normal(backend, body)
        call.record.usage = usage_of(body)
        if errand.inspect is not None:
            body = errand.inspect(body)
    except ValueError:
        raise UpstreamFailed(
            f"Backend '{backend.name}' sent an answer that is not JSON.", backend=backend.name
        ) from None
    finally:
        await answer.close()
    reply = Reply(errand.shown(backend, body))
    if keeping is not None:  # what is kept is all that was said: the next caller may see more of it, or less
        reply.after = lambda: keeping.keep(call, KeptAnswer(200, "application/json", body))
    return reply


async def _begin_stream(
    call: Call,
    backend: Backend,
    answer: Answer,
    errand: Errand,
    keeping: _Keeping | None,
    listener: Listener | None,
) -> StreamReply:
    """Wait for the first piece: until it is here, another backend may still be asked."""
    rewriter = errand.rewriter(backend)
    rewrite = listener.around(rewriter) if listener is not None and rewriter is not None else rewriter
    relay = Relay(backend.name, usage_asked=errand.usage_asked, rewrite=rewrite)
    recorder = Recorder(call.rooms.settings.cache.max_value_bytes) if keeping else None
    pieces = _relay(call.record, relay, answer, rewriter, recorder)
    try:
        _check_is_event_stream(answer, backend)
        first = await anext(pieces, b"")
    except BaseException:  # cancelled or failed: nobody else will close what is not handed over
        await pieces.aclose()
        await answer.close()
        raise

    async def keep() -> None:
        if keeping is not None and recorder is not None and (recorded := recorder.answer()):
            await keeping.keep(call, recorded)

    return StreamReply(first, pieces, after=keep if keeping else None)


async def _read_native(
    call: Call, backend: Backend, answer: Answer, keeping: _Keeping | None, listener: Listener | None
) -> Reply:
    try:
        native = read_answer(await _timed(call.record, answer.read()), backend.name)
    finally:
        await answer.close()
    call.record.usage = native.usage
    body = msgspec.json.encode(native.response)
    return Reply(body, after=lambda: _settle_native(call, native, keeping, listener), native=True)


async def _begin_native_stream(
    call: Call, backend: Backend, answer: Answer, keeping: _Keeping | None, listener: Listener | None
) -> StreamReply:
    """Wait for the first event that is more than an announcement: until then, another backend may still be asked."""
    relay = NativeRelay(backend.name)
    pieces = _relay(call.record, relay, answer, None, None)
    try:
        _check_is_event_stream(answer, backend)
        first = await anext(pieces, b"")
    except BaseException:  # cancelled or failed: nobody else will close what is not handed over
        await pieces.aclose()
        await answer.close()
        raise

    async def settle() -> None:
        if relay.answer is not None:
            await _settle_native(call, relay.answer, keeping, listener)

    return StreamReply(first, pieces, after=settle, native=True)


async def _settle_native(call: Call, native: NativeAnswer, keeping: _Keeping | None, listener: Listener | None) -> None:
    """Let the vault and the cache have an answer in the form in which they know all others."""
    if listener is not None and (heard := native.as_chat(with_items=True)) is not None:
        listener.hear_answer(heard)
    if keeping is not None and (kept := native.as_chat()) is not None and not native.calls_tools:
        await keeping.keep(call, KeptAnswer(200, "application/json", kept))


def _check_is_event_stream(answer: Answer, backend: Backend) -> None:
    if not answer.headers.get("content-type", "").startswith("text/event-stream"):
        raise UpstreamFailed(f"Backend '{backend.name}' did not answer with an event stream.", backend=backend.name)


async def _relay(
    record: Record,
    relay: Relay | NativeRelay,
    answer: Answer,
    rewriter: FrameRewriter | None,
    recorder: Recorder | None,
) -> AsyncGenerator[bytes, None]:
    """Yield what can be sent on, as it arrives; close the backend's answer at the end, whatever the end is."""
    clock = time.perf_counter
    waiting = clock()
    try:
        async with aclosing(answer.chunks()) as chunks:
            async for chunk in chunks:
                record.upstream_s += clock() - waiting
                if recorder is not None:
                    recorder.feed(chunk)
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
        if record.usage is not None and rewriter is not None and not record.usage.reasoning:
            record.usage = record.usage.with_estimate(rewriter.reasoning_tokens)
        await answer.close()


async def _timed(record: Record, waiting: Awaitable[T]) -> T:
    started = time.perf_counter()
    try:
        return await waiting
    finally:
        record.upstream_s += time.perf_counter() - started


def _passed_on(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: headers[name] for name in PASSED_ON_HEADERS if name in headers}
