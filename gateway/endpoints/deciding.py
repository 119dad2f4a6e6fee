"""What every routed endpoint does between parsing and calling: read the caller's choices, and decide."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway import errors
from gateway.errors import InvalidField, NoTarget, PermissionRefused, PromptTooLong, UnknownModel
from gateway.exchange import Call
from gateway.queueing import Priority
from gateway.sessions import SESSION_HEADER, session_key
from gateway.upstream.dialects import read_client_effort
from router.engine import LimitReached, NobodyCan, NotAllowed, UnknownModelName
from router.policy import AUTO, DIALS
from router.types import Decision, Effort, RouteRequest, Tier

ROUTE_HEADER = "x-thalamus-route"
DIAL_HEADER = "x-thalamus-dial"
PRIORITY_HEADER = "x-thalamus-priority"

_PICKER = {"light": "low", "standard": "medium", "extended": "high", "heavy": "max"}
"""The thinking-time picker's words, understood as efforts."""

_EFFORTS = (*(effort.value for effort in Effort), *_PICKER)
_LACKING = {
    "constraint-vision": "it cannot read images",
    "constraint-audio": "it cannot hear audio",
    "constraint-tools": "it cannot call tools",
    "constraint-json": "it cannot answer in a given format",
    "constraint-logprobs": "it gives no log-probabilities",
    "constraint-context": "the prompt and its answer exceed its context window",
}


@dataclass(frozen=True, slots=True)
class Choices:
    """What a caller chose besides the model's name."""

    effort: Effort | None
    tier: Tier | None
    dial: str | None


def read_choices(headers: Mapping[str, str], params: Mapping[str, Any]) -> Choices:
    """Read the caller's controls: headers, and the request's thinking fields in any vendor's words.

    Raises:
        InvalidField: one of them has no such value.
    """
    return Choices(_read_effort(params), _read_tier(headers), _read_dial(headers))


async def decide(call: Call, request: RouteRequest, named: Mapping[str, Any] | None = None) -> Decision:
    """Decide, and keep request and decision in the record.

    Args:
        call: the request being served.
        request: what it asks.
        named: request fields by which clients name a conversation, see `sessions.IDENTITY_FIELDS`.

    Raises:
        PermissionRefused: the caller's key may not ask for the model, or no tier may serve it.
        UnknownModel: nobody has that name.
        NoTarget: nobody has the abilities.
        LimitReached: the key's limit is reached, and nobody stands in.
    """
    caller, rooms = call.caller, call.rooms
    caller.check_may_ask_for(request.model)
    key = session_key(caller.tenant, named or {}, call.headers.get(SESSION_HEADER), request.conversation)
    call.record.conversation = key
    call.priority = _read_priority(call.headers, caller.priority)
    request = dataclasses.replace(
        request,
        bounds=caller.bounds,
        attributes={"key": caller.name, "tenant": caller.tenant, **request.attributes},
        session=await rooms.sessions.find(key) if _has_history(request) else None,
        busy=rooms.admission.busy(),
        exhausted=await rooms.limits.exhausted(caller.tenant, caller.name) if rooms.limits else {},
    )
    decision = await _decide(call, request)
    if decision.session is not None:
        call.remember = lambda session: rooms.sessions.remember(key, session)
    return decision


async def _decide(call: Call, request: RouteRequest) -> Decision:
    engine, second = call.rooms.engine, call.rooms.second_opinion
    started = time.perf_counter()
    try:
        signals = None if second is None else await second.read(engine, request)
        decision = engine.decide(request, signals)
    except UnknownModelName as error:
        names = ", ".join(error.known)
        raise UnknownModel(
            f"The model '{error.name}' does not exist here. There are: {names}.", param="model"
        ) from None
    except NobodyCan as error:
        why = "; ".join(f"{backend}: {_LACKING[lack]}" for backend, lack in error.lacking.items())
        too_long = set(error.lacking.values()) == {"constraint-context"}
        # Clients that can shorten a conversation go by the code.
        raise (PromptTooLong if too_long else NoTarget)(f"No backend can serve this request ({why}).") from None
    except NotAllowed:
        raise PermissionRefused("No tier that this key may use can serve this request.") from None
    except LimitReached as error:
        refusal = errors.LimitReached(f"The limit of the tier '{error.tier}' is reached for this key.")
        refusal.headers["retry-after"] = str(math.ceil(error.resets_in_s))
        raise refusal from None
    finally:
        call.record.decision_s = time.perf_counter() - started
    call.record.request, call.record.decision = request, decision
    return decision


def _has_history(request: RouteRequest) -> bool:
    """Whether anything can be remembered: a conversation's first request has no past to look up."""
    return any(turn.role in ("assistant", "tool") for turn in request.conversation.turns)


def _read_effort(params: Mapping[str, Any]) -> Effort | None:
    if not params:
        return None
    written = params.get("reasoning_effort")
    if written is not None and written not in _EFFORTS:
        raise InvalidField(f"'reasoning_effort' can be {', '.join(_EFFORTS)}.", param="reasoning_effort")
    if written in _PICKER:
        return Effort(_PICKER[written])
    return read_client_effort(params)


def _read_tier(headers: Mapping[str, str]) -> Tier | None:
    written = headers.get(ROUTE_HEADER)
    if written is None or written == AUTO:
        return None
    if written not in (Tier.FAST, Tier.DEEP):
        raise InvalidField(f"The header {ROUTE_HEADER} can be auto, fast or deep.", param=ROUTE_HEADER)
    return Tier(written)


def _read_priority(headers: Mapping[str, str], own: Priority) -> Priority:
    """Read how urgent the caller says the request is: no more than its key is."""
    written = headers.get(PRIORITY_HEADER)
    if written is None:
        return own
    if written.upper() not in Priority.__members__:
        raise InvalidField(f"The header {PRIORITY_HEADER} can be high, normal or low.", param=PRIORITY_HEADER)
    return max(own, Priority[written.upper()])


def _read_dial(headers: Mapping[str, str]) -> str | None:
    written = headers.get(DIAL_HEADER)
    if written is not None and written not in DIALS:
        raise InvalidField(f"The header {DIAL_HEADER} can be {', '.join(DIALS)}.", param=DIAL_HEADER)
    return written
