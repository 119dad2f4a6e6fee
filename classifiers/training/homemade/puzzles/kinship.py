"""Kinship chains: "who is A to E?" over a random family, told in several forms and five languages.

A fast model holds two or three links in its head and then loses the thread, so the label rises with the number of
links between the two people, and a little with every fact that does not matter.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from classifiers.training.homemade.sample import Sample, prompt
from classifiers.training.homemade.templates import fill, read_lines, read_slots, read_table
from classifiers.types import Kind

_ROWS_PER_FORM = {"en": 85, "zh": 65, "de": 25, "es": 25, "fr": 25}
_DIFFICULTY_BY_LINKS = {1: 0.04, 2: 0.10, 3: 0.22, 4: 0.36, 5: 0.50, 6: 0.62, 7: 0.70}
_PER_DISTRACTOR = 0.012
_MOST_PEOPLE = 20
_SHARE_MARRIED = 0.7
_LINKS = ("father", "mother", "son", "daughter", "husband", "wife", "brother", "sister")


@dataclass(eq=False, slots=True)
class Person:
    """One member of a family; links are by identity."""

    name: str
    female: bool
    parents: list[Person] = field(default_factory=list)
    children: list[Person] = field(default_factory=list)
    spouse: Person | None = None

    def neighbours(self) -> Iterator[tuple[Person, str]]:
        """Everybody one link away, with what they are to this person."""
        for parent in self.parents:
            yield parent, "mother" if parent.female else "father"
        for child in self.children:
            yield child, "daughter" if child.female else "son"
        if self.spouse:
            yield self.spouse, "wife" if self.spouse.female else "husband"
        if self.parents:
            for sibling in self.parents[0].children:
                if sibling is not self:
                    yield sibling, "sister" if sibling.female else "brother"


Couple = tuple[Person, Person]
Fact = tuple[Person, str, Person]
"""``(a, link, b)``: a is the link of b."""


def samples(rng: random.Random) -> Iterator[Sample]:
    """Kinship questions in every language and form of the table."""
    for language, words in read_table("kinship.toml").items():
        for form in words["forms"]:
            for _ in range(_ROWS_PER_FORM[language]):
                yield _sample(language, words, form, rng)


def family(names: Mapping[str, list[str]], rng: random.Random) -> list[Person]:
    """Three or four generations that descend from one couple."""
    pools = {female: rng.sample(names["female" if female else "male"], 14) for female in (True, False)}

    def person(female: bool) -> Person:
        return Person(pools[female].pop(), female)

    couple = (person(True), person(False))
    _marry(*couple)
    people, couples = [*couple], [couple]
    for _ in range(3):
        couples = [married for parents in couples for married in _children(parents, person, people, rng)]
    return people


def path(start: Person, links: int, rng: random.Random) -> list[Fact]:
    """Find the facts on a shortest way to somebody ``links`` away, or nearer where nobody is that far."""
    ways: dict[int, list[Fact]] = {id(start): []}
    queue = deque([start])
    ends: list[list[Fact]] = []
    while queue:
        person = queue.popleft()
        for neighbour, link in person.neighbours():
            if id(neighbour) not in ways:
                ways[id(neighbour)] = [*ways[id(person)], (neighbour, link, person)]
                ends.append(ways[id(neighbour)])
                queue.append(neighbour)
    reach = min(links, max(len(way) for way in ends))
    return rng.choice([way for way in ends if len(way) == reach])


def _marry(one: Person, other: Person) -> None:
    one.spouse, other.spouse = other, one


def _children(
    parents: Couple, person: Callable[[bool], Person], people: list[Person], rng: random.Random
) -> list[Couple]:
    """Give a couple one to three children, most of them married in turn; return the new couples."""
    couples = []
    for _ in range(rng.randint(1, 3)):
        if len(people) > _MOST_PEOPLE:
            break
        child = person(rng.random() < 0.5)
        child.parents = [*parents]
        for parent in parents:
            parent.children.append(child)
        people.append(child)
        if rng.random() < _SHARE_MARRIED:
            partner = person(not child.female)
            _marry(child, partner)
            people.append(partner)
            couples.append((child, partner))
    return couples


def _sample(language: str, words: Mapping[str, Any], form: Mapping[str, Any], rng: random.Random) -> Sample:
    people = family(words["names"], rng)
    facts = path(rng.choice(people), rng.randint(1, 7), rng)
    first, last = facts[0][2], facts[-1][0]
    distractors = _distractors(people, facts, rng.randint(0, 5), rng)
    told = [_told(fact, words, rng) for fact in facts] + [_told(fact, words, rng) for fact in distractors]
    rng.shuffle(told)
    text = _write(form, told, last.name, first.name, rng)
    difficulty = _DIFFICULTY_BY_LINKS[len(facts)] + _PER_DISTRACTOR * len(distractors)
    return Sample("homemade_puzzles", f"kinship_{form['name']}", language, Kind.LOGIC, difficulty, prompt(text))


def _distractors(people: list[Person], facts: list[Fact], count: int, rng: random.Random) -> list[Fact]:
    """Draw true facts about people beside the chain, so that they cannot shorten it."""
    chain = {id(person) for fact in facts for person in (fact[0], fact[2])}
    beside = [person for person in people if id(person) not in chain]
    facts_beside = [(other, link, person) for person in beside for other, link in person.neighbours()]
    apart = [fact for fact in facts_beside if id(fact[0]) not in chain]
    return rng.sample(apart, min(count, len(apart)))


def _told(fact: Fact, words: Mapping[str, Any], rng: random.Random) -> str:
    """One sentence for a fact, from either side where the other side's word is known."""
    one, link, other = fact
    if rng.random() < 0.4:
        back = next(name for person, name in one.neighbours() if person is other)
        one, link, other = other, back, one
    pattern: str = rng.choice(words["facts"])
    return pattern.format(a=one.name, b=other.name, link=words["links"][_LINKS.index(link)])


def _write(form: Mapping[str, Any], told: list[str], who: str, whose: str, rng: random.Random) -> str:
    lines = [form["line"].format(n=number, fact=fact) for number, fact in enumerate(told, start=1)]
    opening = fill(rng.choice(read_lines(form["openings"])), read_slots(form.get("slots", {})), rng)
    question = rng.choice(read_lines(form["questions"])).format(a=who, b=whose)
    text: str = form["layout"].format(opening=opening, facts=form["joint"].join(lines), question=question)
    return text.strip()
