"""What every routed endpoint does between parsing and calling: read the caller's choices, and decide."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway import errors
from gateway.errors import InvalidField, NoTarget, PermissionRefused, PromptTooLong, ThalamusError, UnknownModel
from gateway.exchange import Call
from gateway.limits import BudgetSpent, Demand, TierExhausted, TooLarge
from gateway.limits.limits import Refused
from gateway.queueing import Priority
from gateway.records.prices import Usage
from gateway.sessions import SESSION_HEADER, session_key
from gateway.tracing.trace import Value
from gateway.upstream.dialects import read_client_effort
from router.engine import LimitReached, NobodyCan, NotAllowed, UnknownModelName
from router.policy import AUTO, DIAL_WORDS, read_dial
from router.types import Decision, Effort, RouteRequest, Tier

ROUTE_HEADER = "x-thalamus-route"
DIAL_HEADER = "x-thalamus-dial"
PRIORITY_HEADER = "x-thalamus-priority"

USUAL_ANSWER_TOKENS = 512
"""Set aside for an answer before it is there, unless the request allows less."""

WORTH_RETRYING_S = 60.0
"""SDKs retry a 429 by themselves; for a longer wait than this they are told not to."""

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


async def decide(
    call: Call, request: RouteRequest, named: Mapping[str, Any] | None = None, *, reserve: bool = True
) -> Decision:
    """Decide, set aside what the request will take of the caller's limits, and keep both in the record.

    Args:
        call: the request being served.
        request: what it asks.
        named: request fields by which clients name a conversation, see `sessions.IDENTITY_FIELDS`.
        reserve: whether anybody will be called; without, limits are looked at and nothing is set aside.

    Raises:
        PermissionRefused: the caller's key may not ask for the model, or no tier may serve it.
        UnknownModel: nobody has that name.
        NoTarget: nobody has the abilities.
        LimitReached: the key's limit of a tier is reached, and nobody stands in.
        RateLimited, BudgetExceeded: a limit of the key's own is reached.
    """
    caller, rooms = call.caller, call.rooms
    call.record.leave("parse")
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
    )
    decision = await _decide_within_limits(call, request, reserve=reserve)
    if decision.session is not None:
        call.remember = lambda session: rooms.sessions.remember(key, session)
    return decision


async def _decide_within_limits(call: Call, request: RouteRequest, *, reserve: bool) -> Decision:
    """Decide, and again without the tiers whose limits turn out to be reached."""
    caller, record, limits = call.caller, call.record, call.rooms.limits
    if not caller.meters or record.reservation is not None:  # what answers in the background was let in before
        return await _decide(call, request)
    if not reserve:
        exhausted = await limits.exhausted(caller.meters, caller.tenant, caller.name)
        return await _decide(call, dataclasses.replace(request, exhausted=exhausted))
    while True:
        decision = await _decide(call, request)
        tier = decision.targets[0].tier
        try:
            with record.trace.begin("limits"):
                record.reservation = await limits.reserve(
                    caller.meters, caller.tenant, caller.name, tier, _demand(call, request, decision)
                )
        except TierExhausted as refused:
            if tier is None or tier in request.exhausted:
                raise _refusal(call, refused) from None
            request = dataclasses.replace(request, exhausted={**request.exhausted, tier: refused.resets_in_s})
        except Refused as refused:
            raise _refusal(call, refused) from None
        else:
            record.standing = record.reservation.standing
            return decision
        finally:
            record.leave("limits")


def _demand(call: Call, request: RouteRequest, decision: Decision) -> Demand:
    """Estimate what a request will take: its prompt, its thinking, and an answer of a usual or the wanted length."""
    needs, target = request.needs, decision.targets[0]
    output = USUAL_ANSWER_TOKENS
    if (
        decision.estimate is not None
        and target.effort is not Effort.NONE
        and target.tier in (Tier.DEEP, Tier.DEEP_MINI)
    ):
        output += int(decision.estimate.thinking_tokens)
    if needs.max_tokens is not None:
        output = min(output, needs.max_tokens)
    price = call.rooms.accounts.prices.get(target.backend)
    dollars = 0.0 if price is None else price.cost(Usage(needs.prompt_tokens, output))
    return Demand(needs.prompt_tokens + output, dollars)


def _refusal(call: Call, refused: Refused) -> ThalamusError:
    """Say which limit is reached, and when to come back; where waiting is pointless, that as well."""
    call.record.standing = refused.standing
    whose = "tenant" if refused.meter.is_tenants else "key"
    what = refused.meter.described
    error: ThalamusError
    if isinstance(refused, TierExhausted):
        error = errors.LimitReached(
            f"The limit of the tier '{refused.meter.tier}' is reached for this {whose}: {what}."
        )
    elif isinstance(refused, BudgetSpent):
        error = errors.BudgetExceeded(f"The budget of this {whose} is spent: {what}.")
    elif isinstance(refused, TooLarge):
        error = errors.RateLimited(f"The request alone asks for more than this {whose} may use: {what}.")
    else:
        error = errors.RateLimited(f"The limit of this {whose} is reached: {what}.")
    if not isinstance(refused, TooLarge):
        error.headers["retry-after"] = str(max(1, math.ceil(refused.resets_in_s)))
    if isinstance(refused, TooLarge) or refused.resets_in_s > WORTH_RETRYING_S:
        error.headers["x-should-retry"] = "false"  # OpenAI's and Anthropic's SDKs heed it
    return error


async def _decide(call: Call, request: RouteRequest) -> Decision:
    engine, second = call.rooms.engine, call.rooms.second_opinion
    started = time.perf_counter()
    span = call.record.trace.begin("decision")
    try:
        with span:
            signals = None if second is None else await second.read(engine, request)
            decision = engine.decide(request, signals)
            if call.record.trace.is_on:
                span.note(_told(decision))
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
        call.record.leave("decide")
    call.record.request, call.record.decision = request, decision
    return decision


def _told(decision: Decision) -> dict[str, Value | None]:
    """Give a decision as a span's attributes: the signals' values, and never their notes, which may quote."""
    estimate = decision.estimate
    told: dict[str, Value | None] = {
        "thalamus.decision.id": decision.id,
        "thalamus.reason": decision.reason.value,
        "thalamus.tier": decision.tier and decision.tier.value,
        "thalamus.effort": decision.effort and decision.effort.value,
        "thalamus.dial": decision.dial,
        "thalamus.difficulty": decision.difficulty,
        "thalamus.threshold": decision.threshold,
        "thalamus.kind": decision.kind and decision.kind.value,
        "thalamus.bundle": None if estimate is None else estimate.model,
        "thalamus.targets": ", ".join(target.backend for target in decision.targets),
    }
    return told | {f"thalamus.signal.{signal.name.replace(' ', '_')}": signal.value for signal in decision.signals}


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
    dial = None if written is None else read_dial(written)
    if dial is None and written is not None:
        raise InvalidField(f"The header {DIAL_HEADER} can be {DIAL_WORDS}.", param=DIAL_HEADER)
    return dial
