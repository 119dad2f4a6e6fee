"""The safety net under the difficulty model: a failing one costs quality and no request, a slow one shows."""

import time

import pytest

from classifiers.heuristic import HeuristicModel
from classifiers.types import Conversation, Estimate, Kind
from router.engine import Engine
from router.guard import FellBack, GuardedModel, Overran
from router.policy import Policy, TierTarget
from router.types import Candidate, RouteRequest, Tier

HARD = Conversation.from_prompt("Prove that there are infinitely many primes.")


class Good:
    name = "good-v1"
    thresholds = HeuristicModel.thresholds

    def estimate(self, conversation: Conversation) -> Estimate:
        return Estimate(0.9, 0.1, 0.8, Kind.MATHS, 0.9, 2000, 0.9, self.name)


class Raising(Good):
    def estimate(self, conversation: Conversation) -> Estimate:
        raise ValueError(conversation.turns[0].text)


class Slow(Good):
    def estimate(self, conversation: Conversation) -> Estimate:
        time.sleep(0.02)
        return super().estimate(conversation)


class Interrupted(Good):
    def estimate(self, conversation: Conversation) -> Estimate:
        raise KeyboardInterrupt


def guarded(model: Good) -> tuple[GuardedModel, list]:
    events: list = []
    return GuardedModel(model, HeuristicModel(), budget_s=0.005, on_event=events.append), events


def test_a_good_model_speaks_for_itself():
    model, events = guarded(Good())
    assert model.estimate(HARD).model == "good-v1"
    assert (model.name, model.thresholds) == (Good.name, Good.thresholds)
    assert events == []


def test_a_model_that_raises_is_replaced_by_the_heuristic_and_told_without_the_prompt():
    model, events = guarded(Raising())
    assert model.estimate(HARD) == HeuristicModel().estimate(HARD)
    (event,) = events
    assert isinstance(event, FellBack)
    assert (event.model, event.error) == ("good-v1", "ValueError")
    assert "test_guard.py:" in event.where
    assert "primes" not in repr(event)


def test_a_slow_model_is_counted_and_heard():
    model, events = guarded(Slow())
    assert model.estimate(HARD).model == "good-v1"
    (event,) = events
    assert isinstance(event, Overran)
    assert event.seconds >= 0.02


def test_an_interrupt_is_no_failure_of_the_model():
    model, _ = guarded(Interrupted())
    with pytest.raises(KeyboardInterrupt):
        model.estimate(HARD)


def test_deciding_survives_a_model_that_always_raises():
    policy = Policy(
        tiers={Tier.FAST: (TierTarget("small"),), Tier.DEEP: (TierTarget("big"),)},
        candidates={"small": Candidate("small"), "big": Candidate("big")},
    )
    model, events = guarded(Raising())
    decision = Engine(policy, model).decide(RouteRequest(model="auto", conversation=HARD))
    assert decision.estimate.model == "heuristic"
    assert decision.targets
    assert len(events) == 1
