"""From a decision to an answer: the cache is asked, then the backends in the decision's order until one answers.

Whoever fails before the first useful byte is routed around, and the failures are told in ``x-thalamus-attempts``; after
it nobody else is asked, so that no token is ever sent twice.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import cast

import msgspec

from gateway.cache.answer import Answer as KeptAnswer
from gateway.cache.exact import Hit, Plan
from gateway.cache.key import NotCanonical, cache_key
from gateway.cache.replay import paced
from gateway.cache.replay import replay as replay_kept
from gateway.cache.semantic.prompt import Prompt
from gateway.calls.attempts import Course, Step
from gateway.calls.calling import Content, Given, call_once
from gateway.calls.continuing import going_on
from gateway.calls.errand import Errand, Outgoing
from gateway.calls.relaying import NO_ANSWER
from gateway.calls.sharing import SHARED, share
from gateway.errors import UpstreamBusy, UpstreamError
from gateway.exchange import Call, Reply, StreamReply
from gateway.queueing import Visitor
from gateway.records.accounting import Attempt, Record, Spending
from gateway.upstream.pool import Asking, Backend, Pool
from gateway.vault import Listener
from router.types import Decision, Effort, Reason, Target

__all__ = ["Errand", "Outgoing", "decision_headers", "forward"]

PASSED_ON_HEADERS = ("x-request-id", "openai-processing-ms", "openai-version", "openai-organization")
"""Headers of a backend's answer that clients may rely on; all others stay behind."""

CACHE_HEADER = "x-thalamus-cache"
SIMILARITY_HEADER = "x-thalamus-cache-similarity"
SHOWN_WAIT_S = 0.001
"""Time in line is told from this on."""

_OPT_IN = {"on": True, "off": False}
_EXACT_ONLY = "exact"
"""What a caller writes who takes no answer to somebody else's words."""


async def forward(call: Call, decision: Decision, errand: Errand) -> Reply | StreamReply:
    """Give the answer: a kept one, or the first that a target of the decision gives.

    Raises:
        UpstreamError: the last one's failure, when none answered; or at once, when a backend refused the request.
    """
    call.record.stream = errand.stream
    call.announce = partial(decision_headers, decision, call.record)
    keeping = _plan_keeping(call, decision, errand)
    kept = None if keeping is None else await keeping.find(call, decision, errand)
    call.record.leave("cache")
    if kept is not None:
        return kept
    alone = errand.inspect is not None or errand.may_be_native
    if keeping is None or alone or not keeping.is_shared(call):
        return await _fetch(call, decision, errand, keeping)
    shared = partial(_fetch_unless_kept, decision=decision, errand=errand, keeping=keeping)
    form = f"{int(errand.stream)}{int(errand.usage_asked)}{int(errand.both_names)}{errand.show}"
    name = f"{keeping.key}:{form}"  # what one caller may not see must not reach it by another's call
    own = {"x-thalamus-decision-id": decision.id, CACHE_HEADER: SHARED}
    try:
        return await share(call.rooms.flights, name, call, shared, lambda _: own)
    except UpstreamError as error:
        error.headers |= decision_headers(decision, call.record)
        raise


async def _fetch_unless_kept(
    call: Call, *, decision: Decision, errand: Errand, keeping: _Keeping
) -> Reply | StreamReply:
    """Lead a flight. The one before it may have landed in another process since the cache was asked."""
    if call.rooms.flights.are_shared and (kept := await keeping.find_exact(call, decision, errand)):
        return kept
    return await _fetch(call, decision, errand, keeping)


async def _fetch(call: Call, decision: Decision, errand: Errand, keeping: _Keeping | None) -> Reply | StreamReply:
    """Ask the targets until one of them answers."""
    course: Course[Given] = Course(
        call.rooms.attempts,
        decision.targets,
        call.rooms.backends.__getitem__,
        partial(_asking, call, decision, errand, _visitor(call)),
        call.record,
        call.rooms.admission.gates,
    )
    try:
        given = await course.run(partial(_ask, call, decision, errand, keeping))
    except UpstreamError as error:
        error.headers |= decision_headers(decision, call.record)
        raise
    finally:
        call.record.leave("open")
    reply = _take(call, decision, given, keeping)
    can_go_on = errand.resume is not None and not given.outgoing.native and course.settings.continue_streams
    if isinstance(reply, StreamReply) and errand.resume is not None and can_go_on:
        return await _Continuation(call, errand, errand.resume, course, given, reply).begin()
    return reply


def decision_headers(decision: Decision, record: Record) -> dict[str, str]:
    """Say who answers and why."""
    target = record.target or decision.targets[0]
    headers = {
        "x-thalamus-decision-id": decision.id,
        "x-thalamus-backend": target.backend,
        "x-thalamus-reason": _reason(decision, target, record.attempts).value,
        CACHE_HEADER: record.cache,
    }
    if target.tier is not None:
        headers["x-thalamus-tier"] = target.tier.value
    if target.effort is not None:
        headers["x-thalamus-effort"] = target.effort.value
    if decision.difficulty is not None:
        headers["x-thalamus-difficulty"] = f"{decision.difficulty:.3f}"
    if record.thinking:
        headers["x-thalamus-thinking"] = record.thinking
    if decision.resets_in_s is not None:
        headers["x-thalamus-limit-reset"] = f"{decision.resets_in_s:.0f}"
    if record.queued_s >= SHOWN_WAIT_S:
        headers["x-thalamus-queued"] = f"{record.queued_s:.3f}"
    if any(attempt.result != "ok" for attempt in record.attempts):
        headers["x-thalamus-attempts"] = ", ".join(f"{attempt.backend}={attempt.result}" for attempt in record.attempts)
    return headers


def _reason(decision: Decision, target: Target, attempts: list[Attempt]) -> Reason:
    """Say why this target serves: the decision's reason, unless somebody before it failed or was too busy."""
    if target == decision.targets[0] or not (failed := next((one for one in attempts if one.error), None)):
        return decision.reason
    return Reason.LOAD if failed.error == UpstreamBusy.code else Reason.FALLBACK


@dataclass(slots=True)
class _Keeping:
    """What the cache may do for one request."""

    key: str
    plan: Plan
    read_prompt: Callable[[], Prompt | None] | None = None
    """Reads the prompt for the semantic cache, where it takes part; called once, and not before it is needed."""
    _prompt: Prompt | None = None

    def is_shared(self, call: Call) -> bool:
        """Whether the request may get the answer of an identical one that is under way, and give its own."""
        return self.plan.read and self.plan.write and call.rooms.settings.cache.share_in_flight

    async def find(self, call: Call, decision: Decision, errand: Errand) -> Reply | StreamReply | None:
        """Give the kept answer as a reply: to the same request, else to one that asks the same in other words."""
        if kept := await self.find_exact(call, decision, errand):
            return kept
        semantic, prompt = call.rooms.semantic, self.prompt
        similar = await semantic.find(prompt, self.plan) if semantic is not None and prompt is not None else None
        if similar is None:
            return None
        call.record.cache, call.record.kept_as = "hit-semantic", similar.entry
        told = {SIMILARITY_HEADER: f"{min(similar.similarity, 1.0):.3f}"}
        return self._reply(call, decision, errand, similar.hit, told)

    async def find_exact(self, call: Call, decision: Decision, errand: Errand) -> Reply | StreamReply | None:
        """Give the kept answer to the same request as a reply, if there is one."""
        cache, record = call.rooms.cache, call.record
        with record.trace.begin("cache") as span:
            hit = await cache.lookup(self.key, self.plan) if cache else None
            record.cache = "miss" if hit is None else "hit-exact"
            span.note({"thalamus.cache": record.cache})
        return None if hit is None else self._reply(call, decision, errand, hit, {})

    @property
    def prompt(self) -> Prompt | None:
        """The prompt as the semantic cache compares it; None where it takes no part."""
        if self._prompt is None and self.read_prompt is not None:
            self._prompt, self.read_prompt = self.read_prompt(), None
        return self._prompt

    def _reply(
        self, call: Call, decision: Decision, errand: Errand, hit: Hit, told: Mapping[str, str]
    ) -> Reply | StreamReply:
        record = call.record
        record.target = decision.targets[0]
        headers = decision_headers(decision, record) | {"age": f"{hit.age_s:.0f}", **told}
        backend = call.rooms.backends[record.target.backend]
        if not errand.stream:
            return Reply(errand.shown(backend, errand.normal(backend, hit.answer.body)), headers)
        frames = replay_kept(hit.answer, usage_asked=errand.usage_asked, rewrite=errand.rewriter(backend))
        record.first_token_s = record.since_start()
        return StreamReply(b"", paced(frames, call.rooms.settings.cache.replay_pace), headers)

    async def keep(self, call: Call, answer: KeptAnswer) -> None:
        """Offer an answer to the cache, and let its prompt be found by its meaning."""
        if call.rooms.cache is None or await call.rooms.cache.offer(self.key, answer, self.plan) != "stored":
            return
        if call.rooms.semantic is not None and (prompt := self.prompt) is not None:
            await call.rooms.semantic.add(prompt, self.key, self.plan)


def _plan_keeping(call: Call, decision: Decision, errand: Errand) -> _Keeping | None:
    """Decide whether the cache takes part, and name the request in it."""
    cache = call.rooms.cache
    if cache is None:
        return None
    fields = {
        name: msgspec.json.decode(errand.fields[name]) for name in ("temperature", "seed") if name in errand.fields
    }
    endpoint = f"/v1/{errand.path}"
    wish = call.headers.get(CACHE_HEADER, "")
    plan = cache.plan(
        endpoint,
        fields,
        cache_control=call.headers.get("cache-control"),
        opted_in=_OPT_IN.get(wish),
    )
    if not (plan.read or plan.write):
        return None
    first = decision.targets[0]
    model = call.rooms.backends[first.backend].settings.model
    asked = (call.caller.tenant, endpoint, f"{first.backend}/{model}", first.effort, errand.fields)
    try:
        key = cache_key(*asked)
    except NotCanonical:
        return None
    semantic = call.rooms.semantic
    reads_prompt = semantic is not None and wish != _EXACT_ONLY
    return _Keeping(key, plan, partial(semantic.read, *asked) if semantic is not None and reads_prompt else None)


async def _ask(call: Call, decision: Decision, errand: Errand, keeping: _Keeping | None, step: Step) -> Given:
    """Make one call of the course."""
    record_stream = keeping is not None and errand.stream and step.target == decision.targets[0]
    return await call_once(call, errand, step, record_stream=record_stream)


def _take(call: Call, decision: Decision, given: Given, keeping: _Keeping | None) -> Reply | StreamReply:
    """Make a call's answer the request's: count it, head it, and plan what is kept of it."""
    record, outgoing, reply = call.record, given.outgoing, given.reply
    record.target, record.thinking = given.step.target, outgoing.thinking
    if given.tally.is_empty:
        record.thinking += NO_ANSWER
    given.tally.adopt(record)
    if outgoing.mended is not None:
        call.rooms.metrics.record_history(record.target.backend, outgoing.mended)
    if keeping is not None and record.target == decision.targets[0]:
        # Another's answer, kept under the first target's name, would pass for that one's.
        reply.after = partial(_keep_answer, call, given.content, keeping)
    if outgoing.listener is not None:
        reply.after = _keep_reasoning(call, given.content, outgoing.listener, reply.after)
    reply.headers = decision_headers(decision, record) | _passed_on(given.headers)
    return reply


@dataclass(slots=True)
class _Continuation:
    """A stream that somebody else may go on with, should it break off."""

    call: Call
    errand: Errand
    resume: Callable[[Backend, Target, str, int], Outgoing | None]
    course: Course[Given]
    given: Given
    reply: StreamReply
    is_broken: bool = False

    async def begin(self) -> StreamReply:
        """Give the stream; it is begun here, so that closing it closes what is behind it."""
        pieces = going_on(self.reply, self._go_on)
        return StreamReply(await anext(pieces), pieces, self.reply.headers, self._after)

    async def _go_on(self, error: UpstreamError, text: str, tokens: int) -> Given | None:
        """Find somebody to go on from a text; None if nobody does."""
        record, course, broken = self.call.record, self.course, self.given
        self.is_broken = True

        def prepare(backend: Backend, target: Target) -> Outgoing | None:
            return self.resume(backend, target, text, tokens)

        backends = self.call.rooms.backends
        course.go_on(broken.step, error, lambda one: prepare(backends[one.backend], one) is not None)
        errand = replace(self.errand, prepare=cast("Callable[[Backend, Target], Outgoing]", prepare))
        try:
            self.given = await course.run(partial(call_once, self.call, errand, record_stream=False))
        except UpstreamError:
            record.target = broken.step.target
            return None
        if broken.tally.usage is not None:
            record.besides.append(Spending(broken.step.target.backend, broken.tally.usage))
        self.given.tally.adopt(record)
        return self.given

    async def _after(self) -> None:
        """Keep what was to be kept of the answer, unless several have written it."""
        if not self.is_broken and self.reply.after is not None:
            await self.reply.after()


async def _keep_answer(call: Call, content: Content, keeping: _Keeping) -> None:
    """Offer the answer to the cache, once the client has it: all that was said; the next caller may see more of it."""
    native = content.native
    if native is not None:
        if (kept := native.as_chat()) is not None and not native.calls_tools:
            await keeping.keep(call, KeptAnswer(200, "application/json", kept))
    elif content.body is not None:
        await keeping.keep(call, KeptAnswer(200, "application/json", content.body))
    elif content.recorder is not None and (recorded := content.recorder.answer()):
        await keeping.keep(call, recorded)


def _visitor(call: Call) -> Visitor:
    """Say who waits, where waiting must be, and until when: fairness is between keys."""
    caller, record = call.caller, call.record
    ends_at = call.rooms.attempts.ends_at(record)
    return Visitor(f"{caller.tenant}/{caller.name}", call.priority, record.note_waiting, ends_at)


def _asking(call: Call, decision: Decision, errand: Errand, visitor: Visitor, target: Target, pool: Pool) -> Asking:
    """Say what is looked for among a target's replicas."""
    request = call.record.request
    tokens = request.needs.prompt_tokens if request is not None else 0
    if decision.estimate is not None and target.effort is not Effort.NONE:
        tokens += int(decision.estimate.thinking_tokens)
    return Asking(visitor, _affinity(call, errand, pool), tokens)


def _affinity(call: Call, errand: Errand, pool: Pool) -> str | None:
    """Name what shall stay with one replica, where there are several; the tenant is in every name."""
    if len(pool.replicas) == 1:
        return None
    affinity = call.rooms.backends[pool.backend].settings.balance.affinity
    if affinity == "prefix" and (prefix := _prefix(call, errand)):
        return f"{call.caller.tenant}\0{prefix}"
    return None if affinity == "off" else call.record.conversation or None


def _prefix(call: Call, errand: Errand) -> str:
    """Give what a request begins with: its tools and system prompt; "" where it has neither."""
    request = call.record.request
    turns = request.conversation.turns if request is not None else ()
    system = "\0".join(turn.text for turn in turns if turn.role == "system")
    return bytes(errand.fields.get("tools", b"")).decode(errors="replace") + system


def _keep_reasoning(
    call: Call, content: Content, listener: Listener, before: Callable[[], Awaitable[None]] | None
) -> Callable[[], Awaitable[None]]:
    """Give what is to run once the client has its answer: what was planned already, then the vault."""

    async def keep() -> None:
        if before is not None:
            await before()
        if content.native is not None and (heard := content.native.as_chat(with_items=True)) is not None:
            listener.hear_answer(heard)
        if call.rooms.vault is not None:
            await call.rooms.vault.keep(call.caller.tenant, listener)

    return keep


def _passed_on(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: headers[name] for name in PASSED_ON_HEADERS if name in headers}
