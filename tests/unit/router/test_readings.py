"""What was read a moment ago is not read again, and is told to nobody else."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifiers.heuristic import HeuristicModel
from classifiers.types import Conversation, Estimate, Kind, Turn
from router.readings import LONGEST, Readings, _digest


@dataclass
class Counting:
    """A model that counts how often it is asked, and says what it is told to."""

    name: str = "counting"
    thresholds: dict = field(default_factory=lambda: {"balanced": 0.5})
    asked: int = 0
    signs: str = "counting"

    def estimate(self, conversation):
        self.asked += 1
        return Estimate(0.5, 0.5, 0.9, Kind.CHAT, 0.9, 100.0, 0.5, self.signs)


def chat(*texts, tools=0):
    return Conversation(tuple(Turn("user", text) for text in texts), tools)


def test_the_same_words_are_judged_once():
    model = Counting()
    readings = Readings(model)
    first = readings.read("acme", chat("Think hard: why?"))
    assert readings.read("acme", chat("Think hard: why?")) is first
    assert model.asked == 1
    assert first.intent.direction == "up"


@pytest.mark.parametrize(
    "other",
    [
        ("globex", chat("hello", "you")),
        ("acme", chat("hello", "you", tools=1)),
        ("acme", chat("helloyou")),
        ("acme", chat("hell", "oyou")),
        ("acme", Conversation((Turn("system", "hello"), Turn("user", "you")))),
        ("acme", chat("hello", "you ")),
    ],
)
def test_whatever_differs_is_judged_anew(other):
    model = Counting()
    readings = Readings(model)
    readings.read("acme", chat("hello", "you"))
    readings.read(*other)
    assert model.asked == 2


def test_what_is_too_long_to_digest_is_read_anew():
    model = Counting()
    readings = Readings(model)
    for words, asked in (("x" * LONGEST, 1), ("x" * (LONGEST + 1), 3)):
        assert readings.read("acme", chat(words)) == readings.read("acme", chat(words))
        assert model.asked == asked


def test_the_least_recently_used_leave_first():
    model = Counting()
    readings = Readings(model, most=2)
    for text in ("a", "b", "a", "c", "a"):
        readings.read("acme", chat(text))
    assert model.asked == 3
    readings.read("acme", chat("b"))
    assert model.asked == 4


def test_what_stood_in_for_a_model_that_failed_is_not_remembered():
    model = Counting(signs=HeuristicModel.name)
    readings = Readings(model)
    readings.read("acme", chat("hello"))
    model.signs = "counting"
    assert readings.read("acme", chat("hello")).estimate.model == "counting"


_TURNS = st.lists(
    st.tuples(st.sampled_from(["system", "user", "assistant", "tool"]), st.text(alphabet="a0:\0\ud800é", max_size=4)),
    max_size=3,
)


@given(st.text(max_size=3), _TURNS, st.text(max_size=3), _TURNS)
def test_no_two_conversations_have_one_digest(tenant, turns, other_tenant, other_turns):
    one = Conversation(tuple(Turn(*turn) for turn in turns))
    other = Conversation(tuple(Turn(*turn) for turn in other_turns))
    assert (_digest(tenant, one) == _digest(other_tenant, other)) == ((tenant, one) == (other_tenant, other))
