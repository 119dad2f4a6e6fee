"""What a caller chooses besides the model's name, and how a conversation is known again."""

import pytest

from classifiers.types import Conversation, Turn
from gateway.endpoints.deciding import read_choices
from gateway.errors import InvalidField
from gateway.sessions import session_key
from router.types import Effort, Tier

PICKER = [("light", Effort.LOW), ("standard", Effort.MEDIUM), ("extended", Effort.HIGH), ("heavy", Effort.MAX)]


@pytest.mark.parametrize(("word", "effort"), PICKER)
def test_the_thinking_time_pickers_words_are_efforts(word, effort):
    assert read_choices({}, {"reasoning_effort": word}).effort is effort


@pytest.mark.parametrize("effort", Effort)
def test_every_effort_is_known_by_its_name(effort):
    assert read_choices({}, {"reasoning_effort": effort.value}).effort is effort


def test_headers_choose_the_tier_and_the_dial():
    choices = read_choices({"x-thalamus-route": "deep", "x-thalamus-dial": "0.250"}, {})
    assert (choices.tier, choices.dial, choices.effort) == (Tier.DEEP, "0.25", None)
    assert read_choices({"x-thalamus-route": "auto"}, {}).tier is None


REFUSED = [
    ({"x-thalamus-route": "deep-mini"}, {}, "x-thalamus-route"),
    ({"x-thalamus-dial": "2"}, {}, "x-thalamus-dial"),
    ({}, {"reasoning_effort": "gigantic"}, "reasoning_effort"),
]


@pytest.mark.parametrize(("headers", "fields", "param"), REFUSED, ids=[row[2] for row in REFUSED])
def test_what_cannot_be_chosen_is_refused_by_name(headers, fields, param):
    with pytest.raises(InvalidField) as refusal:
        read_choices(headers, fields)
    assert refusal.value.param == param


BEGUN = Conversation((Turn("system", "Be kind."), Turn("user", "hello")))
GROWN = Conversation((*BEGUN.turns, Turn("assistant", "Hello!"), Turn("user", "why?")))
OTHER = Conversation.from_prompt("good morning")
ALL = {"prompt_cache_key": "k", "conversation": "c", "previous_response_id": "r", "user": "u"}


def key(named=None, header=None, conversation=BEGUN, tenant="acme"):
    return session_key(tenant, named or {}, header, conversation)


@pytest.mark.parametrize("field", ["prompt_cache_key", "conversation", "previous_response_id"])
def test_a_conversation_is_known_by_any_name_that_a_client_gives_it_whatever_is_said(field):
    assert key({field: "one"}) == key({field: "one"}, conversation=OTHER)
    assert key({field: "one"}) != key({field: "two"})


def test_the_most_telling_name_counts():
    assert key(ALL, "h") == key(None, "h") != key(ALL)
    assert key(ALL) == key({"prompt_cache_key": "k"})
    assert key({**ALL, "prompt_cache_key": None}) == key({"conversation": "c"})


def test_without_a_name_it_is_known_by_how_it_began_and_for_whom():
    assert key() == key(conversation=GROWN) != key(conversation=OTHER)
    assert key({"user": "u"}) == key({"user": "u"}, conversation=GROWN) != key({"user": "v"})


def test_nobody_knows_another_tenants_conversation():
    assert key(tenant="acme") != key(tenant="globex")
    assert key(header="one", tenant="acme") != key(header="one", tenant="globex")
