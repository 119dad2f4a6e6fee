"""Sends a share of requests to the other tier as well, once their callers have their answers, and compares the two.

Nobody waits for it and nothing fails by it: it takes no place in a line, keeps to a number and a budget, and is
cancelled at the end of the process. Its cost is counted apart and is no caller's.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, cast

import msgspec
import structlog

from classifiers.types import Conversation, Turn
from gateway.cache.replay import Recorder
from gateway.calls.attempts import Attempts
from gateway.calls.errand import Errand
from gateway.calls.forward import forward
from gateway.calls.held import ErrandOf, held
from gateway.errors import ThalamusError
from gateway.exchange import Call, Reply, StreamReply
from gateway.queueing import Priority
from gateway.records.accounting import Record, Spending
from gateway.records.verdicts import finding_of
from gateway.settings import AttemptsSettings
from gateway.settings.shadow import ShadowSettings
from gateway.shadow.agreement import agree
from gateway.shadow.judge import Word, question, read_word, settle
from gateway.shadow.purse import Purse
from gateway.wire.body import Parsed, parse
from gateway.wire.chat import ChatRequest
from router.engine import LimitReached, NobodyCan, NotAllowed, UnknownModelName
from router.policy import AUTO
from router.replay import Shadowed, is_deep
from router.types import Decision, Effort, Reason, RouteRequest, Target, Tier

if TYPE_CHECKING:
    from gateway.rooms import Rooms

_log = structlog.get_logger("thalamus")

MOST_ANSWER_BYTES = 2**20
"""A longer stream is not remembered, and so not compared."""

MOST_LAG_S = 0.05
"""A process whose event loop is later than this has other things to do."""

JUDGE_TOKENS = 1024
"""Enough for a word, and for a judge that cannot but think before it."""

_JUDGED = frozenset(
    {Reason.DIFFICULTY, Reason.INTENT_UP, Reason.INTENT_DOWN, Reason.STICKY, Reason.ROUTE, Reason.CASCADE}
)
"""Decisions that were the router's own: those of callers, keys, limits and load say nothing of it."""

_ONCE = AttemptsSettings(most=1, hedge=None)
"""One call and no other: retries and hedges are the callers' own."""

_NO_CACHE = {"cache-control": "no-store", "x-thalamus-cache": "off"}

Better = Literal["fast", "deep", "same"]
_BETTER: Mapping[Word, Better] = {"A": "fast", "B": "deep", "tie": "same"}


class _Skipped(Exception):
    """There is no second answer, or nothing can be made of it; the message says why, in a word."""


class _Message(msgspec.Struct):
    content: str | None = None
    tool_calls: list[Any] | None = None


class _Choice(msgspec.Struct):
    message: _Message
    finish_reason: str | None = None


class _Completion(msgspec.Struct):
    choices: list[_Choice]


_completions = msgspec.json.Decoder(_Completion)


@dataclass(frozen=True, slots=True)
class _Case:
    """A request that was answered, and what it takes to ask it again."""

    call: Call
    chat: Parsed[ChatRequest]
    errand_of: ErrandOf
    request: RouteRequest
    decision: Decision
    served: Target
    answer: bytes

    @property
    def settings(self) -> ShadowSettings:
        return self.call.rooms.settings.shadow

    @property
    def other(self) -> Tier:
        return Tier.FAST if is_deep(self.served.tier) else Tier.DEEP


class Shadows:
    """Second answers under way in this process. Whoever opens it closes it.

    Args:
        workers: how many processes share the day's budget.
    """

    def __init__(self, workers: int = 1, chance: Callable[[], float] = random.random) -> None:
        self._purse = Purse(workers)
        self._chance = chance
        self._running: set[asyncio.Task[None]] = set()

    async def follow(
        self, call: Call, chat: Parsed[ChatRequest], errand_of: ErrandOf, reply: Reply | StreamReply
    ) -> Reply | StreamReply:
        """Give the reply, and have its request asked again behind it where chance and settings want that."""
        settings = call.rooms.settings.shadow
        if settings.share <= 0 or self._chance() >= settings.share or not _is_fit(call, chat, reply, settings):
            return reply
        recorder = None
        if isinstance(reply, StreamReply):
            recorder = Recorder(MOST_ANSWER_BYTES)
            pieces = _overheard(reply, recorder)
            reply = replace(reply, first=await anext(pieces), rest=pieces)
        before = reply.after
        body = reply.body if isinstance(reply, Reply) else b""

        async def after() -> None:
            if before is not None:
                await before()
            kept = recorder.answer() if recorder is not None else None
            self._begin(call, chat, errand_of, body if kept is None else kept.body)

        reply.after = after
        return reply

    async def close(self) -> None:
        """Cancel what is under way, and wait until it has ended."""
        for task in self._running:
            task.cancel()
        if self._running:
            await asyncio.wait(self._running)

    def _begin(self, call: Call, chat: Parsed[ChatRequest], errand_of: ErrandOf, answer: bytes) -> None:
        """Start the second answer, unless there is no room or no money for it."""
        record, settings, metrics = call.record, call.rooms.settings.shadow, call.rooms.metrics
        if record.request is None or record.decision is None or record.target is None or record.is_kept:
            return
        case = _Case(call, chat, errand_of, record.request, record.decision, record.target, answer)
        if len(self._running) >= settings.max_concurrency:
            metrics.record_shadow(case.other, "no-room")
        elif not self._purse.has_any(settings.budget_usd_per_day):
            metrics.record_shadow(case.other, "no-money")
        elif not _is_quiet(call.rooms, case.other):
            metrics.record_shadow(case.other, "busy")
        else:
            task = asyncio.create_task(self._run(case))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _run(self, case: _Case) -> None:
        """Ask the other tier, compare, count and log. Never raises: nobody is there to hear it."""
        rooms, record, started = case.call.rooms, _record(case), time.perf_counter()
        better: Better | None = None
        try:
            async with asyncio.timeout(case.settings.timeout_s):
                served = _text(case.answer)
                other = _text(await _ask_other_tier(case, record))
                by, better = await _compare(case, record, served, other)
            result = by if better is None else better
        except _Skipped as skipped:
            by = result = str(skipped)
        except TimeoutError:
            by = result = "late"
        except ThalamusError:
            by = result = "failed"
        except Exception:  # noqa: BLE001
            # The edge: a defect here must be seen, and must not be anybody's but ours.
            _log.exception("defect", endpoint="shadow")
            by = result = "failed"
        finally:
            cost = self._settle(case, record)
        rooms.metrics.record_shadow(case.other, result)
        if better is not None:
            _tell(case, record, better, by, cost, time.perf_counter() - started)

    def _settle(self, case: _Case, record: Record) -> float | None:
        """Count what all of it cost, and give the dollars of the second answer itself."""
        rooms = case.call.rooms
        costs: list[float | None] = []
        if record.usage is not None and record.target is not None:
            record.besides.insert(0, Spending(record.target.backend, record.usage))
        for spent in record.besides:
            price = rooms.accounts.prices.get(spent.backend)
            spent.cost = None if price is None else price.cost(spent.usage)
            costs.append(spent.cost)
            rooms.metrics.record_shadow_cost(spent.backend, spent.cost or 0.0)
        self._purse.spend(sum(cost or 0.0 for cost in costs))
        return costs[0] if costs else None


def _is_fit(call: Call, chat: Parsed[ChatRequest], reply: Reply | StreamReply, settings: ShadowSettings) -> bool:
    """Whether a request is one of those that can be asked again and compared."""
    record, typed = call.record, chat.typed
    decision = record.decision
    return (
        decision is not None
        and decision.reason in _JUDGED
        and record.target is not None
        and record.target.tier is not None
        and not record.is_kept
        and not reply.native
        and (typed.n or 1) == 1
        and (settings.streams or not typed.stream)
        and (settings.tools or not typed.tools)
    )


def _is_quiet(rooms: Rooms, tier: Tier) -> bool:
    """Whether the process and the other tier have room to spare: nobody waits, and a place would be left."""
    if rooms.pulse.lag_s > MOST_LAG_S or tier in rooms.admission.busy():
        return False
    gate = rooms.admission.gates.get(tier)
    return gate is None or (not len(gate.queue) and gate.in_flight + 1 < gate.limit)


async def _overheard(reply: StreamReply, recorder: Recorder) -> AsyncGenerator[bytes, None]:
    """Pass a stream on and remember it; begun by whoever makes it, so that closing it closes what is behind it."""
    async with aclosing(reply.rest) as rest:
        recorder.feed(reply.first)
        yield reply.first
        async for piece in rest:
            recorder.feed(piece)
            yield piece


async def _compare(case: _Case, record: Record, served: str, other: str) -> tuple[str, Better | None]:
    """Say who compared and which tier's answer is better; None where nobody can tell."""
    agreement = agree(served, other)
    if agreement is not None:
        # Of two different results at most one is right, and that is more often the deep tier's.
        return "rule", "same" if agreement else "deep"
    if case.settings.judge is None:
        return "unjudged", None
    fast, deep = (other, served) if is_deep(case.served.tier) else (served, other)
    word = await _ask_judge(case, record, case.settings.judge, fast, deep)
    if word is not None:
        word = settle(word, await _ask_judge(case, record, case.settings.judge, deep, fast))
    return ("unjudged", None) if word is None else ("judge", _BETTER[word])


def _record(case: _Case) -> Record:
    record = case.call.record
    return Record("shadow", tenant=record.tenant, key=record.key, request=record.request)


async def _ask_other_tier(case: _Case, record: Record) -> bytes:
    """Have the other tier answer the same request, whole and uncached."""
    rooms, settings = case.call.rooms, case.settings
    request = replace(
        case.request, model=AUTO, tier=case.other, effort=None, session=None, busy=rooms.admission.busy(), stream=False
    )
    try:
        decision = rooms.engine.decide(request, case.decision.facts)
    except (NobodyCan, NotAllowed, LimitReached):
        raise _Skipped("nobody") from None
    targets = tuple(
        target for target in decision.targets if target.tier and is_deep(target.tier) == is_deep(case.other)
    )
    if not targets:
        raise _Skipped("nobody")
    typed = case.chat.typed
    asked = decision.raise_max_tokens or typed.max_completion_tokens or typed.max_tokens or settings.max_tokens
    errand = case.errand_of(held(case.chat), min(asked, settings.max_tokens))
    return await _fetch(case, record, replace(decision, targets=targets, escalation=None), errand)


async def _ask_judge(case: _Case, record: Record, judge: str, first: str, second: str) -> Word | None:
    """Ask the judge in one order, and read its word."""
    prompt = question(case.request.conversation.turns, first, second)
    asked = {"model": judge, "messages": [{"role": "user", "content": prompt}], "temperature": 0}
    request = RouteRequest(judge, Conversation((Turn("user", prompt),)), effort=Effort.NONE)
    own = replace(record, request=request, besides=[], attempts=[], usage=None, target=None)
    try:
        decision = case.call.rooms.engine.decide(request)
    except (NobodyCan, UnknownModelName):
        raise _Skipped("unjudged") from None
    errand = case.errand_of(parse(msgspec.json.encode(asked), ChatRequest), JUDGE_TOKENS)
    try:
        return read_word(_text(await _fetch(case, own, decision, errand)))
    finally:
        if own.usage is not None:
            record.besides.append(Spending(judge, own.usage))


async def _fetch(case: _Case, record: Record, decision: Decision, errand: Errand) -> bytes:
    """Make one call, if whoever is asked first has room to spare."""
    rooms = case.call.rooms
    if not rooms.backends[decision.targets[0].backend].pool.has_room_to_spare():
        raise _Skipped("busy")
    call = replace(
        case.call,
        rooms=replace(rooms, attempts=Attempts(_ONCE, lambda _: None)),
        record=record,
        headers=_NO_CACHE,
        priority=Priority.LOW,
        remember=None,
        wants_stream=False,
    )
    return cast("Reply", await forward(call, decision, errand)).body


def _text(body: bytes) -> str:
    """Give an answer's text.

    Raises:
        _Skipped: it has none, or was cut off.
    """
    try:
        choices = _completions.decode(body).choices
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise _Skipped("unreadable") from None
    if not choices or choices[0].finish_reason != "stop" or not (choices[0].message.content or "").strip():
        raise _Skipped("cut-off")
    return choices[0].message.content or ""


def _tell(case: _Case, record: Record, better: Better, by: str, cost: float | None, seconds: float) -> None:
    """Count and log what was found about the decision."""
    decision, tier, rooms = case.decision, case.served.tier or "", case.call.rooms
    finding = finding_of(better, tier)
    if finding is None or record.target is None:
        return
    rooms.metrics.record_finding("shadow", finding, tier, decision.kind or "", decision.difficulty)
    if rooms.decision_log is not None:
        rooms.decision_log.record_note(
            Shadowed(
                id=decision.id,
                at=datetime.now(UTC),
                tenant=record.tenant,
                tier=tier,
                target=record.target,
                verdict=better,
                by=by,
                finding=finding,
                cost=cost,
                total_s=round(seconds, 3),
            )
        )
