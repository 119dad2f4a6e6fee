"""The figures of the report, on cases small enough to work out by hand."""

import numpy as np
import pytest

from classifiers.training.metrics import apgr, auc, cpt, curve, reliability


@pytest.mark.parametrize(
    ("scores", "labels", "expected"),
    [([1, 2, 3, 4], [0, 0, 1, 1], 1.0), ([4, 3, 2, 1], [0, 0, 1, 1], 0.0), ([1, 1, 1, 1], [0, 1, 0, 1], 0.5)],
)
def test_auc_counts_rightly_ordered_pairs(scores: list[int], labels: list[int], expected: float):
    assert auc(scores, labels) == expected


def test_auc_takes_a_half_label_as_one_of_each():
    assert auc([1, 2], [0.5, 0.5]) == 0.5


def test_a_score_that_says_nothing_recovers_half_of_the_gap():
    assert apgr(curve(np.zeros(100), np.zeros(100), np.ones(100))) == pytest.approx(0.5)


def test_a_perfect_score_recovers_the_gap_as_soon_as_the_hard_ones_are_deep():
    hard = np.arange(100) >= 80
    drawn = curve(hard, ~hard, np.ones(100))
    assert cpt(drawn, 0.5) == pytest.approx(0.1)
    assert cpt(drawn, 0.8) == pytest.approx(0.16)
    assert apgr(drawn) == pytest.approx(0.9)


def test_reliability_measures_the_distance_between_claim_and_fact():
    assert reliability([0.9] * 10, [1] * 5 + [0] * 5).error == pytest.approx(0.4)
