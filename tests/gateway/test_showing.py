"""How much of the reasoning a caller sees: the operator's word, the key's, the caller's own, on every surface."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from tests.gateway.serving import settings_over
from tests.unit.gateway.redis_server import running_redis

THOUGHT = "Let me think"
"""How the stand-in's reasoning begins."""

THINK = {"thinking": "always"}
QUESTION = "How are you today?"
TOOL = {"name": "get_weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}
SURFACES: dict[str, tuple[str, dict[str, Any]]] = {
    "chat": ("/v1/chat/completions", {"messages": [{"role": "user", "content": QUESTION}]}),
    "responses": ("/v1/responses", {"input": QUESTION, "store": False}),
    "messages": (
        "/v1/messages",
        {
            "messages": [{"role": "user", "content": QUESTION}],
            "max_tokens": 4000,
            "thinking": {"type": "enabled", "budget_tokens": 2048},
        },
    ),
}


def ask(gateway, surface, *, stream=False, key=None, show=None, headers=None, **fields):
    path, body = SURFACES[surface]
    asked = {"model": "sage", **body, "stream": stream, **fields}
    if stream and surface == "chat":
        asked["stream_options"] = {"include_usage": True}
    sent = dict(headers or {})
    sent |= {"authorization": f"Bearer {key}"} if key else {}
    sent |= {"x-thalamus-reasoning": show} if show else {}
    with gateway.client() as client:
        answer = client.post(path, json=asked, headers=sent)
    assert answer.status_code == 200, answer.text
    return answer


def events(answer):
    lines = (line[6:] for line in answer.text.splitlines() if line.startswith("data: {"))
    return [json.loads(line) for line in lines]


def told_of(answer):
    """Give all that a client was told, the pieces of a stream joined."""
    if not answer.headers["content-type"].startswith("text/event-stream"):
        return answer.text
    told = []
    for event in events(answer):
        deltas = [choice["delta"] for choice in event.get("choices") or ()] or [event.get("delta", {})]
        for delta in deltas:
            told += (
                [delta[name] for name in delta if name not in ("type", "role")] if isinstance(delta, dict) else [delta]
            )
    return "".join(value for value in told if isinstance(value, str)) + answer.text


def usage_of(answer, surface, stream):
    """Give what the usage says of reasoning: how many tokens, and whether that is an estimate."""
    if not stream:
        usage = answer.json()["usage"]
    elif surface == "responses":
        usage = events(answer)[-1]["response"]["usage"]
    else:
        usage = next(event["usage"] for event in reversed(events(answer)) if event.get("usage"))
    details = usage.get("completion_tokens_details") or usage.get("output_tokens_details") or {}
    tokens = details.get("reasoning_tokens") or details.get("thinking_tokens")
    estimated = details.get("reasoning_tokens_estimated") or details.get("thinking_tokens_estimated") or False
    return tokens, estimated


def shape_of(answer, surface, stream):
    """Say what stands where the reasoning would: `text`, `empty` (a place without text), `count`, or `nothing`."""
    if surface == "chat":
        choices = [choice for event in events(answer) for choice in event["choices"]] if stream else []
        messages = [choice["delta"] for choice in choices] or [answer.json()["choices"][0]["message"]]
        if any(message.get("reasoning_content") for message in messages):
            return "text"
        return "count" if any("reasoning_summary" in message for message in messages) else "nothing"
    if surface == "responses":
        output = events(answer)[-1]["response"]["output"] if stream else answer.json()["output"]
        items = [item for item in output if item["type"] == "reasoning"]
        if not items:
            return "nothing"
        return "text" if items[0].get("content") or items[0]["summary"] else "empty"
    blocks = [event["content_block"] for event in events(answer) if event["type"] == "content_block_start"]
    blocks = blocks if stream else answer.json()["content"]
    thinking = [block for block in blocks if block["type"] == "thinking"]
    return "nothing" if not thinking else "text" if THOUGHT in told_of(answer) else "empty"


EXPECTED = {
    ("chat", "pass"): "text",
    ("chat", "count"): "count",
    ("chat", "hide"): "nothing",
    ("responses", "pass"): "text",
    ("responses", "count"): "empty",
    ("responses", "hide"): "empty",
    ("messages", "pass"): "text",
    ("messages", "count"): "empty",
    ("messages", "hide"): "nothing",
}
by_stream = pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])


@by_stream
@pytest.mark.parametrize("field", ["reasoning", "inline"])
@pytest.mark.parametrize(("surface", "show"), EXPECTED)
def test_a_caller_sees_as_much_as_it_asks_for_and_the_usage_tells_all(gateway, standin, surface, show, field, stream):
    standin.behave(**THINK, thinking_field=field)
    answer = ask(gateway, surface, stream=stream, show=show)
    assert shape_of(answer, surface, stream) == EXPECTED[surface, show]
    assert (THOUGHT in told_of(answer)) is (show == "pass")
    tokens, _ = usage_of(answer, surface, stream)
    assert tokens == 8


@by_stream
@pytest.mark.parametrize("show", ["pass", "hide"])
@pytest.mark.parametrize("surface", SURFACES)
def test_reasoning_that_the_backend_does_not_count_is_estimated_and_marked(gateway, standin, surface, show, stream):
    standin.behave(**THINK, thinking_counted=False, thinking_tokens=40)
    tokens, estimated = usage_of(ask(gateway, surface, stream=stream, show=show), surface, stream)
    assert estimated is True
    assert 20 <= tokens <= 60


@by_stream
@pytest.mark.parametrize("surface", ["responses", "messages"])
def test_usage_is_estimated_as_a_whole_where_the_backend_counts_nothing(gateway, standin, surface, stream):
    standin.behave(**THINK, faults=["no-usage"], thinking_tokens=40)
    answer = ask(gateway, surface, stream=stream)
    final = (
        (events(answer)[-1]["response"] if surface == "responses" else events(answer)[-2]) if stream else answer.json()
    )
    assert final["usage"]["estimated"] is True
    assert final["usage"]["output_tokens"] > 40
    tokens, estimated = usage_of(answer, surface, stream)
    assert (estimated, 20 < tokens < 60) == (True, True)


WISHES = [
    ("chat", {"include_reasoning": False}),
    ("chat", {"reasoning": {"exclude": True}}),
    ("chat", {"reasoning": {"exclude": True, "effort": "high"}}),
    ("responses", {"include_reasoning": False}),
    ("responses", {"reasoning": {"exclude": True}}),
]


@by_stream
@pytest.mark.parametrize(("surface", "wish"), WISHES)
def test_the_words_of_openrouter_and_vllm_hide_it_here_and_not_at_the_backend(gateway, standin, surface, wish, stream):
    standin.behave(**THINK)
    answer = ask(gateway, surface, stream=stream, **wish)
    assert shape_of(answer, surface, stream) == EXPECTED[surface, "hide"]
    sent = standin.requests()[-1]["body"]
    assert "include_reasoning" not in sent
    assert "exclude" not in (sent.get("reasoning") or {})


@pytest.mark.parametrize("wish", [{"include_reasoning": True}, {"reasoning": {"exclude": False}}])
def test_a_wish_to_see_it_travels_on_as_it_is(gateway, standin, wish):
    standin.behave(**THINK)
    assert shape_of(ask(gateway, "chat", **wish), "chat", False) == "text"
    ((name, value),) = wish.items()
    assert standin.requests()[-1]["body"][name] == value


def test_the_least_of_what_operator_key_and_caller_say_is_shown(serve, standin):
    standin.behave(**THINK)
    keys = [
        {"name": "plain", "key": "k-plain"},
        {"name": "open", "key": "k-open", "reasoning": "pass"},
        {"name": "closed", "key": "k-closed", "reasoning": "hide"},
    ]
    gateway = serve(settings_over(standin.url, keys=keys, reasoning={"show": "count"}))
    cases = {
        ("k-plain", None): "count",
        ("k-plain", "pass"): "count",
        ("k-plain", "hide"): "nothing",
        ("k-open", None): "text",
        ("k-open", "count"): "count",
        ("k-closed", "pass"): "nothing",
    }
    seen = {(key, show): shape_of(ask(gateway, "chat", key=key, show=show), "chat", False) for key, show in cases}
    assert seen == cases


@by_stream
def test_both_names_are_given_where_the_operator_wants_them(serve, standin, stream):
    standin.behave(**THINK, thinking_field="reasoning")
    gateway = serve(settings_over(standin.url, reasoning={"both_names": True}))
    answer = ask(gateway, "chat", stream=stream)
    parts = [choice["delta"] for event in events(answer) for choice in event["choices"]] if stream else []
    parts = parts or [answer.json()["choices"][0]["message"]]
    names = {name: "".join(part.get(name) or "" for part in parts) for name in ("reasoning", "reasoning_content")}
    assert names["reasoning"] == names["reasoning_content"] != ""
    assert "reasoning" not in ask(gateway, "chat", show="hide").json()["choices"][0]["message"]


def test_an_unknown_word_in_the_header_is_refused(gateway, standin):
    for surface, (path, body) in SURFACES.items():
        with gateway.client() as client:
            answer = client.post(path, json={"model": "sage", **body}, headers={"x-thalamus-reasoning": "some"})
        assert answer.status_code == 400, surface
        assert "pass, hide, count" in answer.json()["error"]["message"]
    assert not standin.requests()


@pytest.fixture(params=["memory", "redis"])
def caching(request, serve, standin):
    """A gateway that keeps answers, whose backend thinks."""
    standin.behave(**THINK, thinking_field="reasoning")
    cache = {"mode": "exact", "store": "all", "replay_pace": "full"}
    if request.param == "memory":
        yield serve(settings_over(standin.url, cache=cache))
        return
    with running_redis() as redis:
        yield serve(settings_over(standin.url, cache=cache, redis={"url": redis.url, "deadline_ms": 1000}))


MODES = [(show, stream) for show in ("hide", "count", "pass") for stream in (False, True)]


def test_a_kept_answer_is_shown_as_each_caller_sees_it_whoever_asked_first(caching, standin):
    for number, first in enumerate(MODES):
        question = {"messages": [{"role": "user", "content": f"How are you, number {number}?"}]}
        ask(caching, "chat", show=first[0], stream=first[1], **question)
        for show, stream in MODES:
            answer = until_kept(caching, "chat", show=show, stream=stream, **question)
            assert shape_of(answer, "chat", stream) == EXPECTED["chat", show], (first, show, stream)
            assert usage_of(answer, "chat", stream)[0] == 8
            assert '"reasoning":' not in answer.text


def until_kept(*asked, **how):
    """Ask until the cache answers: with Redis, an answer is kept a moment after its client has it."""
    deadline = time.monotonic() + 5
    while (answer := ask(*asked, **how)).headers["x-thalamus-cache"] != "hit-exact":
        assert time.monotonic() < deadline, "the answer was never kept"
        time.sleep(0.02)
    return answer


@pytest.mark.parametrize("show", ["hide", "count"])
def test_hidden_reasoning_reaches_the_vault_and_returns_to_the_model(serve, standin, show):
    settings = settings_over(standin.url, reasoning={"show": show})
    settings["backends"]["sage"] |= {"model": "deepseek-reasoner", "family": "deepseek-v3.2", "host": "deepseek"}
    gateway = serve(settings)
    for surface in SURFACES:
        for stream in (False, True):
            tools = {"tools": [tool_for(surface)]}
            standin.behave(**THINK, tool_calls=1)
            called = call_of(ask(gateway, surface, stream=stream, **tools), surface, stream)
            standin.behave(**THINK, tool_calls=0)
            ask(gateway, surface, stream=stream, **tools, **answer_to(called, surface))
            messages = standin.requests()[-1]["body"]["messages"]
            assert THOUGHT in messages[1]["reasoning_content"], (surface, stream)


def tool_for(surface):
    if surface == "chat":
        return {"type": "function", "function": TOOL}
    if surface == "responses":
        return {"type": "function", **TOOL}
    return {"name": TOOL["name"], "input_schema": TOOL["parameters"]}


def call_of(answer, surface, stream):
    """Give the model's call as its surface tells it."""
    if surface == "chat":
        if not stream:
            return answer.json()["choices"][0]["message"]["tool_calls"][0]
        pieces = [
            call
            for event in events(answer)
            for choice in event["choices"]
            for call in choice["delta"].get("tool_calls") or ()
        ]
        function = {"name": TOOL["name"], "arguments": "".join(piece["function"]["arguments"] for piece in pieces)}
        return {"id": pieces[0]["id"], "type": "function", "function": function}
    if surface == "responses":
        output = events(answer)[-1]["response"]["output"] if stream else answer.json()["output"]
        return next(item for item in output if item["type"] == "function_call")
    if not stream:
        return next(block for block in answer.json()["content"] if block["type"] == "tool_use")
    block = next(e["content_block"] for e in events(answer) if e.get("content_block", {}).get("type") == "tool_use")
    written = "".join(e["delta"]["partial_json"] for e in events(answer) if "partial_json" in e.get("delta", {}))
    return {**block, "input": json.loads(written)}


def answer_to(call, surface):
    """Give the conversation that goes on with the call's result, less all reasoning."""
    user = {"role": "user", "content": QUESTION}
    if surface == "chat":
        assistant = {"role": "assistant", "content": None, "tool_calls": [call]}
        return {"messages": [user, assistant, {"role": "tool", "tool_call_id": call["id"], "content": "rain"}]}
    if surface == "responses":
        return {"input": [user, call, {"type": "function_call_output", "call_id": call["call_id"], "output": "rain"}]}
    result = {"type": "tool_result", "tool_use_id": call["id"], "content": "rain"}
    return {"messages": [user, {"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}]}


def test_a_response_with_hidden_reasoning_is_gone_on_from_with_it_and_never_shows_it(serve, standin):
    settings = settings_over(standin.url, reasoning={"show": "hide"}, vault={"enabled": False})
    settings["backends"]["sage"] |= {"model": "deepseek-reasoner", "family": "deepseek-v3.2", "host": "deepseek"}
    gateway = serve(settings)
    standin.behave(**THINK, tool_calls=1)
    first = ask(gateway, "responses", tools=[tool_for("responses")], store=True).json()
    call = next(item for item in first["output"] if item["type"] == "function_call")
    output = {"type": "function_call_output", "call_id": call["call_id"], "output": "rain"}
    standin.behave(**THINK, tool_calls=0)
    second = ask(
        gateway,
        "responses",
        input=[output],
        previous_response_id=first["id"],
        tools=[tool_for("responses")],
        store=True,
    ).json()
    assert THOUGHT in standin.requests()[-1]["body"]["messages"][1]["reasoning_content"]
    with gateway.client() as client:
        fetched = client.get(f"/v1/responses/{first['id']}")
        listed = client.get(f"/v1/responses/{second['id']}/input_items")
    assert fetched.json() == first
    assert THOUGHT not in told_of(fetched) + told_of(listed)
    assert [item["type"] for item in listed.json()["data"]].count("reasoning") == 1
