"""Cascades through the real gateway: who is asked, what the caller sees of it, and what is counted."""

import json
from typing import Any

import pytest

from tests.gateway.serving import running_gateway, settings_over

EASY = {"model": "auto", "messages": [{"role": "user", "content": "What is the capital of France?"}]}
TOOL = {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}
SHRUG = "I am not sure."
PRICES = {"swift": {"input": 1.0, "output": 2.0}, "sage": {"input": 10.0, "output": 20.0}}


def cascading(url: str, *, swift: str = "", sage: str = "", logprobs: bool = True, **cascade: Any) -> dict[str, Any]:
    """Give settings that cascade whatever is not deep, over backends that behave as their switches say."""
    settings = settings_over(url)
    for name, switches in (("swift", swift), ("sage", sage)):
        backend = settings["backends"][name]
        backend["model"] += f"@{switches}" if switches else ""
        backend["price"] = PRICES[name]
        backend["abilities"] = {"logprobs": logprobs}
    checks = {"min_confidence": 0.0, **cascade}
    return {**settings, "routing": {"thresholds": {"balanced": 1.0}, "cascade": checks}}


def ask(gateway, body=EASY, **headers):
    with gateway.client() as client:
        return client.post("/v1/chat/completions", json=body, headers=headers)


def text_of(reply) -> str:
    return reply.json()["choices"][0]["message"]["content"]


def asked(standin) -> list[dict]:
    return [request["body"] for request in standin.requests() if request["path"] == "/v1/chat/completions"]


@pytest.fixture(scope="module")
def doubtful(session_standin, tmp_path_factory):
    """One gateway for all that only ask: its fast tier shrugs, its deep tier knows."""
    settings = cascading(session_standin.url, swift=f"answer={SHRUG}", sage="answer=Paris.")
    with running_gateway(settings, tmp_path_factory.mktemp("doubtful")) as running:
        yield running


@pytest.fixture(scope="module")
def self_checking(session_standin, tmp_path_factory):
    """One gateway that asks its fast tier for its word."""
    settings = cascading(session_standin.url, self_check=True)
    with running_gateway(settings, tmp_path_factory.mktemp("self-checking")) as running:
        yield running


def test_a_doubtful_answer_is_never_seen_and_both_calls_are_paid_for(standin, serve):
    gateway = serve(cascading(standin.url, swift=f"answer={SHRUG}", sage="answer=Paris."))
    reply = ask(gateway)
    assert text_of(reply) == "Paris."
    headers = reply.headers
    assert (headers["x-thalamus-tier"], headers["x-thalamus-backend"]) == ("deep", "sage")
    assert headers["x-thalamus-reason"] == "cascade"
    assert headers["x-thalamus-attempts"] == "swift=unsure, sage=ok"
    (record,) = gateway.records(1)
    own = reply.json()["usage"]
    assert (record["tokens_in"], record["tokens_out"]) == (own["prompt_tokens"], own["completion_tokens"])
    deep_alone = (own["prompt_tokens"] * 10 + own["completion_tokens"] * 20) / 1e6
    assert record["cost"] > deep_alone
    assert record["saved"] == pytest.approx(deep_alone - record["cost"])
    assert record["reason"] == "cascade"
    with gateway.client() as client:
        metrics = client.get("/metrics").text
    assert 'thalamus_cascade_checks_total{backend="swift",finding="unsure"} 1.0' in metrics


def test_a_sound_answer_is_shown_and_nobody_else_is_asked(standin, serve):
    gateway = serve(cascading(standin.url, swift="answer=Paris."))
    reply = ask(gateway)
    assert text_of(reply) == "Paris."
    assert reply.headers["x-thalamus-backend"] == "swift"
    assert reply.headers["x-thalamus-reason"] == "difficulty"
    assert "x-thalamus-attempts" not in reply.headers
    assert len(asked(standin)) == 1


def test_confidence_is_asked_for_and_taken_out_again(standin, serve):
    gateway = serve(cascading(standin.url, swift="answer=Paris.", min_confidence=0.01))
    reply = ask(gateway)
    assert [body.get("logprobs") for body in asked(standin)] == [True]
    assert reply.json()["choices"][0]["logprobs"] is None


def test_whoever_asked_for_logprobs_gets_them(standin, serve):
    gateway = serve(cascading(standin.url, swift="answer=Paris.", min_confidence=0.01))
    reply = ask(gateway, {**EASY, "logprobs": True})
    assert reply.json()["choices"][0]["logprobs"]["content"]


def test_an_answer_of_low_confidence_goes_deep(standin, serve):
    gateway = serve(cascading(standin.url, min_confidence=0.99))
    assert ask(gateway).headers["x-thalamus-attempts"] == "swift=low-confidence, sage=ok"
    assert [body.get("logprobs") for body in asked(standin)] == [True, None]


def test_a_backend_that_cannot_give_logprobs_is_not_asked_for_them(standin, serve):
    gateway = serve(cascading(standin.url, logprobs=False, min_confidence=0.99))
    assert ask(gateway).headers["x-thalamus-backend"] == "swift"
    assert [body.get("logprobs") for body in asked(standin)] == [None]


def test_an_answer_longer_than_is_waited_for_goes_deep_at_its_full_length(standin, serve):
    gateway = serve(cascading(standin.url, swift="tokens=100", sage="tokens=100", probe_tokens=20))
    reply = ask(gateway)
    assert reply.headers["x-thalamus-attempts"] == "swift=cut-off, sage=ok"
    assert [body.get("max_tokens") for body in asked(standin)] == [20, None]
    assert reply.json()["usage"]["completion_tokens"] >= 100


SELF_CHECKS = [("No.", "sage"), ("Yes.", "swift"), ("Perhaps.", "swift"), ("否", "sage"), ("是", "swift")]


@pytest.mark.parametrize(("word", "backend"), SELF_CHECKS)
def test_the_fast_model_may_be_asked_if_it_is_right(standin, self_checking, word, backend):
    standin.behave(answer=word)
    before = self_checking.settled()
    reply = ask(self_checking)
    assert reply.headers["x-thalamus-backend"] == backend
    first, question, *_ = asked(standin)
    assert question["messages"][: len(first["messages"])] == first["messages"]
    assert question["messages"][-2] == {"role": "assistant", "content": word}
    assert question["max_tokens"] <= 16
    record = self_checking.records(before + 1)[-1]
    own = reply.json()["usage"]
    price = PRICES[backend]
    alone = (own["prompt_tokens"] * price["input"] + own["completion_tokens"] * price["output"]) / 1e6
    assert record["cost"] > alone


def test_a_stream_is_not_held_unless_that_is_allowed(standin, doubtful):
    reply = ask(doubtful, {**EASY, "stream": True})
    assert reply.headers["x-thalamus-backend"] == "swift"
    assert [body["stream"] for body in asked(standin)] == [True]


def streamed_text(reply) -> str:
    data = [line.removeprefix("data: ") for line in reply.text.splitlines() if line.startswith("data: ")]
    assert data[-1] == "[DONE]"
    choices = [choice for event in data[:-1] for choice in json.loads(event)["choices"]]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


STREAMS = [("Paris.", "swift", "Paris."), (SHRUG, "sage", "Bern.")]


@pytest.mark.parametrize("stream", [False, True])
def test_hidden_reasoning_stays_hidden_in_an_answer_that_was_held(standin, serve, stream):
    settings = cascading(standin.url, swift="thinking=always", allow_streams=True)
    gateway = serve({**settings, "reasoning": {"show": "hide"}})
    reply = ask(gateway, {**EASY, "stream": stream})
    assert reply.headers["x-thalamus-backend"] == "swift"
    assert "reasoning_content" not in reply.text
    assert "Let" not in (streamed_text(reply) if stream else reply.text)


@pytest.mark.parametrize(("said", "backend", "seen"), STREAMS)
def test_a_held_stream_arrives_as_a_stream(standin, serve, said, backend, seen):
    gateway = serve(cascading(standin.url, swift=f"answer={said}", sage="answer=Bern.", allow_streams=True))
    reply = ask(gateway, {**EASY, "stream": True, "stream_options": {"include_usage": True}})
    assert reply.headers["content-type"].startswith("text/event-stream")
    assert reply.headers["x-thalamus-backend"] == backend
    assert streamed_text(reply) == seen
    assert '"usage":{"' in reply.text.replace(" ", "")
    assert asked(standin)[0].get("stream") is None


NEVER = {
    "a tier by name": ({**EASY, "model": "fast"}, {}),
    "a backend by name": ({**EASY, "model": "swift"}, {}),
    "an effort": ({**EASY, "reasoning_effort": "none"}, {}),
    "a tier by header": (EASY, {"x-thalamus-route": "fast"}),
    "words": ({**EASY, "messages": [{"role": "user", "content": "Quick answer: what is the capital of France?"}]}, {}),
}


@pytest.mark.parametrize(("body", "headers"), NEVER.values(), ids=NEVER)
def test_what_the_caller_chose_is_never_cascaded(standin, doubtful, body, headers):
    reply = ask(doubtful, body, **headers)
    assert text_of(reply) == SHRUG
    assert len(asked(standin)) == 1


def test_a_tool_loop_is_never_cascaded(standin, doubtful):
    call = {"id": "c1", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}
    loop = [
        {"role": "user", "content": "Weather in Paris?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
    ]
    reply = ask(doubtful, {"model": "auto", "messages": loop, "tools": [TOOL], "tool_choice": "none"})
    assert text_of(reply) == SHRUG
    assert len(asked(standin)) == 1


def test_when_nobody_deeper_can_answer_a_doubtful_answer_is_better_than_none(standin, serve):
    gateway = serve(cascading(standin.url, swift=f"answer={SHRUG}", sage="faults=status-500"))
    reply = ask(gateway)
    assert (reply.status_code, text_of(reply)) == (200, SHRUG)
    assert reply.headers["x-thalamus-backend"] == "swift"
    assert reply.headers["x-thalamus-attempts"] == "swift=unsure, sage=upstream_failed"
    (record,) = gateway.records(1)
    own = reply.json()["usage"]
    assert record["cost"] == pytest.approx((own["prompt_tokens"] + own["completion_tokens"] * 2) / 1e6)


def test_a_fast_tier_that_fails_is_routed_around_as_ever(standin, serve):
    gateway = serve(cascading(standin.url, swift="faults=status-503", sage="answer=Paris."))
    reply = ask(gateway)
    assert text_of(reply) == "Paris."
    assert reply.headers["x-thalamus-reason"] == "fallback"


def test_a_refused_probe_is_asked_again_as_the_caller_wrote_it(standin, serve):
    standin.behave(faults=["status-400"], fault_limit=1)
    gateway = serve(cascading(standin.url, min_confidence=0.99))
    reply = ask(gateway)
    assert reply.status_code == 200
    assert reply.headers["x-thalamus-backend"] == "swift"
    assert [body.get("logprobs") for body in asked(standin)] == [True, None]


def test_an_answer_that_failed_is_not_kept_and_one_that_passed_is(standin, serve):
    settings = cascading(standin.url, swift=f"answer={SHRUG}", sage="answer=Paris.")
    gateway = serve({**settings, "cache": {"mode": "exact", "store": "all"}})
    replies = [ask(gateway), ask(gateway)]
    assert [text_of(reply) for reply in replies] == ["Paris.", "Paris."]
    assert [reply.headers["x-thalamus-cache"] for reply in replies] == ["miss", "hit-exact"]
    assert [body["model"].split("@")[0] for body in asked(standin)] == ["swift-1", "sage-1", "swift-1"]


def test_an_unchecked_answer_in_the_cache_is_not_taken_for_a_checked_one(standin, serve):
    settings = cascading(standin.url, swift=f"answer={SHRUG}", sage="answer=Paris.")
    gateway = serve({**settings, "cache": {"mode": "exact", "store": "all"}})
    assert text_of(ask(gateway, {**EASY, "model": "fast"})) == SHRUG
    assert text_of(ask(gateway)) == "Paris."


def test_a_named_route_may_cascade_by_itself(standin, serve):
    settings = cascading(standin.url, swift=f"answer={SHRUG}", sage="answer=Paris.")
    checked = {"when": 'metadata["team"] == "law"', "tier": "fast", "cascade": {"min_confidence": 0}}
    settings["routing"] = {"thresholds": {"balanced": 1.0}, "routes": {"law": checked}}
    gateway = serve(settings)
    assert text_of(ask(gateway)) == SHRUG
    assert text_of(ask(gateway, {**EASY, "metadata": {"team": "law"}})) == "Paris."


def test_a_global_cascade_is_for_those_whom_its_rule_names(standin, serve):
    gateway = serve(cascading(standin.url, swift=f"answer={SHRUG}", sage="answer=Paris.", when="prompt_tokens > 100"))
    assert text_of(ask(gateway)) == SHRUG
    longer = [{"role": "system", "content": "Be kind. " * 60}, *EASY["messages"]]
    assert text_of(ask(gateway, {**EASY, "messages": longer})) == "Paris."


def test_the_explanation_says_that_an_answer_would_be_checked_and_that_a_stream_would_not(standin, serve):
    gateway = serve(cascading(standin.url, min_confidence=0.8))
    with gateway.client() as client:
        whole = client.post("/v1/route", json=EASY).json()
        stream = client.post("/v1/route", json={**EASY, "stream": True}).json()
    step = next(step for step in whole["steps"] if step["rule"] == "cascade")
    assert "confidence ≥ 0.80" in step["saw"]
    assert [target["backend"] for target in whole["escalates_to"]] == ["sage"]
    assert stream["escalates_to"] == []
    assert {"rule": "cascade", "saw": "streams are not held back", "did": "not checked"} in stream["steps"]
    assert asked(standin) == []
