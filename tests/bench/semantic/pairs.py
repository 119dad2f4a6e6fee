"""Pairs of prompts with known meaning, made from templates: the same question in other words, and near-misses.

A template has several ways to say one thing, values for its slots, and sentences that look alike and mean something
else. Every two ways with the same values are a paraphrase; other values, or one of the other sentences, are not one.
Two in five templates are held back: neither the tables of the gate nor the threshold were fitted to them.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tests.bench.semantic.chinese import CHINESE
from tests.bench.semantic.english import ENGLISH
from tests.bench.semantic.template import Template

SWAPPED_A_TEMPLATE = 24
"""Pairs of a template that differ in their slots' values."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two prompts, whether they ask the same, and how they were made: `paraphrase`, `swap`, `negation` …"""

    one: str
    other: str
    same: bool
    sort: str
    language: str
    template: str
    held_back: bool


def make_pairs() -> list[Pair]:
    """Make all pairs, the same at every call."""
    pairs = itertools.chain(_pairs_of(ENGLISH, "en"), _pairs_of(CHINESE, "zh"))
    return list({(pair.one, pair.other): pair for pair in pairs}.values())


def is_held_back(template: str) -> bool:
    """Whether a template is for the report alone; a hash of its name decides."""
    return hashlib.sha256(template.encode()).digest()[0] % 5 < 2


def _pairs_of(templates: Sequence[Template], language: str) -> Iterator[Pair]:
    for template in templates:
        held = is_held_back(template.name)
        for one, other, same, sort in _told(template):
            if one != other:
                yield Pair(one, other, same, sort, language, template.name, held)


def _told(template: Template) -> Iterator[tuple[str, str, bool, str]]:
    values = template.values or ((),)
    for slots in values:
        said = [way.format(*slots) for way in template.ways]
        for one, other in itertools.combinations(said, 2):
            yield one, other, True, "paraphrase"
        for at, (sort, unlike) in enumerate(template.unlike):
            for way in (said[at % len(said)], said[(at + 1) % len(said)]):
                yield way, unlike.format(*slots), False, sort
    swapped = [
        (template.ways[(at + step) % len(template.ways)].format(*one), template.ways[at].format(*other))
        for step in (0, 1)
        for at in range(len(template.ways))
        for one, other in itertools.combinations(values, 2)
    ]
    for one, other in swapped[:: max(1, len(swapped) // SWAPPED_A_TEMPLATE)]:
        yield one, other, False, template.swap
