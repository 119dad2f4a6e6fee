"""Sends kept traces by OTLP over HTTP. The only file that knows OpenTelemetry, imported when tracing is on.

The span objects of its API are not used while a request runs: a kept trace becomes OpenTelemetry's read-only spans
here, in a thread of its own, and what is not kept never does. See docs/decisions/0022.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from importlib.metadata import version

import msgspec
import structlog
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState
from opentelemetry.util.types import AttributeValue

from gateway.redaction import Redactor
from gateway.settings.telemetry import TracingSettings
from gateway.tracing.context import TraceContext
from gateway.tracing.trace import RecordedSpan, RecordedTrace
from gateway.tracing.tracer import Turns

BATCH_SPANS = 512
"""As many are sent in one request."""

SAY_AGAIN_S = 60.0
"""A collector that stays away is told of once in so long."""

CONTENT_EVENT = "gen_ai.client.inference.operation.details"

_KINDS = {"server": SpanKind.SERVER, "client": SpanKind.CLIENT, "internal": SpanKind.INTERNAL}
_log = structlog.get_logger("thalamus")


class OtlpExport:
    """A bounded line of traces, and the thread that sends them. Whoever opens it closes it.

    A collector that is slow or away costs spans, never requests: those that do not fit are dropped and counted.
    """

    def __init__(self, settings: TracingSettings, redact: Redactor, count_dropped: Callable[[str, int], None]) -> None:
        """Start the thread.

        Args:
            settings: where to, and how much may wait.
            redact: applied to content, where that is sent.
            count_dropped: called, from any thread, with why and how many: ``queue``, ``export`` or ``trace``.
        """
        logging.getLogger("opentelemetry").addHandler(logging.NullHandler())
        logging.getLogger("opentelemetry").propagate = False  # what it says of every batch is said here, once
        self._settings = settings
        self._redact = redact
        self._count_dropped = count_dropped
        self._resource = _resource(settings)
        self._scope = InstrumentationScope("thalamus", version("thalamus-gateway"))
        self._sender = OTLPSpanExporter(
            endpoint=None if settings.endpoint is None else f"{str(settings.endpoint).rstrip('/')}/v1/traces",
            headers={name: value.get_secret_value() for name, value in settings.headers.items()} or None,
        )
        self._lock = threading.Lock()
        self._waiting: deque[tuple[RecordedTrace, Turns]] = deque()
        self._waiting_spans = 0
        self._told_at = 0.0
        self._wanted = threading.Event()
        self._closing = threading.Event()
        # A daemon, so that a collector that does not answer cannot keep the process beyond `flush_s`.
        self._thread = threading.Thread(target=self._send_until_closed, name="otlp-export", daemon=True)
        self._thread.start()

    def submit(self, trace: RecordedTrace, content: Turns) -> None:
        """Take a finished trace. Never blocks."""
        size = len(trace.spans)
        with self._lock:
            taken = not self._closing.is_set() and self._waiting_spans + size <= self._settings.max_queue_spans
            if taken:
                self._waiting.append((trace, content))
                self._waiting_spans += size
        if not taken:
            self._count_dropped("queue", size)
        elif not self._wanted.is_set():
            self._wanted.set()
        if trace.dropped:
            self._count_dropped("trace", trace.dropped)

    def close(self) -> None:
        """Send what waits, for as long as `flush_s`; what is left then is dropped and counted."""
        with self._lock:
            self._closing.set()
        self._wanted.set()
        self._thread.join(self._settings.flush_s)
        self._sender.shutdown()  # type: ignore[no-untyped-call]  # ends a pause between two tries
        self._thread.join(0.2)
        with self._lock:
            left, self._waiting_spans = self._waiting_spans, 0
            self._waiting.clear()
        if left:
            self._count_dropped("export", left)

    def _send_until_closed(self) -> None:
        while not self._closing.is_set():
            self._wanted.wait()
            self._closing.wait(self._settings.export_every_s)
            self._wanted.clear()
            self._send_waiting()
        self._send_waiting()

    def _send_waiting(self) -> None:
        while batch := self._next_batch():
            try:
                sent = self._sender.export(batch) is SpanExportResult.SUCCESS
            except Exception:  # noqa: BLE001  whatever a transport raises must not end the thread
                sent = False
            if not sent:
                self._count_dropped("export", len(batch))
                self._tell(len(batch))

    def _next_batch(self) -> list[ReadableSpan]:
        batch: list[ReadableSpan] = []
        while len(batch) < BATCH_SPANS:
            with self._lock:
                if not self._waiting:
                    break
                trace, content = self._waiting.popleft()
                self._waiting_spans -= len(trace.spans)
            batch += self._written(trace, content)
        return batch

    def _tell(self, spans: int) -> None:
        now = time.monotonic()
        if not self._told_at or now - self._told_at >= SAY_AGAIN_S:
            self._told_at = now
            _log.warning("spans not exported", spans=spans)

    def _written(self, trace: RecordedTrace, content: Turns) -> Iterator[ReadableSpan]:
        """Give a trace's spans as OpenTelemetry has them."""
        for span in trace.spans:
            events = [Event(name, timestamp=at) for name, at in span.events]
            if content and span is trace.root:
                events.append(Event(CONTENT_EVENT, {"gen_ai.input.messages": self._messages(content)}, span.started))
            yield ReadableSpan(
                span.name,
                context=_context(TraceContext(trace.trace_id, span.span_id, is_sampled=True, state=trace.state)),
                parent=_parent(trace, span),
                resource=self._resource,
                attributes=span.attributes | ({} if span.error is None else {"error.type": span.error}),
                events=events,
                links=[Link(_context(link, is_remote=True)) for link in span.links],
                kind=_KINDS[span.kind],
                status=Status(StatusCode.UNSET if span.error is None else StatusCode.ERROR),
                start_time=span.started,
                end_time=span.ended,
                instrumentation_scope=self._scope,
            )

    def _messages(self, content: Turns) -> str:
        """Write messages as the GenAI conventions have them, without what the rules find."""
        return msgspec.json.encode(
            [{"role": role, "parts": [{"type": "text", "content": self._redact(text)}]} for role, text in content]
        ).decode()


def _resource(settings: TracingSettings) -> Resource:
    """Say who sends; what the environment says goes before the defaults, and the settings before both."""
    named: dict[str, AttributeValue] = {"service.name": "thalamus", "service.version": version("thalamus-gateway")}
    resource = Resource.create(named).merge(OTELResourceDetector().detect())
    return (
        resource if settings.service_name is None else resource.merge(Resource({"service.name": settings.service_name}))
    )


def _context(context: TraceContext, *, is_remote: bool = False) -> SpanContext:
    flags = TraceFlags(TraceFlags.SAMPLED if context.is_sampled else TraceFlags.DEFAULT)
    state = TraceState.from_header([context.state]) if context.state else None
    return SpanContext(context.trace_id, context.span_id, is_remote, flags, state)


def _parent(trace: RecordedTrace, span: RecordedSpan) -> SpanContext | None:
    if span.parent_id is None:
        return None
    context = TraceContext(trace.trace_id, span.parent_id, is_sampled=True, state=trace.state)
    return _context(context, is_remote=span.kind == "server")
