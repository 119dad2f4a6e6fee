"""Seating three to seven people in a row or around a table, with clues until one arrangement is left.

The label rises with the number of seats, as the number of arrangements does.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from itertools import permutations
from typing import Any

from classifiers.training.homemade.sample import Sample, prompt
from classifiers.training.homemade.templates import read_lines, read_table
from classifiers.types import Kind

_ROWS_PER_FORM = 36
_DIFFICULTY_BY_SEATS = {3: 0.12, 4: 0.28, 5: 0.45, 6: 0.58, 7: 0.68}

Order = tuple[int, ...]
"""Who sits where: the seat of each person."""


def samples(rng: random.Random) -> Iterator[Sample]:
    """Puzzles in every language and form of the table."""
    for language, words in read_table("seating.toml").items():
        for form in words["forms"]:
            for _ in range(_ROWS_PER_FORM):
                yield _sample(language, words, form, rng)


def holds(clue: tuple[str, int, int], order: Order, *, round_table: bool) -> bool:
    """Whether a clue about two people is true of an arrangement."""
    what, one, other = clue
    seats = len(order)
    step = order[other] - order[one]
    apart = min(step % seats, -step % seats) if round_table else abs(step)
    match what:
        case "beside":
            return apart == 1
        case "apart":
            return apart != 1
        case "left":
            return (step % seats == 1) if round_table else step == 1
        case "before":
            return step > 0
        case _:
            return apart == 2


def puzzle(seats: int, *, round_table: bool, rng: random.Random) -> list[tuple[str, int, int]]:
    """Clues, each of which rules something out, that leave one arrangement (up to turning a round table)."""
    hidden = (0, *rng.sample(range(1, seats), seats - 1)) if round_table else tuple(rng.sample(range(seats), seats))
    left = [order for order in permutations(range(seats)) if not round_table or order[0] == 0]
    kinds = ["beside", "apart", "left", "gap"] + ([] if round_table else ["before"])
    clues: list[tuple[str, int, int]] = []
    while len(left) > 1:
        one, other = rng.sample(range(seats), 2)
        clue = (rng.choice(kinds), one, other)
        kept = [order for order in left if holds(clue, order, round_table=round_table)]
        if hidden in kept and len(kept) < len(left):
            clues.append(clue)
            left = kept
    return clues


def _sample(language: str, words: Mapping[str, Any], form: Mapping[str, Any], rng: random.Random) -> Sample:
    seats = rng.randint(3, 7)
    names = rng.sample(words["names"], seats)
    clues = puzzle(seats, round_table=form["round"], rng=rng)
    text = form["layout"].format(
        names=words["comma"].join(names),
        clues=form["joint"].join(_told(clue, names, form, rng) for clue in clues),
        question=rng.choice(read_lines(form["questions"])).format(a=rng.choice(names)),
    )
    difficulty = _DIFFICULTY_BY_SEATS[seats]
    return Sample("homemade_puzzles", f"seating_{form['name']}", language, Kind.LOGIC, difficulty, prompt(text))


def _told(clue: tuple[str, int, int], names: Sequence[str], form: Mapping[str, Any], rng: random.Random) -> str:
    what, one, other = clue
    return rng.choice(read_lines(form[what])).format(a=names[one], b=names[other])
