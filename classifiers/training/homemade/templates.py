"""Tables of sentence patterns with slots, and how they become samples.

A table is a TOML file: a ``language``, shared ``[slots]`` (alternatives parted by `` | ``) and ``[[topic]]`` entries.
A topic's ``lines`` hold one pattern a line:

- ``{dish}`` is replaced by an alternative of the slot (the same one is not drawn twice in a pattern);
- ``{=dish}`` repeats what was last drawn for it;
- ``{2-9}`` is replaced by a whole number from that range;
- ``{block}`` by one of the topic's ``blocks`` (code, a document), unchanged;
- ``⏎`` by a line break, and ``user>``, ``assistant>``, ``system>``, ``tool>`` after one begin a new turn.
"""

from __future__ import annotations

import random
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

from classifiers.training.homemade.sample import Sample
from classifiers.types import Kind, Role, Turn

_SLOT = re.compile(r"\{(?:(?P<low>\d+)-(?P<high>\d+)|(?P<again>=?)(?P<name>[a-z_]+))\}")
_ROLE = re.compile(r"(?:^|\n)(system|user|assistant|tool)> ?")
_DEFAULT_ROWS = 24
# How many draws may repeat earlier ones before a topic counts as used up.
_TRIES_PER_ROW = 6

Slots = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Topic:
    """One task template in one language: patterns that share a label."""

    source: str
    domain: str
    language: str
    kind: Kind
    difficulty: float
    lines: tuple[str, ...]
    slots: Slots
    blocks: tuple[str, ...] = ()
    rows: int = _DEFAULT_ROWS

    def samples(self, seed: int) -> Iterator[Sample]:
        """Up to ``rows`` different samples, every pattern used in turn before one is used again."""
        rng = random.Random(f"{seed}/{self.source}/{self.domain}/{self.language}/{self.difficulty}")
        order = rng.sample(self.lines, len(self.lines))
        seen: set[str] = set()
        for attempt in range(self.rows * _TRIES_PER_ROW):
            text = self._draw(order[attempt % len(order)], rng)
            if text in seen:
                continue
            seen.add(text)
            yield self._sample(text)
            if len(seen) == self.rows:
                return

    def _draw(self, line: str, rng: random.Random) -> str:
        block = rng.choice(self.blocks) if self.blocks else ""
        return fill(line, {**self.slots, "block": (block,)}, rng)

    def _sample(self, text: str) -> Sample:
        turns = read_turns(text)
        return Sample(self.source, self.domain, self.language, self.kind, self.difficulty, turns)


def fill(pattern: str, slots: Slots, rng: random.Random) -> str:
    """Replace every slot of a pattern; alternatives may hold slots themselves, blocks are left as they are.

    Raises:
        KeyError: the pattern names a slot that the table does not have, or repeats one before it was drawn.
    """
    used: set[str] = set()
    drawn: dict[str, str] = {}

    def replacement(match: re.Match[str]) -> str:
        if match["low"] is not None:
            return str(rng.randint(int(match["low"]), int(match["high"])))
        name = match["name"]
        if name == "block":
            return slots["block"][0]
        if match["again"]:
            return drawn[name]
        fresh = [value for value in slots[name] if value not in used]
        value = rng.choice(fresh or slots[name])
        used.add(value)
        drawn[name] = _SLOT.sub(replacement, value)
        return drawn[name]

    return _SLOT.sub(replacement, pattern).replace("⏎", "\n")


def read_turns(text: str) -> tuple[Turn, ...]:
    """Part a text at its ``role>`` marks; without any it is a single user turn."""
    first, *marked = _ROLE.split(text)
    if not marked:
        return (Turn("user", first.strip()),)
    roles: list[Role] = marked[0::2]  # type: ignore[assignment]  # the pattern admits only the four roles
    return tuple(Turn(role, words.strip()) for role, words in zip(roles, marked[1::2], strict=True))


def load_topics() -> Iterator[Topic]:
    """Every topic of every table, in the order of the file names."""
    for name, table in _tables("topics_"):
        slots = shared_slots(table["language"]) | read_slots(table.get("slots", {}))
        for entry in table["topic"]:
            yield _topic(name, table, entry, slots)


def shared_slots(language: str) -> dict[str, tuple[str, ...]]:
    """Read the names, places and things of a language that all its tables draw on."""
    table = read_table("words.toml")
    return read_slots(table.get(language, {}))


def read_table(name: str) -> dict[str, Any]:
    """One table of this package, as parsed TOML."""
    return tomllib.loads((resources.files(__package__) / "tables" / name).read_text(encoding="utf-8"))


def read_slots(written: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Part each slot's alternatives at the bars."""
    return {name: tuple(part.strip(" ") for part in text.split("|")) for name, text in written.items()}


def read_lines(text: str) -> tuple[str, ...]:
    """Read the non-empty lines of a table entry."""
    return tuple(line.strip() for line in text.splitlines() if line.strip())


def _tables(prefix: str) -> Iterator[tuple[str, dict[str, Any]]]:
    folder = resources.files(__package__) / "tables"
    for name in sorted(entry.name for entry in folder.iterdir()):
        if name.startswith(prefix):
            yield name.removeprefix(prefix).removesuffix(".toml"), read_table(name)


def _topic(name: str, table: Mapping[str, Any], entry: Mapping[str, Any], slots: Slots) -> Topic:
    return Topic(
        source=f"homemade_{table.get('source', name)}",
        domain=entry["domain"],
        language=entry.get("language", table["language"]),
        kind=Kind(entry.get("kind", table.get("kind"))),
        difficulty=entry["difficulty"],
        lines=read_lines(entry["lines"]),
        slots={**slots, **read_slots(entry.get("slots", {}))},
        blocks=tuple(block.strip("\n") for block in entry.get("blocks", ())),
        rows=entry.get("rows", table.get("rows", _DEFAULT_ROWS)),
    )
