"""Chat completions through the real gateway: what the backend gets, what the client gets, what is recorded."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.gateway.serving import running_gateway, settings_over

HELLO = {"model": "auto", "messages": [{"role": "user", "content": "Hello there"}]}


def reached(standin) -> list[dict]:
    return [request for request in standin.requests() if request["path"].startswith("/v1/")]


def test_a_plain_answer_comes_with_the_decision_in_its_headers(gateway, standin):
    with gateway.client() as client:
        answer = client.post("/v1/chat/completions", json=HELLO)
    assert answer.status_code == 200
    assert answer.json()["choices"][0]["message"]["content"].startswith("Echo")
    headers = answer.headers
    assert headers["x-thalamus-tier"] in ("fast", "deep")
    assert headers["x-thalamus-backend"] in ("swift", "sage")
    assert headers["x-thalamus-reason"] == "difficulty"
    assert 0 <= float(headers["x-thalamus-difficulty"]) <= 1
    assert headers["x-thalamus-decision-id"].startswith("dec_")
    assert headers["x-thalamus-thinking"].startswith("asked=")


def test_the_backend_gets_the_callers_request_with_its_own_model_id(gateway, standin):
    odd = {**HELLO, "model": "fast", "seed": 7, "top_k": [1, 2.50], "metadata": {"ключ": "值 \U0001f600"}}
    with gateway.client() as client:
        client.post("/v1/chat/completions", json=odd, headers={"authorization": "Bearer callers-own"})
    (request,) = reached(standin)
    assert request["body"] == {**odd, "model": "swift-1"}
    assert not request["authorization_present"]


def test_a_stream_arrives_event_by_event_and_ends_with_done(gateway, standin):
    standin.behave(tokens=20, token_ms=10)
    arrivals = []
    with (
        gateway.client() as client,
        client.stream("POST", "/v1/chat/completions", json={**HELLO, "stream": True}) as answer,
    ):
        assert answer.headers["content-type"].startswith("text/event-stream")
        arrivals.extend((time.monotonic(), line) for line in answer.iter_lines() if line)
    assert arrivals[-1][1] == "data: [DONE]"
    assert len(arrivals) > 20
    assert arrivals[-1][0] - arrivals[0][0] > 0.1, "the events were held back"
    assert not any("usage" in line for _, line in arrivals)


def test_usage_is_counted_whether_or_not_the_client_asked(gateway, standin):
    before = gateway.settled()
    with gateway.client() as client:
        silent = client.post("/v1/chat/completions", json={**HELLO, "stream": True})
        asked = {**HELLO, "stream": True, "stream_options": {"include_usage": True}}
        told = client.post("/v1/chat/completions", json=asked)
    assert '"usage"' not in silent.text
    usage = json.loads(told.text.split("data: ")[-2])["usage"]
    first, second = gateway.records(before + 2)[-2:]
    assert first["tokens_out"] == second["tokens_out"] == usage["completion_tokens"] > 0


@pytest.mark.parametrize("framing", ["crlf", "coalesced", "split", "bom", "named", "commented"])
def test_every_lawful_framing_passes(gateway, standin, framing):
    standin.behave(framing=[framing], tokens=5)
    with gateway.client() as client:
        answer = client.post("/v1/chat/completions", json={**HELLO, "stream": True})
    data = [line.removeprefix("data: ") for line in answer.text.replace("\ufeff", "").splitlines() if "data:" in line]
    assert data[-1] == "[DONE]"
    assert sum(bool(json.loads(item)["choices"][0]["delta"].get("content")) for item in data[:-1]) == 5


CHOICES = [
    ({"model": "fast"}, {}, "swift", "client"),
    ({"model": "deep"}, {}, "sage", "client"),
    ({"model": "sage"}, {}, "sage", "client"),
    ({}, {"x-thalamus-route": "deep"}, "sage", "client"),
    ({}, {"x-thalamus-route": "fast"}, "swift", "client"),
    ({"reasoning_effort": "high"}, {}, "sage", "client"),
    ({"reasoning_effort": "none"}, {}, "swift", "client"),
]


@pytest.mark.parametrize(("body", "headers", "backend", "reason"), CHOICES)
def test_the_client_chooses_by_model_header_or_effort(gateway, standin, body, headers, backend, reason):
    with gateway.client() as client:
        answer = client.post("/v1/chat/completions", json={**HELLO, **body}, headers=headers)
    assert (answer.headers["x-thalamus-backend"], answer.headers["x-thalamus-reason"]) == (backend, reason)


REFUSALS = [
    ({"model": "gpt-9"}, {}, 404, "model_not_found", "model"),
    ({"reasoning_effort": "enormous"}, {}, 400, "invalid_value", "reasoning_effort"),
    ({}, {"x-thalamus-route": "sideways"}, 400, "invalid_value", "x-thalamus-route"),
    ({}, {"x-thalamus-dial": "loud"}, 400, "invalid_value", "x-thalamus-dial"),
    ({"messages": "hello"}, {}, 400, "invalid_value", "messages"),
    ({"messages": [{"role": "user", "content": "x " * 500_000}]}, {}, 400, "context_length_exceeded", None),
]


@pytest.mark.parametrize(("body", "headers", "status", "code", "param"), REFUSALS, ids=[case[3] for case in REFUSALS])
def test_a_wrong_request_is_refused_in_openais_shape_and_nobody_is_called(
    gateway, standin, body, headers, status, code, param
):
    with gateway.client() as client:
        answer = client.post("/v1/chat/completions", json={**HELLO, **body}, headers=headers)
    assert answer.status_code == status
    assert answer.json()["error"]["code"] == code
    assert answer.json()["error"]["param"] == param
    assert not reached(standin)


PATHS = [("GET", "/v1/nothing", 404), ("GET", "/v1/chat/completions", 405), ("DELETE", "/v1/models", 405)]


@pytest.mark.parametrize(("method", "path", "status"), PATHS)
def test_paths_and_methods_that_do_not_exist_have_openais_shape(gateway, method, path, status):
    with gateway.client() as client:
        answer = client.request(method, path)
    assert answer.status_code == status
    assert answer.json()["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_the_limit_is_refused(serve, standin, chunked):
    gateway = serve(settings_over(standin.url, server={"max_body_bytes": 2000}))
    body = json.dumps({**HELLO, "messages": [{"role": "user", "content": "x" * 3000}]}).encode()
    content = (body[i : i + 500] for i in range(0, len(body), 500)) if chunked else body
    with gateway.client() as client:
        answer = client.post("/v1/chat/completions", content=content)
    assert answer.status_code == 413
    assert answer.json()["error"]["code"] == "request_too_large"
    assert not reached(standin)


UPSTREAM_FAILURES = [
    ("status-500", 502, "upstream_failed"),
    ("status-503", 502, "upstream_failed"),
    ("status-429", 429, "upstream_rate_limited"),
    ("status-401", 502, "upstream_misconfigured"),
    ("status-404", 502, "upstream_misconfigured"),
    ("status-408", 504, "upstream_timeout"),
    ("reset-before-headers", 502, "upstream_failed"),
    ("close-before-headers", 502, "upstream_failed"),
    ("not-json", 502, "upstream_failed"),
    ("truncated-json", 502, "upstream_failed"),
    ("invalid-utf8", 502, "upstream_failed"),
    ("content-length-long", 502, "upstream_failed"),
]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("fault", "status", "code"), UPSTREAM_FAILURES, ids=[case[0] for case in UPSTREAM_FAILURES])
def test_a_backend_that_fails_before_its_first_byte_is_told_as_such(gateway, standin, fault, status, code, stream):
    if stream and fault == "content-length-long":
        fault = "close-mid-stream"  # streams have no content-length; this is their way of ending early
    standin.behave(faults=[fault])
    with gateway.client() as client:
        answer = client.post("/v1/chat/completions", json={**HELLO, "model": "sage", "stream": stream})
    if answer.status_code == 200:  # the stream had begun
        assert stream
        assert json.loads(answer.text.rsplit("data: ", 1)[1])["error"]["code"] == code
    else:
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_the_next_target_answers_when_the_first_fails_and_the_headers_tell(gateway, standin):
    standin.behave(faults=["status-503"], fault_limit=1)
    with gateway.client() as client:
        answer = client.post("/v1/chat/completions", json={**HELLO, "model": "deep"})
    assert answer.status_code == 200
    assert answer.headers["x-thalamus-backend"] == "swift"
    assert answer.headers["x-thalamus-reason"] == "fallback"
    assert answer.headers["x-thalamus-attempts"] == "sage=upstream_failed, swift=ok"


@pytest.mark.parametrize("model", ["fast", "deep"])
def test_a_cap_too_small_to_think_in_is_raised_for_those_alone_that_think(gateway, standin, model):
    standin.behave(faults=["status-503"], fault_limit=1)
    with gateway.client() as client:
        answer = client.post("/v1/chat/completions", json={**HELLO, "model": model, "max_tokens": 200})
    assert answer.headers["x-thalamus-reason"] == "fallback"
    caps = {request["body"]["model"]: request["body"]["max_tokens"] for request in reached(standin)}
    assert caps["swift-1"] == 200
    assert caps["sage-1"] >= 200 + 1024
    assert answer.headers["x-thalamus-thinking"].endswith(f"max_tokens={caps['sage-1']}") == (model == "fast")


def test_a_refusal_of_the_request_itself_is_passed_on_and_nobody_else_is_asked(gateway, standin):
    wrong = {**HELLO, "model": "deep", "messages": [{"role": "tool", "content": "x", "tool_call_id": "nobody"}]}
    with gateway.client() as client:
        answer = client.post("/v1/chat/completions", json=wrong)
    assert answer.status_code == 400
    assert "tool" in answer.json()["error"]["message"]
    assert len(reached(standin)) == 1


@pytest.mark.parametrize("fault", ["close-mid-stream", "reset-mid-stream", "error-event"])
def test_a_stream_that_breaks_ends_in_an_error_event_and_is_not_tried_again(gateway, standin, fault):
    standin.behave(faults=[fault], tokens=10, token_ms=20)
    with gateway.client() as client:
        answer = client.post("/v1/chat/completions", json={**HELLO, "stream": True})
    assert answer.status_code == 200
    assert json.loads(answer.text.rsplit("data: ", 1)[1])["error"]["code"] == "upstream_failed"
    assert len(reached(standin)) == 1


def test_deadlines_are_kept(serve, standin):
    settings = settings_over(standin.url)
    settings["backends"]["sage"]["timeouts"] = {"first_token": 0.3, "idle": 0.3}
    gateway = serve(settings)
    with gateway.client() as client:
        standin.behave(faults=["stall-before-headers"])
        answer = client.post("/v1/chat/completions", json={**HELLO, "model": "sage"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (504, "upstream_timeout")
        standin.behave(faults=["stall-mid-stream"])
        answer = client.post("/v1/chat/completions", json={**HELLO, "model": "sage"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (504, "upstream_timeout")
        standin.behave(faults=["stall-mid-stream"], tokens=10)
        answer = client.post("/v1/chat/completions", json={**HELLO, "model": "sage", "stream": True})
        assert json.loads(answer.text.rsplit("data: ", 1)[1])["error"]["code"] == "upstream_timeout"


@pytest.fixture(scope="module")
def hurried(session_standin, tmp_path_factory):
    """A gateway whose requests may take half a second in all, and calls to `brief` less."""
    settings = settings_over(session_standin.url, attempts={"deadline_s": 0.5, "patience_s": 5, "backoff_s": 0.01})
    sage = settings["backends"]["sage"]
    settings["backends"]["brief"] = {**sage, "timeouts": {"total": 0.2}}
    with running_gateway(settings, tmp_path_factory.mktemp("hurried")) as running:
        yield running


@pytest.mark.parametrize(
    ("model", "behaviour", "stream"),
    [
        ("sage", {"faults": ["stall-before-headers"]}, False),
        ("sage", {"faults": ["status-500"], "first_byte_ms": 50}, False),
        ("sage", {"tokens": 1000, "token_ms": 20}, False),
        ("sage", {"tokens": 1000, "token_ms": 20}, True),
        ("brief", {"tokens": 1000, "token_ms": 20}, True),
    ],
    ids=["no answer", "failing again and again", "a plain answer", "a stream", "a call's own deadline"],
)
def test_the_deadline_of_the_whole_ends_it_whatever_is_being_done(hurried, standin, model, behaviour, stream):
    standin.behave(**behaviour)
    started = time.monotonic()
    with hurried.client() as client:
        answer = client.post("/v1/chat/completions", json={**HELLO, "model": model, "stream": stream})
    assert time.monotonic() - started < 1.5
    said = json.loads(answer.text.rsplit("data: ", 1)[1]) if stream else answer.json()
    failing = "status-500" in behaviour.get("faults", ())  # the deadline may pass between two calls
    assert said["error"]["code"] in ("upstream_timeout", *(("upstream_failed",) if failing else ()))
    assert (answer.status_code == 200) == stream


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_leaves_ends_the_backends_call_within_a_second(gateway, standin, stream):
    standin.behave(tokens=1000, token_ms=20)
    before = gateway.settled()

    def leave() -> None:
        with (
            httpx.Client(timeout=0.5, trust_env=False) as client,
            client.stream("POST", f"{gateway.url}/v1/chat/completions", json={**HELLO, "stream": stream}) as answer,
        ):
            next(answer.iter_lines())

    left_at = time.monotonic() + 0.5
    try:
        leave()
    except httpx.ReadTimeout:
        left_at = time.monotonic()
    else:
        left_at = time.monotonic()
    while not (done := [request for request in reached(standin) if request["outcome"] != "open"]):
        assert time.monotonic() - left_at < 1.0, "the backend's call was still open"
        time.sleep(0.01)
    assert done[0]["client_left"]
    record = gateway.records(before + 1)[-1]
    assert (record["outcome"], record["error"]) == ("dropped", "client_left")


def test_calls_beyond_a_backends_limit_wait_their_turn(serve, standin):
    settings = settings_over(standin.url)
    settings["backends"]["swift"]["max_concurrency"] = 2
    gateway = serve(settings)
    standin.behave(first_byte_ms=200)
    statuses = []

    def ask() -> None:
        with gateway.client() as client:
            statuses.append(client.post("/v1/chat/completions", json={**HELLO, "model": "swift"}).status_code)

    threads = [threading.Thread(target=ask) for _ in range(6)]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 6
    assert time.monotonic() - started >= 0.6


def test_thinking_is_switched_in_the_backends_own_words_and_told(serve, standin):
    settings = settings_over(standin.url)
    settings["backends"] = {
        "ds": {
            "url": f"{standin.url}/v1",
            "model": "deepseek-ai/DeepSeek-V3.1",
            "family": "deepseek-v3.1",
            "host": "vllm",
        }
    }
    settings["tiers"] = {"fast": {"backend": "ds", "effort": "none"}, "deep": {"backend": "ds", "effort": "high"}}
    gateway = serve(settings)
    with gateway.client() as client:
        fast = client.post("/v1/chat/completions", json={**HELLO, "model": "fast"})
        deep = client.post("/v1/chat/completions", json={**HELLO, "model": "deep"})
    assert fast.headers["x-thalamus-thinking"] == "asked=none applied=none"
    assert deep.headers["x-thalamus-thinking"] == "asked=high applied=high"
    off, on = (request["body"]["chat_template_kwargs"] for request in reached(standin))
    assert off == {"thinking": False, "enable_thinking": False}
    assert on == {"thinking": True, "enable_thinking": True}


def test_keys_are_asked_for_and_bound_what_may_be_asked(serve, standin):
    keys = [{"name": "a", "key": "secret-a"}, {"name": "b", "key": "secret-b", "models": ["fast"]}]
    gateway = serve(settings_over(standin.url, keys=keys))
    with gateway.client() as client:
        nobody = client.post("/v1/chat/completions", json=HELLO)
        wrong = client.post("/v1/chat/completions", json=HELLO, headers={"authorization": "Bearer nonsense"})
        right = client.post("/v1/chat/completions", json=HELLO, headers={"authorization": "Bearer secret-a"})
        bound = client.post("/v1/chat/completions", json=HELLO, headers={"authorization": "Bearer secret-b"})
        seen = client.get("/v1/models", headers={"authorization": "Bearer secret-b"}).json()["data"]
    assert [answer.status_code for answer in (nobody, wrong, right, bound)] == [401, 401, 200, 403]
    assert [model["id"] for model in seen] == ["fast"]
    assert "secret-" not in gateway.log()
    assert "nonsense" not in gateway.log()


def test_no_prompt_text_is_in_logs_or_metrics(gateway, standin):
    with gateway.client() as client:
        for status in ("status-500", "status-400"):
            standin.behave(faults=[status])
            client.post("/v1/chat/completions", json={**HELLO, "messages": [{"role": "user", "content": "xyzzyplugh"}]})
        metrics = client.get("/metrics").text
    assert "xyzzyplugh" not in gateway.log()
    assert "xyzzyplugh" not in metrics


def test_completions_and_embeddings_are_served(gateway, standin):
    with gateway.client() as client:
        text = client.post("/v1/completions", json={"model": "auto", "prompt": "Once upon a time"})
        vector = client.post("/v1/embeddings", json={"model": "swift", "input": "hello"})
        routed = client.post("/v1/embeddings", json={"model": "auto", "input": "hello"})
    assert text.json()["choices"][0]["text"]
    assert len(vector.json()["data"][0]["embedding"]) > 1
    assert (routed.status_code, routed.json()["error"]["param"]) == (400, "model")


def test_route_explains_and_calls_nobody(gateway, standin):
    with gateway.client() as client:
        decision = client.post("/v1/route", json=HELLO).json()
        share, nonsense = (
            client.post("/v1/route", json=HELLO, headers={"x-thalamus-dial": dial}) for dial in ("0.05", "1.05")
        )
    assert decision["steps"]
    assert share.json()["dial"] == "0.05"
    assert share.json()["threshold"] > decision["threshold"]
    assert (nonsense.status_code, nonsense.json()["error"]["param"]) == (400, "x-thalamus-dial")
    assert decision["targets"]
    assert 0 <= decision["p_fast"] <= 1
    assert not reached(standin)


@pytest.mark.parametrize("idle", [1, 8])
def test_connections_that_a_backend_dropped_while_they_were_idle_cost_no_request(serve, standin, idle):
    gateway = serve(settings_over(standin.url))
    asked = {**HELLO, "model": "swift"}
    with gateway.client() as client, ThreadPoolExecutor(idle) as crowd:
        standin.behave(faults=["stale-connection"], first_byte_ms=200)
        list(crowd.map(lambda _: client.post("/v1/chat/completions", json=asked), range(idle)))
        standin.behave(faults=[], first_byte_ms=0)
        statuses = [client.post("/v1/chat/completions", json=asked).status_code for _ in range(idle + 2)]
    assert set(statuses) == {200}
