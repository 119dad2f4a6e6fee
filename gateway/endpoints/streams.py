"""``/v1/streams``: streams that were asked to survive their connection, followed again from any event."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

from gateway import resuming
from gateway.rooms import Rooms
from gateway.streaming import error_frame
from gateway.surfaces.responses.following import EVENT_STREAM, told_to_its_end
from gateway.wire.openapi import describe

routes = APIRouter(tags=["Thalamus"])


@routes.get("/v1/streams/{stream_id}", **describe(None, "Follow a stream again", streams=True))
async def follow_stream(
    request: Request,
    stream_id: str,
    starting_after: Annotated[int | None, Query(ge=-1, description="the id of the last event that is known")] = None,
    last_event_id: Annotated[str | None, Header(description="the same, as EventSource sends it")] = None,  # noqa: ARG001  read from the headers
) -> Response:
    """Give the events after one, and those that are still to come. `x-thalamus-stream` named the stream."""
    rooms: Rooms = request.app.state.rooms
    caller = rooms.keyring.identify(request.headers.get("authorization"), request.headers.get("x-api-key"))
    after = resuming.last_known(starting_after, request.headers)
    events = await resuming.follow(rooms.responses, caller.tenant, stream_id, after)
    return StreamingResponse(told_to_its_end(events, error_frame), headers={**EVENT_STREAM})


@routes.delete("/v1/streams/{stream_id}", **describe(None, "Stop a stream"))
async def delete_stream(request: Request, stream_id: str) -> JSONResponse:
    """Stop a stream that goes on, and forget its events."""
    rooms: Rooms = request.app.state.rooms
    caller = rooms.keyring.identify(request.headers.get("authorization"), request.headers.get("x-api-key"))
    await resuming.delete(rooms.responses, caller.tenant, stream_id)
    return JSONResponse({"id": stream_id, "object": "stream", "deleted": True})
