"""The decision, in pure code: read the signals, ask the rules in order of precedence, list who can, say why.

The order is: the client's explicit model, tier or effort → the key's bounds → named routes → explicit intent → tool
loops → expected gain against the dial → limits and load. Abilities bind all of them: a target that cannot serve the
request is never chosen. Every rule leaves a `Step`, so that the decision explains itself.
"""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from classifiers.types import DifficultyModel
from router.conversation import switch_margin
from router.policy import AUTO, FALLBACK_DIAL, Policy, TierTarget
from router.readings import Readings
from router.signals import Signals, signals_of
from router.thinking import Cap, choose_effort, expected_thinking, fit_max_tokens
from router.types import (
    AnswerCheck,
    Candidate,
    Decision,
    Effort,
    Escalation,
    Needs,
    Reason,
    RouteRequest,
    Session,
    Step,
    Target,
    Tier,
)

ANSWER_RESERVE = 1024
"""Tokens kept for the answer when the caller set no maximum."""

FORM_LEANING = 0.1
"""How far a wish about the answer's form ("just the number", "in detail") moves the threshold."""

_OVERFLOW: Mapping[Tier, tuple[Tier, ...]] = {
    Tier.FAST: (Tier.FAST_MINI, Tier.DEEP, Tier.DEEP_MINI),
    Tier.DEEP: (Tier.DEEP_MINI, Tier.FAST, Tier.FAST_MINI),
    Tier.FAST_MINI: (Tier.FAST, Tier.DEEP_MINI, Tier.DEEP),
    Tier.DEEP_MINI: (Tier.DEEP, Tier.FAST_MINI, Tier.FAST),
}
"""Who takes over when nobody in a tier can or does answer."""

_DEEPER = frozenset({Tier.DEEP, Tier.DEEP_MINI})
_MINI: Mapping[Tier, Tier] = {Tier.FAST: Tier.FAST_MINI, Tier.DEEP: Tier.DEEP_MINI}
_OTHER: Mapping[Tier, Tier] = {
    Tier.FAST: Tier.DEEP,
    Tier.DEEP: Tier.FAST,
    Tier.FAST_MINI: Tier.FAST,
    Tier.DEEP_MINI: Tier.FAST,
}


class UnknownModelName(Exception):
    """No tier, backend or alias has the name that was asked for."""

    def __init__(self, name: str, known: tuple[str, ...]) -> None:
        super().__init__(name)
        self.name = name
        self.known = known


class NobodyCan(Exception):
    """No configured backend can serve the request; `lacking` says what stands in the way at each."""

    def __init__(self, lacking: Mapping[str, Reason]) -> None:
        super().__init__(", ".join(f"{backend}: {reason}" for backend, reason in lacking.items()))
        self.lacking = lacking


class LimitReached(Exception):
    """The tier's limit is reached and the policy wants that told; `resets_in_s` says for how long."""

    def __init__(self, tier: Tier, resets_in_s: float) -> None:
        super().__init__(f"{tier}: {resets_in_s:.0f} s")
        self.tier = tier
        self.resets_in_s = resets_in_s


class NotAllowed(Exception):
    """The key's bounds leave no tier for the request."""


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What the rules have said so far."""

    tier: Tier
    reason: Reason
    effort: Effort | None = None
    threshold: float | None = None
    runner_up: str = ""
    backend: str | None = None
    """The backend to stay with, in a tool loop."""
    resets_in_s: float | None = None
    check: AnswerCheck | None = None
    """What the named route that settled it asks of fast answers."""


class Engine:
    """Decides for one policy and one difficulty model. Between requests it keeps nothing that changes a decision."""

    def __init__(self, policy: Policy, model: DifficultyModel) -> None:
        self.policy = policy
        self.model = model
        self._readings = Readings(model)
        self.names = (AUTO, *(tier.value for tier in policy.tiers), *policy.candidates, *policy.aliases)
        """Every model name that a client may ask for."""

    def read(self, request: RouteRequest) -> Signals | None:
        """Read a request's signals, for whoever wants a second opinion on them before `decide`.

        None where the model has no say: the client named a backend, or somebody whom nobody knows.
        """
        asked = self.policy.aliases.get(request.model, request.model)
        return self._read(request) if asked == AUTO or asked in self.policy.tiers else None

    def threshold(self, request: RouteRequest) -> float:
        """Give the difficulty from which the request's dial goes deep, conversation and wording left aside."""
        return self.threshold_at(self._dial(request, []))

    def threshold_at(self, dial: str) -> float:
        """Give the difficulty from which a dial goes deep."""
        found = self.policy.threshold(dial, self.model.thresholds)
        return self.model.thresholds[FALLBACK_DIAL] if found is None else found

    def decide(self, request: RouteRequest, signals: Signals | None = None) -> Decision:
        """Decide who serves one request.

        Args:
            request: what is asked.
            signals: what is known of it, in a replay or after a second opinion; None reads them.

        Raises:
            UnknownModelName: nobody is called what the client asked for.
            NobodyCan: no backend has the abilities or the context window.
            NotAllowed: the key's bounds leave no tier.
            LimitReached: a limit is reached, and the policy is to say so.
        """
        asked = self.policy.aliases.get(request.model, request.model)
        if asked in self.policy.candidates:
            return self._serve_by_name(asked, request)
        if asked != AUTO and asked not in self.policy.tiers:
            raise UnknownModelName(request.model, self.names)
        if asked != AUTO:
            request = dataclasses.replace(request, tier=Tier(asked))
        steps: list[Step] = []
        signals = signals or self._read(request)
        dial = self._dial(request, steps)
        verdict = self._judge(request, signals, dial, steps)
        verdict = _within_bounds(verdict, request, steps)
        verdict = self._within_limits(verdict, request, steps)
        targets, reason = self._capable(verdict, signals, request.needs, steps)
        cap = self._fit_max_tokens(request.needs.max_tokens, targets[0], signals, chosen=verdict.reason)
        if cap.take_fast and (lighter := self._lighter(targets)):
            steps.append(Step("max tokens", str(request.needs.max_tokens), "too few to think in: answers without"))
            targets, reason = lighter, Reason.MAX_TOKENS
        raised = self._room_to_think(request.needs.max_tokens, targets, signals, steps)
        escalation = self._escalation(dataclasses.replace(verdict, reason=reason), targets[0], request, signals, steps)
        return Decision(
            id=new_decision_id(),
            tier=targets[0].tier,
            targets=targets,
            reason=reason,
            effort=targets[0].effort,
            effort_asked=request.effort,
            difficulty=signals.difficulty,
            kind=signals.kind,
            threshold=verdict.threshold,
            dial=dial,
            estimate=signals.estimate,
            steps=tuple(steps),
            signals=tuple(signals.listed(request)),
            facts=signals,
            session=_remember(request.session, targets[0], signals),
            runner_up=verdict.runner_up,
            raise_max_tokens=raised,
            resets_in_s=verdict.resets_in_s,
            escalation=escalation,
        )

    def _read(self, request: RouteRequest) -> Signals:
        return signals_of(request, self._readings.read(request.attributes.get("tenant", ""), request.conversation))

    def _serve_by_name(self, backend: str, request: RouteRequest) -> Decision:
        """Send the request to the backend that the client named, if it can."""
        lacking = _lacks(self.policy.candidates[backend], request.needs)
        if lacking is not None:
            raise NobodyCan({backend: lacking})
        tier = next((tier for tier, targets in self.policy.tiers.items() if _is_among(backend, targets)), None)
        steps = [Step("client model", request.model, f"serves {backend}")]
        targets = (Target(backend, request.effort, tier),)
        raised = self._room_to_think(request.needs.max_tokens, targets, None, steps)
        return Decision(
            id=new_decision_id(),
            tier=tier,
            targets=targets,
            reason=Reason.CLIENT,
            effort=request.effort,
            effort_asked=request.effort,
            difficulty=None,
            kind=None,
            threshold=None,
            dial=request.dial or self.policy.dial,
            estimate=None,
            steps=tuple(steps),
            raise_max_tokens=raised,
        )

    def _dial(self, request: RouteRequest, steps: list[Step]) -> str:
        allowed = request.bounds.dials
        if request.dial is None:
            return self.policy.dial
        if allowed is not None and request.dial not in allowed:
            steps.append(Step("key", f"dial {request.dial}", f"not allowed: stays at {self.policy.dial}"))
            return self.policy.dial
        if self.policy.threshold(request.dial, self.model.thresholds) is None:
            steps.append(Step("dial", f"a share of {request.dial}", f"not calibrated: stays at {self.policy.dial}"))
            return self.policy.dial
        return request.dial

    def _judge(self, request: RouteRequest, signals: Signals, dial: str, steps: list[Step]) -> _Verdict:
        """Ask the rules in order of precedence; the first with an opinion decides, and difficulty is the runner-up."""
        verdict = (
            _client_says(request, steps)
            or self._named_route(request, signals, dial, steps)
            or _tool_loop(request, signals, steps)
            or _intent_says(signals, steps)
        )
        by_difficulty = self._gain(request, signals, dial, [] if verdict else steps)
        if verdict is None or verdict.runner_up:
            return verdict or by_difficulty
        return dataclasses.replace(verdict, runner_up=f"{by_difficulty.tier}: what difficulty says by itself")

    def _named_route(self, request: RouteRequest, signals: Signals, dial: str, steps: list[Step]) -> _Verdict | None:
        if not self.policy.routes:
            return None
        facts = _facts(request, signals)
        for route in self.policy.routes:
            if not route.holds(facts):
                continue
            if route.tier is not None:
                steps.append(Step(f"route {route.name}", "holds", f"goes {route.tier}"))
                return _Verdict(route.tier, Reason.ROUTE, route.effort, check=route.check)
            steps.append(Step(f"route {route.name}", "holds", f"dial {route.dial or dial}"))
            verdict = self._gain(request, signals, route.dial or dial, steps)
            return dataclasses.replace(verdict, effort=route.effort, check=route.check)
        steps.append(Step("routes", f"{len(self.policy.routes)} named", "none holds"))
        return None

    def _gain(self, request: RouteRequest, signals: Signals, dial: str, steps: list[Step]) -> _Verdict:
        """Go deep when difficulty clears the dial's threshold and deep is likely enough to do better."""
        threshold = self.threshold_at(dial)
        margin = switch_margin(request.session, Tier.DEEP, request.needs.prompt_tokens)
        if request.session is not None and request.session.tier is Tier.DEEP:
            margin = -switch_margin(request.session, Tier.FAST, request.needs.prompt_tokens)
        leaning = _form_leaning(signals)
        bound = min(max(threshold + margin + leaning, 0.0), 1.0)
        gain = signals.estimate.p_deep - signals.estimate.p_fast
        least = self.policy.min_gain.get(dial)
        deep = signals.difficulty >= bound
        saw = f"{signals.difficulty:.2f} {'≥' if deep else '<'} {bound:.2f} (dial {dial})"
        if margin:
            saw += f", {margin:+.2f} for the prefix that a change of tier would read again"
        if leaning:
            saw += f", {leaning:+.2f} for “{signals.intent.phrase}”"
        if abs(signals.difficulty - bound) < self.policy.unsure:
            deep = _leans_up(dial, default=deep)
            saw += ", unsure"
        if deep and least is not None and gain < least and not request.session:
            steps.append(Step("gain", f"{gain:+.2f} < {least:.2f}", "deep would do no better"))
            deep = False
        tier = Tier.DEEP if deep else Tier.FAST
        steps.append(Step("difficulty", saw, f"goes {tier}"))
        kept = request.session is not None and signals.lean > 0 and signals.difficulty > signals.estimate.difficulty
        reason = Reason.STICKY if kept and deep and signals.estimate.difficulty < threshold else Reason.DIFFICULTY
        runner_up = f"{_OTHER[tier]}: difficulty {'under' if deep else 'from'} {bound:.2f}"
        return _Verdict(tier, reason, None, bound, runner_up)

    def _within_limits(self, verdict: _Verdict, request: RouteRequest, steps: list[Step]) -> _Verdict:
        """Move a request whose tier is at its limit or shedding load, visibly."""
        tier = verdict.tier
        resets = request.exhausted.get(tier)
        if resets is None and tier not in request.busy:
            return verdict
        reason = Reason.LOAD if resets is None else Reason.LIMIT_MINI
        why = "sheds load" if resets is None else f"limit reached, free again in {resets:.0f} s"
        if resets is not None and self.policy.at_limit == "refuse":
            raise LimitReached(tier, resets)
        wanted = [_OTHER[tier]] if self.policy.at_limit == "other" else [_MINI.get(tier, tier), _OTHER[tier]]
        for instead in wanted:
            taken = instead in request.exhausted or (resets is None and instead in request.busy)
            if instead is not tier and instead in self.policy.tiers and not taken:
                steps.append(Step("limits", f"{tier} {why}", f"goes {instead}"))
                moved = dataclasses.replace(verdict, tier=instead, reason=reason, backend=None, resets_in_s=resets)
                return dataclasses.replace(moved, runner_up=f"{tier}: {why}")
        if resets is not None:
            raise LimitReached(tier, resets)
        return verdict

    def _capable(
        self, verdict: _Verdict, signals: Signals, needs: Needs, steps: list[Step]
    ) -> tuple[tuple[Target, ...], Reason]:
        """List the targets that can serve, the verdict's tier first, then those that take over."""
        lacking: dict[str, Reason] = {}
        targets: list[Target] = []
        for tier in (verdict.tier, *_OVERFLOW[verdict.tier]):
            for written in self.policy.tiers.get(tier, ()):
                lack = _lacks(self.policy.candidates[written.backend], needs)
                if lack is None:
                    targets.append(Target(written.backend, _effort(written, tier, verdict, signals), tier))
                elif written.backend not in lacking:
                    lacking[written.backend] = lack
                    steps.append(Step("abilities", lack.value, f"rules out {written.backend}"))
        if not targets:
            raise NobodyCan(lacking)
        if verdict.backend is not None:  # stays with the model that began the tool loop
            targets.sort(key=lambda target: (target.backend, target.tier) != (verdict.backend, verdict.tier))
        if targets[0].tier is verdict.tier:
            return tuple(targets), verdict.reason
        first = self.policy.tiers.get(verdict.tier, ())
        return tuple(targets), lacking[first[0].backend] if first else Reason.FALLBACK

    def _escalation(
        self, verdict: _Verdict, first: Target, request: RouteRequest, signals: Signals, steps: list[Step]
    ) -> Escalation | None:
        """Plan a cascade: whom to ask when the fast answer fails its check. None where nothing is checked."""
        check = self._answer_check(verdict, request, signals)
        if check is None or first.tier is not Tier.FAST or not request.checkable:
            return None
        targets = self._deep_targets(first, request, signals)
        cap = (
            Cap()
            if not targets
            else self._fit_max_tokens(request.needs.max_tokens, targets[0], signals, chosen=Reason.DIFFICULTY)
        )
        against = _against_cascading(check, targets, cap, request, signals)
        if against is not None:
            steps.append(Step("cascade", against, "not checked"))
            return None
        steps.append(Step("cascade", _told(check), f"{targets[0].backend} answers if {first.backend} fails"))
        return Escalation(check, targets, cap.raised)

    def _answer_check(self, verdict: _Verdict, request: RouteRequest, signals: Signals) -> AnswerCheck | None:
        """Find what is asked of a fast answer. Nothing, where somebody wanted this tier: caller, key, limit or route.

        A route that says itself that it is a cascade is one.
        """
        if verdict.reason not in (Reason.DIFFICULTY, Reason.ROUTE):
            return None
        if verdict.check is not None or verdict.reason is Reason.ROUTE:
            return verdict.check
        cascade = self.policy.cascade
        return cascade.check if cascade and cascade.holds(_facts(request, signals)) else None

    def _deep_targets(self, first: Target, request: RouteRequest, signals: Signals) -> tuple[Target, ...]:
        """List who could do better than the fast target: the deep tier, as far as key, limits and abilities let it."""
        unseen: list[Step] = []
        try:
            verdict = _within_bounds(_Verdict(Tier.DEEP, Reason.CASCADE), request, unseen)
            verdict = self._within_limits(verdict, request, unseen)
            targets, _ = self._capable(verdict, signals, request.needs, unseen)
        except (NotAllowed, LimitReached, NobodyCan):
            return ()
        if verdict.tier not in _DEEPER:
            return ()
        allowed = _DEEPER if request.bounds.tiers is None else _DEEPER & request.bounds.tiers
        return tuple(
            target
            for target in targets
            if target.tier in allowed - request.exhausted.keys()
            and (target.backend, target.effort) != (first.backend, first.effort)
        )

    def _lighter(self, targets: tuple[Target, ...]) -> tuple[Target, ...]:
        """Put first those of the fast tier's targets that do not think, if there are any."""
        fast = tuple(
            target for target in targets if target.tier in (Tier.FAST, Tier.FAST_MINI) and not self._thinks(target)
        )
        return (*fast, *(target for target in targets if target not in fast)) if fast else ()

    def _thinks(self, target: Target) -> bool:
        return target.thinks(self.policy.candidates[target.backend].habit)

    def _fit_max_tokens(
        self, max_tokens: int | None, target: Target, signals: Signals | None, *, chosen: Reason
    ) -> Cap:
        """See whether the client's cap leaves a target room to think; without signals by the effort alone."""
        if not self._thinks(target):
            return Cap()
        expected = expected_thinking(target.effort) if signals is None else signals.estimate.thinking_tokens
        return fit_max_tokens(max_tokens, expected, chosen=chosen)

    def _room_to_think(
        self, max_tokens: int | None, targets: tuple[Target, ...], signals: Signals | None, steps: list[Step]
    ) -> int | None:
        """Give the cap that whoever thinks gets in place of the caller's: the first target or one that takes over."""
        thinking = next((target for target in targets if self._thinks(target)), None)
        if thinking is None:
            return None
        raised = self._fit_max_tokens(max_tokens, thinking, signals, chosen=Reason.CLIENT).raised
        if raised is not None:
            whom = "" if thinking == targets[0] else f" if {thinking.backend} takes over"
            steps.append(Step("max tokens", str(max_tokens), f"raised to {raised} for thinking{whom}"))
        return raised


def new_decision_id() -> str:
    """Make an id that names one decision in headers, logs and feedback."""
    return f"dec_{secrets.token_hex(12)}"


def _client_says(request: RouteRequest, steps: list[Step]) -> _Verdict | None:
    if request.tier is not None:
        steps.append(Step("client tier", request.tier.value, f"goes {request.tier}"))
        return _Verdict(request.tier, Reason.CLIENT, request.effort)
    if request.effort is None:
        steps.append(Step("client", "no tier and no effort", "leaves the choice"))
        return None
    tier = Tier.DEEP if request.effort.rank >= Effort.LOW.rank else Tier.FAST
    steps.append(Step("client effort", request.effort.value, f"goes {tier}"))
    return _Verdict(tier, Reason.CLIENT, request.effort)


def _tool_loop(request: RouteRequest, signals: Signals, steps: list[Step]) -> _Verdict | None:
    """Stay with the model that began a tool loop until its final answer."""
    session = request.session
    if session is None or not signals.tool_needs.in_loop:
        steps.append(Step("tool loop", "none that is remembered", "leaves the choice"))
        return None
    steps.append(Step("tool loop", f"under way at {session.backend}", f"stays {session.tier}"))
    return _Verdict(session.tier, Reason.STICKY, backend=session.backend)


def _intent_says(signals: Signals, steps: list[Step]) -> _Verdict | None:
    """Follow words about pace. Words about the answer's form ("just the number") only lean, see `_gain`."""
    intent = signals.intent
    if intent.direction is None or intent.subject == "form" or signals.tool_needs.in_loop:
        steps.append(Step("intent", "no words of pace that count", "leaves the choice"))
        return None
    up = intent.direction == "up"
    tier = Tier.DEEP if up else Tier.FAST
    steps.append(Step("intent", f"“{intent.phrase}”", f"goes {tier}"))
    return _Verdict(tier, Reason.INTENT_UP if up else Reason.INTENT_DOWN)


def _form_leaning(signals: Signals) -> float:
    """Words about the answer's form move the threshold: whoever wants a number may still have set a hard problem."""
    if signals.intent.subject != "form":
        return 0.0
    return FORM_LEANING if signals.intent.direction == "down" else -FORM_LEANING


def _within_bounds(verdict: _Verdict, request: RouteRequest, steps: list[Step]) -> _Verdict:
    """Keep to the tiers that the caller's key allows."""
    allowed = request.bounds.tiers
    if allowed is None or verdict.tier in allowed:
        return verdict
    for tier in _OVERFLOW[verdict.tier]:
        if tier in allowed:
            steps.append(Step("key", f"{verdict.tier} is not allowed", f"goes {tier}"))
            runner_up = f"{verdict.tier}: the key does not allow it"
            return dataclasses.replace(verdict, tier=tier, reason=Reason.KEY, backend=None, runner_up=runner_up)
    raise NotAllowed(verdict.tier)


def _against_cascading(
    check: AnswerCheck, targets: tuple[Target, ...], cap: Cap, request: RouteRequest, signals: Signals
) -> str | None:
    """Name what forbids to check a fast answer, or makes it pointless; None if nothing does."""
    if signals.tool_needs.in_loop:
        return "a tool loop is under way"
    if request.stream and not check.allow_streams:
        return "streams are not held back"
    if not targets:
        return "nobody deeper may answer"
    if cap.take_fast:
        return f"max tokens {request.needs.max_tokens} are too few to think in"
    return None


def _told(check: AnswerCheck) -> str:
    asked = [f"confidence ≥ {check.min_confidence:.2f}"] if check.min_confidence else []
    if check.self_check:
        asked.append("self-check")
    return ", ".join((*asked, "complete, no refusal"))


def _leans_up(dial: str, *, default: bool) -> bool:
    """Settle an unsure decision: `cheap` leans down, `quality` and `max` lean up, `balanced` takes it as it is."""
    return {"cheap": False, "quality": True, "max": True}.get(dial, default)


def _facts(request: RouteRequest, signals: Signals) -> dict[str, Any]:
    turns = request.conversation.turns
    return {
        "key": request.attributes.get("key", ""),
        "tenant": request.attributes.get("tenant", ""),
        "model": request.model,
        "kind": signals.kind.value,
        "system": next((turn.text for turn in turns if turn.role == "system"), ""),
        "difficulty": signals.difficulty,
        "prompt_tokens": request.needs.prompt_tokens,
        "tools": signals.tool_needs.declared,
        "turns": sum(turn.role == "user" for turn in turns),
        "vision": request.needs.vision,
        "metadata": {
            name.removeprefix("metadata."): value
            for name, value in request.attributes.items()
            if name.startswith("metadata.")
        },
    }


def _effort(written: TierTarget, tier: Tier, verdict: _Verdict, signals: Signals) -> Effort | None:
    """Settle a target's effort: pinned by the operator, else asked by the client, else by the decision."""
    if written.effort is not None:
        return written.effort
    if verdict.effort is not None:
        return verdict.effort
    if tier in (Tier.FAST, Tier.FAST_MINI):
        return Effort.NONE
    return choose_effort(signals, at_least=Effort.MEDIUM if verdict.reason is Reason.INTENT_UP else Effort.LOW)


def _remember(session: Session | None, target: Target, signals: Signals) -> Session | None:
    """Give what the next request of this conversation should know."""
    if target.tier is None:
        return session
    turns = session.turns + 1 if session else 1
    return Session(target.tier, target.backend, signals.difficulty, turns)


def _lacks(candidate: Candidate, needs: Needs) -> Reason | None:
    """Name the first thing that a request needs and a backend cannot do."""
    return next(_shortcomings(candidate, needs), None)


def _shortcomings(candidate: Candidate, needs: Needs) -> Iterator[Reason]:
    abilities = candidate.abilities
    if needs.vision and not abilities.vision:
        yield Reason.CONSTRAINT_VISION
    if needs.audio and not abilities.audio:
        yield Reason.CONSTRAINT_AUDIO
    if needs.tools and not abilities.tools:
        yield Reason.CONSTRAINT_TOOLS
    if needs.json and not abilities.json:
        yield Reason.CONSTRAINT_JSON
    if needs.logprobs and not abilities.logprobs:
        yield Reason.CONSTRAINT_LOGPROBS
    answer = ANSWER_RESERVE if needs.max_tokens is None else needs.max_tokens
    if needs.prompt_tokens + min(answer, candidate.context_window // 2) > candidate.context_window:
        yield Reason.CONSTRAINT_CONTEXT


def _is_among(backend: str, targets: tuple[TierTarget, ...]) -> bool:
    return any(target.backend == backend for target in targets)
