"""Coming back to a background response: its events from any number on, wherever it is being worked on."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing

from gateway.errors import InvalidField, ThalamusError
from gateway.surfaces.responses.events import gone
from gateway.surfaces.responses.room import ResponsesRoom

UNDER_WAY = ("queued", "in_progress")

EVENT_STREAM: Mapping[str, str] = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache",
    "x-accel-buffering": "no",
}


async def follow_response(
    room: ResponsesRoom, tenant: str, response_id: str, after: int
) -> AsyncGenerator[bytes, None]:
    """Give the events of a kept response after a number, and those that are still to come.

    Raises:
        InvalidField: the response was not created to be followed, or that is too long ago.
    """
    log = room.background.log(response_id)
    first = log.first if log is not None else await room.events.first(tenant, response_id)
    if first is None:
        raise InvalidField(
            "Only a background response that was created with 'stream' can be followed, and for an hour after its end. "
            "Fetch it without 'stream'.",
            param="stream",
        )
    if after + 1 < first:
        raise gone()
    if log is not None:
        return log.follow(after)

    async def is_under_way() -> bool:
        return (await room.store.find(tenant, response_id)).response["status"] in UNDER_WAY

    return room.events.follow(tenant, response_id, after, is_under_way)


async def told_to_its_end(
    events: AsyncGenerator[bytes, None], error_event: Callable[[ThalamusError], bytes]
) -> AsyncGenerator[bytes, None]:
    """Yield events; a failure becomes the last one, since the answer has begun."""
    async with aclosing(events):
        try:
            async for piece in events:
                yield piece
        except ThalamusError as error:
            yield error_event(error)
