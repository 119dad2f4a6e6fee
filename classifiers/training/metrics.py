"""The figures by which a difficulty score is judged. Scores are higher for what should go deep."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

QUANTILES: Final = 11
"""Points of RouteLLM's cost-quality curve: 0 %, 10 %, … 100 % of calls to the strong model."""


def auc(scores: npt.ArrayLike, labels: npt.ArrayLike) -> float:
    """Chance that a positive scores above a negative, ties by half. Labels in [0, 1] count as both, in proportion.

    NaN where all labels are alike.
    """
    values, wanted = np.asarray(scores, dtype=float), np.asarray(labels, dtype=float)
    _, places = np.unique(values, return_inverse=True)
    positive = np.bincount(places, wanted)
    negative = np.bincount(places, 1 - wanted)
    below = np.cumsum(negative) - negative
    total = positive.sum() * negative.sum()
    return float((positive * (below + negative / 2)).sum() / total) if total > 0 else float("nan")


@dataclass(frozen=True, slots=True)
class Curve:
    """A cost-quality curve: share of calls to the strong model, and mean quality there."""

    share: Floats
    quality: Floats

    @property
    def weak(self) -> float:
        """Quality with no call to the strong model."""
        return float(self.quality[0])

    @property
    def strong(self) -> float:
        """Quality with every call to the strong model."""
        return float(self.quality[-1])


def curve(scores: npt.ArrayLike, fast: npt.ArrayLike, deep: npt.ArrayLike) -> Curve:
    """Draw RouteLLM's curve: thresholds at eleven quantiles of the scores, as in its evaluation code.

    Ties are split evenly, so that a score which says nothing lies on the straight line.
    """
    values = np.asarray(scores, dtype=float)
    fast_quality, deep_quality = np.asarray(fast, dtype=float), np.asarray(deep, dtype=float)
    gains = _gain_of_best(values, deep_quality - fast_quality)
    shares = np.linspace(0, 1, QUANTILES)
    counts = shares * len(values)
    quality = fast_quality.mean() + np.interp(counts, np.arange(len(values) + 1), gains) / len(values)
    return Curve(shares, quality)


def _gain_of_best(scores: Floats, gain: Floats) -> Floats:
    """Total gain when the k highest scores go deep, k from 0 to n; equal scores share theirs evenly."""
    _, places, sizes = np.unique(-scores, return_inverse=True, return_counts=True)
    shared = (np.bincount(places, gain) / sizes)[np.sort(places)]
    return np.concatenate([[0.0], np.cumsum(shared)])


def apgr(drawn: Curve) -> float:
    """Average performance gap recovered (RouteLLM, Ong et al. 2024): its mean over the curve, by trapezoids."""
    return float(np.trapezoid(_recovered(drawn), drawn.share))


def cpt(drawn: Curve, recovered: float) -> float:
    """Call-performance threshold: the least share of strong calls that recovers this much of the gap.

    Linear between the curve's points, as RouteLLM has it; NaN where the strong model is no better.
    """
    gaps = _recovered(drawn)
    if np.isnan(gaps).any():
        return float("nan")
    at = int(np.argmax(gaps >= recovered))
    if at == 0:
        return float(drawn.share[0])
    low, high = gaps[at - 1], gaps[at]
    step = drawn.share[at] - drawn.share[at - 1]
    return float(drawn.share[at - 1] + step * (recovered - low) / (high - low))


def _recovered(drawn: Curve) -> Floats:
    gap = drawn.strong - drawn.weak
    return (drawn.quality - drawn.weak) / gap if gap > 0 else np.full_like(drawn.quality, np.nan)


@dataclass(frozen=True, slots=True)
class Reliability:
    """Predicted against observed probability, in bins of equal width; empty bins are left out."""

    predicted: Floats
    observed: Floats
    share: Floats

    @property
    def error(self) -> float:
        """Expected calibration error: mean distance, weighted by the bins' shares."""
        return float((self.share * np.abs(self.predicted - self.observed)).sum())


def reliability(
    predicted: npt.ArrayLike, observed: npt.ArrayLike, weights: npt.ArrayLike | None = None, bins: int = 10
) -> Reliability:
    """Bin predictions and compare their means with what happened. `observed` may be graded, in [0, 1]."""
    claims, facts = np.asarray(predicted, dtype=float), np.asarray(observed, dtype=float)
    mass = np.ones_like(claims) if weights is None else np.asarray(weights, dtype=float)
    places = np.minimum((claims * bins).astype(int), bins - 1)
    size = np.bincount(places, mass, bins)
    filled = size > 0
    means: list[Any] = [np.bincount(places, mass * each, bins)[filled] / size[filled] for each in (claims, facts)]
    return Reliability(means[0], means[1], size[filled] / size.sum())
