"""Planning with constraints: job plans, room bookings, round trips and budgets of growing size.

Small instances are read off; the best plan among a dozen interlocking tasks has to be searched for, which a model
that writes its answer at once does badly.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from itertools import combinations
from typing import Any

from classifiers.training.homemade.sample import Sample, prompt
from classifiers.training.homemade.templates import read_lines, read_table
from classifiers.types import Kind

_ROWS_PER_FORM = 44
_SIZES = (3, 9)
_EASIEST, _HARDEST = 0.22, 0.84


def samples(rng: random.Random) -> Iterator[Sample]:
    """Plans to make, in every language and form of the table."""
    for language, words in read_table("schedules.toml").items():
        for name, form in words["forms"].items():
            for _ in range(_ROWS_PER_FORM):
                size = rng.randint(*_SIZES)
                facts = _FACTS[form["facts"]](size, words, form, rng)
                text = _text(facts, size, words, form, rng)
                difficulty = _difficulty(size)
                domain = f"schedule_{name}"
                yield Sample("homemade_puzzles", domain, language, Kind.PLANNING, difficulty, prompt(text))


def _difficulty(size: int) -> float:
    low, high = _SIZES
    return _EASIEST + (_HARDEST - _EASIEST) * (size - low) / (high - low)


def _text(facts: list[str], size: int, words: Mapping[str, Any], form: Mapping[str, Any], rng: random.Random) -> str:
    laid_out: str = rng.choice(form["layouts"]).format(
        facts=form["joint"].join(facts),
        question=rng.choice(read_lines(form["questions"])),
        few=rng.randint(2, 3),
        limit=rng.randint(3, 5) * size,
        start=rng.choice(words["places"]),
    )
    return laid_out


def _tasks(size: int, words: Mapping[str, Any], form: Mapping[str, Any], rng: random.Random) -> list[str]:
    """Tasks with a length and, from the second on, often one or two tasks that must come first."""
    names = rng.sample(words["tasks"], size)
    facts = []
    for index, name in enumerate(names):
        before = rng.sample(names[:index], min(index, rng.randint(0, 2)))
        need = form["needs"].format(before=words["comma"].join(before)) if before else ""
        facts.append(form["fact"].format(a=name, n=rng.randint(1, 9), needs=need))
    return facts


def _bookings(size: int, words: Mapping[str, Any], form: Mapping[str, Any], rng: random.Random) -> list[str]:
    """Meetings with a length and a window of hours in which they have to lie."""
    facts = []
    for name in rng.sample(words["people"], size):
        hours, opens = rng.randint(1, 3), rng.randint(8, 13)
        closes = min(19, opens + hours + rng.randint(0, 4))
        facts.append(form["fact"].format(a=name, n=hours, opens=opens, closes=closes))
    return facts


def _roads(size: int, words: Mapping[str, Any], form: Mapping[str, Any], rng: random.Random) -> list[str]:
    """Distances between places: a chain that joins all, and about half of the other pairs."""
    places = rng.sample(words["places"], size)
    pairs = [pair for pair in combinations(places, 2) if _adjacent(pair, places) or rng.random() < 0.5]
    rng.shuffle(pairs)
    return [form["fact"].format(a=one, b=other, n=rng.randint(4, 90)) for one, other in pairs]


def _wishes(size: int, words: Mapping[str, Any], form: Mapping[str, Any], rng: random.Random) -> list[str]:
    """Things with a price and a worth, to be chosen from within a budget."""
    return [
        form["fact"].format(a=name, n=rng.randint(2, 15), worth=rng.randint(1, 20))
        for name in rng.sample(words["tasks"], size)
    ]


def _adjacent(pair: tuple[str, str], places: list[str]) -> bool:
    return abs(places.index(pair[0]) - places.index(pair[1])) == 1


_FACTS: dict[str, Callable[[int, Mapping[str, Any], Mapping[str, Any], random.Random], list[str]]] = {
    "tasks": _tasks,
    "bookings": _bookings,
    "roads": _roads,
    "wishes": _wishes,
}
