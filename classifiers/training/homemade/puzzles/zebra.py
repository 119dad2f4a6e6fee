"""Grid puzzles ("who keeps the zebra?") of 2 to 6 places and 2 to 6 properties, in English and Chinese.

Each instance has exactly one solution by construction: a value is placed by a clue that refers to a place or to a
value placed before, and the last value of a property follows by elimination. The label grows with the number of
bits of the hidden arrangement, ``properties * log2(places!)``: a fast model fills 2 x 2 at sight, loses half of
the 4 x 4 grids and nearly all of the 6 x 6 ones.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping
from typing import Any

from classifiers.training.homemade.sample import Sample, prompt
from classifiers.training.homemade.templates import read_lines, read_table
from classifiers.types import Kind

_ROWS_PER_FORM = 60
# Bits at which the chance of a flawless grid falls to 1/e, and how steep the fall is.
_BITS_SCALE = 17.0
_STEEPNESS = 1.1

Grid = dict[str, list[str]]
"""Property name to its values, by place."""


def samples(rng: random.Random) -> Iterator[Sample]:
    """Grid puzzles in every language and form of the table."""
    for language, words in read_table("zebra.toml").items():
        for form in words["forms"]:
            for _ in range(_ROWS_PER_FORM):
                yield _sample(language, words, form, rng)


def difficulty(places: int, properties: int) -> float:
    """Argued chance that a fast model gets at least one cell of the grid wrong."""
    bits = properties * math.log2(math.factorial(places))
    return 1.0 - math.exp(-((bits / _BITS_SCALE) ** _STEEPNESS))


def clues(grid: Grid, words: Mapping[str, Any], rng: random.Random) -> list[str]:
    """Clues that determine the grid, shuffled, with up to three that only narrow it."""
    placed: list[tuple[str, int]] = []
    told: list[str] = []
    cells = [(value, place) for values in grid.values() for place, value in _open_cells(values, rng)]
    rng.shuffle(cells)
    for value, place in cells:
        told.append(_placing(value, place, placed, words, rng))
        placed.append((value, place))
    told += [_narrowing(placed, words, rng) for _ in range(rng.randint(0, 3))]
    rng.shuffle(told)
    return list(dict.fromkeys(told))


def _open_cells(values: list[str], rng: random.Random) -> list[tuple[int, str]]:
    """Every cell of a property but one, which follows by elimination."""
    cells = list(enumerate(values))
    cells.pop(rng.randrange(len(cells)))
    return cells


def _placing(
    value: str, place: int, placed: list[tuple[str, int]], words: Mapping[str, Any], rng: random.Random
) -> str:
    """Write a clue that fixes a value's place, by a value placed before where there is a near one."""
    near = [(other, there) for other, there in placed if abs(there - place) <= 1]
    if not near or rng.random() < 0.12:
        return str(words["at"]).format(a=value, n=place + 1)
    other, there = rng.choice(near)
    relation = {0: "same", -1: "right_of", 1: "left_of"}[there - place]
    return str(rng.choice(words[relation])).format(a=value, b=other)


def _narrowing(placed: list[tuple[str, int]], words: Mapping[str, Any], rng: random.Random) -> str:
    (one, here), (other, there) = rng.sample(placed, 2)
    if here == there:
        return str(words["same"][0]).format(a=one, b=other)
    if here > there:
        one, other = other, one
    return str(words["before"]).format(a=one, b=other)


def _sample(language: str, words: Mapping[str, Any], form: Mapping[str, Any], rng: random.Random) -> Sample:
    places, properties = rng.randint(2, 6), rng.randint(2, 6)
    chosen = rng.sample(sorted(words["properties"]), properties)
    grid = {name: rng.sample(words["properties"][name], places) for name in chosen}
    told = clues(grid, form, rng)
    listed = "\n".join(
        f"{words['bullet']}{name}: {words['comma'].join(sorted(values))}" for name, values in grid.items()
    )
    asked = rng.choice(list(grid.values()))
    question = rng.choice(read_lines(form["questions"])).format(a=rng.choice(asked))
    numbered = "\n".join(f"{number}. {clue}" for number, clue in enumerate(told, start=1))
    text = form["layout"].format(places=places, listed=listed, clues=numbered, question=question)
    return Sample(
        "homemade_puzzles",
        f"zebra_{form['name']}",
        language,
        Kind.LOGIC,
        difficulty(places, properties),
        prompt(text),
    )
