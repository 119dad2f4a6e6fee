"""Turns raw scores into probabilities and picks the thresholds of the dial."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from classifiers.bundle import Calibration

Floats = npt.NDArray[np.float64]

CHAT_DEEP: Final = {"cheap": 0.005, "balanced": 0.035, "quality": 0.15, "max": 0.50}
"""Share of everyday chat that each notch of the dial may send deep."""

UNINFORMED: Final = {"cheap": 0.6, "balanced": 0.35, "quality": 0.2, "max": 0.08}
"""Thresholds where the data hold no everyday chat to choose them by."""

_BINS: Final = 48
_LOWEST: Final = 0.003
"""No probability is claimed to be nearer to 0 or 1 than this."""
_SMOOTH: Final = 0.15
"""Standard deviations over which the isotonic steps are averaged: on a plateau a hair would decide at a threshold."""
_RISE: Final = 0.02
"""Share of a plain logistic curve in the result: where isotonic steps are flat, order still counts."""


def isotonic(raw: Floats, soft: Floats, weights: Floats) -> Calibration:
    """Fit a rising curve to soft labels: isotonic regression over bins of equal weight, made strictly rising."""
    from sklearn.isotonic import IsotonicRegression

    order = np.argsort(raw, kind="stable")
    mass = np.cumsum(weights[order])
    places = np.minimum((mass / mass[-1] * _BINS).astype(int), _BINS - 1)
    _, places = np.unique(places, return_inverse=True)
    size = np.bincount(places, weights[order])
    middle, share = (np.bincount(places, (weights * each)[order]) / size for each in (raw, soft))
    steps = IsotonicRegression(y_min=_LOWEST, y_max=1 - _LOWEST).fit_transform(middle, share, sample_weight=size)
    near = np.exp(-0.5 * ((middle[:, None] - middle) / (_SMOOTH * raw.std() + 1e-6)) ** 2) * size
    steps = near @ steps / near.sum(axis=1)  # a mean by a log-concave kernel keeps what rises rising
    logistic = 1 / (1 + np.exp(-(middle - np.average(middle, weights=size))))
    knots = (1 - _RISE) * steps + _RISE * np.clip(logistic, _LOWEST, 1 - _LOWEST)
    distinct = np.append(True, np.diff(middle) > 0)
    # Beyond the outermost bins the curve runs on to the bounds, so that extremes keep their order too.
    ends = (middle[0] - 4.0, middle[-1] + 4.0)
    return Calibration(
        (float(ends[0]), *middle[distinct].tolist(), float(ends[1])),
        (min(_LOWEST, float(knots[0])), *knots[distinct].tolist(), max(1 - _LOWEST, float(knots[-1]))),
    )


def thresholds(chat: Floats, groups: npt.NDArray[np.str_]) -> dict[str, float]:
    """Pick each notch's threshold: the difficulty that its share of everyday chat exceeds, sources counting alike."""
    _, places, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    order = np.argsort(-chat)
    passed = np.cumsum(1.0 / sizes[places][order]) / len(sizes)
    return {notch: round(float(chat[order][np.searchsorted(passed, share)]), 4) for notch, share in CHAT_DEEP.items()}
