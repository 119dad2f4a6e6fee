"""Which traces are kept, how contexts are read, and that a full line or a closed one costs spans alone."""

import time

import pytest

from gateway.errors import UpstreamFailed
from gateway.records.accounting import Attempt, Outcome, Record
from gateway.redaction import Redactor
from gateway.settings import TracingSettings
from gateway.tracing import UNTRACED, RecordedTrace
from gateway.tracing.context import read_context
from gateway.tracing.export import OtlpExport
from gateway.tracing.tracer import Tracer

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


class Kept:
    def __init__(self):
        self.traces = []

    def submit(self, trace, content):
        self.traces.append(trace)


def end(settings, headers=None, **record):
    """Serve one request that ends as told; give its trace if it was kept."""
    kept = Kept()
    tracer = Tracer(TracingSettings(**settings), kept)
    trace = tracer.begin("POST", "/v1/chat/completions", headers or {})
    tracer(Record("chat", trace=trace, **{"outcome": Outcome.DONE, "status": 200, **record}))
    return kept.traces[0] if kept.traces else None


def parent(flags):
    return {"traceparent": f"00-{TRACE}-{SPAN}-{flags}"}


@pytest.mark.parametrize(
    ("settings", "headers", "record", "is_kept"),
    [
        ({"ratio": 1}, {}, {}, True),
        ({"ratio": 0}, {}, {}, False),
        ({"ratio": 0}, {}, {"outcome": Outcome.FAILED}, True),
        ({"ratio": 0}, {}, {"outcome": Outcome.DROPPED}, False),
        ({"ratio": 0}, {}, {"attempts": [Attempt("a", "upstream_failed"), Attempt("b", None)]}, True),
        ({"ratio": 0, "keep_errors": False}, {}, {"outcome": Outcome.FAILED}, False),
        ({"ratio": 0, "slow_s": 2}, {}, {"total_s": 3.0}, True),
        ({"ratio": 0, "slow_s": 2}, {}, {"total_s": 60.0, "first_token_s": 0.3}, False),
        ({"ratio": 0, "slow_s": 2}, {}, {"total_s": 60.0, "first_token_s": 2.5}, True),
        ({"ratio": 0}, parent("01"), {}, True),
        ({"ratio": 1}, parent("00"), {"outcome": Outcome.FAILED}, False),
        ({"ratio": 1, "trust_parent": False}, parent("00"), {}, True),
    ],
)
def test_what_is_kept(settings, headers, record, is_kept):
    assert (end(settings, headers, **record) is not None) is is_kept


def test_the_ratio_is_met_and_decided_by_the_id_alone():
    tracer = Tracer(TracingSettings(ratio=0.25), Kept())
    traces = [tracer.begin("POST", "/", {}) for _ in range(4000)]
    assert 800 < sum(trace.is_sampled for trace in traces) < 1200
    for trace in traces[:100]:
        assert trace.is_sampled == (trace.trace_id & (2**64 - 1) < 2**62)


def test_a_caller_who_is_not_trusted_is_linked_to():
    trace = end({"ratio": 1, "trust_parent": False}, parent("01") | {"tracestate": "a=b"})
    assert f"{trace.trace_id:032x}" != TRACE
    assert (trace.root.parent_id, trace.state) == (None, "")
    assert [f"{link.span_id:016x}" for link in trace.root.links] == [SPAN]


@pytest.mark.parametrize(
    "written",
    [
        f"00-{TRACE}-{SPAN}",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        "nonsense",
        "",
    ],
)
def test_a_malformed_context_is_none(written):
    assert read_context({"traceparent": written}) is None


def test_contexts_of_later_versions_are_read_as_this_one():
    context = read_context({"traceparent": f"01-{TRACE}-{SPAN}-03-more", "tracestate": "x" * 600})
    assert (context.written(), context.state) == (f"00-{TRACE}-{SPAN}-01", "")


def test_a_trace_has_only_so_many_spans_and_all_end_with_it():
    tracer = Tracer(TracingSettings(ratio=1, max_spans=8), kept := Kept())
    trace = tracer.begin("POST", "/", {})
    call = trace.begin_call("chat m")
    stream = call.begin("stream")
    for _ in range(20):
        trace.begin("queue")
    tracer(Record("chat", trace=trace, outcome=Outcome.DONE))
    assert (len(trace.spans), trace.dropped) == (8, 15)
    assert all(span.ended is not None for span in kept.traces[0].spans)
    assert stream.parent_id == call.span_id


def test_failures_are_told_by_their_code_and_never_by_their_words():
    trace = RecordedTrace("POST /", trace_id=1, parent_id=None, is_sampled=True)
    with pytest.raises(UpstreamFailed), trace.begin("one") as span:
        raise UpstreamFailed("a secret", backend="b")
    assert span.error == "upstream_failed"


def test_a_part_is_taken_back_or_ends_by_itself():
    kept = Kept()
    tracer = Tracer(TracingSettings(ratio=1), kept)
    for is_taken_back in (True, False):
        trace = tracer.begin("POST", "/", {})
        part = trace.fork("shared call")
        call = part.begin_call("chat m")
        assert part.headers(call)["traceparent"].split("-")[1] == f"{trace.trace_id:032x}"
        if is_taken_back:
            trace.absorb(part)
        tracer(Record("chat", trace=trace, outcome=Outcome.DONE))
        tracer(Record("shared", trace=part, outcome=Outcome.DONE))
    assert [[span.name for span in one.spans] for one in kept.traces] == [
        ["POST /", "shared call", "chat m"],
        ["POST /"],
        ["shared call", "chat m"],
    ]
    assert kept.traces[2].root.parent_id == kept.traces[1].root.span_id


def test_off_records_nothing():
    with UNTRACED.begin("auth") as span:
        span.note({"a": 1})
        span.event("first token")
        assert span.begin("stream") is span
    assert not UNTRACED.headers(span)
    assert UNTRACED.context() is None


def test_what_the_line_has_no_room_for_is_dropped_and_counted_and_closing_is_bounded():
    dropped = []
    settings = TracingSettings(
        endpoint="http://127.0.0.1:9", export_every_s=600, max_queue_spans=64, flush_s=0.2
    )  # nobody listens on the discard port
    export = OtlpExport(settings, Redactor(), lambda why, spans: dropped.append((why, spans)))
    for number in range(70):
        trace = RecordedTrace("POST /", trace_id=number + 1, parent_id=None, is_sampled=True)
        trace.end()
        export.submit(trace, ())
    assert dropped == [("queue", 1)] * 6
    export.close()
    export.submit(trace, ())
    assert dropped[-1] == ("queue", 1)
    deadline = time.monotonic() + 30
    while sum(spans for why, spans in dropped if why == "export") < 64:  # the thread may be about to count its last
        assert time.monotonic() < deadline, dropped
        time.sleep(0.01)
