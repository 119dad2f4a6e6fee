"""Begins the trace of a request, and decides at its end whether it is kept: failed, slow, or by ratio.

The decision is made in this process, for what this process knows: other services decide for theirs. A backend is told
at the beginning, and so cannot be told that a request will fail.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from gateway.settings.telemetry import TracingSettings
from gateway.tracing.context import read_context
from gateway.tracing.trace import RecordedTrace, Value

if TYPE_CHECKING:  # records hold traces
    from gateway.records.accounting import Record

Turns = tuple[tuple[str, str], ...]
"""Roles and texts of a conversation."""

_LOWER_64 = (1 << 64) - 1


class Exporter(Protocol):
    """Takes traces that are kept, without ever waiting."""

    def submit(self, trace: RecordedTrace, content: Turns) -> None:
        """Take a finished trace; `content` is what was asked, where that is to be told."""
        ...


class Tracer:
    """Makes traces, and takes finished records as accounts' writers do."""

    def __init__(self, settings: TracingSettings, exporter: Exporter) -> None:
        self._settings = settings
        self._exporter = exporter
        self._kept_below = round(settings.ratio * (1 << 64))

    def begin(self, method: str, route: str, headers: Mapping[str, str]) -> RecordedTrace:
        """Begin the trace of a request, or go on with its caller's."""
        settings, caller = self._settings, read_context(headers)
        parent = caller if settings.trust_parent else None
        trace_id = random.getrandbits(128) or 1 if parent is None else parent.trace_id
        is_sampled = self._is_kept_anyway(trace_id) if parent is None else parent.is_sampled
        trace = RecordedTrace(
            f"{method} {route}",
            trace_id=trace_id,
            parent_id=None if parent is None else parent.span_id,
            is_sampled=is_sampled,
            may_be_kept=parent is None or parent.is_sampled,
            state="" if parent is None else parent.state,
            most=settings.max_spans,
            propagates=settings.propagate,
        )
        trace.root.note({"http.request.method": method, "http.route": route})
        if caller is not None and parent is None:
            trace.link(caller)
        return trace

    def __call__(self, record: Record) -> None:
        """Finish a request's trace, and send it if it is worth that."""
        trace = record.trace
        if not isinstance(trace, RecordedTrace) or not trace.spans:
            return
        if not self._is_kept(trace, record):
            return
        _describe(trace, record)
        trace.end()
        content: Turns = ()
        if self._settings.content and record.request is not None:
            content = tuple((turn.role, turn.text) for turn in record.request.conversation.turns)
        self._exporter.submit(trace, content)

    def _is_kept_anyway(self, trace_id: int) -> bool:
        """Decide by the lower half of the id, as OpenTelemetry's TraceIdRatioBased does, so that services agree."""
        return trace_id & _LOWER_64 < self._kept_below

    def _is_kept(self, trace: RecordedTrace, record: Record) -> bool:
        if trace.is_sampled or not trace.may_be_kept:
            return trace.is_sampled
        took_s = record.total_s if record.first_token_s is None else record.first_token_s
        if took_s >= self._settings.slow_s:
            return True
        has_failed = record.outcome == "failed" or any(attempt.error for attempt in record.attempts)
        return self._settings.keep_errors and has_failed


def _describe(trace: RecordedTrace, record: Record) -> None:
    """Write on the request's own span what became of it. No text of the caller's is among it."""
    decision, target, usage, root = record.decision, record.target, record.usage, trace.root
    attributes: dict[str, Value | None] = {
        "http.response.status_code": record.status or None,
        "thalamus.endpoint": record.endpoint,
        "thalamus.outcome": record.outcome.value,
        "thalamus.tenant": record.tenant or None,
        "thalamus.key": record.key or None,
        "thalamus.stream": record.stream,
        "thalamus.cache": record.cache,
        "thalamus.attempts": len(record.attempts),
        "thalamus.gateway_s": round(record.gateway_s, 6),
        "thalamus.cost": record.cost,
        "thalamus.saved": record.saved,
    }
    if decision is not None:
        attributes |= {"thalamus.decision.id": decision.id, "thalamus.reason": decision.reason.value}
    if target is not None:
        attributes |= {"thalamus.backend": target.backend, "thalamus.tier": target.tier and target.tier.value}
        attributes["thalamus.effort"] = target.effort and target.effort.value
    if usage is not None:
        attributes |= {"gen_ai.usage.input_tokens": usage.input, "gen_ai.usage.output_tokens": usage.output}
    root.note(attributes)
    if record.outcome == "failed":
        root.fail(record.error or "failed")
