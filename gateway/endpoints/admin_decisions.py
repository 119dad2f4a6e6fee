"""``/admin/decisions``: the last decisions, those to come as events, and one of them under another dial."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, StreamingResponse

from gateway.endpoints.door import REFUSED, enter
from gateway.errors import DecisionNotFound
from gateway.process.lifecycle import Lifecycle
from gateway.records.recent import MOST_SHOWN, Recent, at_dial, told

routes = APIRouter(prefix="/admin/decisions", tags=["Operations"])

LOOK_EVERY_S = 0.5
"""How often a watcher's stream looks whether the process is leaving."""

SIGN_EVERY = 20
"""Looks without a decision until a comment shows that the stream lives."""

_STREAM = {"cache-control": "no-cache", "x-accel-buffering": "no"}
_NAMED: dict[int | str, dict[str, Any]] = {
    **REFUSED,
    404: {"description": "No such decision is kept", "content": {"application/json": {}}},
}


@routes.get("", summary="The last decisions", responses=REFUSED)
async def list_decisions(
    request: Request, limit: Annotated[int, Query(ge=1, le=MOST_SHOWN, description="how many at most")] = 100
) -> JSONResponse:
    """List the last decisions of all workers, newest first; prompts only where `decision_log.content` is on."""
    rooms = enter(request)
    shown = await rooms.recent.newest(limit)
    return JSONResponse({"decisions": shown, "content": rooms.settings.decision_log.content})


@routes.get("/stream", summary="Decisions as they happen", responses=REFUSED)
async def stream_decisions(request: Request) -> StreamingResponse:
    """Follow the decisions of all workers as server-sent events."""
    rooms = enter(request)
    events = _events(rooms.recent, request.app.state.life)
    return StreamingResponse(events, media_type="text/event-stream", headers=_STREAM)


@routes.post("/{decision_id}/replay", summary="Decide one again under another dial", responses=_NAMED)
async def replay_decision(
    request: Request,
    decision_id: str,
    dial: Annotated[Literal["cheap", "balanced", "quality", "max"], Query(description="the notch")],
) -> JSONResponse:
    """Decide a request of the last ones again, as if its caller had chosen another notch. Nobody is called."""
    rooms = enter(request)
    seen = await rooms.recent.seen(decision_id)
    if seen is None:
        raise DecisionNotFound("No such decision is kept here any more.", param="decision_id")
    replayed = at_dial(seen, rooms.engine, dial)
    decision = replayed.decision
    return JSONResponse(
        {
            "id": decision_id,
            "dial": dial,
            "refusal": replayed.refusal,
            "changed": replayed.changed,
            "target": None if replayed.target is None else told(replayed.target),
            "reason": decision and decision.reason,
            "threshold": decision and decision.threshold,
            "difficulty": decision and decision.difficulty,
        }
    )


async def _events(recent: Recent, life: Lifecycle) -> AsyncGenerator[bytes, None]:
    """Write each decision as an event, and a comment now and then; end when the process is about to."""
    yield b": watching\n\n"
    async with recent.watched() as queue:
        quiet = 0
        while not life.is_leaving:
            try:
                shown = await asyncio.wait_for(queue.get(), LOOK_EVERY_S)
            except TimeoutError:
                quiet += 1
                if quiet % SIGN_EVERY == 0:
                    yield b": still here\n\n"
                continue
            yield b"event: decision\ndata: " + msgspec.json.encode(shown) + b"\n\n"
