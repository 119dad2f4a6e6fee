"""What the cache tells whoever counts: frozen events, handed to an `on_event` callable."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

BreakerState = Literal["closed", "open", "half-open"]
CallOutcome = Literal["ok", "timeout", "unreachable", "denied", "refused", "open"]
EvictionReason = Literal["space", "quota", "expired"]
LookupOutcome = Literal["hit", "miss", "stale", "unavailable", "unreadable"]
SimilarOutcome = Literal["hit", "none", "far", "unlike", "gone", "late", "unavailable"]
StoreOutcome = Literal[
    "stored",
    "bypassed",
    "status",
    "incomplete",
    "truncated",
    "filtered",
    "tool-calls",
    "too-large",
    "quota",
    "unavailable",
]


@dataclass(frozen=True, slots=True)
class RedisCalled:
    """One call to Redis ended, or was not made because the breaker is open."""

    operation: str
    outcome: CallOutcome
    seconds: float


@dataclass(frozen=True, slots=True)
class BreakerChanged:
    """The breaker between the gateway and Redis changed its state."""

    state: BreakerState


@dataclass(frozen=True, slots=True)
class NearLookedUp:
    """The in-process first level was asked."""

    hit: bool


@dataclass(frozen=True, slots=True)
class Evicted:
    """The in-process store let a value go before anyone deleted it."""

    reason: EvictionReason
    size: int


@dataclass(frozen=True, slots=True)
class AnswerLookedUp:
    """The exact cache was asked for an answer."""

    outcome: LookupOutcome


@dataclass(frozen=True, slots=True)
class AnswerOffered:
    """An answer was offered to the exact cache; `size` is what it took in the store, 0 if refused."""

    outcome: StoreOutcome
    size: int = 0


@dataclass(frozen=True, slots=True)
class SimilarLookedUp:
    """The semantic cache was asked; `facet` is in what the nearest prompt differs, where that is why it is no hit."""

    outcome: SimilarOutcome
    facet: str | None = None


@dataclass(frozen=True, slots=True)
class SimilarOffered:
    """The prompt of a kept answer was offered to the semantic cache."""

    outcome: Literal["stored", "late", "unavailable"]


CacheEvent = (
    RedisCalled
    | BreakerChanged
    | NearLookedUp
    | Evicted
    | AnswerLookedUp
    | AnswerOffered
    | SimilarLookedUp
    | SimilarOffered
)
OnEvent = Callable[[CacheEvent], None]


def ignore(event: CacheEvent) -> None:
    """Count nothing: the default listener."""
