"""The written form of the scripted conversations, read strictly: an unknown field is an error, not a note."""

from __future__ import annotations

import tomllib
import zlib
from pathlib import Path
from typing import Literal

import msgspec

FOLDER = Path(__file__).parent

Language = Literal["en", "zh", "es", "de", "fr", "ru", "ja", "mixed"]
Expectation = Literal["fast", "deep", "either"]


class ScriptedTurn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One request to be decided: what is appended before it, and what a good router does with it."""

    expect: Expectation
    why: str
    user: str | None = None
    assistant_calls: tuple[str, ...] = ()
    tool: str | None = None
    """What the called tool gave back; a turn has this or `user`."""
    assistant: str | None = None
    """The answer, appended after the decision; None where the answer is the next turn's tool call."""
    pinned: bool = False
    switch: Literal["needed", "allowed"] | None = None

    @property
    def is_tool_step(self) -> bool:
        """Whether the request hands a tool's result back."""
        return self.tool is not None


class Script(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One conversation. `held_back` ones are never looked at while rules are tuned."""

    id: str
    language: Language
    about: str
    turn: tuple[ScriptedTurn, ...]
    dial: str = "balanced"
    tools: tuple[str, ...] = ()
    system: str | None = None
    held_back: bool = False


class _Group(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    conversation: tuple[Script, ...]


def load_suite(folder: Path = FOLDER) -> tuple[Script, ...]:
    """Read every group in a folder, in order of file name.

    Raises:
        msgspec.ValidationError: a field is unknown, missing or of another type; the message names the file.
    """
    return tuple(script for path in sorted(folder.glob("*.toml")) for script in _read_group(path))


def belongs_to_held_back(script_id: str) -> bool:
    """Draw the held-back third by the id alone, so that nobody chooses what is in it."""
    return zlib.crc32(script_id.encode()) % 3 == 0


def _read_group(path: Path) -> tuple[Script, ...]:
    try:
        return msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), _Group).conversation
    except msgspec.ValidationError as error:
        raise msgspec.ValidationError(f"{path.name}: {error}") from error
