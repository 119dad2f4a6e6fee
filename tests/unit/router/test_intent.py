"""Explicit intent: a labelled table in seven languages, a third of it held back from whoever writes the rules."""

from __future__ import annotations

import re
import time
import timeit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.intent import Intent, read_intent
from router.intent.lexicon import languages
from tests.unit.router.intent_cases import HELD_BACK, NEW, OPEN, ORDINARY, TABLE, Case, measure, said


def test_the_table_is_large_and_holds_back_about_a_third():
    assert len(TABLE) >= 350
    assert len({case.text for case in TABLE + OPEN}) == len(TABLE) + len(NEW)
    assert 0.28 < len(HELD_BACK) / len(TABLE) < 0.39


@pytest.mark.parametrize("case", OPEN, ids=lambda case: f"{case.wanted}-{case.trap}-{case.text.strip()[:30]}")
def test_every_open_case_reads_as_labelled(case: Case):
    assert said(case.text) == case.wanted


@pytest.mark.parametrize("direction", ["up", "down"])
def test_precision_and_recall_are_at_least_95_percent_on_the_held_back_third(direction: str):
    figures = measure(HELD_BACK, direction)

    assert figures.precision >= 0.95
    assert figures.recall >= 0.95


def test_no_ordinary_prompt_reads_as_intent():
    assert len(ORDINARY) >= 250
    assert [text for text in ORDINARY if read_intent(text).direction] == []


@pytest.mark.parametrize(
    ("text", "intent"),
    [
        ("Fix the bug, ultrathink", Intent("up", "ultrathink", "pace", "en")),
        ("No need to think hard: 5 + 5?", Intent("down", "no need to think hard", "pace", "en")),
        ("Just the number, please.", Intent("down", "just the number", "form", "en")),
        ("請仔細想想", Intent("up", "仔細想想", "pace", "zh")),
        ("不要直接给答案", Intent("up", "不要 直接给答案", "form", "zh")),
        ("Denk gründlich nach.", Intent("up", "denk gründlich nach", "pace", "de")),
        ("Why is the sky blue?", Intent(None)),
    ],
)
def test_a_reading_names_its_words_their_subject_and_their_language(text: str, intent: Intent):
    assert read_intent(text) == intent


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("translate: 'think hard about it'", "quoted"),
        ("「慢慢來」是什麼意思？", "quoted"),
        ("Say it in French: “take your time”", "quoted"),
        ("What does this print?\n```\n# think hard\n```", "pasted"),
        ("Summarise this e-mail:\n\nTake your time, Sam.\n\nBest,\nRuth", "pasted"),
        ("> just give me the answer\n\nWhat did she mean?", "pasted"),
        ("<note>Think hard.</note> Who wrote this?", "pasted"),
        ("My teacher told me to think hard.", "about"),
        ("老师让我仔细想想再选专业", "about"),
        ("Which is polite?  A. Take your time  B. Hurry up", "about"),
        ("This is not a quick question.", "negated"),
        ("这不算深入分析，只是一个状态页", "negated"),
    ],
)
def test_words_that_do_not_count_say_why(text: str, reason: str):
    intent = read_intent(text)

    assert intent.direction is None
    assert intent.phrase
    assert intent.discounted == reason


@pytest.mark.parametrize(
    ("text", "direction"),
    [
        ("Think hard about it. Quick answer, please.", "down"),
        ("Quick question. Think hard.", "up"),
        ("Think hard, and give me just the number.", "up"),
        ("Just the number, but think hard.", "up"),
    ],
)
def test_pace_beats_form_and_the_later_words_beat_the_earlier(text: str, direction: str):
    assert read_intent(text).direction == direction


def test_the_phrase_does_not_repeat_the_callers_own_words():
    intent = read_intent("Analyse the merger with Initech in depth.")

    assert intent.direction == "up"
    assert intent.phrase == "analyse … in depth"


PADDING = "The quarterly report lists revenue by region and product. " * 2000


@pytest.mark.parametrize(
    ("text", "direction"),
    [
        (f"Think hard about this report. {PADDING}", "up"),
        (f"{PADDING}\n\nThink hard.", "up"),
        (f"{PADDING} Think hard. {PADDING}", None),
        (f"```\n{PADDING}\nThink hard.\n```", None),
        (f"```\n{PADDING}\n```\nThink hard.", "up"),
        (f"{PADDING}```{PADDING}```\nThink hard. ```x```", "up"),
        (f"Summarise this e-mail:\n\nHi Sam,\n{PADDING}\nPlease take your time.\nRuth", None),
    ],
)
def test_of_a_long_prompt_both_ends_are_read_and_code_blocks_are_still_known(text: str, direction: str | None):
    assert read_intent(text).direction == direction


def _quickest_milliseconds(text: str) -> float:
    return min(timeit.repeat(lambda: read_intent(text), number=1, repeat=5)) * 1000


@pytest.mark.parametrize(
    "unit",
    ["“", "'", '"', "`", "<a>", "> ", "(", "think ", "don't ", "Think hard. ", "no need to ", "a: ", "translate: ",
     "\n", "。", "不要", "一步一步", "仔细", "と", "analyse x ", "i need ", "don't think hard "],
)  # fmt: skip
def test_the_time_is_bounded_whatever_is_repeated_and_however_often(unit: str):
    read_intent(f"{unit}Think hard.")

    assert _quickest_milliseconds(unit * 200_000 + "Think hard.") < 40


def test_a_phrase_is_compiled_in_no_time_when_a_prompt_first_says_it():
    """It happens within a decision, which has five milliseconds. Measured beside a class of thousands of letters."""

    def compile_all(patterns: list[str]) -> float:
        re.purge()
        began = time.thread_time()
        for pattern in patterns:
            re.compile(pattern)
        return time.thread_time() - began

    phrases = [phrase.written for language in languages() for phrase in language.phrases]
    one_large_class = min(compile_all([r"[^\W\u3040-\u30ff\u3400-\u9fff]"]) for _ in range(3))
    assert compile_all(phrases) < len(phrases) / 2 * one_large_class


PIECES = st.sampled_from(
    [case.text for case in OPEN]
    + ["“", "”", "'", '"', "```", "`", "<a>", "</a>", "\n", "\n\n", "> ", ": ", "：", "don't "]
)


@given(st.lists(PIECES | st.text(max_size=20), max_size=8).map("".join))
def test_any_text_is_read_without_an_error_into_a_consistent_intent(text: str):
    intent = read_intent(text)

    assert bool(intent.phrase) == bool(intent.language) == (intent.subject is not None)
    assert (intent.direction is not None) == (bool(intent.phrase) and intent.discounted is None)
