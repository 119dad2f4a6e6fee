"""What verdicts say about routing."""

import pytest

from gateway.metrics import Metrics
from gateway.records.recent import Remembered
from gateway.records.verdicts import finding_of, outcome_of
from tests.unit.gateway.test_metrics import value

ENOUGH, NEEDED = "fast-was-enough", "deep-was-needed"


@pytest.mark.parametrize(
    ("verdict", "tier", "finding", "outcome"),
    [
        ("fast", "fast", ENOUGH, "right"),
        ("fast", "deep", ENOUGH, "should-be-fast"),
        ("same", "deep-mini", ENOUGH, "should-be-fast"),
        ("deep", "fast-mini", NEEDED, "should-be-deep"),
        ("deep", "deep", NEEDED, "right"),
        ("up", "fast", ENOUGH, "right"),
        ("down", "fast", NEEDED, "should-be-deep"),
        ("up", "deep", None, None),
        ("down", "deep", None, None),
        ("down", "", None, None),
    ],
)
def test_a_verdict_says_whether_fast_was_enough_and_so_whether_the_tier_was_right(verdict, tier, finding, outcome):
    assert finding_of(verdict, tier) == finding
    if finding is not None:
        assert outcome_of(finding, tier) == outcome


@pytest.mark.parametrize(
    ("cache", "kept_as", "verdict", "false", "judged"),
    [
        ("miss", None, "down", 0, 1),
        ("hit-exact", None, "down", 1, 1),
        ("hit-exact", None, "up", 0, 1),
        ("hit-semantic", ("p", "n"), "deep", 1, 0),
        ("hit-semantic", ("p", "n"), "same", 0, 0),
    ],
)
def test_a_false_hit_is_the_caches_fault_and_not_the_tiers(cache, kept_as, verdict, false, judged):
    metrics = Metrics()
    metrics.record_feedback(verdict, Remembered("acme", "fast", "maths", 0.25, cache, kept_as))
    assert value(metrics, "thalamus_false_hits_total", cache=cache) == false
    assert value(metrics, "thalamus_routing_verdicts_total", source="feedback", kind="maths") == judged
    assert value(metrics, "thalamus_judged_difficulty_count", source="feedback") == judged
