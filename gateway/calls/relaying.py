"""A backend's stream on its way to the client: held until it is useful, relayed, watched, and closed."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass

from gateway.cache.replay import Recorder
from gateway.errors import UpstreamError, UpstreamTimeout
from gateway.native import NativeRelay
from gateway.reasoning import FrameRewriter
from gateway.records.accounting import Record
from gateway.records.prices import Usage
from gateway.settings import TimeoutSettings
from gateway.streaming import Relay, carries_output
from gateway.tracing.trace import NO_SPAN, Span, Value
from gateway.upstream.base import Answer
from gateway.upstream.replica import Lease
from gateway.wire.ending import CUT

AnyRelay = Relay | NativeRelay

_ANSWER = re.compile(
    rb'"(?:content|refusal|arguments)":\s*"[^"]|"tool_calls":\s*\[\{|'
    rb'"type":\s*"response\.(?:output_text|refusal|function_call_arguments)\.delta"'
)
"""What an answer begins with, in either API's events; reasoning stands in other fields."""

NO_ANSWER = " answer=none"
"""What `x-thalamus-thinking` ends in where thinking used up `max_tokens`."""

_SHORTEST_THINKING_S = 0.0005
"""Less than this means that reasoning and answer came in one packet."""

_LOOKS_PER_DEADLINE = 4
_LONGEST_BETWEEN_LOOKS_S = 15.0
_SHORTEST_BETWEEN_LOOKS_S = 0.02


@dataclass(slots=True)
class Tally:
    """What one call took, until it is known whether its answer is the one that is given."""

    upstream_s: float = 0.0
    first_token_s: float | None = None
    thinking_s: float | None = None
    usage: Usage | None = None
    is_partial: bool = False
    is_empty: bool = False
    _record: Record | None = None

    def adopt(self, record: Record) -> None:
        """Count the call in the request's record, now and when it ends: its answer is the one that is given."""
        self._record = record
        record.upstream_s += self.upstream_s
        record.usage, record.is_partial, record.thinking_s = self.usage, self.is_partial, self.thinking_s
        record.is_empty = self.is_empty
        if record.first_token_s is None:
            record.first_token_s = self.first_token_s

    def waited(self, seconds: float) -> None:
        """Note time spent waiting for the backend."""
        self.upstream_s += seconds
        if self._record is not None:
            self._record.upstream_s += seconds

    def thought(self, seconds: float) -> None:
        """Note how long the stream was reasoning before its answer began."""
        self.thinking_s = seconds
        if self._record is not None:
            self._record.thinking_s = seconds

    def said_nothing(self) -> None:
        """Note that the answer was cut before it said anything."""
        self.is_empty = True
        if self._record is not None:
            self._record.is_empty = True

    def end(self, usage: Usage | None, *, partial: bool) -> None:
        """Note what the backend has counted; an answer that broke off is estimated."""
        self.usage, self.is_partial = usage, partial
        if self._record is not None:
            self._record.usage, self._record.is_partial = usage, partial

    def told(self) -> dict[str, Value | None]:
        """Give the tokens as a span's attributes (GenAI conventions)."""
        usage = self.usage
        if usage is None:
            return {}
        return {
            "gen_ai.usage.input_tokens": usage.input,
            "gen_ai.usage.output_tokens": usage.output,
            "gen_ai.usage.cache_read.input_tokens": usage.cached or None,
            "gen_ai.usage.reasoning.output_tokens": usage.reasoning or None,
        }


class Watch:
    """Sees to it that a stream goes on: output must come within the idle deadline, its end within the total one.

    It looks now and then, so that the hot path sets no timer: it clears the relay's `output_seen`, and whatever frame
    bears output next sets it again. Comments and empty events do not, so that a backend's own keep-alive does not pass
    for progress. The idle deadline is noticed up to a quarter of it late. Time in which the client does not take what
    there is counts as progress.
    """

    __slots__ = ("_answer", "_backend", "_ends_at", "_every_s", "_idle_s", "_loop", "_relay", "_seen_at", "_timer",
                 "is_waiting")  # fmt: skip

    def __init__(
        self, backend: str, relay: AnyRelay, answer: Answer, timeouts: TimeoutSettings, ends_at: float
    ) -> None:
        self._backend = backend
        self._relay = relay
        self._answer = answer
        self._idle_s = timeouts.idle
        self._ends_at = ends_at
        share = min(timeouts.idle, timeouts.total) / _LOOKS_PER_DEADLINE
        self._every_s = min(max(share, _SHORTEST_BETWEEN_LOOKS_S), _LONGEST_BETWEEN_LOOKS_S)
        self._loop = asyncio.get_running_loop()
        self._seen_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self.is_waiting = True

    def start(self) -> None:
        """Begin to look: the stream has begun."""
        self._seen_at = self._loop.time()
        self._look_later()

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        now, relay = self._loop.time(), self._relay
        if relay.output_seen or not self.is_waiting:
            relay.output_seen = False
            self._seen_at = now
        if now >= self._ends_at:
            self._cut("took longer than it may in all")
        elif now - self._seen_at >= self._idle_s:
            self._cut(f"has said nothing for {self._idle_s:g} s")
        else:
            self._look_later()

    def _look_later(self) -> None:
        self._timer = self._loop.call_at(min(self._loop.time() + self._every_s, self._ends_at), self._look)

    def _cut(self, why: str) -> None:
        self._timer = None
        self._answer.abort(UpstreamTimeout(f"Backend '{self._backend}' {why}.", backend=self._backend))


@dataclass(frozen=True, slots=True)
class Stream:
    """One backend's answer, being relayed.

    Attributes:
        on_output: called at the first output, which the client may not get to see yet.
        thinking: effort asked and applied, told again where thinking was all there was.
        prompt_tokens: of the request, estimated, for an answer that breaks off before the backend has counted.
        span: of the call; it ends with the answer.
    """

    relay: AnyRelay
    answer: Answer
    lease: Lease
    tally: Tally
    watch: Watch
    started: float
    on_output: Callable[[], None] = lambda: None
    thinking: str = ""
    rewriter: FrameRewriter | None = None
    recorder: Recorder | None = None
    prompt_tokens: int = 0
    span: Span = NO_SPAN

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """Yield what can be sent on, as it arrives; close the backend's answer at the end, whatever the end is."""
        clock, relay, tally, watch = time.perf_counter, self.relay, self.tally, self.watch
        recorder, is_whole, is_answering = self.recorder, False, False
        waiting = clock()
        try:
            async with aclosing(self.answer.chunks()) as chunks:
                async for chunk in chunks:
                    watch.is_waiting = False
                    tally.waited(clock() - waiting)
                    if recorder is not None:
                        recorder.feed(chunk)
                    piece = relay.feed(chunk)
                    if tally.first_token_s is None and relay.output_seen:
                        tally.first_token_s = clock() - self.started
                        self.on_output()
                    if not is_answering:
                        if _ANSWER.search(piece):
                            is_answering = True
                            self._note_thinking(clock())
                        elif CUT.search(piece):
                            piece = self._tell_of_nothing() + piece
                    if piece:
                        yield piece
                    waiting = clock()
                    watch.is_waiting = True
                    if relay.done:
                        break
            last = relay.finish()
            is_whole = True
            if last:
                yield last
        except BaseException as error:
            if isinstance(error, UpstreamError):
                self.lease.failed(error)
            self.span.stop(error)
            raise
        finally:
            watch.stop()
            tally.end(self._usage(is_whole=is_whole), partial=not is_whole)
            self.span.note(tally.told())
            self.span.end()
            await self.answer.close()

    def _tell_of_nothing(self) -> bytes:
        """Note that the answer was cut before it began, and tell the client why, in a comment."""
        if self.rewriter is None:  # no chat completion: its text stands in other fields
            return b""
        self.tally.said_nothing()
        return f": x-thalamus-thinking: {self.thinking}{NO_ANSWER}\n\n".encode("latin-1", "replace")

    def _note_thinking(self, now: float) -> None:
        """Note, when the answer begins, for how long there was nothing but reasoning; in one piece it is not known."""
        reasoned = self.rewriter.reasoning_tokens if self.rewriter is not None else self.relay.reasoned
        spent = now - self.started - (self.tally.first_token_s or 0.0)
        if reasoned and self.tally.first_token_s is not None and spent >= _SHORTEST_THINKING_S:
            self.tally.thought(spent)

    def _usage(self, *, is_whole: bool) -> Usage | None:
        """Give the tokens as the backend counted them, else as they were seen: about one in each event."""
        usage = self.relay.usage
        if usage is None:
            return None if is_whole or not self.relay.frames else Usage(self.prompt_tokens, self.relay.frames)
        if self.rewriter is not None and not usage.reasoning:
            return usage.with_estimate(self.rewriter.reasoning_tokens)
        return usage


async def hold_until_useful(pieces: AsyncGenerator[bytes, None], relay: AnyRelay) -> bytes:
    """Wait for the first text, reasoning or tool call, or the end of an answer without any, and give all up to there.

    Until then another backend may still be asked. A backend's keep-alives are dropped: the client gets the gateway's.
    A native relay holds what only announces an answer by itself.
    """
    held: list[bytes] = []
    is_native = isinstance(relay, NativeRelay)
    async for piece in pieces:
        if (is_native and b"data:" in piece) or carries_output(piece) or relay.done:
            return b"".join([*held, piece])
        if not piece.startswith(b":"):
            held.append(piece)
    return b"".join(held)
