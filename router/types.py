"""The words of a decision: tiers, efforts, targets, what a request asks, and what was decided."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal

from classifiers.types import Conversation, Estimate, Kind

if TYPE_CHECKING:
    from router.signals import Signals


class Tier(StrEnum):
    """Which class of model serves; a mini takes over, visibly, once limits are reached."""

    FAST = "fast"
    DEEP = "deep"
    FAST_MINI = "fast-mini"
    DEEP_MINI = "deep-mini"


class Effort(StrEnum):
    """How hard to think, in rising order."""

    NONE = "none"
    MINIMAL = "minimal"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    XHIGH = "xhigh"
    MAX = "max"

    @property
    def rank(self) -> int:
        """Position on the ladder, 0 (none) to 6 (max)."""
        return _RANKS[self]


_RANKS: Mapping[Effort, int] = {effort: rank for rank, effort in enumerate(Effort)}


class Reason(StrEnum):
    """Why a tier was chosen: the short code in ``x-thalamus-reason``. A closed set, safe as a label."""

    DIFFICULTY = "difficulty"
    CLIENT = "client"
    INTENT_UP = "intent-up"
    INTENT_DOWN = "intent-down"
    STICKY = "sticky"
    ROUTE = "route"
    KEY = "key"
    LIMIT_MINI = "limit-mini"
    LOAD = "load"
    FALLBACK = "fallback"
    CASCADE = "cascade"
    MAX_TOKENS = "max-tokens"
    CONSTRAINT_VISION = "constraint-vision"
    CONSTRAINT_AUDIO = "constraint-audio"
    CONSTRAINT_TOOLS = "constraint-tools"
    CONSTRAINT_JSON = "constraint-json"
    CONSTRAINT_LOGPROBS = "constraint-logprobs"
    CONSTRAINT_CONTEXT = "constraint-context"


@dataclass(frozen=True, slots=True)
class Abilities:
    """What a backend can do beyond text chat."""

    tools: bool = True
    vision: bool = False
    audio: bool = False
    json: bool = True
    logprobs: bool = True


Habit = Literal["never", "told", "by-default", "always"]
"""Whether a backend thinks: `told` only if it is, `by-default` unless it is told not to."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A backend as the decision sees it."""

    name: str
    abilities: Abilities = field(default_factory=Abilities)
    context_window: int = 128_000
    """Tokens of prompt and answer together."""
    habit: Habit = "told"


@dataclass(frozen=True, slots=True)
class Needs:
    """What a request requires of whoever serves it."""

    tools: bool = False
    vision: bool = False
    audio: bool = False
    json: bool = False
    logprobs: bool = False
    prompt_tokens: int = 0
    """A safe (high) estimate of the prompt's length in tokens."""
    max_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Session:
    """What is remembered of one conversation.

    Attributes:
        tier: where the last request went.
        backend: who answered it.
        difficulty: the conversation's difficulty after it, in [0, 1].
        turns: requests so far.
    """

    tier: Tier
    backend: str
    difficulty: float
    turns: int = 1


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a caller's key allows."""

    tiers: frozenset[Tier] | None = None
    """Tiers it may be served by; None means all."""
    dials: frozenset[str] | None = None
    """Notches it may choose; None means all."""


@dataclass(frozen=True, slots=True)
class RouteRequest:
    """Everything the decision may look at, read once from a request. Pure data, no I/O."""

    model: str
    conversation: Conversation
    needs: Needs = field(default_factory=Needs)
    effort: Effort | None = None
    tier: Tier | None = None
    """The tier asked for by header ``x-thalamus-route``."""
    dial: str | None = None
    bounds: Bounds = field(default_factory=Bounds)
    session: Session | None = None
    """What is remembered of this conversation; None for a new one."""
    exhausted: Mapping[Tier, float] = field(default_factory=dict)
    """Tiers whose limit is reached, and the seconds until each is free again."""
    busy: frozenset[Tier] = frozenset()
    """Tiers that are shedding load."""
    stream: bool = False
    """Whether the answer is to be streamed."""
    checkable: bool = False
    """Whether the endpoint can hold an answer back and check it, so that a cascade is possible."""
    attributes: Mapping[str, str] = field(default_factory=dict)
    """What named routes may ask about besides: the key's name, the tenant, the request's metadata."""


@dataclass(frozen=True, slots=True)
class Target:
    """A backend and an effort; effort None leaves the backend's own default alone.

    `tier` is the tier in which it serves, None for a backend that was asked for by name and is in no tier.
    """

    backend: str
    effort: Effort | None = None
    tier: Tier | None = None

    def thinks(self, habit: Habit) -> bool:
        """Whether a backend of this habit thinks here, more than the least."""
        if habit in ("always", "never"):
            return habit == "always"
        return habit == "by-default" if self.effort is None else self.effort.rank >= Effort.LOW.rank


@dataclass(frozen=True, slots=True)
class AnswerCheck:
    """What a fast answer must pass before the caller sees it.

    Attributes:
        min_confidence: least geometric mean of the tokens' probabilities, in [0, 1]; 0 does not ask for any.
        self_check: whether the fast model is asked, in a second call, if its answer is right.
        allow_streams: whether streams are cascaded: the fast answer is held whole and then replayed.
        probe_tokens: longest fast answer that is waited for; None leaves the length to the caller.
    """

    min_confidence: float = 0.8
    self_check: bool = False
    allow_streams: bool = False
    probe_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Escalation:
    """The second half of a cascade: what the fast answer must pass, and who is asked when it does not."""

    check: AnswerCheck
    targets: tuple[Target, ...]
    raise_max_tokens: int | None = None
    """As in `Decision`, for the first of these targets."""


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the explanation: which rule looked, what it saw and what it did."""

    rule: str
    saw: str
    did: str


@dataclass(frozen=True, slots=True)
class Signal:
    """One fact about a request. `value` is None when it is missing, which is never an error."""

    name: str
    value: str | float | bool | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided for one request: computed once, then logged, measured, sent, replayed, trained on.

    Attributes:
        id: names the decision in headers, logs and feedback.
        tier: who serves; None for a backend that is in no tier.
        targets: whom to ask, in fallback order; the first is preferred.
        reason: the rule that settled the tier.
        effort: how hard the first target shall think; `effort_asked` is what the client said.
        difficulty: of the conversation, after what it carries from earlier turns; the estimate holds the turn's own.
        threshold: the difficulty from which this request would have gone deep.
        session: what to remember of the conversation.
        runner_up: who would have served otherwise, and what that would have taken.
        raise_max_tokens: the cap on the answer's length for those targets that think, where the client's is too small.
        escalation: what follows when the first answer fails its check; None where it is not checked.
    """

    id: str
    tier: Tier | None
    targets: tuple[Target, ...]
    reason: Reason
    effort: Effort | None
    effort_asked: Effort | None
    difficulty: float | None
    kind: Kind | None
    threshold: float | None
    dial: str
    estimate: Estimate | None
    steps: tuple[Step, ...]
    signals: tuple[Signal, ...] = ()
    facts: Signals | None = None
    """The signals as they were read, for the log and for replays; None for a backend asked for by name."""
    session: Session | None = None
    runner_up: str = ""
    raise_max_tokens: int | None = None
    resets_in_s: float | None = None
    """Seconds until the limit that moved this request to a mini is free again."""
    escalation: Escalation | None = None

    def signal(self, name: str) -> str | float | bool | None:
        """Give a signal's value; None if it is missing or was not read."""
        return next((signal.value for signal in self.signals if signal.name == name), None)

    def as_dict(self) -> dict[str, Any]:
        """Give the decision as JSON-ready data, as ``POST /v1/route`` and the decision log show it."""
        estimate = self.estimate
        return {
            "id": self.id,
            "tier": self.tier and self.tier.value,
            "reason": self.reason.value,
            "targets": _listed(self.targets),
            "effort": self.effort and self.effort.value,
            "effort_asked": self.effort_asked and self.effort_asked.value,
            "difficulty": self.difficulty,
            "kind": self.kind and self.kind.value,
            "threshold": self.threshold,
            "dial": self.dial,
            "model": estimate and estimate.model,
            "p_fast": estimate and estimate.p_fast,
            "p_deep": estimate and estimate.p_deep,
            "kind_confidence": estimate and estimate.kind_confidence,
            "thinking_tokens": estimate and estimate.thinking_tokens,
            "runner_up": self.runner_up,
            "raise_max_tokens": self.raise_max_tokens,
            "resets_in_s": self.resets_in_s,
            "escalates_to": _listed(self.escalation.targets) if self.escalation else [],
            "signals": {signal.name: {"value": signal.value, "note": signal.note} for signal in self.signals},
            "steps": [{"rule": step.rule, "saw": step.saw, "did": step.did} for step in self.steps],
        }


def _listed(targets: Iterable[Target]) -> list[dict[str, str | None]]:
    return [
        {
            "backend": target.backend,
            "effort": target.effort and target.effort.value,
            "tier": target.tier and target.tier.value,
        }
        for target in targets
    ]
