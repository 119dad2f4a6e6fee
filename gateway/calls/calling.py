"""One call to one replica: written, opened, held until it is useful, and then either given or thrown away."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from gateway.cache.replay import Recorder
from gateway.calls.attempts import Step
from gateway.calls.errand import Errand, Outgoing
from gateway.calls.relaying import Stream, Tally, Watch, hold_until_useful
from gateway.errors import UpstreamError, UpstreamFailed, UpstreamTimeout
from gateway.exchange import Call, Reply, StreamReply
from gateway.native import NativeAnswer, NativeRelay, read_answer
from gateway.settings import TimeoutSettings
from gateway.streaming import Relay
from gateway.tracing import NO_SPAN, Span
from gateway.tracing.genai import operation_of, provider_of
from gateway.upstream.base import Answer, read_whole
from gateway.upstream.pool import Backend
from gateway.vault import Listener
from gateway.wire.ending import says_nothing
from gateway.wire.usage import usage_of

T = TypeVar("T")


@dataclass(slots=True)
class Content:
    """What an answer says, for those who keep some of it once it has ended.

    Apart from `Given`, so that what runs after a reply does not hold the reply that holds it: such a ring, and the
    whole request with it, would wait for the garbage collector.

    Attributes:
        body: of a whole answer in its normal form, for the cache; the reply may show less of it.
        recorder: has what a stream said, for the cache.
        relay: of a stream.
    """

    body: bytes | None = None
    recorder: Recorder | None = None
    relay: Relay | NativeRelay | None = None
    native_answer: NativeAnswer | None = None

    @property
    def native(self) -> NativeAnswer | None:
        """The response of a backend that answered in that API's own words, once it has ended."""
        return self.relay.answer if isinstance(self.relay, NativeRelay) else self.native_answer


@dataclass(slots=True)
class Given:
    """What one call gave: the reply, without the decision's headers yet.

    Attributes:
        headers: of the backend's answer.
    """

    step: Step
    reply: Reply | StreamReply
    headers: Mapping[str, str]
    outgoing: Outgoing
    tally: Tally
    content: Content

    async def discard(self) -> None:
        """Close what was opened."""
        if isinstance(self.reply, StreamReply):
            await self.reply.rest.aclose()


async def call_once(call: Call, errand: Errand, step: Step, *, record_stream: bool) -> Given:
    """Make one call, and wait until its answer is whole or, for a stream, of use.

    Args:
        call: the request being served; nothing of it is changed, so that two calls may race.
        errand: what is asked.
        step: of whom; its lease is released when the answer is closed, or here.
        record_stream: whether a stream is recorded for the cache.

    Raises:
        UpstreamError: what was asked for did not come, or not in time.
    """
    backend, lease = call.rooms.backends[step.target.backend], step.lease
    span = _begin_span(call, errand, step, backend)
    try:
        outgoing = errand.prepare(backend, step.target)
        async with _patience(backend, step) as patience:
            tally = Tally()
            path = "responses" if outgoing.native else errand.path
            if outgoing.thinking:
                span.note({"thalamus.thinking": outgoing.thinking})
            answer = await _timed(tally, lease.open(path, outgoing.body, _headers(call, backend, span)))
            if errand.stream:
                given = await _begin_stream(
                    call, errand, step, backend, answer, outgoing, tally, patience, span, record_stream=record_stream
                )
            else:
                go_on = _going_on(patience, backend.settings.timeouts, step)
                given = await _read_given(backend, errand, step, answer, outgoing, tally, go_on)
                span.note(tally.told())
                span.end()
    except UpstreamError as error:
        lease.failed(error)
        lease.release()
        span.stop(error)
        raise
    except BaseException as error:
        lease.release()
        span.stop(error)
        raise
    lease.succeeded()
    return given


def _begin_span(call: Call, errand: Errand, step: Step, backend: Backend) -> Span:
    """Begin the span of a call, as the GenAI conventions name it."""
    trace = call.record.trace
    if not trace.is_on:
        return NO_SPAN
    operation, model, target = operation_of(errand.path), backend.settings.model, step.target
    span = trace.begin_call(f"{operation} {model}")
    span.note(
        {
            "gen_ai.operation.name": operation,
            "gen_ai.provider.name": provider_of(backend.dialect.host),
            "gen_ai.request.model": model,
            "gen_ai.request.stream": errand.stream or None,
            "thalamus.backend": target.backend,
            "thalamus.replica": step.lease.replica.name,
            "thalamus.tier": target.tier and target.tier.value,
            "thalamus.effort": target.effort and target.effort.value,
        }
    )
    return span


class _patience:  # noqa: N801  used as a function, as asyncio.timeout is
    """The deadline until an answer is of use; passing it is the backend's failure."""

    def __init__(self, backend: Backend, step: Step) -> None:
        self._backend = backend.name
        loop = asyncio.get_running_loop()
        self._timeout = asyncio.timeout_at(min(loop.time() + backend.settings.timeouts.first_token, step.ends_at))

    async def __aenter__(self) -> asyncio.Timeout:
        return await self._timeout.__aenter__()

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        try:
            await self._timeout.__aexit__(kind, error, trace)  # type: ignore[arg-type]
        except TimeoutError:
            raise UpstreamTimeout(f"Backend '{self._backend}' did not answer in time.", backend=self._backend) from None


def _going_on(patience: asyncio.Timeout, timeouts: TimeoutSettings, step: Step) -> Callable[[], None]:
    """Give what is called as a plain answer arrives: what follows must come within the idle deadline."""
    loop, ends_at = asyncio.get_running_loop(), _ends_at(timeouts, step)
    return lambda: patience.reschedule(min(loop.time() + timeouts.idle, ends_at))


def _ends_at(timeouts: TimeoutSettings, step: Step) -> float:
    return min(asyncio.get_running_loop().time() + timeouts.total, step.ends_at)


async def _read_given(
    backend: Backend,
    errand: Errand,
    step: Step,
    answer: Answer,
    outgoing: Outgoing,
    tally: Tally,
    go_on: Callable[[], None],
) -> Given:
    """Read a whole answer, in whichever API's words it is."""
    if outgoing.native:
        native = await _read_native(backend, answer, tally, go_on)
        reply = Reply(msgspec.json.encode(native.response), native=True)
        return Given(step, reply, answer.headers, outgoing, tally, Content(native_answer=native))
    body = await _read_whole(backend, errand, answer, outgoing.listener, tally, go_on)
    return Given(step, Reply(errand.shown(backend, body)), answer.headers, outgoing, tally, Content(body))


async def _read_native(backend: Backend, answer: Answer, tally: Tally, go_on: Callable[[], None]) -> NativeAnswer:
    try:
        native = read_answer(await _timed(tally, read_whole(answer, go_on)), backend.name)
    finally:
        await answer.close()
    tally.usage = native.usage
    return native


async def _read_whole(
    backend: Backend,
    errand: Errand,
    answer: Answer,
    listener: Listener | None,
    tally: Tally,
    go_on: Callable[[], None],
) -> bytes:
    try:
        body = await _timed(tally, read_whole(answer, go_on))
        if listener is not None:
            listener.hear_answer(body)
        body = errand.normal(backend, body)
        tally.usage = usage_of(body)
        tally.is_empty = bool(errand.choices) and says_nothing(body)
        return body if errand.inspect is None else errand.inspect(body)
    except ValueError:
        raise UpstreamFailed(
            f"Backend '{backend.name}' sent an answer that is not JSON.", backend=backend.name
        ) from None
    finally:
        await answer.close()


async def _begin_stream(
    call: Call,
    errand: Errand,
    step: Step,
    backend: Backend,
    answer: Answer,
    outgoing: Outgoing,
    tally: Tally,
    patience: asyncio.Timeout,
    span: Span,
    *,
    record_stream: bool,
) -> Given:
    """Wait for the first useful piece: until it is here, another backend may still be asked."""
    listener, request = outgoing.listener, call.record.request
    rewriter = None if outgoing.native else errand.rewriter(backend)
    rewrite = listener.around(rewriter) if listener is not None and rewriter is not None else rewriter
    relay = (
        NativeRelay(backend.name)
        if outgoing.native
        else Relay(backend.name, usage_asked=errand.usage_asked, rewrite=rewrite)
    )
    recorder = Recorder(call.rooms.settings.cache.max_value_bytes) if record_stream and not outgoing.native else None
    timeouts = backend.settings.timeouts
    if outgoing.native:
        # The item of its reasoning begins at once, and then a model may think in silence as long as before any answer.
        timeouts = timeouts.model_copy(update={"idle": max(timeouts.idle, timeouts.first_token)})
    ends_at = _ends_at(timeouts, step)
    watch = Watch(backend.name, relay, answer, timeouts, ends_at)

    def go_on_watched() -> None:
        patience.reschedule(ends_at)
        watch.start()
        span.event("first token")
        span.begin("stream")

    stream = Stream(
        relay=relay,
        answer=answer,
        lease=step.lease,
        tally=tally,
        watch=watch,
        started=call.record.started,
        on_output=go_on_watched,
        thinking=outgoing.thinking,
        rewriter=rewriter,
        recorder=recorder,
        prompt_tokens=request.needs.prompt_tokens if request is not None else 0,
        span=span,
    )
    pieces = stream.pieces()
    try:
        _check_is_event_stream(answer, backend)
        first = await hold_until_useful(pieces, relay)
    except BaseException:  # cancelled or failed: nobody else will close what is not handed over
        await pieces.aclose()
        await answer.close()
        raise
    reply = StreamReply(first, pieces, native=outgoing.native)
    return Given(step, reply, answer.headers, outgoing, tally, Content(recorder=recorder, relay=relay))


def _headers(call: Call, backend: Backend, span: Span) -> Mapping[str, str]:
    """Give the headers of this call alone: the trace it belongs to, and the conversation where that is wanted."""
    headers, name = call.record.trace.headers(span), backend.settings.balance.session_header
    if name is None or not call.record.conversation:
        return headers
    return {**headers, name: hashlib.blake2b(call.record.conversation.encode(), digest_size=12).hexdigest()}


def _check_is_event_stream(answer: Answer, backend: Backend) -> None:
    if not answer.headers.get("content-type", "").startswith("text/event-stream"):
        raise UpstreamFailed(f"Backend '{backend.name}' did not answer with an event stream.", backend=backend.name)


async def _timed(tally: Tally, waiting: Awaitable[T]) -> T:
    started = time.perf_counter()
    try:
        return await waiting
    finally:
        tally.waited(time.perf_counter() - started)
