"""Traces as a collector gets them, from the real gateway over the stand-in."""

import http.client
import json
import re
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from gateway.app import create_app
from gateway.settings import Settings, SettingsError
from tests.gateway.otlp_receiver import CLIENT, running_collector
from tests.gateway.serving import running_gateway, settings_over

CALLER = "4bf92f3577b34da6a3ce929d0e0e4736"
SECRET = "tell nobody about the pineapple"
HELLO = {"model": "fast", "messages": [{"role": "user", "content": SECRET}], "temperature": 0}


def traced(url, **changes):
    """Give settings that keep every trace."""
    tracing = {"enabled": True, "endpoint": url, "ratio": 1.0, "export_every_s": 0.05, **changes.pop("tracing", {})}
    return {"tracing": tracing, **changes}


@pytest.fixture(scope="module")
def collector():
    with running_collector() as running:
        yield running


@pytest.fixture(scope="module")
def traced_gateway(session_standin, collector, tmp_path_factory):
    settings = settings_over(
        session_standin.url,
        **traced(collector.url),
        cache={"mode": "exact"},
        keys=[{"name": "dev", "key": "sk-thalamus-tests-0123456789abcdef0123456789"}],
    )
    settings["tiers"] = {"fast": ["swift", "sage"], "deep": "sage", "fast-mini": ["swift", "sage"]}
    hedge = {"tiers": ["fast-mini"], "least_s": 0.2, "share": 1.0}
    settings["attempts"] |= {"most": 4, "patience_s": 5, "retries_per_s": 1000, "retry_share": 1, "hedge": hedge}
    with running_gateway(settings, tmp_path_factory.mktemp("traced")) as running:
        yield running


HEADERS = {"authorization": "Bearer sk-thalamus-tests-0123456789abcdef0123456789"}


def ask(gateway, headers=None, **body):
    with gateway.client(timeout=60) as client:
        return client.post("/v1/chat/completions", json={**HELLO, **body}, headers={**HEADERS, **(headers or {})})


def trace_of(answer, collector):
    root, spans = collector.trace_of(answer.headers["x-thalamus-decision-id"])
    assert_connected(root, spans)
    return root, spans


def assert_connected(root, spans):
    """One trace: every span but the first has its parent in it, and lies within the time of its trace."""
    known = {span.span_id for span in spans}
    for span in spans:
        assert span is root or span.parent_id in known, (span.name, [one.name for one in spans])
        assert root.started <= span.started <= span.ended, span.name


def named(spans, name):
    return [span for span in spans if span.name == name]


def backend_calls(standin):
    return [one for one in standin.requests() if one["path"] == "/v1/chat/completions"]


def test_a_plain_request_is_one_trace_that_goes_on_in_the_backend(traced_gateway, standin, collector):
    parent = f"00-{CALLER}-00f067aa0ba902b7-01"
    answer = ask(traced_gateway, {"traceparent": parent, "tracestate": "vendor=x"}, seed=1)
    root, spans = trace_of(answer, collector)
    assert (root.name, root.trace_id, root.parent_id) == ("POST /v1/chat/completions", CALLER, "00f067aa0ba902b7")
    assert root.resource["service.name"] == "thalamus"
    assert root.attributes["http.response.status_code"] == 200
    assert root.attributes["thalamus.outcome"] == "done"
    assert {"auth", "decision", "cache"} <= {span.name for span in spans}
    decision = named(spans, "decision")[0]
    assert decision.attributes["thalamus.tier"] == "fast"
    assert "thalamus.reason" in decision.attributes
    [call] = [span for span in spans if span.kind == CLIENT]
    assert call.name == "chat swift-1"
    assert call.attributes["gen_ai.operation.name"] == "chat"
    assert call.attributes["gen_ai.request.model"] == "swift-1"
    assert call.attributes["gen_ai.usage.output_tokens"] > 0
    sent = backend_calls(standin)[0]["headers"]
    assert sent["traceparent"] == f"00-{CALLER}-{call.span_id}-01"
    assert sent["tracestate"] == "vendor=x"


def test_a_routed_request_tells_its_signals(traced_gateway, standin, collector):
    _root, spans = trace_of(ask(traced_gateway, model="auto", seed=2), collector)
    told = named(spans, "decision")[0].attributes
    assert 0 <= told["thalamus.difficulty"] <= 1
    assert told["thalamus.signal.conversation_type"]


def test_a_stream_tells_its_first_token_and_lasts_to_its_end(traced_gateway, standin, collector):
    answer = ask(traced_gateway, stream=True, seed=3)
    _root, spans = trace_of(answer, collector)
    [call] = [span for span in spans if span.kind == CLIENT]
    assert [name for name, _ in call.events] == ["first token"]
    [stream] = named(spans, "stream")
    assert stream.parent_id == call.span_id
    assert call.started < stream.started <= stream.ended <= call.ended
    assert call.attributes["gen_ai.request.stream"] is True
    assert call.attributes["gen_ai.usage.output_tokens"] > 0


@pytest.mark.parametrize(("model", "first"), [("fast", "swift-1"), ("sage", "sage-1")])
def test_every_attempt_of_a_fallback_or_retry_is_a_span(traced_gateway, standin, collector, model, first):
    standin.behave(faults=["status-500"], fault_limit=1)
    root, spans = trace_of(ask(traced_gateway, model=model, seed=4), collector)
    calls = sorted((span for span in spans if span.kind == CLIENT), key=lambda span: span.started)
    assert [(span.name, span.is_error) for span in calls] == [(f"chat {first}", True), ("chat sage-1", False)]
    assert calls[0].attributes["error.type"] == "upstream_failed"
    assert root.attributes["thalamus.attempts"] == 2
    sent = [one["headers"]["traceparent"] for one in backend_calls(standin)]
    assert [one.split("-")[2] for one in sent] == [span.span_id for span in calls]


def test_a_hedge_is_a_span_beside_the_call_that_it_overtakes(traced_gateway, standin, collector):
    for seed in range(100, 121):  # until it is known how long an answer usually takes to begin
        ask(traced_gateway, model="fast-mini", seed=seed)
    standin.behave(faults=["stall-before-headers"], fault_limit=1)
    answer = ask(traced_gateway, model="fast-mini", seed=121)
    assert answer.headers["x-thalamus-attempts"] == "swift=hedged, sage=ok"
    _root, spans = trace_of(answer, collector)
    slow, hedge = sorted((span for span in spans if span.kind == CLIENT), key=lambda span: span.started)
    assert (slow.name, hedge.name) == ("chat swift-1", "chat sage-1")
    assert slow.attributes["thalamus.cancelled"] is True
    assert hedge.attributes["gen_ai.usage.output_tokens"] > 0
    assert hedge.started < slow.ended, "they ran side by side"
    assert slow.parent_id == hedge.parent_id
    assert {one["headers"]["traceparent"].split("-")[2] for one in backend_calls(standin)[-2:]} == {
        slow.span_id,
        hedge.span_id,
    }


def test_a_kept_answer_calls_nobody(traced_gateway, standin, collector):
    ask(traced_gateway, seed=5)
    deadline = time.monotonic() + 30
    while (answer := ask(traced_gateway, seed=5)).headers["x-thalamus-cache"] != "hit-exact":
        assert time.monotonic() < deadline
    root, spans = trace_of(answer, collector)
    assert named(spans, "cache")[0].attributes["thalamus.cache"] == "hit-exact"
    assert not [span for span in spans if span.kind == CLIENT]
    assert root.attributes["thalamus.cache"] == "hit-exact"


def test_a_client_that_leaves_ends_all_spans_and_is_no_error(traced_gateway, standin, collector):
    standin.behave(token_ms=50, tokens=2000)
    connection = http.client.HTTPConnection("127.0.0.1", traced_gateway.port, timeout=60)
    body = json.dumps({**HELLO, "stream": True, "seed": 6})
    connection.request("POST", "/v1/chat/completions", body, {"content-type": "application/json", **HEADERS})
    answer = connection.getresponse()
    answer.read(20)
    decision = answer.getheader("x-thalamus-decision-id")
    answer.close()
    connection.close()
    root, spans = collector.trace_of(decision)
    assert_connected(root, spans)
    assert root.attributes["thalamus.outcome"] == "dropped"
    assert not root.is_error
    [call] = [span for span in spans if span.kind == CLIENT]
    assert call.attributes["thalamus.cancelled"] is True
    assert not call.is_error
    assert all(span.ended for span in spans)


def test_who_shares_anothers_call_links_to_its_trace(traced_gateway, standin, collector):
    standin.behave(first_byte_ms=1500)
    with ThreadPoolExecutor(3) as pool:
        answers = [one.result() for one in [pool.submit(ask, traced_gateway, seed=7) for _ in range(3)]]
    calls = backend_calls(standin)
    shared = [one for one in answers if one.headers["x-thalamus-cache"] == "hit-shared"]
    assert len(calls) == 1
    assert shared
    assert all("traceparent" not in one.headers for one in answers)
    leader = calls[0]["headers"]["traceparent"].split("-")[1]
    for answer in shared:
        root, _spans = trace_of(answer, collector)
        assert leader in [trace for trace, _span in root.links]
    led = next(one for one in answers if one not in shared)
    _root, spans = trace_of(led, collector)
    assert [span.name for span in spans if span.kind == CLIENT] == ["chat swift-1"]


def test_refusals_have_a_trace_as_well(traced_gateway, standin, collector):
    with traced_gateway.client() as client:
        refused = client.post(
            "/v1/chat/completions", json=HELLO, headers={"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"}
        )
    assert refused.status_code == 401
    spans = collector.wait_for(lambda spans: any(span.trace_id == "a" * 32 for span in spans))
    mine = [span for span in spans if span.trace_id == "a" * 32]
    assert {span.name: span.is_error for span in mine} == {"POST /v1/chat/completions": True, "auth": True}


def test_log_lines_carry_the_ids_of_trace_and_decision(traced_gateway, standin, collector):
    answer = ask(traced_gateway, seed=8)
    root, _spans = trace_of(answer, collector)
    lines = [line for line in traced_gateway.events() if line.get("trace_id") == root.trace_id]
    assert [(line["span_id"], line["decision"]) for line in lines] == [
        (root.span_id, answer.headers["x-thalamus-decision-id"])
    ]


def test_nothing_that_was_exported_holds_a_prompt_or_a_key(traced_gateway, standin, collector):
    trace_of(ask(traced_gateway, model="auto", seed=9, metadata={"note": SECRET}), collector)
    for body in collector.bodies:
        assert b"pineapple" not in body
        assert b"sk-thalamus-tests" not in body


def test_what_the_caller_does_not_sample_is_not_kept_and_errors_are(serve, standin):
    with running_collector() as collector:
        gateway = serve(settings_over(standin.url, **traced(collector.url, tracing={"ratio": 0.0})))
        plain = ask(gateway)
        assert backend_calls(standin)[-1]["headers"]["traceparent"].endswith("-00")
        standin.behave(faults=["status-500"])
        ask(gateway, {"traceparent": f"00-{'c' * 32}-{'d' * 16}-00"})
        failed = ask(gateway)
        root, _spans = trace_of(failed, collector)
        assert root.is_error
        assert {span.trace_id for span in collector.spans()} == {root.trace_id}
        assert plain.status_code == 200


def test_content_is_told_only_when_switched_on_and_without_what_the_rules_find(serve, standin):
    with running_collector() as collector:
        settings = settings_over(
            standin.url,
            **traced(collector.url, tracing={"content": True}),
            redaction={"patterns": {"case": r"CASE-\d{4,8}"}},
        )
        text = "Write to ann@example.com about CASE-12345, 我的手机13812345678"
        answer = ask(serve(settings), messages=[{"role": "user", "content": text}])
        root, _spans = trace_of(answer, collector)
        [(name, attributes)] = root.events
        assert name == "gen_ai.client.inference.operation.details"
        [message] = json.loads(attributes["gen_ai.input.messages"])
        told = "Write to [email] about [case], 我的手机[cn-mobile]"
        assert message == {"role": "user", "parts": [{"type": "text", "content": told}]}


def test_a_collector_that_is_away_costs_spans_and_no_request(serve, standin):
    with running_collector() as collector:
        collector.status = 400
        gateway = serve(settings_over(standin.url, **traced(collector.url)))
        assert [ask(gateway).status_code for _ in range(5)] == [200] * 5
        deadline = time.monotonic() + 60
        with gateway.client() as client:
            while not (found := re.search(r'dropped_spans_total\{why="export"\} (\S+)', client.get("/metrics").text)):
                assert time.monotonic() < deadline
                time.sleep(0.05)
        assert float(found[1]) > 0
        assert gateway.events("spans not exported")


def test_environment_variables_of_opentelemetry_are_enough_and_the_end_flushes(session_standin, standin, tmp_path):
    with running_collector() as collector:
        settings = settings_over(standin.url, tracing={"ratio": 1.0, "export_every_s": 600, "flush_s": 8})
        environment = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "OTEL_EXPORTER_OTLP_HEADERS": "x-scope=tests",
            "OTEL_SERVICE_NAME": "brain",
            "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=here",
        }
        with running_gateway(settings, tmp_path, environment=environment) as gateway:
            ask(gateway)
            gateway.records(1)
        [root] = [span for span in collector.spans() if not span.parent_id]
        assert root.resource["service.name"] == "brain"
        assert root.resource["deployment.environment.name"] == "here"
        assert collector.headers[0]["x-scope"] == "tests"


async def test_without_the_extra_the_start_says_what_to_install(monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "opentelemetry"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "gateway.tracing.export", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    app = create_app(Settings.model_validate(settings_over("http://127.0.0.1:9", **traced("http://127.0.0.1:9"))))
    wanted = r"tracing: it needs OpenTelemetry \(opentelemetry.* is missing\): pip install 'thalamus-gateway\[otel\]'"
    with pytest.raises(SettingsError, match=wanted):
        async with app.router.lifespan_context(app):
            pass
