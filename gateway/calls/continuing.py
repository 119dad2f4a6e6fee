"""Goes on with a stream that broke off: another call, from the text so far, so that the client sees one answer.

Only text can be gone on with, and only by a backend that takes the beginning of its own answer as a prefix. An answer
that had begun to call a tool, or of which only reasoning has been seen, ends in an error event as it always would.
Weakness: the second model does not know what the first one thought, and may word the rest in another way.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

import msgspec

from gateway.calls.calling import Given
from gateway.errors import UpstreamError
from gateway.exchange import StreamReply
from gateway.streaming import event_data, split_frames

CONTINUED = "x-thalamus-continued"


class _Function(msgspec.Struct):
    name: str | None = None


class _Delta(msgspec.Struct):
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[msgspec.Raw] | None = None
    function_call: msgspec.Raw | None = None


class _Choice(msgspec.Struct):
    delta: _Delta = msgspec.field(default_factory=_Delta)
    text: str | None = None
    """Of the older completions API."""
    finish_reason: str | None = None


class _Chunk(msgspec.Struct):
    id: str | None = None
    created: int | None = None
    model: str | None = None
    choices: list[_Choice] = []


_chunks = msgspec.json.Decoder(_Chunk)
_events = msgspec.json.Decoder(dict[str, Any])


class Transcript:
    """What the client has been told: its text, and whether more of it may come from somebody else.

    Attributes:
        text: so far.
        tokens: about how many it took.
    """

    def __init__(self) -> None:
        self.text = ""
        self.tokens = 0
        self._is_settled = False
        self._names: dict[str, Any] = {}

    @property
    def can_go_on(self) -> bool:
        """Whether there is text to go on from, and nothing but text."""
        return bool(self.text) and not self._is_settled

    def hear(self, piece: bytes) -> None:
        """Take what is sent to the client: whole events."""
        for frame in split_frames(piece)[0]:
            data = event_data(frame)
            if data is None or not data.startswith(b"{"):
                continue
            chunk = _chunks.decode(data)
            if not self._names and chunk.id is not None:
                self._names = {"id": chunk.id, "created": chunk.created, "model": chunk.model}
            for choice in chunk.choices:
                self._take(choice)

    def _take(self, choice: _Choice) -> None:
        delta = choice.delta
        said = delta.content or choice.text or ""
        self.text += said
        self.tokens += bool(said)
        if delta.tool_calls or delta.function_call or delta.refusal or choice.finish_reason:
            self._is_settled = True

    def as_one(self, piece: bytes) -> bytes:
        """Give events of a further call as if they were the first one's: under its id, and without a new beginning."""
        return b"".join([self._as_one(frame) for frame in split_frames(piece)[0]])

    def _as_one(self, frame: bytes) -> bytes:
        data = event_data(frame)
        if data is None or not data.startswith(b"{"):
            return frame
        event = _events.decode(data)
        for choice in event.get("choices", ()):
            delta = choice.get("delta")
            if isinstance(delta, dict) and delta.pop("role", None) and not any(delta.values()):
                return b""
        return b"data: " + msgspec.json.encode(event | self._names) + b"\n\n"


async def going_on(
    first: StreamReply, ask: Callable[[UpstreamError, str, int], Awaitable[Given | None]]
) -> AsyncGenerator[bytes, None]:
    """Yield a stream, and where it breaks off the streams that go on with it.

    Args:
        first: as it was opened; its first piece is yielded as well.
        ask: asks for somebody to go on after a failure, from a text of about so many tokens; None if nobody does.
    """
    transcript = Transcript()
    reply, is_first = first, True
    while True:
        try:
            async with aclosing(reply.rest) as rest:
                piece = reply.first if is_first else transcript.as_one(reply.first)
                transcript.hear(piece)
                yield piece
                async for arrived in rest:
                    piece = arrived if is_first else transcript.as_one(arrived)
                    transcript.hear(piece)
                    if piece:
                        yield piece
        except UpstreamError as error:
            given = await ask(error, transcript.text, transcript.tokens) if transcript.can_go_on else None
            if given is None or not isinstance(given.reply, StreamReply):
                raise
            reply, is_first = given.reply, False
            yield f": {CONTINUED}: {given.step.target.backend}\n\n".encode("latin-1", "replace")
        else:
            return
