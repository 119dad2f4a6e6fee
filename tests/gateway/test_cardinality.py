"""Nothing that a caller can make up becomes a series of metrics, however many make it up."""

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.gateway.serving import running_gateway, settings_over

HELLO = {"model": "auto", "messages": [{"role": "user", "content": "Hello there"}]}


def made_up(word: str):
    """Give requests in which `word` stands wherever a caller may write what it likes."""
    chat, json = "/v1/chat/completions", lambda **fields: {"json": {**HELLO, **fields}}
    yield "POST", chat, json(model=word)
    yield "POST", chat, json(model=f"auto@{word}")
    yield "POST", chat, json(user=word, metadata={word: word}, prompt_cache_key=word, safety_identifier=word)
    yield "POST", chat, json(reasoning_effort=word)
    yield "POST", chat, json(messages=[{"role": "user", "content": f"Say {word} in Klingon, {word}!"}])
    yield "POST", chat, json(messages=[{"role": word, "content": "Hello"}])
    yield "POST", chat, json(service_tier=word, stream=True)
    yield "POST", chat, json(tools=[{"type": "function", "function": {"name": word, "parameters": {}}}])
    for name in ("session", "route", "dial", "priority", "cache", "reasoning", "resumable"):
        yield "POST", chat, json() | {"headers": {f"x-thalamus-{name}": word}}
    yield "POST", chat, json() | {"headers": {"user-agent": word, "traceparent": word, "x-stainless-lang": word}}
    yield "POST", chat, json() | {"headers": {"authorization": f"Bearer {word}", "x-api-key": word}}
    yield "POST", "/v1/responses", {"json": {"model": word, "input": "Hello"}}
    yield "POST", "/v1/responses", {"json": {"model": "auto", "input": "Hello", "previous_response_id": word}}
    yield "POST", "/v1/messages", {"json": {**HELLO, "max_tokens": 9, "metadata": {"user_id": word}}}
    yield "POST", "/v1/embeddings", {"json": {"model": word, "input": "Hello"}}
    yield "POST", "/v1/feedback", {"json": {"decision_id": word, "verdict": word, "rating": word}}
    yield "POST", f"/v1/{word}", {"json": {}}
    yield "GET", f"/{word}", {}
    yield "GET", f"/v1/responses/{word}", {}
    yield "GET", f"/v1/streams/{word}", {}
    yield "GET", f"/v1/models/{word}", {}
    yield "DELETE", f"/v1/responses/{word}", {}
    yield word.upper(), chat, {}


@pytest.fixture(scope="module")
def counting(session_standin, tmp_path_factory):
    limits = [{"tier": "deep", "window_s": 60, "calls": 1000}]
    settings = settings_over(session_standin.url, limits=limits, cache={"mode": "exact", "store": "all"})
    with running_gateway(settings, tmp_path_factory.mktemp("counting")) as running:
        yield running


def series(gateway) -> set[tuple[str, ...]]:
    gateway.settled()
    with gateway.client() as client:
        families = text_string_to_metric_families(client.get("/metrics").text)
        return {(one.name, *map(str, sorted(one.labels.items()))) for family in families for one in family.samples}


def send_all(gateway, word: str) -> None:
    with gateway.client() as client:
        for method, path, options in made_up(word):
            answer: httpx.Response = client.request(method, path, **options)
            assert answer.status_code < 500, (method, path, answer.text)


def test_what_callers_make_up_makes_no_series(counting, standin):
    send_all(counting, "zebra")
    known = series(counting)
    assert known
    for number in range(4):
        send_all(counting, f"invented{number}")
    found = series(counting)
    assert not found - known
    assert not [one for one in found if "invented" in str(one) or "zebra" in str(one)]
