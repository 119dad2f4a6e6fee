"""What the operator wants, in the form the decision reads: tiers, candidates, names, the dial and named routes."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from router.routes import Cascade, NamedRoute
from router.types import Candidate, Effort, Tier

AUTO = "auto"
"""The model name that leaves everything to the decision."""

DIALS = ("cheap", "balanced", "quality", "max")
"""The dial's notches, in rising readiness to go deep."""

FALLBACK_DIAL = "balanced"
"""The notch in place of a share that nobody can tell the threshold of."""

DIAL_WORDS = f"{', '.join(DIALS)}, or a share of deep calls from 0 to 1, such as 0.2"
"""What a dial may be, for messages."""


def read_dial(written: str) -> str | None:
    """Give a dial in its one form: a notch, or a share of deep calls in at most three digits. None if it is neither."""
    if written in DIALS:
        return written
    try:
        share = float(written)
    except ValueError:
        return None
    return f"{round(share, 3):g}" if 0 <= share <= 1 else None


DEFAULT_MIN_GAIN: Mapping[str, float] = {"cheap": 0.08, "balanced": 0.01}


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
    """Difficulty from which a dial goes deep, where the operator overrides the model's own."""
    share_curve: tuple[tuple[float, float], ...] = ()
    """Shares of deep calls, rising, with the thresholds that gave them on the model's validation data: for dials that
    are shares and were not calibrated. Empty where the model has no such curve."""
    min_gain: Mapping[Any, float] = field(default_factory=lambda: DEFAULT_MIN_GAIN)
    """How much likelier a right answer must be from the deep tier for a notch to go there; absent means not asked."""
    unsure: float = 0.04
    """Distance from the threshold within which a decision counts as unsure and the notch's leaning settles it."""
    routes: tuple[NamedRoute, ...] = ()
    cascade: Cascade | None = None
    """Which fast answers are checked before they are shown; None checks those of routes that say so."""
    at_limit: Literal["mini", "other", "refuse"] = "mini"
    """Who serves when a tier's limit is reached; `mini` falls to `other` where there is none."""

    def threshold(self, dial: str, notches: Mapping[str, float]) -> float | None:
        """Give the difficulty from which a dial goes deep: the operator's, the model's, or a share's on its curve.

        None for a share that nobody can tell the threshold of.
        """
        found = self.thresholds.get(dial)
        if found is None:
            found = notches.get(dial)
        return _at_share(self.share_curve, float(dial)) if found is None and self.share_curve else found


def _at_share(curve: tuple[tuple[float, float], ...], share: float) -> float:
    at = bisect_left(curve, (share, 0.0))
    if at == 0:
        return curve[0][1]
    if at == len(curve):
        return curve[-1][1]
    (low, above), (high, below) = curve[at - 1], curve[at]
    return above + (share - low) / (high - low) * (below - above)
