"""Explicit intent: a labelled table in seven languages, a third of it held back from whoever writes the rules."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from router.intent import read_intent

_FOLDER = Path(__file__).parent
_LANGUAGES = ("de", "en", "es", "fr", "ja", "ru", "zh")
_NEW_WORDING = ("new_wording_1", "new_wording_2")


@dataclass(frozen=True)
class Case:
    """A prompt, the direction that it asks for (`none` is one), and what makes it hard to tell."""

    wanted: str
    trap: str
    text: str

    @property
    def held_back(self) -> bool:
        """A third of the cases, chosen by the text alone."""
        return int(hashlib.sha256(self.text.strip().encode()).hexdigest(), 16) % 3 == 0


@dataclass(frozen=True)
class Figures:
    """How well one direction is read. `cases` are those that ask for it."""

    cases: int
    precision: float
    recall: float


def _read_cases(names: Sequence[str]) -> list[Case]:
    return [
        Case(*row) for name in names for row in tomllib.loads((_FOLDER / f"{name}.toml").read_text("utf-8"))["cases"]
    ]


TABLE = _read_cases(_LANGUAGES)
NEW = _read_cases(_NEW_WORDING)
OPEN = [case for case in TABLE if not case.held_back] + NEW
HELD_BACK = [case for case in TABLE if case.held_back]
ORDINARY: list[str] = tomllib.loads((_FOLDER / "ordinary.toml").read_text("utf-8"))["prompts"]


def said(text: str) -> str:
    """Give the direction that a prompt is read to ask for; `none` is one."""
    return read_intent(text).direction or "none"


def measure(cases: Sequence[Case], direction: str) -> Figures:
    """Compare what is read with what was labelled."""
    read = {case.text for case in cases if said(case.text) == direction}
    wanted = {case.text for case in cases if case.wanted == direction}
    right = len(read & wanted)
    return Figures(len(wanted), right / len(read), right / len(wanted))
