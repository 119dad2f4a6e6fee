"""What the workers on one port tell and ask each other, by way of their supervisor, without a Redis.

A word is a line of JSON on the channel between a worker and the supervisor, which hands it on to all others unread.
Nothing here is waited for on the path of a request. Words may be lost, as when a worker has just ended.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import structlog

MOST_LINE_BYTES = 4 * 2**20
"""A longer word is not said."""

MOST_WAITING_BYTES = 16 * 2**20
"""Words beyond this that nobody has taken yet are not said either."""

PATIENCE_S = 1.0
"""How long answers are waited for: a worker that has just ended gives none."""

READY = b"ready\n"
"""The first word of every worker, to the supervisor alone."""

Hearing = Callable[[Any], Awaitable[Any]]
"""Takes a word's body and gives the answer to it; None where there is none."""


class _Word(msgspec.Struct, omit_defaults=True):
    kind: str
    sender: int
    number: int = 0
    """Of a question, or of the question that this answers; 0 for what needs no answer."""
    to: int | None = None
    """The worker that an answer is for; None for all."""
    body: msgspec.Raw = msgspec.Raw(b"null")


_words = msgspec.json.Decoder(_Word)

_log = structlog.get_logger("thalamus")


class Crew:
    """One worker's line to the others.

    Args:
        slot: this worker's number.
        of: how many there are.
    """

    def __init__(self, slot: int, of: int) -> None:
        self.slot = slot
        self.others = of - 1
        self._hearing: dict[str, Hearing] = {}
        self._asked: dict[int, asyncio.Queue[Any]] = {}
        self._number = 0
        self._writer: asyncio.StreamWriter | None = None

    def hear(self, kind: str, hearing: Hearing) -> None:
        """Have words of a kind heard."""
        self._hearing[kind] = hearing

    def tell(self, kind: str, body: Any) -> None:
        """Tell all others."""
        self._say(_Word(kind, self.slot, body=msgspec.Raw(msgspec.json.encode(body))))

    async def ask(self, kind: str, body: Any, *, most: int | None = None) -> list[Any]:
        """Ask all others, and give the answers of those who have one: in time, and no more than `most`."""
        self._number += 1
        number, answers = self._number, asyncio.Queue[Any]()
        self._asked[number] = answers
        self._say(_Word(kind, self.slot, number, body=msgspec.Raw(msgspec.json.encode(body))))
        found: list[Any] = []
        try:
            async with asyncio.timeout(PATIENCE_S):
                for _ in range(self.others if self._writer is not None else 0):
                    if (answer := await answers.get()) is not None:
                        found.append(answer)
                    if len(found) == most:
                        break
        except TimeoutError:
            pass  # somebody has just ended, or is late: what there is must do
        finally:
            del self._asked[number]
        return found

    async def run(self, channel: socket.socket) -> None:
        """Say that this worker is ready, and hear what the others say until the supervisor has gone."""
        reader, writer = await asyncio.open_connection(sock=channel, limit=MOST_LINE_BYTES)
        self._writer = writer
        try:
            writer.write(READY)
            while line := await reader.readline():
                await self._take(_words.decode(line))
        except (OSError, ValueError):
            return  # a supervisor that was killed in the middle of a line
        finally:
            self._writer = None
            writer.close()

    async def _take(self, word: _Word) -> None:
        if word.to is not None:
            if word.to == self.slot and (answers := self._asked.get(word.number)) is not None:
                answers.put_nowait(msgspec.json.decode(word.body))
            return
        answer = await self._hear(word)
        if word.number:
            written = msgspec.Raw(msgspec.json.encode(answer))
            self._say(_Word(word.kind, self.slot, word.number, word.sender, written))

    async def _hear(self, word: _Word) -> Any:
        """Have a word heard; a defect in that costs its answer, not the worker."""
        hearing = self._hearing.get(word.kind)
        try:
            return None if hearing is None else await hearing(msgspec.json.decode(word.body))
        except Exception:  # noqa: BLE001
            _log.error("defect", word=word.kind, exc_info=True)
            return None

    def _say(self, word: _Word) -> None:
        writer, line = self._writer, msgspec.json.encode(word) + b"\n"
        if writer is None or len(line) > MOST_LINE_BYTES:
            return
        if writer.transport.get_write_buffer_size() + len(line) <= MOST_WAITING_BYTES:
            writer.write(line)
