"""What pairs are made from."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Template:
    """One thing to ask.

    Attributes:
        name: of the template.
        ways: to say it, with slots `{0}`, `{1}`.
        values: for the slots; every two of them differ in meaning.
        unlike: sentences that look alike and mean something else, with what they do: `negation`, `antonym` …
        swap: what differing values are: `entity`, `number`, `unit`, `date`.
    """

    name: str
    ways: tuple[str, ...]
    values: tuple[tuple[str, ...], ...] = ()
    unlike: tuple[tuple[str, str], ...] = ()
    swap: str = "entity"


def slots(*written: str) -> tuple[tuple[str, ...], ...]:
    """Read values for slots: one string for each filling, its parts divided by `|`."""
    return tuple(tuple(one.split("|")) for one in written)
