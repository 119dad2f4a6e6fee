"""Logged decisions, and the same requests decided again under another policy or by another bundle.

A line of the decision log is a `Logged`. Its words are left out unless the operator wanted them, and what was read of
them (`Signals`) stands in their place, so that a replay without content repeats what the request looked like then.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import msgspec

from classifiers.types import Conversation, DifficultyModel, Estimate, Kind, Turn
from router.conversation import carried_difficulty
from router.engine import Engine, LimitReached, NobodyCan, NotAllowed, UnknownModelName
from router.policy import DIALS
from router.signals import Signals, read_signals
from router.types import Decision, Reason, RouteRequest, Session, Target, Tier

FORMAT = 1
"""Version of the log's lines; a reader refuses others."""

METADATA = "metadata."
"""Prefix of the attributes that the caller wrote: content, like the prompt."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """Tokens of one call. `output` includes `reasoning`, `input` includes `cached`."""

    input: int
    output: int
    cached: int = 0
    reasoning: int = 0


@dataclass(frozen=True, slots=True)
class Decided:
    """What was decided: the first target, and why."""

    target: Target
    reason: Reason
    dial: str
    threshold: float | None = None
    difficulty: float | None = None


@dataclass(frozen=True, slots=True)
class Served:
    """What came of it.

    Attributes:
        outcome: ``done``, ``failed`` or ``dropped`` (the client left first).
        target: who was asked last; None when nobody was.
        cache: what the cache did: ``hit-exact``, ``miss`` or ``bypass``.
        tokens: of the call whose answer was given.
        cost: dollars of all calls, None where no price is known.
        besides_cost: the part of it that went into answers which failed their check and were not given.
        first_token_s: seconds until the first piece of a stream.
        total_s: seconds until the answer's end.
    """

    outcome: str
    status: int
    target: Target | None
    total_s: float
    cache: str = "bypass"
    first_token_s: float | None = None
    tokens: Tokens | None = None
    cost: float | None = None
    besides_cost: float = 0.0
    attempts: int = 1
    error: str | None = None

    @property
    def from_cache(self) -> bool:
        """Whether no backend was asked, since the answer was there."""
        return self.cache.startswith("hit")


@dataclass(frozen=True, slots=True)
class Logged:
    """One line of the decision log.

    Attributes:
        at: when the answer ended, in UTC.
        conversation: names the conversation within this log, empty when it is not known.
        content: whether `request` holds the texts; without them its turns are empty and only the user's are listed.
        facts: what was read of the request; None where a backend was asked for by name.
        trace_id: of the trace that it belongs to, in hexadecimal; empty where tracing was off.
    """

    v: int
    id: str
    at: datetime
    endpoint: str
    tenant: str
    key: str
    stream: bool
    conversation: str
    content: bool
    request: RouteRequest
    facts: Signals | None
    decided: Decided
    served: Served
    trace_id: str = ""


class Feedback(msgspec.Struct, frozen=True, kw_only=True, tag_field="line", tag="feedback"):
    """Another line of the log: what a caller thinks of the answer that a decision led to.

    Attributes:
        id: the decision's.
        tier: who answered; "" for a backend in no tier.
        verdict: ``fast``, ``deep`` or ``same``: which tier's answer is better; ``up`` or ``down``: of this one alone.
        note: the caller's words, only where content is logged.
    """

    id: str
    at: datetime
    tenant: str
    tier: str
    verdict: str
    note: str | None = None


class Shadowed(msgspec.Struct, frozen=True, kw_only=True, tag_field="line", tag="shadow"):
    """Another line of the log: what the other tier's answer to the same request told, which nobody was given.

    Attributes:
        id: the decision's.
        tier: who served the caller.
        target: who gave the second answer.
        verdict: ``fast``, ``deep`` or ``same``: which tier's answer is better.
        by: who compared, ``rule`` or ``judge``.
        finding: ``fast-was-enough`` or ``deep-was-needed``.
        cost: dollars of the second answer, None where its price is not known.
        total_s: seconds until it was compared.
    """

    id: str
    at: datetime
    tenant: str
    tier: str
    target: Target
    verdict: str
    by: str
    finding: str
    cost: float | None = None
    total_s: float = 0.0


NOTE_STARTS = (b'{"line":"feedback"', b'{"line":"shadow"')
"""How lines begin that are about a decision, and none themselves."""

_notes: msgspec.json.Decoder[Feedback | Shadowed] = msgspec.json.Decoder(Feedback | Shadowed)


class MalformedLine(Exception):
    """A line is no line of a decision log; the message says why."""


Refusal = Literal["unknown-model", "nobody-can", "not-allowed", "limit", "not-logged"]
"""Why a request cannot be decided again: `not-logged` means that neither its words nor its signals are in the log."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """A logged request and what becomes of it now."""

    logged: Logged
    decision: Decision | None
    refusal: Refusal | None = None
    judged_anew: bool = False
    """Whether the engine's own model read the logged words, instead of the logged signals being used."""

    @property
    def target(self) -> Target | None:
        """Who would be asked first."""
        return self.decision.targets[0] if self.decision else None

    @property
    def changed(self) -> bool:
        """Whether another backend, tier or effort than then is chosen, or nobody."""
        return self.target != self.logged.decided.target

    @property
    def estimate(self) -> Estimate | None:
        """The judgement that counts for both sides of a comparison: the newer one."""
        if self.decision is not None and self.decision.estimate is not None:
            return self.decision.estimate
        return self.logged.facts.estimate if self.logged.facts else None

    @property
    def kind(self) -> Kind | None:
        """The conversation type, by the newer judgement."""
        if self.decision is not None and self.decision.kind is not None:
            return self.decision.kind
        return self.logged.facts.kind if self.logged.facts else None


_lines = msgspec.json.Decoder(Logged)


def read_line(line: bytes) -> Logged:
    """Read one line of a decision log.

    Raises:
        MalformedLine: it is not JSON, lacks something, or was written in another format.
    """
    try:
        logged = _lines.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:  # a ValidationError is a DecodeError
        raise MalformedLine(str(error)) from None
    if logged.v != FORMAT:
        raise MalformedLine(f"format {logged.v}, this version reads {FORMAT}")
    return logged


def read_note(line: bytes) -> Feedback | Shadowed:
    """Read a line about a decision.

    Raises:
        MalformedLine: it is none.
    """
    try:
        return _notes.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MalformedLine(str(error)) from None


def without_content(request: RouteRequest) -> RouteRequest:
    """Take out of a request what its caller wrote: texts and metadata. That the user spoke n times stays."""
    turns = tuple(Turn("user", "") for turn in request.conversation.turns if turn.role == "user")
    attributes = {name: value for name, value in request.attributes.items() if not name.startswith(METADATA)}
    conversation = Conversation(turns, request.conversation.tools)
    return dataclasses.replace(request, conversation=conversation, attributes=attributes)


def replay(lines: Iterable[Logged], engine: Engine) -> Iterator[Replayed]:
    """Decide every logged request again, in the log's order.

    A conversation goes on from where the replay left it, not from where it was then: a request that goes deep now
    carries that to its follow-ups. Limits and load are those of then, since they depend on traffic that the log
    does not show. Whether a fast answer would fail a route's check is not known before it is given, so a cascade
    counts as its fast tier.
    """
    sessions: dict[tuple[str, str], Session] = {}
    for logged in lines:
        talk = (logged.tenant, logged.conversation)
        replayed = decide_again(logged, engine, sessions.get(talk))
        if logged.conversation and replayed.decision is not None and replayed.decision.session is not None:
            sessions[talk] = replayed.decision.session
        yield replayed


def decide_again(logged: Logged, engine: Engine, session: Session | None = None) -> Replayed:
    """Decide one logged request again.

    Args:
        logged: the request, and what was read of it.
        engine: the policy and the model that decide now. Its model judges only where the log has the words and
            another model judged them then; else its thresholds alone count.
        session: what the conversation has come to, in place of what was remembered then. Where nothing was
            remembered then (a first request, an expired conversation), nothing is now.
    """
    request = logged.request
    if request.session is not None and session is not None:
        request = dataclasses.replace(request, session=session)
    by_name = _is_backend(request.model, engine)
    anew = not by_name and can_judge_anew(logged, engine.model)
    signals = read_signals(request, engine.model) if anew else _signals(logged, request)
    if signals is None and not by_name:
        return Replayed(logged, None, "not-logged")
    try:
        return Replayed(logged, engine.decide(request, signals), judged_anew=anew)
    except UnknownModelName:
        return Replayed(logged, None, "unknown-model")
    except NobodyCan:
        return Replayed(logged, None, "nobody-can")
    except NotAllowed:
        return Replayed(logged, None, "not-allowed")
    except LimitReached:
        return Replayed(logged, None, "limit")


def can_judge_anew(logged: Logged, model: DifficultyModel) -> bool:
    """Whether the log has words that another model judged, or none did."""
    return logged.content and (logged.facts is None or logged.facts.estimate.model != model.name)


def judged_by(logged: Logged, model: DifficultyModel) -> Logged | None:
    """Give a line with this model's judgement: the logged one, or a new one where there are words; else None."""
    if can_judge_anew(logged, model):
        return dataclasses.replace(logged, facts=read_signals(logged.request, model))
    return logged if logged.facts is not None and is_of(logged.facts.estimate.model, model.name) else None


def is_of(judge: str, bundle: str) -> bool:
    """Whether a model is the one that a bundle's name stands for, or either of the two that it joins (``a+b``)."""
    return judge == bundle or judge in bundle.split("+")


def at_threshold(engine: Engine, threshold: float, dials: Iterable[str] = DIALS) -> Engine:
    """Give an engine that goes deep from `threshold` on, at its own and the given dials, and is else the same."""
    thresholds = {**engine.policy.thresholds, **dict.fromkeys((engine.policy.dial, *dials), threshold)}
    return Engine(dataclasses.replace(engine.policy, thresholds=thresholds), engine.model)


def is_deep(tier: Tier | None) -> bool:
    """Whether a tier is one of those that think."""
    return tier in (Tier.DEEP, Tier.DEEP_MINI)


def _signals(logged: Logged, request: RouteRequest) -> Signals | None:
    """Give the logged signals, with the difficulty that the conversation carries now."""
    facts = logged.facts
    if facts is None:
        return None
    difficulty = carried_difficulty(facts.estimate.difficulty, request.session, facts.lean)
    return dataclasses.replace(facts, difficulty=difficulty)


def _is_backend(model: str, engine: Engine) -> bool:
    return engine.policy.aliases.get(model, model) in engine.policy.candidates
