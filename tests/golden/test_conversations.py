"""Routing decides a suite of scripted conversations as annotated; see ``conversations/README.md``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from classifiers.bundle import load_bundle
from classifiers.types import Conversation, Estimate, Kind
from router.types import Decision, Reason, Target, Tier
from tests.golden.conversations.judging import Figures, Ruling, judge, measure, play, two_tier_engine
from tests.golden.conversations.suite import Script, ScriptedTurn, belongs_to_held_back, load_suite

LEAST_AS_ANNOTATED = 0.95
MOST_NEEDLESS_SWITCHES = 2.0
MOST_EITHER = 0.12

SUITE = load_suite()
TURNS = [turn for script in SUITE for turn in script.turn]


@pytest.fixture(scope="module")
def figures() -> Figures:
    return judge(two_tier_engine(load_bundle("reflex-v1")), SUITE).figures


def test_turns_are_decided_as_annotated(figures: Figures) -> None:
    assert figures.as_annotated >= LEAST_AS_ANNOTATED, "python -m tests.golden.conversations shows the misses"


def test_tiers_are_seldom_switched_without_need(figures: Figures) -> None:
    assert figures.needless_switches <= MOST_NEEDLESS_SWITCHES


def test_a_tool_loop_never_leaves_the_model_that_began_it(figures: Figures) -> None:
    assert figures.pins_broken == 0


def test_the_suite_is_large_and_mostly_english_and_chinese() -> None:
    spoken = Counter(script.language for script in SUITE)
    assert len(SUITE) >= 60
    assert len(TURNS) >= 350
    assert len({script.id for script in SUITE}) == len(SUITE)
    assert min(spoken["en"], spoken["zh"]) >= len(SUITE) / 3
    assert set(spoken) == {"en", "zh", "es", "de", "fr", "ru", "ja", "mixed"}


def test_few_turns_are_left_open_by_their_annotation() -> None:
    assert sum(turn.expect == "either" for turn in TURNS) <= MOST_EITHER * len(TURNS)


def test_about_a_third_is_held_back_and_the_id_alone_says_which() -> None:
    held_back = {script.id for script in SUITE if script.held_back}
    assert held_back == {script.id for script in SUITE if belongs_to_held_back(script.id)}
    assert 0.25 <= len(held_back) / len(SUITE) <= 0.42


@pytest.mark.parametrize("script", SUITE, ids=lambda script: script.id)
def test_a_script_keeps_the_rules_of_annotation(script: Script) -> None:
    assert list(_slips(script)) == []


def _slips(script: Script) -> Iterator[str]:
    """Name what contradicts the README in one script."""
    settled = None
    for number, turn in enumerate(script.turn, 1):
        at, following = f"turn {number}", script.turn[number : number + 1]
        before = script.turn[number - 2] if number > 1 else None
        if (turn.user is None) == (turn.tool is None):
            yield f"{at} has to have either `user` or `tool`"
        if turn.is_tool_step != bool(turn.assistant_calls) or not set(turn.assistant_calls) <= set(script.tools):
            yield f"{at} has to call declared tools where it has a result, and only there"
        if turn.is_tool_step != turn.pinned or (turn.pinned and (before is None or before.expect != turn.expect)):
            yield f"{at}: tool steps, and only they, are pinned and expect what the request before them did"
        if (turn.assistant is None) != (bool(following) and following[0].is_tool_step):
            yield f"{at}: the answer is left out where the next turn begins with a tool call, and only there"
        changes = turn.expect != "either" and settled is not None and turn.expect != settled
        if changes != (turn.switch == "needed") or (turn.switch == "allowed" and turn.expect != "either"):
            yield f"{at}: `switch` does not follow from the tiers expected before it"
        if turn.expect != "either":
            settled = turn.expect


def _decision(tier: Tier, backend: str = "") -> Decision:
    target = Target(backend or tier.value, None, tier)
    return Decision(
        id="dec_1",
        tier=tier,
        targets=(target,),
        reason=Reason.DIFFICULTY,
        effort=None,
        effort_asked=None,
        difficulty=0.5,
        kind=Kind.CHAT,
        threshold=0.4,
        dial="balanced",
        estimate=None,
        steps=(),
    )


FAST, DEEP, ELSEWHERE = _decision(Tier.FAST), _decision(Tier.DEEP), _decision(Tier.DEEP, "another")
SIMPLE = ScriptedTurn(user="hello", assistant="hi", expect="fast", why="a greeting")
HARD = ScriptedTurn(user="prove it", assistant="so", expect="deep", why="a proof")
STEP = ScriptedTurn(assistant_calls=("read",), tool="text", expect="deep", why="in a loop", pinned=True)


@pytest.mark.parametrize(
    ("turn", "before", "decision", "fault"),
    [
        (SIMPLE, None, FAST, None),
        (SIMPLE, None, DEEP, "deep instead of fast, by difficulty"),
        (HARD, DEEP, DEEP, None),
        (HARD, FAST, DEEP, "needless switch to deep, by difficulty"),
        (ScriptedTurn(user="now prove it", expect="deep", why="a proof", switch="needed"), FAST, DEEP, None),
        (ScriptedTurn(user="thanks", expect="either", why="thanks", switch="allowed"), DEEP, FAST, None),
        (
            ScriptedTurn(user="thanks", expect="either", why="thanks"),
            DEEP,
            FAST,
            "needless switch to fast, by difficulty",
        ),
        (STEP, DEEP, DEEP, None),
        (STEP, DEEP, ELSEWHERE, "leaves a tool loop, by difficulty"),
        (STEP, DEEP, FAST, "leaves a tool loop, by difficulty"),
    ],
)
def test_each_fault_is_seen_and_named(
    turn: ScriptedTurn, before: Decision | None, decision: Decision, fault: str | None
) -> None:
    ruling = Ruling(_script(turn), 1, turn, decision, before)
    assert (ruling.fault if ruling.is_miss else None) == fault


def test_figures_count_each_fault_once() -> None:
    rulings = [
        Ruling(_script(SIMPLE), 1, SIMPLE, FAST, None),
        Ruling(_script(SIMPLE), 2, SIMPLE, DEEP, FAST),
        Ruling(_script(STEP), 3, STEP, DEEP, FAST),
        Ruling(_script(HARD), 4, HARD, DEEP, DEEP),
    ]
    figures = measure(rulings)
    assert (figures.as_annotated, figures.needless_switches, figures.pins_broken) == (0.75, 50.0, 1)
    assert figures.deep_share == 0.75


class _Proofreader:
    """Finds a conversation hard exactly when its last user turn asks for a proof, and keeps what it was shown."""

    name = "proofreader"

    def __init__(self) -> None:
        self.thresholds = {"balanced": 0.5}
        self.shown: list[Conversation] = []

    def estimate(self, conversation: Conversation) -> Estimate:
        self.shown.append(conversation)
        asked = [turn.text for turn in conversation.turns if turn.role == "user"][-1]
        difficulty = 0.9 if "prove" in asked else 0.05
        return Estimate(difficulty, 1 - difficulty, 0.97, Kind.CHAT, 0.9, 500, difficulty, self.name)


def test_history_and_memory_grow_from_turn_to_turn_as_they_do_in_the_gateway() -> None:
    model = _Proofreader()
    head = ScriptedTurn(user="prove it", expect="deep", why="a proof")
    script = Script(
        id="x",
        language="en",
        about="a greeting, then a proof with a tool",
        system="Be kind.",
        tools=("read",),
        turn=(SIMPLE, head, STEP),
    )
    decided = list(play(two_tier_engine(model), script))
    assert [ruling.decision.tier for ruling in decided] == [Tier.FAST, Tier.DEEP, Tier.DEEP]
    assert [ruling.decision.reason for ruling in decided][-1] is Reason.STICKY
    assert [turn.role for turn in model.shown[-1].turns] == ["system", "user", "assistant", "user", "assistant", "tool"]
    assert model.shown[-1].tools == 1


def _script(*turns: ScriptedTurn) -> Script:
    return Script(id="x", language="en", about="a trial", turn=turns)
