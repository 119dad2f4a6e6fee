"""Who serves, by precedence: the client's word, then difficulty against the dial, and never a target that cannot."""

import dataclasses
from types import MappingProxyType

import pytest

from classifiers.types import Conversation, Estimate, Kind
from router.engine import Engine, NobodyCan, UnknownModelName
from router.policy import Policy, TierTarget
from router.types import Abilities, Bounds, Candidate, Effort, Needs, Reason, RouteRequest, Step, Tier


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


CURVE = ((0.0, 1.0), (0.1, 0.8), (0.3, 0.4), (1.0, 0.0))
SHARES = [("0", 1.0), ("0.1", 0.8), ("0.2", 0.6), ("0.3", 0.4), ("0.65", 0.2), ("1", 0.0)]


@pytest.mark.parametrize(("dial", "threshold"), SHARES)
def test_a_share_of_deep_calls_is_read_from_the_models_curve(dial, threshold):
    curved = dataclasses.replace(POLICY, share_curve=CURVE)
    for policy, asked in ((curved, {"dial": dial}), (dataclasses.replace(curved, dial=dial), {})):
        decision = ask(0.9, policy=policy, **asked)
        assert (decision.dial, decision.threshold) == (dial, pytest.approx(threshold))


def test_a_share_that_was_calibrated_is_held_against_that():
    calibrated = dataclasses.replace(POLICY, share_curve=CURVE, thresholds={"0.2": 0.95})
    assert ask(0.9, policy=calibrated, dial="0.2").tier is Tier.FAST


def test_a_share_that_nobody_knows_the_threshold_of_stays_at_the_operators_dial_and_says_so():
    decision = ask(0.7, dial="0.2", policy=dataclasses.replace(POLICY, dial="cheap"))
    assert (decision.dial, decision.threshold, decision.tier) == ("cheap", 0.8, Tier.FAST)
    assert decision.steps[0] == Step("dial", "a share of 0.2", "not calibrated: stays at cheap")


def test_a_key_that_is_bound_to_notches_may_not_choose_a_share():
    decision = ask(dial="0.9", bounds=Bounds(dials=frozenset({"cheap"})), policy=POLICY)
    assert decision.dial == "balanced"


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
    assert [step["rule"] for step in document["steps"]] == ["client", "tool loop", "intent", "difficulty"]
    assert [step["did"] for step in document["steps"]] == [*["leaves the choice"] * 3, "goes deep"]


def test_every_signal_is_told_with_its_value_and_what_is_missing_as_none():
    told = ask(
        0.9,
        needs=Needs(vision=True, json=True, prompt_tokens=7, max_tokens=9000),
        bounds=Bounds(tiers=frozenset({Tier.FAST, Tier.DEEP})),
        exhausted={Tier.FAST: 60.0},
    ).as_dict()["signals"]
    assert {name: signal["value"] for name, signal in told.items()} == {
        "conversation type": "maths",
        "complexity": 0.9,
        "tool needs": False,
        "explicit intent": None,
        "prompt tokens": 7,
        "client effort": None,
        "client max tokens": 9000,
        "modality": "text and images",
        "response format": "json",
        "language": "other",
        "key": "deep, fast",
        "limits reached": "fast",
        "tiers under load": None,
        "conversation": None,
    }


MINI = Policy({**POLICY.tiers, Tier.DEEP_MINI: (TierTarget("spare"),)}, POLICY.candidates)
RUNNERS_UP = [
    ({}, "fast: difficulty under 0.50"),
    ({"tier": Tier.FAST}, "deep: what difficulty says by itself"),
    ({"effort": Effort.NONE}, "deep: what difficulty says by itself"),
    ({"conversation": Conversation.from_prompt("Quick answer, please.")}, "deep: what difficulty says by itself"),
    ({"exhausted": {Tier.DEEP: 60.0}}, "deep: limit reached, free again in 60 s"),
    ({"bounds": Bounds(tiers=frozenset({Tier.FAST}))}, "deep: the key does not allow it"),
]


@pytest.mark.parametrize(("request_", "runner_up"), RUNNERS_UP)
def test_the_runner_up_is_told_whichever_rule_settled_it(request_, runner_up):
    request = RouteRequest(**{"model": "auto", "conversation": Conversation.from_prompt("?"), **request_})
    assert Engine(MINI, Fixed(0.9)).decide(request).runner_up == runner_up


PRO = Policy(
    tiers={Tier.FAST: (TierTarget("small"),), Tier.DEEP: (TierTarget("spare"),)},
    candidates={"small": Candidate("small"), "spare": Candidate("spare", Abilities(vision=True))},
)
ROOM = [
    ("enough", 0.9, {"max_tokens": 9000}, "spare", Reason.DIFFICULTY, None),
    ("difficulty alone: who does not think", 0.9, {"max_tokens": 500}, "small", Reason.MAX_TOKENS, 500 + 1024),
    ("difficulty alone, and only thinkers can", 0.9, {"max_tokens": 500, "vision": True}, "spare",
     Reason.DIFFICULTY, 500 + 1024),
    ("nearly enough", 0.9, {"max_tokens": 1500}, "spare", Reason.DIFFICULTY, 1500 + 1024),
    ("a thinker takes over", 0.1, {"max_tokens": 500}, "small", Reason.DIFFICULTY, 500 + 1024),
    ("no cap", 0.9, {}, "spare", Reason.DIFFICULTY, None),
]  # fmt: skip


@pytest.mark.parametrize(("difficulty", "needs", "backend", "reason", "raised"), [row[1:] for row in ROOM],
                         ids=[row[0] for row in ROOM])  # fmt: skip
def test_whoever_thinks_has_room_to(difficulty, needs, backend, reason, raised):
    decision = ask(difficulty, policy=PRO, needs=Needs(**needs))
    assert (decision.targets[0].backend, decision.reason, decision.raise_max_tokens) == (backend, reason, raised)
    assert (raised is None) == all(step.rule != "max tokens" for step in decision.steps)


def test_a_caller_who_wants_thinking_gets_the_room_for_it():
    decision = ask(0.1, policy=PRO, needs=Needs(max_tokens=100), effort=Effort.HIGH)
    assert (decision.targets[0].backend, decision.raise_max_tokens) == ("spare", 100 + 1024)


UNSURE = [("cheap", Tier.FAST), ("balanced", Tier.DEEP), ("quality", Tier.DEEP), ("max", Tier.DEEP)]


@pytest.mark.parametrize(("dial", "tier"), UNSURE)
def test_a_notch_leans_its_way_when_unsure_and_says_so(dial, tier):
    decision = ask(Fixed.thresholds[dial] + 0.01, dial=dial)
    assert decision.tier is tier
    assert "unsure" in decision.steps[-1].saw
    below = ask(Fixed.thresholds[dial] - 0.01, dial=dial)
    assert below.tier is (Tier.DEEP if dial in ("quality", "max") else Tier.FAST)


def test_where_deep_would_do_no_better_fast_answers():
    policy = dataclasses.replace(POLICY, min_gain={"balanced": 0.9})
    decision = ask(0.8, policy=policy)
    assert decision.tier is Tier.FAST
    assert "deep would do no better" in [step.did for step in decision.steps]


BUSY = [
    ({Tier.DEEP}, Tier.FAST, Reason.LOAD),
    ({Tier.FAST}, Tier.DEEP, Reason.DIFFICULTY),
    ({Tier.DEEP, Tier.FAST}, Tier.DEEP, Reason.DIFFICULTY),
]


@pytest.mark.parametrize(("busy", "tier", "reason"), BUSY, ids=["elsewhere", "not concerned", "nowhere to go"])
def test_a_busy_tier_hands_over_only_to_one_that_is_not(busy, tier, reason):
    decision = ask(0.9, busy=frozenset(busy))
    assert (decision.tier, decision.reason) == (tier, reason)
