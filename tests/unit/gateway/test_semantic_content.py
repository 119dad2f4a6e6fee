"""The content gate in tables: what asks the same, and what only looks alike."""

import json

import pytest

from gateway.cache.semantic.content import FACETS, MOST_CHARS, differences, differing, read_content

SAME = [
    ("What is the capital of France?", "Can you tell me what France's capital city is?"),
    ("How do I sort a list in Python?", "What is the best way to sort a list in Python?"),
    ("Who wrote Hamlet?", "Who is the author of Hamlet?"),
    ("Why is the sky blue?", "Please explain why the sky is blue."),
    ("In git, how do I delete a branch?", "How can I delete a branch in git?"),
    ("When did World War II end?", "What year did World War II end?"),
    ("What is 9 minus 4?", "Calculate 9 - 4."),
    ("法国的首都是哪里？", "请问法国首都是什么？"),
    ("怎么学吉他？", "如何学习吉他"),
    ("红茶和绿茶有什么区别？", "红茶与绿茶的区别是什么？"),
    ("孕妇能不能喝咖啡？", "孕妇能喝咖啡吗？"),
    ("100的百分之15是多少？", "100的15%是多少？"),
]

UNLIKE = [
    ("Is 5 degrees Celsius cold?", "Is 50 degrees Celsius cold?", "numbers"),
    ("Give me three tips for running.", "Give me five tips for running.", "numbers"),
    ("Convert 5 km to miles", "Convert 5 miles to km", "numbers"),
    ("Is 30 degrees Celsius hot?", "Is 30 degrees Fahrenheit hot?", "units"),
    ("Is it safe to eat raw eggs?", "Is it not safe to eat raw eggs?", "negation"),
    ("Cook pasta with salt.", "Cook pasta without salt.", "negation"),
    ("Which fruits are sweet but not sour?", "Which fruits are sour but not sweet?", "negation"),
    ("Is the shop open on Monday?", "Is the shop open on Sunday?", "dates"),
    ("What is open today?", "What is open tomorrow?", "dates"),
    ("What is the capital of Austria?", "What is the capital of Australia?", "names"),
    ("what does HTTP mean", "what does HTTPS mean", "names"),
    ("Who is the president of Peru?", "Who was the president of Peru?", "question"),
    ("When was Ada Lovelace born?", "Where was Ada Lovelace born?", "question"),
    ("What does `x += 1` do?", "What does `x -= 1` do?", "code"),
    ("What is 9 + 4?", "What is 9 * 4?", "code"),
    ("Read the file /etc/hosts for me", "Read the file /etc/passwd for me", "code"),
    ("How do I increase my heart rate?", "How do I decrease my heart rate?", "subject"),
    ("do dogs chase cats", "do cats chase dogs", "subject"),
    ("who did hamilton kill", "who did kill hamilton", "subject"),
    ("Is gold heavier than silver?", "Is silver heavier than gold?", "order"),
    ("What happened before the war?", "What happened after the war?", "order"),
    ("What is the capital of France?", "法国的首都是哪里？", "language"),
    ("今天几点开门？", "明天几点开门？", "dates"),
    ("三条建议", "五条建议", "numbers"),
    ("5公里等于多少英里？", "5英里等于多少公里？", "units"),
    ("孕妇能喝咖啡吗？", "孕妇不能喝咖啡吗？", "negation"),
    ("金比银重吗？", "银比金重吗？", "subject"),
    ("德国侵略过波兰吗？", "波兰侵略过德国吗？", "subject"),
    ("用Python怎么排序列表？", "用Java怎么排序列表？", "names"),
    ("怎么提高血压？", "怎么降低血压？", "subject"),
    ("他什么时候出生？", "他在哪里出生？", "question"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_the_same_question_in_other_words_agrees(one, other):
    first, second = read_content(one), read_content(other)
    assert differences(first, second) == {}
    assert first.print_of(b"secret") == second.print_of(b"secret")


@pytest.mark.parametrize(("one", "other", "facet"), UNLIKE)
def test_what_only_looks_alike_differs_in_a_named_facet(one, other, facet):
    first, second = read_content(one), read_content(other)
    assert facet in differences(first, second)
    assert differing(first.print_of(b"secret"), second.print_of(b"secret")) is not None


@pytest.mark.parametrize("text", ["", "  ", "フランスの首都はどこですか", "Какая столица?", "a" * (MOST_CHARS + 1)])
def test_what_the_gate_cannot_read_takes_no_part(text):
    assert read_content(text) is None


def test_a_fingerprint_tells_nothing_without_its_secret():
    content = read_content("What is the capital of France?")
    assert content.print_of(b"one") != content.print_of(b"other")
    assert not any("france" in print_.lower() for print_ in content.print_of(b"one"))
    assert differing(content.print_of(b"one"), ("broken",)) == FACETS[0]


def test_the_gate_agrees_with_itself_on_every_pair_that_was_built():
    from tests.bench.semantic.pairs import make_pairs

    pairs = make_pairs()
    assert len(pairs) >= 2000
    contents = {text: read_content(text) for pair in pairs for text in (pair.one, pair.other)}
    false = [pair for pair in pairs if not pair.same and not differences(contents[pair.one], contents[pair.other])]
    near_misses = sum(not pair.same for pair in pairs)
    assert len(false) <= 0.001 * near_misses, false
    fitted = [pair for pair in pairs if pair.same and not pair.held_back]
    found = [pair for pair in fitted if not differences(contents[pair.one], contents[pair.other])]
    assert len(found) >= 0.6 * len(fitted)


def test_the_part_held_back_is_the_one_that_was_committed_before_anything_was_fitted():
    from tests.bench.semantic.pairs import HELD_BACK, digest_of, make_pairs

    held = [pair for pair in make_pairs() if pair.held_back]
    assert digest_of(held) == HELD_BACK, "what is reported would no longer be about unseen pairs"
    for language in ("en", "zh"):
        own = [pair for pair in held if pair.language == language]
        assert sum(pair.same for pair in own) >= 400
        assert sum(not pair.same for pair in own) >= 800
    sorts = {pair.sort for pair in held}
    assert sorts >= {"number", "unit", "negation", "date", "entity", "antonym", "direction", "comparative", "tense"}
    assert sorts >= {"question", "language"}


def test_the_command_says_why_two_prompts_match_or_do_not():
    from typer.testing import CliRunner

    from gateway.cache.semantic.commands import commands

    run = CliRunner()
    found = json.loads(run.invoke(commands, ["explain", UNLIKE[2][0], UNLIKE[2][1], "--json"]).stdout)
    assert not found["match"]
    assert found["differ"] == ["numbers", "order"]
    assert found["facets"]["numbers"] == [["5 km"], ["5 mile"]]
    assert "yes" in run.invoke(commands, ["explain", *SAME[0]]).stdout
    assert "is below" in run.invoke(commands, ["explain", *SAME[0], "--threshold", "1"]).stdout
    assert "reads English and Chinese" in run.invoke(commands, ["explain", SAME[0][0], "Какая столица?"]).stdout
