"""``POST /v1/feedback``: what a caller thinks of the answer that a decision led to."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
from fastapi import APIRouter, Request, Response

from gateway.errors import DecisionNotFound, InvalidField
from gateway.exchange import Call, Exchange, Reply
from gateway.records.recent import Remembered
from gateway.records.verdicts import is_false_hit
from gateway.rooms import Rooms
from gateway.wire.body import parse
from gateway.wire.feedback import FeedbackRequest
from gateway.wire.openapi import describe
from router.replay import Feedback

routes = APIRouter(tags=["Thalamus"])


@routes.post("/v1/feedback", **describe(FeedbackRequest, "Say which answer was better"))
async def give_feedback(request: Request) -> Response:
    """Judge an answer by its `x-thalamus-decision-id`. It is counted, and written to the decision log."""
    return Exchange(request, "feedback", serve_feedback)


async def serve_feedback(call: Call) -> Reply:
    """Parse, check whose decision it is, count, log."""
    given = parse(call.body, FeedbackRequest).typed
    verdict = given.better or given.rating
    if verdict is None or (given.better and given.rating):
        raise InvalidField("Give 'better' (fast, deep, same) or 'rating' (up, down), one of the two.", param="better")
    rooms, tenant = call.rooms, call.caller.tenant
    about = await recall(rooms, tenant, given.decision_id)
    if about is None:
        raise DecisionNotFound("No such decision is remembered here.", param="decision_id")
    rooms.metrics.record_feedback(verdict, about)
    if about.kept_as is not None and is_false_hit(verdict, about.tier):
        await rooms.disown(about.kept_as)
    if rooms.decision_log is not None:
        rooms.decision_log.record_note(
            Feedback(
                id=given.decision_id,
                at=datetime.now(UTC),
                tenant=tenant,
                tier=about.tier,
                verdict=verdict,
                note=given.note,
            )
        )
    told = {"object": "feedback", "decision_id": given.decision_id, "verdict": verdict}
    return Reply(msgspec.json.encode(told))


async def recall(rooms: Rooms, tenant: str, decision_id: str) -> Remembered | None:
    """Find a tenant's decision in this process, in another worker's, or on another machine."""
    about = await rooms.recent.find_anywhere(decision_id)
    if about is None and rooms.board is not None:
        about = await rooms.inquiries.ask(rooms.board, tenant, decision_id)
    return about if about is not None and about.tenant == tenant else None
