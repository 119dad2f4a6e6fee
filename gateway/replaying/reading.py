"""Reads decision logs and prompts line by line, with a progress bar, past lines that cannot be read."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from classifiers.bundle import conversation_from
from classifiers.types import Conversation
from router.replay import NOTE_STARTS, Logged, MalformedLine, read_line

MOST_SHOWN = 5
"""Unreadable lines that are told one by one; the others are counted."""


class ReplayError(Exception):
    """What was asked cannot be done; the message says why and what would help."""


@dataclass(slots=True)
class Unreadable:
    """The lines that could not be read."""

    count: int = 0
    shown: list[str] = field(default_factory=list)
    """The first of them, as `file:line: why`."""

    def add(self, place: str, why: str) -> None:
        """Count one."""
        self.count += 1
        if len(self.shown) < MOST_SHOWN:
            self.shown.append(f"{place}: {why}")


def read_decisions(paths: Sequence[Path], unreadable: Unreadable) -> Iterator[Logged]:
    """Read the decisions of one or more logs, the oldest file first.

    Raises:
        ReplayError: a file cannot be opened, or none has a decision in it.
    """
    found = 0
    for place, line in read_lines(paths):
        if line.startswith(NOTE_STARTS):
            continue
        try:
            logged = read_line(line)
        except MalformedLine as error:
            unreadable.add(place, str(error))
            continue
        found += 1
        yield logged
    _check_found(found, "logged decision", paths, unreadable)


def read_prompts(paths: Sequence[Path], unreadable: Unreadable) -> Iterator[Conversation]:
    """Read conversations from lines with ``prompt`` or ``messages``.

    Raises:
        ReplayError: a file cannot be opened, or none has a prompt in it.
    """
    found = 0
    for place, line in read_lines(paths):
        try:
            conversation = conversation_from(json.loads(line))
        except KeyError as error:
            unreadable.add(place, f"has no {error}")
            continue
        except (ValueError, TypeError, AttributeError) as error:
            unreadable.add(place, str(error))
            continue
        found += 1
        yield conversation
    _check_found(found, "prompt", paths, unreadable)


def holds_decisions(paths: Sequence[Path]) -> bool:
    """Tell a decision log from a file of prompts, by the first line that is a JSON object."""
    for _, line in read_lines(paths):
        try:
            written = json.loads(line)
        except ValueError:
            continue
        if isinstance(written, dict):
            return "decided" in written
    return False


def read_lines(paths: Sequence[Path]) -> Iterator[tuple[str, bytes]]:
    """Give the lines that are not blank, each with its place, as `file:line`.

    Raises:
        ReplayError: a file cannot be read.
    """
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        try:
            task = progress.add_task("reading", total=sum(path.stat().st_size for path in paths))
            for path in paths:
                with path.open("rb") as file:
                    for number, line in enumerate(file, start=1):
                        progress.advance(task, len(line))
                        if line.strip():
                            yield f"{path}:{number}", line
        except OSError as error:
            raise ReplayError(f"{error.filename}: cannot be read: {error.strerror}") from None


def _check_found(found: int, what: str, paths: Sequence[Path], unreadable: Unreadable) -> None:
    if found:
        return
    names = ", ".join(map(str, paths))
    if unreadable.count:
        raise ReplayError(f"{names}: none of {unreadable.count} lines is a {what}; the first: {unreadable.shown[0]}")
    raise ReplayError(f"{names}: empty, there is no {what} to read")
