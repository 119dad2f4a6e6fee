"""Programming contests: problem cores of argued difficulty, dressed as judges, practice sites and colleagues do.

The dress says nothing about difficulty (every core appears in every one), the core and its limits do.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from typing import Any

from classifiers.training.homemade.sample import Sample, prompt
from classifiers.training.homemade.templates import fill, read_slots, read_table
from classifiers.types import Kind

_FILLINGS = 5
# One core in so many is held back, in every form: a form alone would show the same problems to both splits.
_HELD_EVERY = 4


def samples(rng: random.Random) -> Iterator[Sample]:
    """Draw every core in every form of its languages, filled several times."""
    table = read_table("contests.toml")
    filling = read_slots(table["filling"])
    for form in table["form"]:
        for number, core in enumerate(table["core"], 1):
            if form["language"] in core:
                slots = {**filling, **_words(table, form["language"], core)}
                domain = f"contest_{form['name']}{'_held' if number % _HELD_EVERY == 0 else ''}"
                for _ in range(_FILLINGS):
                    yield _sample(core, form, domain, slots, rng)


def _words(table: Mapping[str, Any], language: str, core: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    return {**read_slots(table["words"][language]), **read_slots(table["sizes"][core["size"]])}


def _sample(
    core: Mapping[str, Any],
    form: Mapping[str, Any],
    domain: str,
    slots: Mapping[str, tuple[str, ...]],
    rng: random.Random,
) -> Sample:
    language = form["language"]
    stated = fill(core[language], slots, rng)
    text = fill(form["text"].strip(), {**slots, "core": (_escaped(stated),)}, rng)
    return Sample("homemade_contests", domain, language, Kind.CODING, core["difficulty"], prompt(_restored(text)))


def _escaped(text: str) -> str:
    """Keep braces of the statement (sets, subscripts) from being read as slots once more."""
    return text.replace("{", "\x02").replace("}", "\x03")


def _restored(text: str) -> str:
    return text.replace("\x02", "{").replace("\x03", "}")
