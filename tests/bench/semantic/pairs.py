"""Pairs of prompts with known meaning, made from templates: the same question in other words, and near-misses.

A template has several ways to say one thing, values for its slots, and sentences that look alike and mean something
else. Every two ways with the same values are a paraphrase; other values, or one of the other sentences, are not one.

The templates called `unseen` are held back: they were written before the gate was changed in 2026-11, and neither its
tables nor its thresholds were fitted to them. `HELD_BACK` says which state of them the report is about.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from tests.bench.semantic import chinese, english, freer_chinese, freer_english, unseen_chinese, unseen_english
from tests.bench.semantic.template import Template

HELD_BACK = "64a55a79bb1f419c72111f3355979e1c48a9c80d76209e89d1fe13ef21e60f38"
"""The SHA-256 of the part held back, as it was committed before anything was fitted."""

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
    pairs = itertools.chain(
        _pairs_of(english.ENGLISH, "en", held=False),
        _pairs_of(chinese.CHINESE, "zh", held=False),
        _pairs_of(freer_english.ENGLISH, "en", held=False),
        _pairs_of(freer_chinese.CHINESE, "zh", held=False),
        _pairs_of(unseen_english.ENGLISH, "en", held=True),
        _pairs_of(unseen_chinese.CHINESE, "zh", held=True),
    )
    return list({(pair.one, pair.other): pair for pair in pairs}.values())


def digest_of(pairs: Iterable[Pair]) -> str:
    """Give the SHA-256 of pairs, so that a part that must not change can be seen not to have changed."""
    lines = sorted("\t".join((pair.one, pair.other, pair.sort, str(pair.same))) for pair in pairs)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _pairs_of(templates: Sequence[Template], language: str, *, held: bool) -> Iterator[Pair]:
    for template in templates:
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
