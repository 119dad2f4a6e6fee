"""What the operator wants, in the form the decision reads: tiers, candidates, names and the dial."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from router.types import Candidate, Effort, Tier

AUTO = "auto"
"""The model name that leaves everything to the decision."""

DIALS = ("cheap", "balanced", "quality", "max")
"""The dial's notches, in rising readiness to go deep."""


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
