"""W3C Trace Context: how a trace crosses a wire (https://www.w3.org/TR/trace-context/, level 1)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

TRACEPARENT, TRACESTATE = "traceparent", "tracestate"
_MOST_STATE_CHARS = 512
_SAMPLED = 0x01
_WRITTEN = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")


@dataclass(frozen=True, slots=True)
class TraceContext:
    """Names one span of one trace: `trace_id` has 128 bits, `span_id` 64, and neither is 0.

    `state` is others' business, and passed on as it came.
    """

    trace_id: int
    span_id: int
    is_sampled: bool
    state: str = ""

    def written(self) -> str:
        """Give it as the header `traceparent`."""
        return f"00-{self.trace_id:032x}-{self.span_id:016x}-{int(self.is_sampled):02x}"

    def headers(self) -> dict[str, str]:
        """Give it as headers of a call."""
        state = {TRACESTATE: self.state} if self.state else {}
        return {TRACEPARENT: self.written(), **state}


def read_context(headers: Mapping[str, str]) -> TraceContext | None:
    """Read a caller's context; None where there is none, or none that can be trusted to mean anything."""
    written = headers.get(TRACEPARENT)
    match = _WRITTEN.fullmatch(written) if written is not None else None
    if match is None:
        return None
    version, trace, span, flags, more = match.groups()
    context = TraceContext(int(trace, 16), int(span, 16), bool(int(flags, 16) & _SAMPLED), _state(headers))
    is_valid = version != "ff" and (more is None or version != "00") and context.trace_id and context.span_id
    return context if is_valid else None


def _state(headers: Mapping[str, str]) -> str:
    state = headers.get(TRACESTATE, "")
    return state if len(state) <= _MOST_STATE_CHARS and state.isascii() and state.isprintable() else ""


def names_of(context: TraceContext) -> dict[str, str]:
    """Give a span's names as log lines carry them."""
    return {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}
