"""Conversations: what a turn leans on, how difficulty is carried, and that a change of tier must pay."""

import pytest

from classifiers.types import Conversation, Turn
from router.conversation import carried_difficulty, fingerprint, in_tool_loop, leaning, switch_margin
from router.types import Session, Tier

HARD = Session(Tier.DEEP, "big", 0.8)


def said(*texts: str) -> Conversation:
    roles = ("user", "assistant")
    return Conversation(tuple(Turn(roles[i % 2], text) for i, text in enumerate(texts)))


LEANINGS = [
    ("why?", 0.8, 1.0),
    ("yes", 0.8, 1.0),
    ("继续", 0.8, 1.0),
    ("为什么？", 0.8, 1.0),
    ("and for n = 7?", 0.8, 1.0),
    ("那如果是奇数呢", 0.8, 1.0),
    ("in French please", 0.4, 0.7),
    ("对方律师叫什么来着？", 0.1, 0.3),
    ("what was the name of that theorem again?", 0.1, 0.3),
    ("对方要是不同意呢", 0.4, 0.7),
    ("那帮我写个短信约他周四下午喝咖啡", 0.4, 0.7),
    ("what about the other one, did we say why?", 0.8, 1.0),
    ("thanks!", 0.0, 0.0),
    ("谢谢你！", 0.0, 0.0),
    ("ok great, thank you", 0.0, 0.0),
    (
        "Could you write me a birthday card for my grandmother, who turns ninety next week and loves gardening?",
        0.1,
        0.3,
    ),
    ("帮我写一封邮件给房东，说明下个月我要搬走，并问一下押金什么时候可以退还，语气客气一点", 0.1, 0.3),
]


@pytest.mark.parametrize(("text", "least", "most"), LEANINGS, ids=[case[0] for case in LEANINGS])
def test_a_turn_leans_on_the_past_as_far_as_it_says_little_itself(text, least, most):
    assert least <= leaning(said("Prove that …", "…", text)) <= most


def test_difficulty_rises_at_once_and_falls_by_what_does_not_lean():
    easy = Session(Tier.FAST, "small", 0.1)
    assert carried_difficulty(0.9, easy, lean=0.9) == 0.9
    assert carried_difficulty(0.1, HARD, lean=0.0) == pytest.approx(0.1)
    assert carried_difficulty(0.1, HARD, lean=0.5) == pytest.approx(0.45)
    assert carried_difficulty(0.1, None, lean=0.9) == 0.1


def test_a_hard_conversation_fades_over_easy_turns():
    difficulty = 0.8
    for _ in range(6):
        difficulty = carried_difficulty(0.05, Session(Tier.DEEP, "big", difficulty), lean=0.55)
    assert difficulty < 0.1


def test_a_change_of_tier_costs_more_the_longer_the_prefix():
    assert switch_margin(None, Tier.DEEP, 10_000) == 0
    assert switch_margin(HARD, Tier.DEEP, 10_000) == 0
    easy = Session(Tier.FAST, "small", 0.1)
    assert switch_margin(HARD, Tier.FAST, 100) > switch_margin(easy, Tier.DEEP, 100) > 0
    short, long = (switch_margin(HARD, Tier.FAST, tokens) for tokens in (100, 50_000))
    assert 0 < short < long
    assert switch_margin(HARD, Tier.FAST, 10**9) == long


def test_a_tool_loop_ends_with_the_final_answer():
    call = said("look it up", "(calls a tool)")
    assert in_tool_loop(Conversation((*call.turns, Turn("tool", "42"))))
    assert not in_tool_loop(Conversation((*call.turns, Turn("tool", "42"), Turn("user", "thanks"))))
    assert not in_tool_loop(Conversation(()))


def test_a_conversation_keeps_its_name_as_it_grows():
    begin = said("Hello", "Hi!")
    assert fingerprint(begin) == fingerprint(Conversation((*begin.turns, Turn("user", "and now?"))))
    assert fingerprint(begin) != fingerprint(said("Goodbye"))
    system = Conversation((Turn("system", "Be brief"), *begin.turns))
    assert fingerprint(system) != fingerprint(begin)
