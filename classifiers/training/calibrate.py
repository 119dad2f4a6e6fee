"""Turns raw scores into probabilities and picks the thresholds of the dial."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from classifiers.bundle import Calibration

Floats = npt.NDArray[np.float64]

CHAT_DEEP: Final = {"cheap": 0.005, "balanced": 0.04, "quality": 0.15, "max": 0.50}
"""Share of everyday chat that each notch of the dial may send deep."""

UNINFORMED: Final = {"cheap": 0.6, "balanced": 0.35, "quality": 0.2, "max": 0.08}
"""Thresholds where the data hold no everyday chat to choose them by."""

_KNOTS: Final = 65
_RANGE: Final = 9.0
_STEEPEST: Final = 5.0
_FLATTEST: Final = 0.05


def platt(raw: Floats, soft: Floats, weights: Floats) -> Calibration:
    """Fit a rising logistic curve to soft labels and write it as knots, so that serving needs no more than `interp`.

    Platt (1999), with labels in [0, 1] as they are instead of his smoothed 0 and 1.
    """
    from sklearn.linear_model import LogisticRegression

    rows = np.concatenate([raw, raw])[:, None]
    labels = np.repeat([1, 0], len(raw))
    model = LogisticRegression(C=1e6).fit(rows, labels, np.concatenate([soft * weights, (1 - soft) * weights]))
    slope = float(np.clip(model.coef_[0, 0], _FLATTEST, _STEEPEST))
    logits = np.linspace(-_RANGE, _RANGE, _KNOTS)
    knots = (logits - float(model.intercept_[0])) / slope
    return Calibration(tuple(knots.tolist()), tuple((1 / (1 + np.exp(-logits))).tolist()))


def thresholds(chat: Floats, groups: npt.NDArray[np.str_]) -> dict[str, float]:
    """Pick each notch's threshold: the difficulty that its share of everyday chat exceeds, sources counting alike."""
    _, places, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    order = np.argsort(-chat)
    passed = np.cumsum(1.0 / sizes[places][order]) / len(sizes)
    return {notch: round(float(chat[order][np.searchsorted(passed, share)]), 4) for notch, share in CHAT_DEEP.items()}
