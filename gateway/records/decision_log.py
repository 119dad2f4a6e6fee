"""The decision log: one JSON line per routed request, enough to decide it again, without its words by default."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Self

import msgspec
import structlog
from pydantic import BaseModel, ConfigDict, Field

from classifiers.types import Turn
from gateway.redaction import Redactor
from router.replay import FORMAT, METADATA, Decided, Feedback, Logged, Served, Shadowed, Tokens, without_content
from router.types import Decision, RouteRequest

if TYPE_CHECKING:  # the settings import this module, and accounting imports the settings
    from gateway.records.accounting import Record

FLUSH_S = 0.25
"""Lines are collected for so long, then written together: a crash loses no more than that."""

MOST_WAITING_BYTES = 32 * 2**20
"""Lines that a stalled disk may hold up; beyond them lines are dropped, and counted."""

USUAL_LINE_BYTES = 4096
"""What a line counts for while it waits, besides its texts."""

Note = Feedback | Shadowed

_log = structlog.get_logger("thalamus")


class DecisionLogSettings(BaseModel):
    """Where decisions are logged for replay and calibration, and whether with the conversations' words."""

    path: Path | None = Field(None, description="file to append to, one JSON line per request; unset: no log")
    content: bool = Field(
        False,
        description="WRITES PROMPTS TO DISK: log the conversations' texts and metadata too, after `redaction`, so "
        "that another bundle can judge them",
    )
    max_bytes: int = Field(128 * 2**20, ge=4096, description="the file is put aside as path.1 before it grows beyond")
    keep: int = Field(7, ge=0, description="files put aside that are kept; the oldest are removed")

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class DecisionLog:
    """Takes finished records and writes their lines from a thread of its own. Whoever opens it closes it.

    A slow or full disk costs lines, never requests: those that cannot be written are dropped and counted. One
    process writes to one path; several would put aside each other's files.
    """

    def __init__(
        self,
        path: Path,
        settings: DecisionLogSettings,
        count_dropped: Callable[[int], None] = lambda _lines: None,
        redact: Callable[[str], str] | None = None,
    ) -> None:
        """Open the file and start the thread.

        Args:
            path: the file to append to.
            settings: what is written, and how much is kept.
            count_dropped: called, from any thread, with the number of lines that were just dropped.
            redact: applied to all that a caller wrote, where that is logged; None: `gateway.redaction`'s own rules.

        Raises:
            OSError: the file cannot be opened for writing.
        """
        self._file = RotatingFile(path, settings.max_bytes, settings.keep)
        self._content = settings.content
        self._count_dropped = count_dropped
        self._redact = redact or Redactor()
        self._pseudonyms = secrets.token_bytes(32)
        self._lock = threading.Lock()
        self._lines: list[tuple[Logged | Note, int]] = []
        self._waiting_bytes = 0
        self._wanted = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._write_until_closed, name="decision-log")
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __call__(self, record: Record) -> None:
        """Take a finished record; one that was not routed, or only explained, leaves no line. Never blocks."""
        if record.request is None or record.decision is None or record.endpoint == "route":
            return
        conversation = self._pseudonym(record.conversation)
        line = logged_of(record, record.request, record.decision, content=self._content, conversation=conversation)
        self._offer(line, USUAL_LINE_BYTES + (_content_bytes(record.request) if self._content else 0))

    def _offer(self, line: Logged | Note, size: int) -> None:
        with self._lock:
            taken = not self._closing.is_set() and self._waiting_bytes + size <= MOST_WAITING_BYTES
            if taken:
                self._lines.append((line, size))
                self._waiting_bytes += size
        if taken:
            self._wanted.set()
        else:
            self._count_dropped(1)

    def record_note(self, note: Note) -> None:
        """Take what is said of an answer; a caller's words only where content is logged. Never blocks."""
        if isinstance(note, Feedback) and not self._content:
            note = msgspec.structs.replace(note, note=None)
        self._offer(note, USUAL_LINE_BYTES)

    def close(self) -> None:
        """Write what is waiting and close the file. Waits for the disk."""
        with self._lock:
            self._closing.set()
        self._wanted.set()
        self._thread.join()

    def _pseudonym(self, conversation: str) -> str:
        """Name a conversation so that nobody can tell from the log who it is or how it began.

        The names of conversations are plain hashes of user ids or first words, which can be guessed. The secret here
        is forgotten with the process, which costs no more than continuity over a restart.
        """
        if not conversation:
            return ""
        return hashlib.blake2b(conversation.encode(), digest_size=12, key=self._pseudonyms).hexdigest()

    def _write_until_closed(self) -> None:
        try:
            while not self._closing.is_set():
                self._wanted.wait()
                self._closing.wait(FLUSH_S)
                self._wanted.clear()
                self._write_waiting()
            self._write_waiting()
        finally:
            self._file.close()

    def _write_waiting(self) -> None:
        with self._lock:
            waiting, self._lines = self._lines, []
            self._waiting_bytes = 0
        lines = [self._written(line) for line, _size in waiting]
        try:
            self._file.write(lines)
        except OSError as error:
            dropped = len(lines) - self._file.written
            _log.error("decisions not logged", path=str(self._file.path), lines=dropped, why=error.strerror)
            self._count_dropped(dropped)

    def _written(self, line: Logged | Note) -> bytes:
        """Write a line, in this thread: what a caller wrote without what the rules find."""
        if isinstance(line, Feedback):
            line = line if line.note is None else msgspec.structs.replace(line, note=self._redact(line.note))
        elif self._content and isinstance(line, Logged):
            line = replace(line, request=_redacted(line.request, self._redact))
        return msgspec.json.encode(line)


def _content_bytes(request: RouteRequest) -> int:
    return sum(4 * len(turn.text) for turn in request.conversation.turns)


def _redacted(request: RouteRequest, redact: Callable[[str], str]) -> RouteRequest:
    """Give a request without what the rules find in its texts and metadata."""
    turns = tuple(Turn(turn.role, redact(turn.text)) for turn in request.conversation.turns)
    attributes = {
        name: redact(value) if name.startswith(METADATA) and isinstance(value, str) else value
        for name, value in request.attributes.items()
    }
    return replace(request, conversation=replace(request.conversation, turns=turns), attributes=attributes)


class RotatingFile:
    """A file of lines that is put aside when it is full: `name` becomes `name.1`, that `name.2`, and so on."""

    def __init__(self, path: Path, max_bytes: int, keep: int) -> None:
        """Open the file. Raises OSError where that is impossible."""
        self.path = path
        self.written = 0
        """How many lines the last `write` got onto the disk."""
        self._max_bytes = max_bytes
        self._keep = keep
        self._open()

    def write(self, lines: Sequence[bytes]) -> None:
        """Append lines, each whole or not at all.

        Raises:
            OSError: the disk does not take them; `written` says how many it took.
        """
        self.written = 0
        batch: list[bytes] = []
        size = 0
        for line in lines:
            grown = self._size + size + len(line) + 1
            if grown > self._max_bytes and grown > len(line) + 1:  # a line longer than a file gets its own
                self._append(batch)
                self._put_aside()
                batch, size = [], 0
            batch.append(line)
            size += len(line) + 1
        self._append(batch)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _open(self) -> None:
        # For its owner alone: even without words it says who asked for what, and when.
        self._file = os.fdopen(os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "ab", buffering=0)
        self._size = os.fstat(self._file.fileno()).st_size

    def _append(self, lines: Sequence[bytes]) -> None:
        if not lines:
            return
        if self._file.closed:  # putting it aside failed, the last time
            self._open()
        text = b"".join(line + b"\n" for line in lines)
        taken = self._file.write(text)
        if taken < len(text):
            self._file.truncate(self._size)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._size += taken
        self.written += len(lines)

    def _put_aside(self) -> None:
        self._file.close()
        aside = [self.path, *(self.path.with_name(f"{self.path.name}.{number + 1}") for number in range(self._keep))]
        for older, newer in zip(reversed(aside[1:]), reversed(aside[:-1]), strict=True):
            if newer.exists():
                newer.replace(older)
        if not self._keep:
            self.path.unlink(missing_ok=True)
        self._open()


def logged_of(record: Record, request: RouteRequest, decision: Decision, *, content: bool, conversation: str) -> Logged:
    """Write a finished record as a line of the log; without content its words are left out."""
    context = record.trace.context()
    return Logged(
        v=FORMAT,
        id=decision.id,
        at=datetime.now(UTC),
        endpoint=record.endpoint,
        tenant=record.tenant,
        key=record.key,
        stream=record.stream,
        conversation=conversation,
        content=content,
        request=request if content else without_content(request),
        facts=decision.facts,
        decided=Decided(
            target=decision.targets[0],
            reason=decision.reason,
            dial=decision.dial,
            threshold=decision.threshold,
            difficulty=decision.difficulty,
        ),
        served=_served(record),
        trace_id="" if context is None else f"{context.trace_id:032x}",
    )


def _served(record: Record) -> Served:
    usage = record.usage
    return Served(
        outcome=record.outcome.value,
        status=record.status,
        target=record.target,
        total_s=record.total_s,
        cache=record.cache,
        first_token_s=record.first_token_s,
        tokens=None if usage is None else Tokens(usage.input, usage.output, usage.cached, usage.reasoning),
        cost=record.cost,
        besides_cost=sum(spent.cost or 0.0 for spent in record.besides),
        attempts=len(record.attempts),
        error=record.error,
    )
