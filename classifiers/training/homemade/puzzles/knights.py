"""Truth-tellers and liars, two to seven of them, with exactly one consistent reading.

The label rises with the number of speakers: each doubles the cases that have to be ruled out.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

from classifiers.training.homemade.sample import Sample, prompt
from classifiers.training.homemade.templates import read_lines, read_table
from classifiers.types import Kind

_ROWS_PER_FORM = 36
_DIFFICULTY_BY_SPEAKERS = {2: 0.22, 3: 0.36, 4: 0.48, 5: 0.58, 6: 0.67, 7: 0.74}

Claim = tuple[str, tuple[int, ...]]
"""What is said, and of whom: ``("liar", (2,))``, ``("same", (0, 3))``, ``("count", (k,))``."""


def samples(rng: random.Random) -> Iterator[Sample]:
    """Puzzles in every language and form of the table."""
    for language, words in read_table("knights.toml").items():
        for form in words["forms"]:
            for _ in range(_ROWS_PER_FORM):
                yield _sample(language, words, form, rng)


def holds(claim: Claim, honest: Sequence[bool]) -> bool:
    """Whether a claim is true when ``honest`` says who tells the truth."""
    what, about = claim
    match what:
        case "liar":
            return not honest[about[0]]
        case "honest":
            return honest[about[0]]
        case "same":
            return honest[about[0]] == honest[about[1]]
        case "differ":
            return honest[about[0]] != honest[about[1]]
        case _:
            return sum(not one for one in honest) == about[0]


def readings(claims: Sequence[Claim]) -> list[tuple[bool, ...]]:
    """Every assignment in which exactly the honest speakers' claims are true."""
    return [
        honest
        for honest in product((True, False), repeat=len(claims))
        if all(holds(claim, honest) == speaker for claim, speaker in zip(claims, honest, strict=True))
    ]


def puzzle(speakers: int, rng: random.Random) -> list[Claim]:
    """One claim a speaker, drawn again until there is exactly one reading."""
    while True:
        honest = [rng.random() < 0.5 for _ in range(speakers)]
        claims = [_claim(speaker, honest, rng) for speaker in range(speakers)]
        if len(readings(claims)) == 1:
            return claims


def _claim(speaker: int, honest: Sequence[bool], rng: random.Random) -> Claim:
    """Draw a claim that is true if the speaker is honest and false if not."""
    others = [person for person in range(len(honest)) if person != speaker]
    one = rng.choice(others)
    two = rng.choice([person for person in range(len(honest)) if person != one])
    candidates: list[Claim] = [("liar", (one,)), ("honest", (one,)), ("same", (one, two)), ("differ", (one, two))]
    candidates += [("count", (number,)) for number in range(len(honest) + 1)]
    return rng.choice([claim for claim in candidates if holds(claim, honest) == honest[speaker]])


def _sample(language: str, words: Mapping[str, Any], form: Mapping[str, Any], rng: random.Random) -> Sample:
    speakers = rng.randint(2, 7)
    names = rng.sample(words["names"], speakers)
    said = [_said(name, claim, names, form, rng) for name, claim in zip(names, puzzle(speakers, rng), strict=True)]
    text = form["layout"].format(
        names=words["comma"].join(names),
        said="\n".join(said),
        question=rng.choice(read_lines(form["questions"])).format(a=rng.choice(names)),
    )
    difficulty = _DIFFICULTY_BY_SPEAKERS[speakers]
    return Sample("homemade_puzzles", f"knights_{form['name']}", language, Kind.LOGIC, difficulty, prompt(text))


def _said(name: str, claim: Claim, names: list[str], form: Mapping[str, Any], rng: random.Random) -> str:
    what, about = claim
    if what == "count":
        words = form["count"].format(n=about[0])
    else:
        people = [names[person] for person in about]
        words = rng.choice(read_lines(form[what])).format(a=people[0], b=people[-1])
    quoted: str = form["quote"].format(name=name, words=words)
    return quoted
