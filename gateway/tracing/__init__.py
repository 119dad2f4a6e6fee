"""Traces: what a request did, when, and for how long, from its client to its backend.

Rooms know `Trace` and `Span` alone, which do nothing where tracing is off. `export` is the only file that knows
OpenTelemetry; it is imported when tracing is on.
"""

from gateway.tracing.context import TraceContext
from gateway.tracing.trace import NO_SPAN, UNTRACED, RecordedTrace, Span, Trace

__all__ = ["NO_SPAN", "UNTRACED", "RecordedTrace", "Span", "Trace", "TraceContext"]
