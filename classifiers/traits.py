"""What is compared between training data and traffic: the bundle's word, and facts of the conversation itself.

Each signal has a fixed number of bins; a request is one place in each. Weakness: lengths are characters, of which
Chinese needs a third as many for the same.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Mapping
from typing import Final

from classifiers.language import LANGUAGES, language_of
from classifiers.types import Conversation, Kind

SCORE_BINS: Final = 10
"""Equal bins of difficulty."""
_LENGTHS: Final = (32, 128, 512, 2048, 8192, 32768)
"""Characters of all turns together at which a bin ends."""
_TURNS: Final = (2, 4, 8, 16)
"""Turns at which a bin begins."""

SIGNALS: Final[Mapping[str, int]] = {
    "difficulty": SCORE_BINS,
    "kind": len(Kind),
    "language": len(LANGUAGES),
    "length": len(_LENGTHS) + 1,
    "turns": len(_TURNS) + 1,
    "tools": 2,
}
"""How many bins each signal has."""

_KINDS: Final = {kind: at for at, kind in enumerate(Kind)}
_LANGUAGES: Final = {language: at for at, language in enumerate(LANGUAGES)}


def place(conversation: Conversation, difficulty: float, kind: Kind, language: str | None = None) -> tuple[int, ...]:
    """Give a request's bin in each of `SIGNALS`, in their order; the language is read where it is not known yet."""
    turns = conversation.turns
    return (
        min(int(difficulty * SCORE_BINS), SCORE_BINS - 1),
        _KINDS[kind],
        _LANGUAGES[language or language_of(conversation.last_asked)],
        bisect(_LENGTHS, sum(len(turn.text) for turn in turns)),
        bisect(_TURNS, len(turns)),
        int(conversation.tools > 0),
    )
