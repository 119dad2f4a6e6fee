"""School word problems that are told in one to eight steps, in seven languages.

Fast models solve these almost always; each further step adds a small chance of a slip, so the label runs from 0.01
for one step to 0.22 for eight.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from typing import Any

from classifiers.training.homemade.sample import Sample, prompt
from classifiers.training.homemade.templates import read_lines, read_table
from classifiers.types import Kind

_ROWS = {"en": 75, "zh": 65}
_ROWS_ELSEWHERE = 30
_DIFFICULTY_BY_STEPS = (0.01, 0.02, 0.04, 0.06, 0.09, 0.13, 0.17, 0.22)
_MOST = 5000


def samples(rng: random.Random) -> Iterator[Sample]:
    """Word problems in every language and setting of the table."""
    for language, words in read_table("arithmetic.toml").items():
        for setting in words["settings"]:
            for _ in range(_ROWS.get(language, _ROWS_ELSEWHERE)):
                yield _sample(language, words, setting, rng)


def _sample(language: str, words: Mapping[str, Any], setting: Mapping[str, Any], rng: random.Random) -> Sample:
    steps = rng.randint(1, 8)
    text = _told(words, setting, steps, rng)
    difficulty = _DIFFICULTY_BY_STEPS[steps - 1]
    domain = f"arithmetic_{setting['name']}"
    return Sample("homemade_puzzles", domain, language, Kind.MATHS, difficulty, prompt(text))


def _told(words: Mapping[str, Any], setting: Mapping[str, Any], steps: int, rng: random.Random) -> str:
    """Tell the story: a starting amount, one sentence a step, and the question."""
    amount = rng.randint(6, 60)
    fixed = {"name": rng.choice(words["names"]), "item": rng.choice(setting["items"])}
    sentences = [rng.choice(read_lines(setting["start"])).format(n=amount, **fixed)]
    for _ in range(steps):
        step = rng.choice([name for name in setting["steps"] if _possible(name, amount)])
        amount, n, k = _applied(step, amount, rng)
        sentence = rng.choice(read_lines(setting["steps"][step]))
        sentences.append(sentence.format(n=n, k=k, other=rng.choice(words["others"]), **fixed))
    sentences.append(rng.choice(read_lines(setting["ask"])).format(**fixed))
    joint: str = words["joint"]
    return joint.join(sentences)


def _possible(step: str, amount: int) -> bool:
    """Whether a step keeps the amount a whole number of modest size, and never negative."""
    return {
        "add": amount < _MOST,
        "take": amount >= 4,
        "double": amount < _MOST // 3,
        "halve": amount % 2 == 0 and amount >= 4,
        "times": amount < _MOST // 6,
        "groups": amount < _MOST,
        "share": amount >= 12,
    }[step]


def _applied(step: str, amount: int, rng: random.Random) -> tuple[int, int, int]:
    """Return the amount after a step, and the two numbers that its sentence states."""
    k, n = rng.randint(2, 6), rng.randint(2, 40)
    match step:
        case "add":
            return amount + n, n, k
        case "take":
            n = rng.randint(1, amount - 2)
            return amount - n, n, k
        case "double":
            return 2 * amount, n, k
        case "halve":
            return amount // 2, n, k
        case "times":
            return amount * k, n, k
        case "groups":
            return amount + k * n, n, k
        case _:
            n = rng.randint(1, amount // k - 1)
            return amount - k * n, n, k
