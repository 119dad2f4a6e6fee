"""What rooms write spans with. The base classes do nothing, at a method call's price: they are what "off" means.

A trace is kept in plain values until its request has ended; only then is it known whether it is worth being sent.
"""

from __future__ import annotations

import random
import time
from asyncio import CancelledError
from collections.abc import Mapping
from types import TracebackType
from typing import Literal, Self

from gateway.errors import ThalamusError
from gateway.tracing.context import TraceContext

Value = str | int | float | bool
"""What an attribute may hold. Never a prompt, an answer or a secret."""

Kind = Literal["server", "client", "internal"]


class Span:
    """A stretch of time with a name. This one is not recorded.

    As a context manager it ends with the block, and tells a failure by its code.
    """

    __slots__ = ()

    def note(self, attributes: Mapping[str, Value | None]) -> None:
        """Add attributes; those that are None are left out."""

    def event(self, name: str) -> None:
        """Note that something happened now."""

    def fail(self, code: str) -> None:
        """Note that it failed, by an error's code."""

    def begin(self, _name: str) -> Span:
        """Begin a span within this one; it ends with it at the latest."""
        return self

    def end(self) -> None:
        """End; further times do nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        pass

    def stop(self, error: BaseException) -> None:
        """End because of an exception."""


class Trace:
    """The spans of one request. This one records nothing."""

    __slots__ = ()
    is_on = False

    def begin(self, _name: str) -> Span:
        """Begin a span within the request's own."""
        return NO_SPAN

    def begin_call(self, _name: str) -> Span:
        """Begin the span of a call to a backend."""
        return NO_SPAN

    def headers(self, _span: Span) -> Mapping[str, str]:
        """Give the headers by which a call belongs to a span."""
        return _NOTHING

    def context(self) -> TraceContext | None:
        """Name the request's own span; None where nothing is recorded."""
        return None

    def link(self, context: TraceContext) -> None:
        """Note that the request has to do with a span of another trace."""

    def fork(self, _name: str) -> Trace:
        """Begin a part that may outlive the request, and ends by itself or is taken back by `absorb`."""
        return self

    def absorb(self, part: Trace) -> None:
        """Take back what `fork` gave."""


_NOTHING: Mapping[str, str] = {}
NO_SPAN = Span()
UNTRACED = Trace()


class RecordedSpan(Span):
    """A span that is kept. Times are nanoseconds since 1970."""

    __slots__ = ("_trace", "attributes", "ended", "error", "events", "kind", "links", "name", "parent_id", "span_id",
                 "started", "within")  # fmt: skip

    def __init__(self, trace: RecordedTrace, name: str, kind: Kind, parent_id: int | None) -> None:
        self._trace = trace
        self.name = name
        self.kind = kind
        self.parent_id = parent_id
        self.span_id = random.getrandbits(64) or 1
        self.started = time.time_ns()
        self.ended: int | None = None
        self.attributes: dict[str, Value] = {}
        self.events: list[tuple[str, int]] = []
        self.links: list[TraceContext] = []
        self.error: str | None = None
        self.within: list[RecordedSpan] = []

    def note(self, attributes: Mapping[str, Value | None]) -> None:
        """Add attributes; those that are None are left out."""
        self.attributes.update((name, value) for name, value in attributes.items() if value is not None)

    def event(self, name: str) -> None:
        """Note that something happened now."""
        self.events.append((name, time.time_ns()))

    def fail(self, code: str) -> None:
        """Note that it failed, by an error's code."""
        self.error = code

    def begin(self, name: str) -> Span:
        """Begin a span within this one."""
        span = self._trace.record(name, "internal", self.span_id)
        if isinstance(span, RecordedSpan):
            self.within.append(span)
        return span

    def end(self) -> None:
        """End, and all within; further times do nothing."""
        if self.ended is None:
            for span in self.within:
                span.end()
            self.ended = time.time_ns()

    def stop(self, error: BaseException) -> None:
        """End because of an exception."""
        if isinstance(error, ThalamusError):
            self.fail(error.code)
        elif isinstance(error, (CancelledError, GeneratorExit)):  # who leaves ends a call: the ordinary way
            self.attributes["thalamus.cancelled"] = True
        else:
            self.fail(type(error).__name__)
        self.end()

    def __exit__(self, _kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if error is None:
            self.end()
        else:
            self.stop(error)


class RecordedTrace(Trace):
    """The spans of one request, the first of which is its own.

    Attributes:
        trace_id: 128 bits.
        is_sampled: whether it is kept in any case; what backends are told.
        may_be_kept: whether it can be kept for being slow or failed; a caller who does not sample forbids it.
        state: the caller's `tracestate`.
        dropped: spans beyond the most that a trace may have.
    """

    __slots__ = ("_most", "_propagates", "dropped", "is_sampled", "may_be_kept", "root", "spans", "state", "trace_id")
    is_on = True

    def __init__(
        self,
        name: str,
        *,
        trace_id: int,
        parent_id: int | None,
        is_sampled: bool,
        may_be_kept: bool = True,
        state: str = "",
        most: int = 128,
        propagates: bool = True,
        kind: Kind = "server",
    ) -> None:
        self.trace_id = trace_id
        self.is_sampled = is_sampled
        self.may_be_kept = may_be_kept
        self.state = state
        self.dropped = 0
        self._most = most
        self._propagates = propagates
        self.root = RecordedSpan(self, name, kind, parent_id)
        self.spans = [self.root]

    def record(self, name: str, kind: Kind, parent_id: int) -> Span:
        """Begin a span, unless there are too many."""
        if len(self.spans) >= self._most:
            self.dropped += 1
            return NO_SPAN
        span = RecordedSpan(self, name, kind, parent_id)
        self.spans.append(span)
        return span

    def begin(self, name: str) -> Span:
        """Begin a span within the request's own."""
        return self.record(name, "internal", self.root.span_id)

    def begin_call(self, name: str) -> Span:
        """Begin the span of a call to a backend."""
        return self.record(name, "client", self.root.span_id)

    def headers(self, span: Span) -> Mapping[str, str]:
        """Give the headers by which a call belongs to a span."""
        if not self._propagates:
            return _NOTHING
        within = span if isinstance(span, RecordedSpan) else self.root
        return TraceContext(self.trace_id, within.span_id, self.is_sampled, self.state).headers()

    def context(self) -> TraceContext:
        """Name the request's own span."""
        return TraceContext(self.trace_id, self.root.span_id, self.is_sampled, self.state)

    def link(self, context: TraceContext) -> None:
        """Note that the request has to do with a span of another trace."""
        self.root.links.append(context)

    def fork(self, name: str) -> RecordedTrace:
        """Begin a part that may outlive the request."""
        return RecordedTrace(
            name,
            trace_id=self.trace_id,
            parent_id=self.root.span_id,
            is_sampled=self.is_sampled,
            may_be_kept=self.may_be_kept,
            state=self.state,
            most=self._most,
            propagates=self._propagates,
            kind="internal",
        )

    def absorb(self, part: Trace) -> None:
        """Take back a part; what does not fit is dropped and counted."""
        if isinstance(part, RecordedTrace):
            part.end()
            room = max(0, self._most - len(self.spans))
            self.spans += part.spans[:room]
            self.dropped += part.dropped + len(part.spans[room:])
            part.spans = []

    def end(self) -> None:
        """End all that has not ended by itself."""
        for span in reversed(self.spans):
            span.end()
