"""Streams that survive their connection: the answer goes on without its caller, who may follow it again from any event.

Nothing of it is on the path of other streams. A caller asks for it by a header, because a stream that nobody hears is
paid for all the same: it runs to its end, or until it is deleted.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from http import HTTPStatus

import structlog

from gateway.errors import Cancelled, Draining, InternalError, LimitReached, NotFound, ThalamusError
from gateway.exchange import Call, ErrorShape, Handler, Reply, StreamReply, close_record, keep_for_later
from gateway.records.accounting import Outcome
from gateway.surfaces.responses.events import EventLog, gone
from gateway.surfaces.responses.room import ResponsesRoom

RESUMABLE_HEADER = "x-thalamus-resumable"
STREAM_HEADER = "x-thalamus-stream"
LOOK_FOR_WORD_S = 1.0

_ID = re.compile(r"strm_[0-9a-f]{32}")
_log = structlog.get_logger("thalamus")


def resumable(handler: Handler, errors: ErrorShape) -> Handler:
    """Give a handler whose streams survive their connection where that is allowed and asked for."""

    async def handle(call: Call) -> Reply | StreamReply:
        reply = await handler(call)
        if call.rooms.settings.server.resumable_streams and isinstance(reply, StreamReply) and _is_asked_for(call):
            return _go_on_alone(call, reply, errors)
        return reply

    return handle


def _is_asked_for(call: Call) -> bool:
    return call.headers.get(RESUMABLE_HEADER, "").lower() in ("on", "true", "1")


def _go_on_alone(call: Call, reply: StreamReply, errors: ErrorShape) -> StreamReply:
    """Let a stream go on in the background, and give one that follows it. The record is closed when it has ended.

    With too much in the background already, the stream stays what it was, and says so by having no name.
    """
    room, tenant = call.rooms.responses, call.caller.tenant
    try:
        room.background.check_room()
    except LimitReached:
        return reply
    name = f"strm_{secrets.token_hex(16)}"
    log = room.events.begin(tenant, name)
    call.record.status = HTTPStatus.OK
    room.background.start(_task(tenant, name), _go_on(call, reply, errors, name, log), log)
    return StreamReply(b"", log.follow(-1), {**reply.headers, STREAM_HEADER: name}, is_detached=True)


def _task(tenant: str, name: str) -> str:
    """Name a stream's task, so that no other tenant finds it."""
    return f"{tenant}\0{name}"


async def _go_on(call: Call, reply: StreamReply, errors: ErrorShape, name: str, log: EventLog) -> None:
    record, room, write_error = call.record, call.rooms.responses, errors.event
    task = _task(call.caller.tenant, name)
    heeding = asyncio.create_task(_heed_other_processes(room, call.caller.tenant, name))
    try:
        async with aclosing(reply.rest) as rest:
            log.add(reply.first)
            await log.write(now=True)
            async for piece in rest:
                log.add(piece)
                await log.write()
        record.outcome = Outcome.DONE
        await keep_for_later(call, reply)
    except ThalamusError as error:
        record.error = error.code
        log.add(write_error(error))
    except asyncio.CancelledError:
        told: ThalamusError = Draining("The gateway was stopped before this answer was complete.")
        if room.background.is_cancelled(task):
            told = Cancelled("The stream was deleted.")
        record.outcome, record.error = Outcome.DROPPED, told.code
        log.add(write_error(told))
        raise
    except Exception:  # noqa: BLE001
        # The edge: whoever follows must be told, and the log must have the traceback.
        _log.exception("defect", endpoint=record.endpoint)
        record.error = InternalError.code
        log.add(write_error(InternalError()))
    finally:
        heeding.cancel()
        await log.end()
        record.leave("relay")
        await close_record(call.rooms, record)


async def follow(room: ResponsesRoom, tenant: str, name: str, after: int) -> AsyncGenerator[bytes, None]:
    """Give a stream's events after a number, and those that are still to come, wherever it is being worked on.

    Raises:
        NotFound: the tenant has no such stream, or had it too long ago.
        InvalidField: the next event is no longer kept.
    """
    log = room.background.log(_task(tenant, name))
    first = log.first if log is not None else await _first_kept(room, tenant, name)
    if first is None:
        raise NotFound(f"There is no stream '{name[:64]}': streams are kept for an hour after their end.")
    if after + 1 < first:
        raise gone()
    if log is not None:
        return log.follow(after)

    async def is_under_way() -> bool:
        return True  # who dies without a word leaves a log without an end, which expires

    return room.events.follow(tenant, name, after, is_under_way)


async def _first_kept(room: ResponsesRoom, tenant: str, name: str) -> int | None:
    return await room.events.first(tenant, name) if _ID.fullmatch(name) else None


async def delete(room: ResponsesRoom, tenant: str, name: str) -> None:
    """Stop a stream, and forget its events.

    Raises:
        NotFound: the tenant has no such stream.
        StateUnavailable: it is another process's, which cannot be told now.
    """
    if not await room.background.cancel(_task(tenant, name)):
        if await _first_kept(room, tenant, name) is None:
            raise NotFound(f"There is no stream '{name[:64]}'.")
        await room.store.ask_to_cancel(tenant, name)
    await room.events.forget(tenant, name)


async def _heed_other_processes(room: ResponsesRoom, tenant: str, name: str) -> None:
    """Cancel a stream when word is left that it should be, by whichever process was asked."""
    while not await room.store.is_asked_to_cancel(tenant, name):  # noqa: ASYNC110  the word is in a store
        await asyncio.sleep(LOOK_FOR_WORD_S)
    await room.background.cancel(_task(tenant, name))


def last_known(starting_after: int | None, headers: Mapping[str, str]) -> int:
    """Give the number of the last event that a caller knows, as it or its EventSource says; -1 for none."""
    if starting_after is not None:
        return starting_after
    told = headers.get("last-event-id", "")
    return int(told) if told.isdigit() else -1
