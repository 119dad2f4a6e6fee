"""Plays the scripts against an engine, turn by turn as the gateway does, and measures what it decided."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from classifiers.types import Conversation, DifficultyModel, Turn
from router.engine import Engine
from router.policy import AUTO, Policy, TierTarget
from router.types import Abilities, Candidate, Decision, Needs, RouteRequest, Session, Tier
from tests.golden.conversations.suite import Script, ScriptedTurn

BYTES_PER_TOKEN = 3
"""The gateway's safe estimate."""

_CONTEXT_WINDOW = 200_000


@dataclass(frozen=True, slots=True)
class Ruling:
    """One decided turn beside what was annotated. `before` is the decision on the turn before, if there was one."""

    script: Script
    number: int
    """The turn's place in its conversation, from 1."""
    turn: ScriptedTurn
    decision: Decision
    before: Decision | None

    @property
    def as_annotated(self) -> bool:
        """Whether the tier is the expected one."""
        return self.turn.expect in ("either", self.decision.tier)

    @property
    def switches_needlessly(self) -> bool:
        """Whether the tier changed where no change is right."""
        return self.before is not None and self.turn.switch is None and self.decision.tier is not self.before.tier

    @property
    def breaks_pin(self) -> bool:
        """Whether a tool loop left the model that began it."""
        return self.turn.pinned and self.before is not None and _served_by(self.decision) != _served_by(self.before)

    @property
    def is_miss(self) -> bool:
        """Whether anything about it is wrong."""
        return not self.as_annotated or self.switches_needlessly or self.breaks_pin

    @property
    def fault(self) -> str:
        """Name what is wrong and the rule that did it, so that misses of one cause stand together."""
        by = f"by {self.decision.reason}"
        if self.breaks_pin:
            return f"leaves a tool loop, {by}"
        if not self.as_annotated:
            return f"{self.decision.tier} instead of {self.turn.expect}, {by}"
        return f"needless switch to {self.decision.tier}, {by}"


@dataclass(frozen=True, slots=True)
class Figures:
    """What a set of rulings comes to."""

    conversations: int
    turns: int
    as_annotated: float
    """Share of turns decided as annotated, in [0, 1]."""
    needless_switches: float
    """Changes of tier where none is right, per 100 turns."""
    pins_broken: int
    deep_share: float
    """Share of turns that went deep, in [0, 1]."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """An engine's figures and every turn that it got wrong."""

    figures: Figures
    misses: tuple[Ruling, ...]


def two_tier_engine(model: DifficultyModel) -> Engine:
    """Build an engine with one fast and one deep backend, each able to do all, so that only judgement decides."""
    abilities = Abilities(vision=True, audio=True)
    backends = {Tier.FAST: "small-and-quick", Tier.DEEP: "large-and-thinking"}
    tiers = {tier: (TierTarget(backend),) for tier, backend in backends.items()}
    candidates = {backend: Candidate(backend, abilities, _CONTEXT_WINDOW) for backend in backends.values()}
    return Engine(Policy(tiers=tiers, candidates=candidates), model)


def judge(engine: Engine, scripts: Iterable[Script]) -> Judgement:
    """Play every script and measure all rulings together."""
    rulings = [ruling for script in scripts for ruling in play(engine, script)]
    return Judgement(measure(rulings), tuple(ruling for ruling in rulings if ruling.is_miss))


def play(engine: Engine, script: Script) -> Iterator[Ruling]:
    """Decide a script's turns in order, remembering between them what the gateway would."""
    history = [Turn("system", script.system)] if script.system else []
    session: Session | None = None
    before: Decision | None = None
    for number, turn in enumerate(script.turn, 1):
        history += _appended(turn)
        decision = engine.decide(_request(script, history, session))
        yield Ruling(script, number, turn, decision, before)
        session, before = decision.session or session, decision
        if turn.assistant is not None:
            history.append(Turn("assistant", turn.assistant))


def measure(rulings: Sequence[Ruling]) -> Figures:
    """Count; a set without rulings counts as zero everywhere."""
    turns = len(rulings)
    per_turn = 1 / turns if turns else 0.0
    return Figures(
        conversations=len({ruling.script.id for ruling in rulings}),
        turns=turns,
        as_annotated=sum(ruling.as_annotated for ruling in rulings) * per_turn,
        needless_switches=100 * sum(ruling.switches_needlessly for ruling in rulings) * per_turn,
        pins_broken=sum(ruling.breaks_pin for ruling in rulings),
        deep_share=sum(ruling.decision.tier is Tier.DEEP for ruling in rulings) * per_turn,
    )


def _appended(turn: ScriptedTurn) -> list[Turn]:
    """Give what a client appends; an assistant's message that only calls tools has no text."""
    if turn.tool is not None:
        return [Turn("assistant", ""), Turn("tool", turn.tool)]
    return [Turn("user", turn.user or "")]


def _request(script: Script, history: Sequence[Turn], session: Session | None) -> RouteRequest:
    length = sum(len(turn.text.encode()) for turn in history)
    return RouteRequest(
        model=AUTO,
        conversation=Conversation(tuple(history), tools=len(script.tools)),
        needs=Needs(tools=bool(script.tools), prompt_tokens=length // BYTES_PER_TOKEN),
        dial=script.dial,
        session=session,
    )


def _served_by(decision: Decision) -> tuple[Tier | None, str]:
    return decision.tier, decision.targets[0].backend
