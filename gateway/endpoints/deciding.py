"""What every routed endpoint does between parsing and calling: read the caller's choices, and decide."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.errors import InvalidField, NoTarget, UnknownModel
from gateway.exchange import Call
from gateway.upstream.dialects import read_client_effort
from router.engine import NobodyCan, UnknownModelName
from router.policy import AUTO, DIALS
from router.types import Decision, Effort, RouteRequest, Tier

ROUTE_HEADER = "x-thalamus-route"
DIAL_HEADER = "x-thalamus-dial"

_EFFORTS = tuple(effort.value for effort in Effort)
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


def decide(call: Call, request: RouteRequest) -> Decision:
    """Decide, and keep the decision in the record.

    Raises:
        PermissionRefused: the caller's key may not ask for the model.
        UnknownModel: nobody has that name.
        NoTarget: nobody has the abilities.
    """
    call.caller.check_may_ask_for(request.model)
    started = time.perf_counter()
    try:
        decision = call.rooms.engine.decide(request)
    except UnknownModelName as error:
        names = ", ".join(error.known)
        raise UnknownModel(
            f"The model '{error.name}' does not exist here. There are: {names}.", param="model"
        ) from None
    except NobodyCan as error:
        why = "; ".join(f"{backend}: {_LACKING[lack]}" for backend, lack in error.lacking.items())
        raise NoTarget(f"No backend can serve this request ({why}).") from None
    finally:
        call.record.decision_s = time.perf_counter() - started
    call.record.decision = decision
    return decision


def _read_effort(params: Mapping[str, Any]) -> Effort | None:
    written = params.get("reasoning_effort")
    if written is not None and written not in _EFFORTS:
        known = ", ".join(_EFFORTS)
        raise InvalidField(f"'reasoning_effort' can be {known}.", param="reasoning_effort")
    return read_client_effort(params) if params else None


def _read_tier(headers: Mapping[str, str]) -> Tier | None:
    written = headers.get(ROUTE_HEADER)
    if written is None or written == AUTO:
        return None
    if written not in (Tier.FAST, Tier.DEEP):
        raise InvalidField(f"The header {ROUTE_HEADER} can be auto, fast or deep.", param=ROUTE_HEADER)
    return Tier(written)


def _read_dial(headers: Mapping[str, str]) -> str | None:
    written = headers.get(DIAL_HEADER)
    if written is not None and written not in DIALS:
        raise InvalidField(f"The header {DIAL_HEADER} can be {', '.join(DIALS)}.", param=DIAL_HEADER)
    return written
