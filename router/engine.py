"""The decision, in pure code: filter who can, judge who should, pick, and say why.

Rules are asked in order of precedence and the first that has an opinion decides: the client's explicit model, tier
or effort; then the words of the prompt; then difficulty against the dial. Abilities overrule the tier afterwards: a
target that cannot serve the request is never chosen.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from classifiers.types import DifficultyModel, Estimate
from router.policy import AUTO, Policy, TierTarget
from router.types import Candidate, Decision, Effort, Needs, Reason, RouteRequest, Step, Target, Tier

ANSWER_RESERVE = 1024
"""Tokens kept for the answer when the caller set no maximum."""

_OVERFLOW: Mapping[Tier, tuple[Tier, ...]] = {
    Tier.FAST: (Tier.FAST_MINI, Tier.DEEP, Tier.DEEP_MINI),
    Tier.DEEP: (Tier.DEEP_MINI, Tier.FAST, Tier.FAST_MINI),
    Tier.FAST_MINI: (Tier.FAST, Tier.DEEP_MINI, Tier.DEEP),
    Tier.DEEP_MINI: (Tier.DEEP, Tier.FAST_MINI, Tier.FAST),
}
"""Who takes over when nobody in a tier can or does answer."""

_EFFORT_BY_DIFFICULTY = ((0.35, Effort.LOW), (0.65, Effort.MEDIUM), (1.01, Effort.HIGH))
"""Upper bounds of difficulty and the effort they ask of the deep tier."""


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


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What the rules said before abilities were looked at."""

    tier: Tier
    reason: Reason
    effort: Effort | None
    estimate: Estimate
    dial: str
    threshold: float


class Engine:
    """Decides for one policy and one difficulty model. Holds no state between requests."""

    def __init__(self, policy: Policy, model: DifficultyModel) -> None:
        self.policy = policy
        self.model = model
        self.names = (AUTO, *(tier.value for tier in policy.tiers), *policy.candidates, *policy.aliases)
        """Every model name that a client may ask for."""

    def decide(self, request: RouteRequest) -> Decision:
        """Decide who serves one request.

        Raises:
            UnknownModelName: nobody is called what the client asked for.
            NobodyCan: no backend has the abilities or the context window.
        """
        steps: list[Step] = []
        asked = self.policy.aliases.get(request.model, request.model)
        if asked in self.policy.candidates:
            return self._serve_by_name(asked, request, steps)
        if asked != AUTO and asked not in self.policy.tiers:
            raise UnknownModelName(request.model, self.names)
        tier = request.tier if asked == AUTO else Tier(asked)
        verdict = self._judge(request, tier, steps)
        targets, reason = self._capable(verdict, request.needs, steps)
        return Decision(
            id=new_decision_id(),
            tier=targets[0].tier,
            targets=targets,
            reason=reason,
            effort=targets[0].effort,
            effort_asked=request.effort,
            difficulty=verdict.estimate.difficulty,
            kind=verdict.estimate.kind,
            threshold=verdict.threshold,
            dial=verdict.dial,
            estimate=verdict.estimate,
            steps=tuple(steps),
        )

    def _serve_by_name(self, backend: str, request: RouteRequest, steps: list[Step]) -> Decision:
        """Send the request to the backend that the client named, if it can."""
        lacking = _lacks(self.policy.candidates[backend], request.needs)
        if lacking is not None:
            raise NobodyCan({backend: lacking})
        steps.append(Step("client model", request.model, f"serves {backend}"))
        tier = next((tier for tier, targets in self.policy.tiers.items() if _is_among(backend, targets)), None)
        return Decision(
            id=new_decision_id(),
            tier=tier,
            targets=(Target(backend, request.effort, tier),),
            reason=Reason.CLIENT,
            effort=request.effort,
            effort_asked=request.effort,
            difficulty=None,
            kind=None,
            threshold=None,
            dial=request.dial or self.policy.dial,
            estimate=None,
            steps=tuple(steps),
        )

    def _judge(self, request: RouteRequest, asked: Tier | None, steps: list[Step]) -> _Verdict:
        """Ask the rules in order of precedence; the first with an opinion decides."""
        dial = request.dial or self.policy.dial
        estimate = self.model.estimate(request.conversation)
        threshold = self.policy.thresholds.get(dial, self.model.thresholds[dial])
        if asked is not None:
            steps.append(Step("client tier", asked.value, f"goes {asked}"))
            return _Verdict(asked, Reason.CLIENT, request.effort, estimate, dial, threshold)
        if request.effort is not None:
            tier = Tier.DEEP if request.effort.rank >= Effort.LOW.rank else Tier.FAST
            steps.append(Step("client effort", request.effort.value, f"goes {tier}"))
            return _Verdict(tier, Reason.CLIENT, request.effort, estimate, dial, threshold)
        tier = Tier.DEEP if estimate.difficulty >= threshold else Tier.FAST
        sign = "≥" if tier is Tier.DEEP else "<"
        saw = f"{estimate.difficulty:.2f} {sign} {threshold:.2f} (dial {dial})"
        steps.append(Step("difficulty", saw, f"goes {tier}"))
        return _Verdict(tier, Reason.DIFFICULTY, None, estimate, dial, threshold)

    def _capable(self, verdict: _Verdict, needs: Needs, steps: list[Step]) -> tuple[tuple[Target, ...], Reason]:
        """List the targets that can serve, the verdict's tier first, then those that take over."""
        lacking: dict[str, Reason] = {}
        targets: list[Target] = []
        for tier in (verdict.tier, *_OVERFLOW[verdict.tier]):
            for written in self.policy.tiers.get(tier, ()):
                lack = _lacks(self.policy.candidates[written.backend], needs)
                if lack is None:
                    targets.append(Target(written.backend, _effort(written, tier, verdict), tier))
                elif written.backend not in lacking:
                    lacking[written.backend] = lack
                    steps.append(Step("abilities", lack.value, f"rules out {written.backend}"))
        if not targets:
            raise NobodyCan(lacking)
        if targets[0].tier is verdict.tier:
            return tuple(targets), verdict.reason
        first = self.policy.tiers.get(verdict.tier, ())
        return tuple(targets), lacking[first[0].backend] if first else Reason.FALLBACK


def new_decision_id() -> str:
    """Make an id that names one decision in headers, logs and feedback."""
    return f"dec_{secrets.token_hex(12)}"


def effort_for(difficulty: float) -> Effort:
    """Choose how hard the deep tier thinks, from difficulty alone."""
    return next(effort for bound, effort in _EFFORT_BY_DIFFICULTY if difficulty < bound)


def _effort(written: TierTarget, tier: Tier, verdict: _Verdict) -> Effort | None:
    """Settle a target's effort: pinned by the operator, else asked by the client, else by the decision."""
    if written.effort is not None:
        return written.effort
    if verdict.effort is not None:
        return verdict.effort
    if tier in (Tier.FAST, Tier.FAST_MINI):
        return Effort.NONE
    return effort_for(verdict.estimate.difficulty)


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
