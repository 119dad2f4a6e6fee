"""Planning by rules: what actions need and do, facts, and a goal to be reached.

A fast model writes a plausible plan and breaks a condition on the way; each further goal makes that likelier, and
invented words take away the common sense that would have helped. The label says so.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping
from typing import Any

from classifiers.training.homemade.sample import Sample, prompt
from classifiers.training.homemade.templates import read_slots, read_table
from classifiers.types import Kind

_ROWS_PER_FORM = 60
_FEWEST, _MOST = 2, 10
_PER_GOAL = 0.16
_INVENTED = 0.25
"""How many goals more the invented words are worth, as a share of the goals."""


def samples(rng: random.Random) -> Iterator[Sample]:
    """Planning problems in every language and form of the table, with everyday and with invented names."""
    for language, words in read_table("actions.toml").items():
        slots = read_slots({name: text for name, text in words.items() if isinstance(text, str)})
        for number, form in enumerate(words["forms"]):
            domain = f"plan_rules_{number}" if number else "plan_rules_held"
            for _ in range(_ROWS_PER_FORM):
                goals, invented = rng.randint(_FEWEST, _MOST), rng.random() < 0.5
                text = form.format(**_world(words, slots, goals, rng, invented=invented))
                yield Sample(
                    "homemade_puzzles",
                    domain,
                    language,
                    Kind.PLANNING,
                    difficulty(goals, invented=invented),
                    prompt(text),
                )


def difficulty(goals: int, *, invented: bool) -> float:
    """Argued chance that a plan for so many goals breaks a rule."""
    return round(1.0 - math.exp(-_PER_GOAL * goals * (1 + _INVENTED * invented)), 3)


def _world(
    words: Mapping[str, Any], slots: Mapping[str, tuple[str, ...]], goals: int, rng: random.Random, *, invented: bool
) -> dict[str, str]:
    names = rng.sample(slots["invented" if invented else "objects"], min(goals + 1, 8))
    verbs, states = rng.sample(slots["verbs"], 4), rng.sample(slots["states"], 5)
    rules = []
    for verb in verbs:
        need, never, gain = rng.sample(states, 3)
        pattern = words[rng.choice(("rule", "pair_rule"))]
        relation = rng.choice(slots["relation"])
        rules.append(pattern.format(verb=verb, need=need, never=never, gain=gain, relation=relation))
    return {
        "actions": "\n".join(words["action"].format(verb=verb) for verb in verbs),
        "rules": "\n".join(rules),
        "things": words["joint"].join(names),
        "facts": _facts(words, slots, names, states, goals + 2, rng),
        "goal": _facts(words, slots, names, states, goals, rng),
        "machine": rng.choice(slots["machine"]),
    }


def _facts(
    words: Mapping[str, Any],
    slots: Mapping[str, tuple[str, ...]],
    names: list[str],
    states: list[str],
    count: int,
    rng: random.Random,
) -> str:
    """Tell some facts about the things, no thing related to itself."""
    told: list[str] = []
    for _ in range(count):
        thing, other = rng.sample(names, 2)
        pattern = words[rng.choice(("fact", "pair_fact"))]
        told.append(
            pattern.format(thing=thing, other=other, state=rng.choice(states), relation=rng.choice(slots["relation"]))
        )
    told = list(dict.fromkeys(told))
    joint: str = words["joint"]
    last: str = words["last"]
    return joint.join(told[:-1]) + (last if len(told) > 1 else "") + told[-1]
