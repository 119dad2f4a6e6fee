"""Conversations made of the single questions: short follow-ups, changes of subject, system prompts.

The difficulty of a conversation is that of what its last turn asks for. "Yes" or "继续" stands for the question
that the assistant offered to work out; a new question stands for itself, whatever came before; thanks stand for
nothing. Questions of held-out templates go into held-out conversations only.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from classifiers.training.homemade.sample import HELD_OUT, Sample
from classifiers.training.homemade.templates import fill, read_lines, read_slots, read_table
from classifiers.types import Kind, Turn

_SOURCE = "homemade_dialogues"
_ROWS = {"en": 90, "zh": 80}
_ROWS_ELSEWHERE = 24
_HELD_SHARE = 0.3
_EASY_BELOW, _HARD_FROM = 0.15, 0.4
_THANKS_DIFFICULTY = 0.01


def samples(questions: Sequence[Sample], rng: random.Random) -> Iterator[Sample]:
    """Conversations in every language of the table, made of the single-turn ``questions``."""
    singles = [question for question in questions if len(question.turns) == 1]
    for language, words in read_table("dialogues.toml").items():
        for held in (False, True):
            pool = [
                question
                for question in singles
                if question.language == language and (question.domain in HELD_OUT) is held
            ]
            rows = round(_ROWS.get(language, _ROWS_ELSEWHERE) * (_HELD_SHARE if held else 1.0))
            for _ in range(rows):
                for form in (_follow_up, _change, _system):
                    yield form(pool, words, "_held" if held else "", rng)
                if not held:
                    yield _thanks(pool, words, rng)


def _follow_up(pool: Sequence[Sample], words: Mapping[str, Any], suffix: str, rng: random.Random) -> Sample:
    """Follow a question and an offer or a partial answer with "yes", "go on" or "why?"."""
    question = _drawn(pool, rng)
    offer, answer = rng.choice((("offers", "agreements"), ("partial_answers", "continuations"), ("claims", "doubts")))
    turns = (
        *question.turns,
        Turn("assistant", _line(words, offer, rng)),
        Turn("user", _line(words, answer, rng)),
    )
    return replace(question, source=_SOURCE, domain=f"dialogue_followup{suffix}", turns=turns)


def _change(pool: Sequence[Sample], words: Mapping[str, Any], suffix: str, rng: random.Random) -> Sample:
    """Let a new question, which alone sets the label, follow one to three answered ones."""
    before = [_drawn(pool, rng) for _ in range(rng.randint(1, 3))]
    question = _drawn(pool, rng)
    turns: list[Turn] = []
    for earlier in before:
        turns += [*earlier.turns, Turn("assistant", _line(words, "answers", rng))]
    return replace(question, source=_SOURCE, domain=f"dialogue_change{suffix}", turns=(*turns, *question.turns))


def _system(pool: Sequence[Sample], words: Mapping[str, Any], suffix: str, rng: random.Random) -> Sample:
    """Put a question under a system prompt of one to six sentences, which does not change the label."""
    question = _drawn(pool, rng)
    lines = read_lines(words["system"])
    chosen = rng.sample(lines, rng.randint(1, min(6, len(lines))))
    slots = read_slots(words["slots"])
    system = Turn("system", fill(words["joint"].join(chosen), slots, rng))
    return replace(question, source=_SOURCE, domain=f"dialogue_system{suffix}", turns=(system, *question.turns))


def _thanks(pool: Sequence[Sample], words: Mapping[str, Any], rng: random.Random) -> Sample:
    """Thank for an answer: trivial, however hard the question was."""
    question = _drawn(pool, rng)
    turns = (
        *question.turns,
        Turn("assistant", _line(words, "answers", rng)),
        Turn("user", _line(words, "thanks", rng)),
    )
    return Sample(_SOURCE, "dialogue_thanks", question.language, Kind.CHAT, _THANKS_DIFFICULTY, turns)


def _drawn(pool: Sequence[Sample], rng: random.Random) -> Sample:
    """Draw a question that is easy or hard with equal chance, whatever the shares in the pool."""
    hard = rng.random() < 0.5
    fitting = [
        question
        for question in pool
        if (question.difficulty >= _HARD_FROM if hard else question.difficulty < _EASY_BELOW)
    ]
    return rng.choice(fitting or list(pool))


def _line(words: Mapping[str, Any], name: str, rng: random.Random) -> str:
    return rng.choice(read_lines(words[name]))
