"""Chains of "all … are …" over made-up words, with a conclusion to be judged.

Two premises are sight reading; six shuffled ones with a negation and loose ends are not, for a model that answers
at once.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from typing import Any

from classifiers.training.homemade.sample import Sample, prompt
from classifiers.training.homemade.templates import read_lines, read_table
from classifiers.types import Kind

_ROWS_PER_FORM = 36
_BASE = 0.06
_PER_PREMISE = 0.055


def samples(rng: random.Random) -> Iterator[Sample]:
    """Puzzles in every language and form of the table."""
    for language, words in read_table("syllogism.toml").items():
        for form in words["forms"]:
            for _ in range(_ROWS_PER_FORM):
                yield _sample(language, words, form, rng)


def _sample(language: str, words: Mapping[str, Any], form: Mapping[str, Any], rng: random.Random) -> Sample:
    links, loose = rng.randint(2, 6), rng.randint(0, 3)
    terms = rng.sample(words["terms"], links + 1 + loose)
    chain, beside = terms[: links + 1], terms[links + 1 :]
    kinds = ["all"] * links
    if rng.random() < 0.5:
        kinds[-1] = "none"
    premises = [form[kind].format(a=one, b=other) for kind, one, other in zip(kinds, chain, chain[1:], strict=False)]
    premises += [form["some"].format(a=term, b=rng.choice(chain)) for term in beside]
    rng.shuffle(premises)
    text = form["layout"].format(
        premises=form["joint"].join(premises),
        conclusion=_conclusion(chain, kinds[-1], form, rng),
        question=rng.choice(read_lines(form["questions"])),
    )
    difficulty = _BASE + _PER_PREMISE * len(premises)
    return Sample("homemade_puzzles", f"syllogism_{form['name']}", language, Kind.LOGIC, difficulty, prompt(text))


def _conclusion(chain: list[str], last: str, form: Mapping[str, Any], rng: random.Random) -> str:
    """State what follows, or its converse, which does not, or its contrary."""
    kind, ends = rng.choice((last, "all", "some", "none")), (chain[0], chain[-1])
    one, other = ends if rng.random() < 0.6 else ends[::-1]
    told: str = form[kind].format(a=one, b=other)
    return told
