"""Draws what each threshold comes to on the validation data, for whoever sets the dial."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from classifiers.dial_curve import CurvePoint, CurveSource, DialCurve
from classifiers.training import dataset

if TYPE_CHECKING:
    from classifiers.training.evaluate import Judged

Floats = npt.NDArray[np.float64]

STEPS: Final = 40
"""Points between all deep and none."""

_CHARS_PER_TOKEN: Final = 4


def dial_curve(name: str, judged: Judged, outcomes: Sequence[tuple[str, Floats, Floats, Floats]]) -> DialCurve:
    """Draw the mixture of all sources by what the model claims, and single ones by recorded outcomes.

    Args:
        name: the bundle's.
        judged: the held-out examples.
        outcomes: of single sources: name, row numbers, and what the fast and the deep model got right, all ``(n,)``.
    """
    weights = dataset.weights(judged.examples)
    fast, deep = (np.array([getattr(each, side) for each in judged.estimates]) for side in ("p_fast", "p_deep"))
    sizes = (sum(len(turn.text) for turn in example.conversation.turns) for example in judged.examples)
    prompts = np.array(list(sizes)) / _CHARS_PER_TOKEN
    thinking = np.array([each.thinking_tokens for each in judged.estimates], dtype=float)
    scores = judged.scores["model"]
    mixture = CurveSource("all", "claimed", len(scores), _points(scores, fast, deep, prompts, thinking, weights))
    singles = [
        CurveSource(
            source,
            "observed",
            len(rows),
            _points(scores[rows], right_fast, right_deep, prompts[rows], thinking[rows], np.ones(len(rows))),
        )
        for source, rows, right_fast, right_deep in outcomes
    ]
    return DialCurve(name, (mixture, *singles))


def _points(
    scores: Floats, fast: Floats, deep: Floats, prompts: Floats, thinking: Floats, weights: Floats
) -> tuple[CurvePoint, ...]:
    """Decide every example at thresholds that part the examples evenly. All arrays are ``(n,)``."""
    between = np.quantile(scores, np.linspace(0, 1, STEPS + 1)[1:-1])
    return tuple(
        _point(float(threshold), scores >= threshold, (fast, deep, prompts, thinking), weights / weights.sum())
        for threshold in np.unique(np.round([0.0, *between, 1.0], 4))
    )


def _point(threshold: float, goes: npt.NDArray[np.bool_], of: Sequence[Floats], mass: Floats) -> CurvePoint:
    fast, deep, prompts, thinking = of
    share = float(mass[goes].sum())
    return CurvePoint(
        threshold=threshold,
        deep_share=round(share, 4),
        quality=round(float((mass * np.where(goes, deep, fast)).sum()), 4),
        prompt_tokens=round(float((mass * prompts).sum()), 1),
        deep_prompt_tokens=round(float((mass * prompts)[goes].sum()), 1),
        thinking_tokens=round(float((mass * thinking)[goes].sum()), 1),
    )
