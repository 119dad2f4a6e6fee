"""The Messages API through the real gateway: what the backend gets, what the client gets, what goes wrong."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import pytest

from tests.gateway.serving import running_gateway, settings_over

Json = dict[str, Any]

HELLO: Json = {"model": "auto", "max_tokens": 300, "messages": [{"role": "user", "content": "Hello there"}]}
TOOL = {"name": "get_weather", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}}
THINKING = {"type": "enabled", "budget_tokens": 2048}

CLAUDE_CODE: Json = {
    "model": "claude-opus-4-6",
    "system": [
        {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1.36.0d9; cc_entrypoint=cli; cch=fa690;"},
        {"type": "text", "text": "You are a coding agent.", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
    ],
    "messages": [
        {"role": "user", "content": "Tools may be deferred."},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "<system-reminder>Be careful.</system-reminder>"},
                {"type": "text", "text": "List the files", "cache_control": {"type": "ephemeral"}},
            ],
        },
    ],
    "tools": [{**TOOL, "name": f"Tool{number}", "description": "x" * 400} for number in range(40)],
    "metadata": {"user_id": f"user_{'0' * 64}_account_1f0c_session_4711"},
    "max_tokens": 32000,
    "thinking": {"type": "adaptive"},
    "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
    "output_config": {"effort": "high"},
    "stream": True,
}
"""The shape of Claude Code's requests, as its users have published them."""

BETAS = {
    "anthropic-version": "2023-06-01",
    "anthropic-beta": "claude-code-20250219,interleaved-thinking-2025-05-14,effort-2025-11-24",
    "x-app": "cli",
}


def bodies(standin) -> list[Json]:
    return [request["body"] for request in standin.requests() if request["path"] == "/v1/chat/completions"]


def events(answer) -> list[Json]:
    blocks = answer.text.removesuffix("\n\n").split("\n\n")
    read = [dict(line.split(": ", 1) for line in block.splitlines()) for block in blocks]
    for event in read:
        assert json.loads(event["data"])["type"] == event["event"]
    return [json.loads(event["data"]) for event in read]


def kinds(told: list[Json]) -> list[str]:
    """Give the kinds of events in their order, repetitions and pings left out."""
    names = [event["type"] for event in told if event["type"] != "ping"]
    return [name for place, name in enumerate(names) if place == 0 or names[place - 1] != name]


def content(answer) -> list[Json]:
    """Give the blocks of an answer, plain or streamed."""
    if answer.headers["content-type"] == "application/json":
        return answer.json()["content"]
    blocks: list[Json] = []
    for event in events(answer):
        if event["type"] == "content_block_start":
            blocks.append(event["content_block"])
        elif event["type"] == "content_block_delta":
            name = next(name for name in event["delta"] if name != "type")
            blocks[-1][name] = blocks[-1].get(name, "") + event["delta"][name]
    return blocks


def test_a_plain_message_comes_with_the_decision_in_its_headers(gateway, standin):
    with gateway.client() as client:
        answer = client.post("/v1/messages", json=HELLO)
    assert answer.status_code == 200
    message = answer.json()
    assert (message["type"], message["role"], message["model"]) == ("message", "assistant", "swift-1")
    assert message["content"][0]["text"].endswith(": Hello there")
    assert (message["stop_reason"], message["stop_sequence"]) == ("end_turn", None)
    assert message["usage"]["input_tokens"] > 0 < message["usage"]["output_tokens"]
    assert answer.headers["x-thalamus-tier"] == "fast"
    assert answer.headers["request-id"] == answer.headers["x-thalamus-decision-id"]


def test_a_stream_says_the_same_in_the_official_order(gateway, standin):
    with gateway.client() as client:
        plain = client.post("/v1/messages", json=HELLO).json()
        told = events(client.post("/v1/messages", json={**HELLO, "stream": True}))
    assert kinds(told) == [
        "message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta",
        "message_stop",
    ]  # fmt: skip
    assert told[1] == {"type": "ping"}
    pieces = [event["delta"]["text"] for event in told if event["type"] == "content_block_delta"]
    assert "".join(pieces) == plain["content"][0]["text"]
    assert told[-2] == {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn", "stop_sequence": None},
        "usage": plain["usage"],
    }


def test_events_arrive_as_the_backend_writes_them(gateway, standin):
    standin.behave(tokens=20, token_ms=10)
    with (
        gateway.client() as client,
        client.stream("POST", "/v1/messages", json={**HELLO, "stream": True}) as answer,
    ):
        assert answer.headers["content-type"].startswith("text/event-stream")
        arrivals = [time.monotonic() for line in answer.iter_lines() if line.startswith("data: ")]
    assert arrivals[-1] - arrivals[0] > 0.1, "the events were held back"


def test_usage_is_recorded_under_the_endpoints_own_name(gateway, standin):
    before = gateway.settled()
    with gateway.client() as client:
        usage = client.post("/v1/messages", json=HELLO).json()["usage"]
    record = gateway.records(before + 1)[-1]
    assert record["endpoint"] == "messages"
    assert (record["tokens_in"], record["tokens_out"]) == (usage["input_tokens"], usage["output_tokens"])


def test_claude_codes_requests_are_served_by_an_alias(serve, standin):
    gateway = serve(settings_over(standin.url, aliases={"claude-opus-4-6": "auto"}))
    with gateway.client() as client:
        answer = client.post("/v1/messages?beta=true", json=CLAUDE_CODE, headers=BETAS)
        count = {name: CLAUDE_CODE[name] for name in ("model", "system", "messages", "tools")}
        counted = client.post("/v1/messages/count_tokens?beta=true", json=count, headers=BETAS)
    assert events(answer)[-1] == {"type": "message_stop"}
    assert answer.headers["x-thalamus-reason"] != "client", "an adaptive request leaves the choice to the router"
    (body,) = bodies(standin)
    assert body["messages"][0] == {"role": "system", "content": "You are a coding agent."}
    assert [part["text"] for part in body["messages"][1]["content"]][2] == "List the files"
    assert len(body["tools"]) == 40
    assert "cache_control" not in json.dumps(body)
    assert len(body["user"]) <= 64
    assert counted.json()["input_tokens"] > 4000
    assert counted.headers["x-thalamus-tokens"] == "estimated"


def test_a_session_of_claude_code_is_known_again(serve, standin):
    gateway = serve(settings_over(standin.url, aliases={"claude-opus-4-6": "auto"}))
    hard = "Prove that there are infinitely many primes, step by step. Think hard."
    first = {**CLAUDE_CODE, "messages": [{"role": "user", "content": hard}], "stream": False}
    with gateway.client() as client:
        opened = client.post("/v1/messages", json=first)
        said = {"role": "assistant", "content": opened.json()["content"]}
        changed = [{"type": "text", "text": "x-anthropic-billing-header: cch=00001;"}, CLAUDE_CODE["system"][1]]
        turns = [*first["messages"], said, {"role": "user", "content": "Go on."}]
        followed = client.post("/v1/messages", json={**first, "system": changed, "messages": turns})
    assert opened.headers["x-thalamus-backend"] == "sage"
    assert followed.headers["x-thalamus-backend"] == "sage"
    users = {body["user"] for body in bodies(standin)}
    systems = {body["messages"][0]["content"] for body in bodies(standin)}
    assert (len(users), len(systems)) == (1, 1), "a backend's prefix cache needs the same beginning every time"


@pytest.mark.parametrize("stream", [False, True])
def test_thinking_is_shown_to_those_who_ask_and_hidden_from_others(gateway, standin, stream):
    standin.behave(thinking="always")
    deep = {**HELLO, "model": "deep", "max_tokens": 4000, "stream": stream}
    with gateway.client() as client:
        asked = content(client.post("/v1/messages", json={**deep, "thinking": THINKING}))
        omitted = content(client.post("/v1/messages", json={**deep, "thinking": {**THINKING, "display": "omitted"}}))
        silent = content(client.post("/v1/messages", json=deep))
    assert [block["type"] for block in asked] == ["thinking", "text"]
    assert asked[0]["thinking"].startswith("Let me think")
    assert omitted == [{**asked[0], "thinking": ""}, asked[1]]
    assert silent == [asked[1]]


def test_a_tool_loop_with_thinking_ends_in_words(gateway, standin):
    standin.behave(thinking="always")
    turns: list[Json] = [{"role": "user", "content": "What is the weather in Paris?"}]
    ask = {**HELLO, "model": "deep", "max_tokens": 4000, "thinking": THINKING, "tools": [TOOL]}
    with gateway.client() as client:
        called = client.post("/v1/messages", json={**ask, "messages": turns}).json()
        assert called["stop_reason"] == "tool_use"
        thought, use = called["content"]
        result = {"type": "tool_result", "tool_use_id": use["id"], "content": "Rain"}
        turns += [{"role": "assistant", "content": called["content"]}, {"role": "user", "content": [result]}]
        answered = client.post("/v1/messages", json={**ask, "messages": turns}).json()
    assert answered["stop_reason"] == "end_turn"
    assert "Rain" in answered["content"][-1]["text"]
    _, assistant, tool = bodies(standin)[-1]["messages"]
    assert thought["type"] == "thinking"
    assert assistant["tool_calls"][0]["id"] == use["id"] == tool["tool_call_id"]
    assert json.loads(assistant["tool_calls"][0]["function"]["arguments"]) == use["input"]


def test_a_budget_is_applied_and_told(gateway, standin):
    with gateway.client() as client:
        answer = client.post("/v1/messages", json={**HELLO, "thinking": {"type": "enabled", "budget_tokens": 16000}})
        off = client.post("/v1/messages", json={**HELLO, "model": "deep", "thinking": {"type": "disabled"}})
    assert answer.headers["x-thalamus-thinking"].startswith("asked=high")
    assert answer.headers["x-thalamus-backend"] == "sage"
    assert off.headers["x-thalamus-thinking"].startswith("asked=none")


REFUSALS = [
    ({"model": "claude-9"}, 404, "not_found_error"),
    ({"max_tokens": "many"}, 400, "invalid_request_error"),
    ({"messages": []}, 400, "invalid_request_error"),
    ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, 400, "invalid_request_error"),
    ({"messages": [{"role": "user", "content": "x" * 70_000}]}, 413, "request_too_large"),
]


@pytest.fixture(scope="module")
def guarded(session_standin, tmp_path_factory):
    """A gateway with keys and a small limit on bodies."""
    keys = [{"name": "ada", "key": "sk-ada"}, {"name": "bob", "key": "sk-bob", "models": ["fast"]}]
    settings = settings_over(session_standin.url, keys=keys, server={"max_body_bytes": 64 * 1024})
    with running_gateway(settings, tmp_path_factory.mktemp("guarded")) as running:
        yield running


@pytest.mark.parametrize(("changes", "status", "kind"), REFUSALS)
def test_what_cannot_be_served_is_refused_in_anthropics_shape_and_nobody_is_called(
    guarded, standin, changes, status, kind
):
    with guarded.client(headers={"x-api-key": "sk-ada"}) as client:
        answer = client.post("/v1/messages", json={**HELLO, **changes})
    assert answer.status_code == status
    assert (answer.json()["type"], answer.json()["error"]["type"]) == ("error", kind)
    assert answer.headers["request-id"]
    assert not bodies(standin)


KEYS = [
    ({"x-api-key": "sk-ada"}, 200, None),
    ({"authorization": "Bearer sk-ada"}, 200, None),
    ({"authorization": "Bearer sk-ada", "x-api-key": "sk-nobody"}, 200, None),
    ({"authorization": "Bearer sk-nobody", "x-api-key": "sk-ada"}, 401, "authentication_error"),
    ({"x-api-key": "sk-nobody"}, 401, "authentication_error"),
    ({"x-api-key": ""}, 401, "authentication_error"),
    ({}, 401, "authentication_error"),
    ({"x-api-key": "sk-bob"}, 403, "permission_error"),
]


@pytest.mark.parametrize(("headers", "status", "kind"), KEYS)
@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/count_tokens"])
def test_a_key_is_taken_from_either_header(guarded, standin, headers, status, kind, path):
    with guarded.client(headers=headers) as client:
        answer = client.post(path, json=HELLO)
    assert answer.status_code == status
    if kind is not None:
        assert answer.json()["error"]["type"] == kind
        assert "sk-" not in answer.text


def test_a_key_in_anthropics_header_opens_the_other_endpoints_as_well(guarded, standin):
    with guarded.client(headers={"x-api-key": "sk-ada"}) as client:
        answer = client.post("/v1/chat/completions", json=HELLO)
    assert answer.status_code == 200


FAILURES = [
    ("status-500", 502, "api_error"),
    ("status-429", 429, "rate_limit_error"),
    ("status-401", 502, "api_error"),
    ("status-408", 504, "timeout_error"),
    ("reset-before-headers", 502, "api_error"),
]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("fault", "status", "kind"), FAILURES, ids=[case[0] for case in FAILURES])
def test_a_backend_that_fails_before_its_first_byte_is_told_as_such(gateway, standin, fault, status, kind, stream):
    standin.behave(faults=[fault])
    with gateway.client() as client:
        answer = client.post("/v1/messages", json={**HELLO, "model": "sage", "stream": stream})
    assert (answer.status_code, answer.json()["error"]["type"]) == (status, kind)


@pytest.mark.parametrize("fault", ["reset-mid-stream", "close-mid-stream", "error-event", "not-json"])
def test_a_stream_that_breaks_ends_in_an_error_event(gateway, standin, fault):
    standin.behave(faults=[fault], tokens=10)
    with gateway.client() as client:
        told = events(client.post("/v1/messages", json={**HELLO, "model": "sage", "stream": True}))
    assert told[0]["type"] == "message_start"
    assert (told[-1]["type"], told[-1]["error"]["type"]) == ("error", "api_error")


def test_a_backend_that_does_not_count_is_estimated(gateway, standin):
    standin.behave(faults=["no-usage"])
    with gateway.client() as client:
        plain = client.post("/v1/messages", json=HELLO).json()
        told = events(client.post("/v1/messages", json={**HELLO, "stream": True}))
    assert plain["usage"]["estimated"] is True
    assert told[-2]["usage"] == plain["usage"]
    assert plain["usage"]["output_tokens"] > 0


@pytest.mark.parametrize("framing", ["crlf", "coalesced", "split", "bom", "named", "commented"])
def test_every_lawful_framing_passes(gateway, standin, framing):
    standin.behave(framing=[framing], tokens=5)
    with gateway.client() as client:
        told = events(client.post("/v1/messages", json={**HELLO, "stream": True}))
    assert sum(event["type"] == "content_block_delta" for event in told) == 5
    assert told[-1]["type"] == "message_stop"


def test_a_client_that_leaves_ends_the_backends_answer(gateway, standin):
    standin.behave(tokens=1000, token_ms=20)
    with (
        gateway.client() as client,
        client.stream("POST", "/v1/messages", json={**HELLO, "stream": True}) as answer,
    ):
        next(answer.iter_lines())
    deadline = time.monotonic() + 2
    while not standin.requests()[-1]["client_left"]:
        assert time.monotonic() < deadline, "the backend was not left"
        time.sleep(0.02)


def test_many_streams_side_by_side_stay_apart(gateway, standin):
    standin.behave(token_ms=2)
    texts: dict[int, str] = {}

    def ask(number: int) -> None:
        body = {**HELLO, "messages": [{"role": "user", "content": f"Say {number}"}], "stream": True}
        with gateway.client() as client:
            told = events(client.post("/v1/messages", json=body))
        texts[number] = "".join(e["delta"]["text"] for e in told if e["type"] == "content_block_delta")

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(texts[number].endswith(f"Say {number}") for number in range(10))


@pytest.mark.parametrize("stream", [False, True])
def test_a_kept_answer_is_told_again(serve, standin, stream):
    gateway = serve(settings_over(standin.url, cache={"mode": "exact", "store": "all"}))
    with gateway.client() as client:
        first = client.post("/v1/messages", json={**HELLO, "stream": stream})
        again = client.post("/v1/messages", json={**HELLO, "stream": stream})
    assert (first.headers["x-thalamus-cache"], again.headers["x-thalamus-cache"]) == ("miss", "hit-exact")
    assert content(again) == content(first) != []
    assert len(bodies(standin)) == 1


def test_count_tokens_calls_nobody_and_says_that_it_estimates(gateway, standin):
    ask = {name: HELLO[name] for name in ("model", "messages")}
    with gateway.client() as client:
        short = client.post("/v1/messages/count_tokens", json=ask)
        long = client.post("/v1/messages/count_tokens", json={**ask, "system": "word " * 400})
        unknown = client.post("/v1/messages/count_tokens", json={**ask, "model": "claude-9"})
    assert short.headers["x-thalamus-tokens"] == "estimated"
    assert short.json().keys() == {"input_tokens"}
    assert long.json()["input_tokens"] > short.json()["input_tokens"] + 400
    assert unknown.json()["error"]["type"] == "not_found_error"
    assert not bodies(standin)
