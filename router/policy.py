"""What the operator wants, in the form the decision reads: tiers, candidates, names, the dial and named routes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from router.routes import Cascade, NamedRoute
from router.types import Candidate, Effort, Tier

AUTO = "auto"
"""The model name that leaves everything to the decision."""

DIALS = ("cheap", "balanced", "quality", "max")
"""The dial's notches, in rising readiness to go deep."""


DEFAULT_MIN_GAIN: Mapping[Literal["cheap", "balanced", "quality", "max"], float] = {"cheap": 0.08, "balanced": 0.01}


@dataclass(frozen=True, slots=True)
class TierTarget:
    """One backend of a tier; `effort` pins how it thinks, None leaves that to the decision."""

    backend: str
    effort: Effort | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """Everything that steers decisions and does not change between requests."""

    tiers: Mapping[Tier, tuple[TierTarget, ...]]
    candidates: Mapping[str, Candidate]
    aliases: Mapping[str, str] = field(default_factory=dict)
    dial: str = "balanced"
    thresholds: Mapping[str, float] = field(default_factory=dict)
    """Difficulty from which a notch goes deep, where the operator overrides the model's own."""
    min_gain: Mapping[Any, float] = field(default_factory=lambda: DEFAULT_MIN_GAIN)
    """How much likelier a right answer must be from the deep tier for a notch to go there; absent means not asked."""
    unsure: float = 0.04
    """Distance from the threshold within which a decision counts as unsure and the notch's leaning settles it."""
    routes: tuple[NamedRoute, ...] = ()
    cascade: Cascade | None = None
    """Which fast answers are checked before they are shown; None checks those of routes that say so."""
    at_limit: Literal["mini", "other", "refuse"] = "mini"
    """Who serves when a tier's limit is reached; `mini` falls to `other` where there is none."""
