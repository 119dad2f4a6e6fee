"""From a chat completion's reply to a kept response: whole, streamed, or with nobody waiting."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import cast

import msgspec
import structlog

from classifiers.types import Conversation
from gateway.errors import Draining, InternalError, ThalamusError, UpstreamFailed
from gateway.exchange import Call, Reply, StreamReply, keep_for_later
from gateway.records.accounting import Outcome
from gateway.sessions import session_key
from gateway.surfaces.responses.answering import Told, answer_whole, describe_response
from gateway.surfaces.responses.events import EventLog
from gateway.surfaces.responses.items import Dictionary
from gateway.surfaces.responses.native_stream import NativeStream
from gateway.surfaces.responses.opening import Events
from gateway.surfaces.responses.planning import Plan
from gateway.surfaces.responses.stream import ResponseStream
from gateway.vault import Origin
from router.types import Session

LOOK_FOR_WORD_S = 1.0
"""How often a process looks whether another was asked to cancel what it is working on."""

_log = structlog.get_logger("thalamus")


async def give_whole(call: Call, plan: Plan, reply: Reply) -> Reply:
    """Give the response that a whole answer makes, once it is kept.

    Raises:
        UpstreamFailed: what the backend sent is no chat completion.
    """
    try:
        told = _tell_native(call, plan, reply.body) if reply.native else answer_whole(plan.asked, reply.body)
    except msgspec.DecodeError:
        backend = call.record.target.backend if call.record.target else ""
        error = UpstreamFailed(f"Backend '{backend}' sent no chat completion.", backend=backend)
        error.headers |= reply.headers
        raise error from None
    response = await keep(call, plan, told)
    return Reply(msgspec.json.encode(response), reply.headers, after=reply.after)


def _tell_native(call: Call, plan: Plan, body: bytes) -> Told:
    stream = NativeStream(plan.asked, _origin(call))
    stream.take_response(msgspec.json.decode(body))
    return stream.told


AnyStream = ResponseStream | NativeStream


def _stream_of(call: Call, plan: Plan, reply: StreamReply, events: Events | None = None) -> AnyStream:
    """Give what tells a streamed answer, in whichever words it comes."""
    return NativeStream(plan.asked, _origin(call), events) if reply.native else ResponseStream(plan.asked, events)


def _origin(call: Call) -> Origin:
    """Say who answers."""
    if call.record.target is None:
        raise TypeError("an answer of nobody")
    backend = call.rooms.backends[call.record.target.backend]
    return Origin.of(backend.dialect, backend.settings.model)


async def give_streamed(call: Call, plan: Plan, reply: StreamReply) -> StreamReply:
    """Give a streamed answer as the events of a response."""
    stream = _stream_of(call, plan, reply)
    events = _write_events(call, plan, stream, reply)
    try:
        first = await anext(events, b"")
    except BaseException:  # cancelled or failed: nobody else will close what is not handed over
        await events.aclose()
        raise

    async def after() -> None:
        if stream.response["status"] != "failed" and reply.after is not None:
            await reply.after()

    return StreamReply(first, events, reply.headers, after)


async def keep(call: Call, plan: Plan, told: Told) -> Dictionary:
    """Keep a response if that is wanted, and give it as the caller sees it; its `store` says whether it is kept."""
    if not plan.is_kept:
        return told.response
    if await call.rooms.responses.store.keep(plan.asked.tenant, plan.kept(told)):
        _remember_by_id(call, plan.asked.id)
        return told.response
    return {**told.response, "store": False}


Ask = Callable[[Call, Plan], Awaitable[Reply | StreamReply]]
"""Gets the answer, as a chat completion or in the backend's own words."""


async def run_in_background(call: Call, plan: Plan, ask: Ask, log: EventLog | None) -> None:
    """Answer with nobody waiting: the response is kept at every step, and the record closed as for any request.

    Args:
        call: a call of its own, not the one that the caller saw answered.
        plan: what is to be answered.
        ask: gets the answer.
        log: gets the events, where the caller wants to be able to follow them.
    """
    record, rooms = call.record, call.rooms
    events = Events()
    events.announce(describe_response(plan.asked, "queued"))
    stream: AnyStream = ResponseStream(plan.asked, events)
    rooms.metrics.begin_request(record)
    watch = asyncio.create_task(_heed_other_processes(call, plan))
    try:
        await _note(log, events.take())
        await keep(call, plan, Told(describe_response(plan.asked, "in_progress")))
        reply = cast("StreamReply", await ask(call, plan))  # the plan of a background response asks for a stream
        stream = _stream_of(call, plan, reply, events)
        await _answer(call, stream, reply, log)
        record.outcome = Outcome.DONE
    except ThalamusError as error:
        record.error = error.code
        stream.fail(error)
    except asyncio.CancelledError:
        record.outcome = Outcome.DROPPED
        if rooms.responses.background.is_cancelled(plan.asked.id):
            record.error = "cancelled"
            stream.cancel()
        else:
            record.error = "shutdown"
            stream.fail(Draining("The gateway shut down before the response was complete."))
        raise
    except Exception:  # noqa: BLE001
        # The edge: whoever fetches the response must be told, and the log must have the traceback.
        _log.exception("defect", endpoint=record.endpoint)
        record.error = InternalError.code
        stream.fail(InternalError())
    finally:
        watch.cancel()
        response = await keep(call, plan, stream.told)
        if log is not None:
            log.add(stream.last(response))
            await log.end()
        rooms.metrics.end_request(record)
        rooms.accounts.close(record)
        if record.reservation is not None:
            rooms.limits.settle(record.reservation, record.used())


async def _answer(call: Call, stream: AnyStream, reply: StreamReply, log: EventLog | None) -> None:
    async with aclosing(reply.rest) as rest:
        await _note(log, stream.feed(reply.first))
        async for piece in rest:
            await _note(log, stream.feed(piece))
    await _note(log, stream.finish())
    await keep_for_later(call, reply)


async def _note(log: EventLog | None, events: bytes) -> None:
    """Put events into the log, where there is one."""
    if log is not None:
        log.add(events)
        await log.write()


async def _heed_other_processes(call: Call, plan: Plan) -> None:
    """Cancel a response when word is left that it should be, by whichever process was asked."""
    responses = call.rooms.responses
    while not await responses.store.is_asked_to_cancel(plan.asked.tenant, plan.asked.id):  # noqa: ASYNC110  the word is in a store
        await asyncio.sleep(LOOK_FOR_WORD_S)
    await responses.background.cancel(plan.asked.id)


async def _write_events(call: Call, plan: Plan, stream: AnyStream, reply: StreamReply) -> AsyncGenerator[bytes, None]:
    """Yield the events as they come; a response is kept before its last event, so that it can be gone on from."""
    async with aclosing(reply.rest) as rest:
        try:
            if events := stream.feed(reply.first):
                yield events
            async for piece in rest:
                if events := stream.feed(piece):
                    yield events
            yield stream.finish()
        except ThalamusError as error:
            # The answer has begun: what broke it off is told by its last event, and no retry would help.
            call.record.error, call.remember = error.code, None
            stream.fail(error)
    yield stream.last(await keep(call, plan, stream.told))


def _remember_by_id(call: Call, response_id: str) -> None:
    """Let requests that go on from a response find what is remembered of the conversation by its id."""
    remember = call.remember
    if remember is None:
        return
    key, sessions = session_key(call.caller.tenant, {}, response_id, Conversation(())), call.rooms.sessions

    async def remember_both(session: Session) -> None:
        await remember(session)
        await sessions.remember(key, session)

    call.remember = remember_both
