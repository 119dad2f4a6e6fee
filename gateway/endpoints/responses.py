"""``/v1/responses``: OpenAI's Responses API, over whatever answers chat completions."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse

from gateway.auth import Caller
from gateway.calls.forward import Outgoing, decision_headers
from gateway.endpoints.chat import NAMING_FIELDS, answer_chat, read_chat
from gateway.endpoints.deciding import decide
from gateway.errors import InvalidField, StateUnavailable, ThalamusError
from gateway.exchange import Call, ErrorShape, Exchange, Reply, StreamReply, identify
from gateway.records.accounting import Record
from gateway.resuming import last_known
from gateway.rooms import Rooms
from gateway.sessions import SESSION_HEADER
from gateway.surfaces.responses.answering import Told, describe_response
from gateway.surfaces.responses.following import EVENT_STREAM, UNDER_WAY, follow_response, told_to_its_end
from gateway.surfaces.responses.items import Dictionary
from gateway.surfaces.responses.native_request import write_native
from gateway.surfaces.responses.planning import Plan, plan_response
from gateway.surfaces.responses.room import ResponsesRoom
from gateway.surfaces.responses.running import give_streamed, give_whole, run_in_background
from gateway.upstream.pool import Backend
from gateway.vault import History
from gateway.wire.openapi import describe
from gateway.wire.responses import ResponsesRequest
from router.types import Target

routes = APIRouter(tags=["OpenAI"])


def error_event(error: ThalamusError) -> bytes:
    """Write a failure of the gateway's own as the last event of a stream; a backend's is in `response.failed`."""
    told = {"type": "error", "sequence_number": 0, "code": error.code, "message": error.message, "param": error.param}
    return b"event: error\ndata: " + msgspec.json.encode(told) + b"\n\n"


RESPONSES_ERRORS = ErrorShape(body=lambda error: error.body(), event=error_event)


@routes.post("/v1/responses", **describe(ResponsesRequest, "Create a response", streams=True))
async def responses(request: Request) -> Response:
    """Answer a conversation of items with the model that it needs."""
    return Exchange(request, "responses", serve_response, RESPONSES_ERRORS)


async def serve_response(call: Call) -> Reply | StreamReply:
    """Plan, ask as a chat request, tell the answer as a response."""
    plan = await plan_response(call)
    _name_session(call, plan)
    if plan.asked.request.background:
        return await _begin_in_background(call, plan)
    reply = await ask(call, plan)
    if isinstance(reply, StreamReply):
        return await give_streamed(call, plan, reply)
    return await give_whole(call, plan, reply)


async def ask(call: Call, plan: Plan) -> Reply | StreamReply:
    """Get the answer: in the backend's own words where it speaks this API itself, else as a chat completion."""
    vault = call.rooms.vault

    def native(backend: Backend, target: Target, max_tokens: int | None, history: History) -> Outgoing:
        return write_native(plan, backend, target, max_tokens, history, vault)

    return await answer_chat(call, plan.chat, native=native)


@routes.get("/v1/responses/{response_id}", **describe(None, "Fetch a response", streams=True))
async def show_response(
    request: Request,
    response_id: str,
    stream: Annotated[bool, Query(description="follow a background response that was created with `stream`")] = False,
    starting_after: Annotated[
        int | None,
        Query(ge=-1, description="the number of the last event that is known; or the header Last-Event-ID"),
    ] = None,
) -> Response:
    """Give a kept response as it is now, or its events from the first or any other on."""
    caller, room = _enter(request)
    kept = await room.store.find(caller.tenant, response_id)
    if not stream:
        return _json(kept.response)
    after = last_known(starting_after, request.headers)
    events = await follow_response(room, caller.tenant, response_id, after)
    return StreamingResponse(told_to_its_end(events, error_event), headers=EVENT_STREAM)


@routes.delete("/v1/responses/{response_id}", **describe(None, "Delete a response"))
async def delete_response(request: Request, response_id: str) -> Response:
    """Forget a response, and stop it if it is under way."""
    caller, room = _enter(request)
    kept = await room.store.find(caller.tenant, response_id)
    if kept.response["status"] in UNDER_WAY:
        await _stop(room, caller, response_id)
    await room.store.forget(caller.tenant, response_id)
    await room.events.forget(caller.tenant, response_id)
    return _json({"id": response_id, "object": "response", "deleted": True})


@routes.post("/v1/responses/{response_id}/cancel", **describe(None, "Cancel a background response"))
async def cancel_response(request: Request, response_id: str) -> Response:
    """Stop a background response; one that has ended stays as it is."""
    caller, room = _enter(request)
    kept = await room.store.find(caller.tenant, response_id)
    if not kept.response["background"]:
        raise InvalidField("Only a background response can be cancelled.", param="response_id")
    if kept.response["status"] not in UNDER_WAY:
        return _json(kept.response)
    await _stop(room, caller, response_id)
    kept = await room.store.find(caller.tenant, response_id)
    if kept.response["status"] in UNDER_WAY:  # another process has it, or it had not begun
        kept = msgspec.structs.replace(kept, response={**kept.response, "status": "cancelled"})
        await room.store.keep(caller.tenant, kept)
    return _json(kept.response)


@routes.get("/v1/responses/{response_id}/input_items", **describe(None, "List what a response was given"))
async def list_input_items(
    request: Request,
    response_id: str,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    order: Literal["asc", "desc"] = "desc",
    after: str | None = None,
) -> Response:
    """List the items that a response answered, those of the responses before it included."""
    caller, room = _enter(request)
    kept = await room.store.find(caller.tenant, response_id)
    past = await room.store.past(caller.tenant, kept.response["previous_response_id"])
    items = [*(said.item for said in past.said), *kept.items]
    if order == "desc":
        items.reverse()
    return _json(_page(items, after, limit))


async def _begin_in_background(call: Call, plan: Plan) -> Reply | StreamReply:
    """Promise a response: what the decision refuses is refused at once, all else is found out by polling or following.

    Whoever follows may leave: the response goes on, and its events can be had again by its id.
    """
    room = call.rooms.responses
    room.background.check_room()
    decision = await decide(call, read_chat(plan.chat, call), plan.chat.decode(NAMING_FIELDS))
    call.remember = None  # the call in the background decides for itself, and remembers
    queued = describe_response(plan.asked, "queued")
    if not await room.store.keep(plan.asked.tenant, plan.kept(Told(queued))):
        raise StateUnavailable("The response cannot be kept now, so that nobody could fetch it.")
    trace = call.record.trace.fork("responses-background")
    record = Record("responses-background", trace=trace, tenant=call.caller.tenant, key=call.caller.name)
    # What was set aside for the promise is settled when the response is there.
    record.reservation, call.record.reservation = call.record.reservation, None
    unwatched = replace(call, record=record)
    log = room.events.begin(plan.asked.tenant, plan.asked.id) if plan.asked.request.stream else None
    room.background.start(plan.asked.id, run_in_background(unwatched, plan, ask, log), log)
    headers = decision_headers(decision, call.record)
    if log is None:
        return Reply(msgspec.json.encode(queued), headers)
    return StreamReply(b"", log.follow(-1), headers)


def _name_session(call: Call, plan: Plan) -> None:
    """Name the conversation by the response that it goes on from, unless the caller names it."""
    request = plan.asked.request
    if request.previous_response_id and not (call.headers.get(SESSION_HEADER) or request.prompt_cache_key):
        call.headers = {**call.headers, SESSION_HEADER: request.previous_response_id}


def _enter(request: Request) -> tuple[Caller, ResponsesRoom]:
    rooms: Rooms = request.app.state.rooms
    return identify(request), rooms.responses


async def _stop(room: ResponsesRoom, caller: Caller, response_id: str) -> None:
    """Stop a response here, or leave word for whoever is working on it."""
    if not await room.background.cancel(response_id):
        await room.store.ask_to_cancel(caller.tenant, response_id)


def _page(items: list[Dictionary], after: str | None, limit: int) -> dict[str, Any]:
    """Give the items after one, in the shape of OpenAI's lists.

    Raises:
        InvalidField: there is no such item.
    """
    ids = [item["id"] for item in items]
    if after is not None and after not in ids:
        raise InvalidField("There is no such item.", param="after")
    start = 0 if after is None else ids.index(after) + 1
    page = items[start : start + limit]
    return {
        "object": "list",
        "data": page,
        "first_id": page[0]["id"] if page else None,
        "last_id": page[-1]["id"] if page else None,
        "has_more": len(items) > start + limit,
    }


def _json(content: Dictionary) -> Response:
    return Response(msgspec.json.encode(content), media_type="application/json")
