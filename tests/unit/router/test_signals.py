"""The signals beside difficulty and intent: what kind of conversation it is, and whether it works with tools."""

import pytest

from classifiers.heuristic import HeuristicModel
from classifiers.types import Conversation, Kind, Turn
from router.signals import read_conversation, read_signals
from router.types import RouteRequest, Session, Tier

MODEL = HeuristicModel()
ASKED = Turn("user", "Compare the weather in two towns.")
CALLED = (ASKED, Turn("assistant", ""), Turn("tool", "18 °C"))


def needs(*turns, tools=0):
    return read_conversation(Conversation(turns, tools), MODEL).tool_needs


LOOPS = [
    ("nothing said", (), False),
    ("a question", (ASKED,), False),
    ("a tool's result", CALLED, True),
    ("two results", (*CALLED, Turn("tool", "20 °C")), True),
    ("the final answer and a further question", (*CALLED, Turn("assistant", "Warm."), Turn("user", "Why?")), False),
]


@pytest.mark.parametrize(("turns", "in_loop"), [row[1:] for row in LOOPS], ids=[row[0] for row in LOOPS])
def test_a_tool_loop_lasts_from_a_result_to_the_final_answer(turns, in_loop):
    assert needs(*turns, tools=2).in_loop is in_loop
    assert needs(*turns, tools=2).declared == 2


FRESH = [
    "What's the weather in Oslo?",
    "who won the match this week",
    "Look up the exchange rate of the yen.",
    "What is Apple's stock price right now?",
    "今天北京天气怎么样？",
    "帮我查一下最新的汇率",
]
TIMELESS = [
    "Why is the sky blue?",
    "Prove that there are infinitely many primes.",
    "Write a letter to my newspaper.",
    "证明根号二是无理数。",
    "写一首关于秋天的诗",
]


@pytest.mark.parametrize("text", FRESH)
def test_words_that_ask_for_fresh_facts_are_heard(text):
    assert needs(Turn("user", text)).fresh_facts


@pytest.mark.parametrize("text", TIMELESS)
def test_what_was_true_a_year_ago_needs_no_tool(text):
    assert not needs(Turn("user", text)).fresh_facts


def test_it_reads_wording_which_is_its_weakness():
    assert needs(Turn("user", "State the latest theorem of the chapter.")).fresh_facts


def signals(*turns, session=None):
    return read_signals(RouteRequest("auto", Conversation(turns), session=session), MODEL)


def test_a_tool_loop_is_agentic_whatever_the_model_says_of_its_words():
    assert signals(*CALLED).kind is Kind.AGENTIC
    assert signals(ASKED).kind is signals(ASKED).estimate.kind


def test_difficulty_is_the_conversations_and_the_estimate_is_the_turns():
    hard = Session(Tier.DEEP, "big", difficulty=0.9)
    why = signals(ASKED, Turn("assistant", "Because."), Turn("user", "Why?"), session=hard)
    assert why.difficulty == 0.9 > why.estimate.difficulty
    assert why.lean == 1.0
    alone = signals(ASKED)
    assert alone.difficulty == alone.estimate.difficulty


def test_a_missing_signal_is_a_value():
    listed = {signal.name: signal.value for signal in signals().listed(RouteRequest("auto", Conversation(())))}
    assert listed["explicit intent"] is listed["conversation"] is listed["response format"] is None
    assert listed["language"] == "other"
