"""Who serves, by precedence: the client's word, then difficulty against the dial, and never a target that cannot."""

from types import MappingProxyType

import pytest

from classifiers.types import Conversation, Estimate, Kind
from router.engine import Engine, NobodyCan, UnknownModelName
from router.policy import Policy, TierTarget
from router.types import Abilities, Candidate, Effort, Needs, Reason, RouteRequest, Tier


class Fixed:
    """A difficulty model that always says the same."""

    name = "fixed"
    thresholds = MappingProxyType({"cheap": 0.8, "balanced": 0.5, "quality": 0.3, "max": 0.1})

    def __init__(self, difficulty: float) -> None:
        self.difficulty = difficulty

    def estimate(self, conversation: Conversation) -> Estimate:
        easy = 1 - self.difficulty
        return Estimate(self.difficulty, easy, 0.9, Kind.MATHS, 0.7, 800, self.difficulty, self.name)


POLICY = Policy(
    tiers={
        Tier.FAST: (TierTarget("small"),),
        Tier.DEEP: (TierTarget("big"), TierTarget("bigger", Effort.MAX)),
    },
    candidates={
        "small": Candidate("small", Abilities(vision=False), context_window=8_000),
        "big": Candidate("big", Abilities(vision=False, tools=False), context_window=64_000),
        "bigger": Candidate("bigger", Abilities(vision=True), context_window=128_000),
        "spare": Candidate("spare"),
    },
    aliases={"gpt-4o": "auto", "o3": "deep"},
)


def ask(difficulty: float = 0.2, *, policy: Policy = POLICY, model: str = "auto", **request):
    return Engine(policy, Fixed(difficulty)).decide(
        RouteRequest(model=model, conversation=Conversation.from_prompt("?"), **request)
    )


DIALS = [
    (0.2, None, Tier.FAST),
    (0.5, None, Tier.DEEP),
    (0.7, "cheap", Tier.FAST),
    (0.85, "cheap", Tier.DEEP),
    (0.35, "quality", Tier.DEEP),
    (0.15, "max", Tier.DEEP),
]


@pytest.mark.parametrize(("difficulty", "dial", "tier"), DIALS)
def test_difficulty_against_the_dial(difficulty, dial, tier):
    decision = ask(difficulty, dial=dial)
    assert (decision.tier, decision.reason) == (tier, Reason.DIFFICULTY)


def test_the_operators_threshold_wins_over_the_bundles():
    policy = Policy(POLICY.tiers, POLICY.candidates, thresholds={"balanced": 0.1})
    assert ask(0.2, policy=policy).tier is Tier.DEEP


NAMES = [
    ("fast", Tier.FAST, "small"),
    ("deep", Tier.DEEP, "big"),
    ("o3", Tier.DEEP, "big"),
    ("bigger", Tier.DEEP, "bigger"),
    ("spare", None, "spare"),
]


@pytest.mark.parametrize(("model", "tier", "backend"), NAMES)
def test_the_clients_model_wins_over_difficulty(model, tier, backend):
    decision = ask(0.01 if tier is Tier.DEEP else 0.99, model=model)
    assert (decision.tier, decision.targets[0].backend, decision.reason) == (tier, backend, Reason.CLIENT)


def test_an_alias_of_auto_is_routed():
    assert ask(0.9, model="gpt-4o").tier is Tier.DEEP
    assert ask(0.1, model="gpt-4o").tier is Tier.FAST


def test_an_unknown_model_is_told_with_those_that_exist():
    with pytest.raises(UnknownModelName) as error:
        ask(model="gpt-9")
    assert {"auto", "fast", "deep", "small", "gpt-4o"} <= set(error.value.known)


EFFORTS = [
    (Effort.NONE, Tier.FAST),
    (Effort.MINIMAL, Tier.FAST),
    (Effort.LOW, Tier.DEEP),
    (Effort.MAX, Tier.DEEP),
]


@pytest.mark.parametrize(("effort", "tier"), EFFORTS)
def test_the_clients_effort_wins_over_difficulty_and_is_applied(effort, tier):
    decision = ask(0.99 if tier is Tier.FAST else 0.01, effort=effort)
    assert (decision.tier, decision.effort, decision.reason) == (tier, effort, Reason.CLIENT)


def test_the_header_wins_over_effort_and_difficulty():
    decision = ask(0.99, tier=Tier.FAST, effort=Effort.HIGH)
    assert (decision.tier, decision.reason) == (Tier.FAST, Reason.CLIENT)


def test_a_pinned_effort_is_the_operators():
    decision = ask(0.6)
    assert [target.effort for target in decision.targets if target.backend == "bigger"] == [Effort.MAX]


@pytest.mark.parametrize(("difficulty", "effort"), [(0.5, Effort.MEDIUM), (0.9, Effort.HIGH)])
def test_the_deep_tier_thinks_as_hard_as_the_task_and_the_fast_one_not_at_all(difficulty, effort):
    decision = ask(difficulty)
    assert decision.effort is effort
    assert ask(0.1).effort is Effort.NONE


NEEDS = [
    ("vision", Needs(vision=True), "bigger", Reason.CONSTRAINT_VISION),
    ("a long prompt", Needs(prompt_tokens=60_000), "big", Reason.CONSTRAINT_CONTEXT),
    ("a long answer", Needs(prompt_tokens=5_000, max_tokens=4_000), "big", Reason.CONSTRAINT_CONTEXT),
    ("nothing", Needs(), "small", Reason.DIFFICULTY),
]


@pytest.mark.parametrize(("needs", "backend", "reason"), [case[1:] for case in NEEDS], ids=[case[0] for case in NEEDS])
def test_a_target_that_cannot_is_passed_over_and_the_reason_says_why(needs, backend, reason):
    decision = ask(0.1, needs=needs)
    assert (decision.targets[0].backend, decision.reason) == (backend, reason)


def test_within_a_tier_the_next_target_takes_over_without_another_reason():
    decision = ask(0.9, needs=Needs(tools=True))
    assert (decision.targets[0].backend, decision.tier, decision.reason) == ("bigger", Tier.DEEP, Reason.DIFFICULTY)
    assert any("big" in step.did for step in decision.steps if step.rule == "abilities")


def test_when_nobody_can_each_backends_lack_is_told():
    with pytest.raises(NobodyCan) as error:
        ask(needs=Needs(audio=True))
    assert set(error.value.lacking) == {"small", "big", "bigger"}
    with pytest.raises(NobodyCan):
        ask(model="small", needs=Needs(vision=True))


def test_the_fallback_order_is_the_tier_then_the_other_one():
    assert [target.backend for target in ask(0.9).targets] == ["big", "bigger", "small"]
    assert [target.backend for target in ask(0.1).targets] == ["small", "big", "bigger"]


def test_a_mini_comes_before_the_other_tier():
    policy = Policy({**POLICY.tiers, Tier.DEEP_MINI: (TierTarget("spare"),)}, POLICY.candidates)
    assert [target.backend for target in ask(0.9, policy=policy).targets] == ["big", "bigger", "spare", "small"]


def test_every_decision_explains_itself_and_has_its_own_id():
    first, second = ask(0.9), ask(0.9)
    assert first.id != second.id
    assert first.steps
    document = first.as_dict()
    assert document["targets"][0] == {"backend": "big", "effort": "high", "tier": "deep"}
    assert document["steps"][0]["rule"] == "difficulty"


BUSY = [
    ({Tier.DEEP}, Tier.FAST, Reason.LOAD),
    ({Tier.FAST}, Tier.DEEP, Reason.DIFFICULTY),
    ({Tier.DEEP, Tier.FAST}, Tier.DEEP, Reason.DIFFICULTY),
]


@pytest.mark.parametrize(("busy", "tier", "reason"), BUSY, ids=["elsewhere", "not concerned", "nowhere to go"])
def test_a_busy_tier_hands_over_only_to_one_that_is_not(busy, tier, reason):
    decision = ask(0.9, busy=frozenset(busy))
    assert (decision.tier, decision.reason) == (tier, reason)
