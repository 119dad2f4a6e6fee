"""Which fast answers are checked, and who answers when they fail: planned with the decision, and told."""

import pytest

from classifiers.types import Conversation, Turn
from router.engine import Engine
from router.policy import Policy, TierTarget
from router.routes import Cascade, NamedRoute, compile_rule
from router.types import Abilities, AnswerCheck, Bounds, Candidate, Effort, Needs, Reason, RouteRequest, Tier
from tests.unit.router.test_engine import Fixed

CHECK = AnswerCheck(min_confidence=0.7)
TIERS = {
    Tier.FAST: (TierTarget("small"), TierTarget("spare")),
    Tier.DEEP: (TierTarget("blind"), TierTarget("big")),
    Tier.DEEP_MINI: (TierTarget("middling"),),
}
CANDIDATES = {name: Candidate(name, Abilities(vision=name != "blind")) for name in ("small", "spare", "blind", "big")}
CANDIDATES["middling"] = Candidate("middling")


def decide(difficulty=0.2, *, cascade=Cascade(CHECK), routes=(), prompt="What is it?", **asked):  # noqa: B008 - frozen
    policy = Policy(TIERS, CANDIDATES, cascade=cascade, routes=routes)
    request = {"model": "auto", "conversation": Conversation.from_prompt(prompt), "checkable": True, **asked}
    return Engine(policy, Fixed(difficulty)).decide(RouteRequest(**request))


def steps(decision):
    return {step.rule: step for step in decision.steps}


def test_an_easy_request_goes_fast_and_would_escalate_to_the_deep_tier_then_its_mini():
    decision = decide()
    assert (decision.tier, decision.reason) == (Tier.FAST, Reason.DIFFICULTY)
    assert decision.escalation.check == CHECK
    assert [target.backend for target in decision.escalation.targets] == ["blind", "big", "middling"]
    assert decision.escalation.targets[0].effort.rank >= Effort.LOW.rank
    assert steps(decision)["cascade"].did == "blind answers if small fails"


LOOP = Conversation((Turn("user", "?"), Turn("assistant", ""), Turn("tool", "42")), tools=1)
UNCHECKED = {
    "no cascade is configured": {"cascade": None},
    "the endpoint cannot hold answers": {"checkable": False},
    "it goes deep anyway": {"difficulty": 0.9},
    "the caller named the tier": {"model": "fast"},
    "the caller named the backend": {"model": "small"},
    "the caller set the effort": {"effort": Effort.NONE},
    "the caller is in a hurry": {"prompt": "Quick answer: what is it?"},
    "it is a stream": {"stream": True},
    "a tool loop is under way": {"conversation": LOOP},
    "the key allows nothing deeper": {"bounds": Bounds(tiers=frozenset({Tier.FAST}))},
    "all that is deeper is used up": {"exhausted": {Tier.DEEP: 60.0, Tier.DEEP_MINI: 60.0}},
    "too few tokens to think in": {"needs": Needs(max_tokens=100)},
    "the rule does not hold": {"cascade": Cascade(CHECK, compile_rule("difficulty > 0.4"))},
}


@pytest.mark.parametrize("asked", UNCHECKED.values(), ids=UNCHECKED)
def test_an_answer_is_not_checked_where(asked):
    assert decide(**asked).escalation is None


def test_streams_are_checked_where_that_is_allowed():
    assert decide(cascade=Cascade(AnswerCheck(allow_streams=True)), stream=True).escalation is not None


def test_a_deep_tier_at_its_limit_leaves_its_mini_to_escalate_to():
    targets = decide(exhausted={Tier.DEEP: 60.0}).escalation.targets
    assert [target.backend for target in targets] == ["middling"]


def test_who_cannot_serve_the_request_is_not_escalated_to():
    targets = decide(needs=Needs(vision=True)).escalation.targets
    assert [target.backend for target in targets] == ["big"]


def test_a_cap_too_tight_to_think_in_is_raised_for_the_deep_answer():
    decision = decide(needs=Needs(max_tokens=1500))
    assert not decision.targets[0].thinks("told")
    assert decision.escalation.raise_max_tokens == decision.raise_max_tokens > 1500


ROUTE_CHECK = AnswerCheck(min_confidence=0.9)
ROUTES = {
    "settles the tier without a check": (NamedRoute("r", compile_rule("turns > 0"), Tier.FAST), None),
    "settles the tier with its own": (
        NamedRoute("r", compile_rule("turns > 0"), Tier.FAST, check=ROUTE_CHECK),
        ROUTE_CHECK,
    ),
    "turns the dial": (NamedRoute("r", compile_rule("turns > 0"), dial="cheap"), CHECK),
    "only checks": (NamedRoute("r", compile_rule("turns > 0"), check=ROUTE_CHECK), ROUTE_CHECK),
}


@pytest.mark.parametrize(("route", "check"), ROUTES.values(), ids=ROUTES)
def test_a_named_route_that(route, check):
    escalation = decide(routes=(route,)).escalation
    assert (escalation and escalation.check) == check


def test_the_decision_as_data_names_who_would_answer():
    assert [target["backend"] for target in decide().as_dict()["escalates_to"]] == ["blind", "big", "middling"]
    assert decide(cascade=None).as_dict()["escalates_to"] == []
