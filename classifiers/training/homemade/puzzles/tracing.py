"""Code to be run in the head: small Python functions of two to nine statements, and "what does it return?".

A fast model simulates two or three assignments and then drifts; loops multiply the steps. The label therefore
rises with the number of steps that are really executed.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping
from typing import Any

from classifiers.training.homemade.sample import Sample, prompt
from classifiers.training.homemade.templates import read_lines, read_table
from classifiers.types import Kind

_ROWS_PER_FORM = 50
_EASIEST, _HARDEST = 0.05, 0.6
# Executed steps at which the label is half-way between its ends, on a logarithmic scale.
_HALF_WAY_STEPS = 14.0


def samples(rng: random.Random) -> Iterator[Sample]:
    """Tracing questions in every language and form of the table."""
    for language, words in read_table("tracing.toml").items():
        for form in words["forms"]:
            for _ in range(_ROWS_PER_FORM):
                code, steps = program(rng)
                text = _text(form, code, rng)
                domain = f"tracing_{form['name']}"
                yield Sample("homemade_puzzles", domain, language, Kind.CODING, difficulty(steps), prompt(text))


def difficulty(steps: int) -> float:
    """Argued chance of a slip in a program that executes so many steps."""
    position = 1.0 / (1.0 + math.exp(-1.5 * math.log(steps / _HALF_WAY_STEPS)))
    return _EASIEST + (_HARDEST - _EASIEST) * position


def program(rng: random.Random) -> tuple[str, int]:
    """Draw a function as source text and the number of steps its call executes."""
    name, variable = rng.choice(("f", "mix", "step", "walk", "fold")), rng.choice(("x", "n", "total", "acc"))
    lines, steps = [f"def {name}({variable}):"], 1
    for _ in range(rng.randint(1, 4)):
        block, executed = _block(variable, rng)
        lines += [f"    {line}" for line in block]
        steps += executed
    lines += [f"    return {variable}", "", f"print({name}({rng.randint(2, 40)}))"]
    return "\n".join(lines), steps


def _block(variable: str, rng: random.Random) -> tuple[list[str], int]:
    """One statement, or a loop over one or two statements, and how many steps it executes."""
    if rng.random() < 0.45:
        return [_statement(variable, rng)], 1
    times, body = rng.randint(2, 9), rng.randint(1, 2)
    statements = [f"    {_statement(variable, rng, 'i')}" for _ in range(body)]
    return [f"for i in range({times}):", *statements], times * body


def _statement(variable: str, rng: random.Random, counter: str = "") -> str:
    operand = counter if counter and rng.random() < 0.5 else str(rng.randint(2, 9))
    return rng.choice(
        (
            f"{variable} += {operand}",
            f"{variable} -= {operand}",
            f"{variable} = {variable} * {rng.randint(2, 4)} % {rng.randint(50, 200)}",
            f"{variable} = {variable} // {rng.randint(2, 3)} + {operand}",
            f"{variable} ^= {operand}",
            f"if {variable} % {rng.randint(2, 5)} == 0: {variable} += {operand}",
        )
    )


def _text(form: Mapping[str, Any], code: str, rng: random.Random) -> str:
    question = rng.choice(read_lines(form["questions"]))
    layout: str = form["layout"]
    return layout.format(code=code, question=question)
