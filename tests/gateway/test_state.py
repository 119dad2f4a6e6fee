"""What outlives a request: conversations, limits and kept answers, in the process and in a real Redis."""

import json
import time

import pytest

from tests.gateway.serving import settings_over
from tests.unit.gateway.redis_server import running_redis

CALL = {
    "role": "assistant",
    "content": None,
    "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "look_up", "arguments": "{}"}}],
}
RESULT = {"role": "tool", "tool_call_id": "c1", "content": "42"}
TOOLS = [{"type": "function", "function": {"name": "look_up", "parameters": {"type": "object", "properties": {}}}}]


def ask(gateway, *messages, headers=None, **body):
    listed = [{"role": "user", "content": message} if isinstance(message, str) else message for message in messages]
    with gateway.client() as client:
        return client.post(
            "/v1/chat/completions", json={"model": "auto", "messages": listed, **body}, headers=headers or {}
        )


@pytest.fixture(params=["memory", "redis"])
def stateful(request, serve, standin):
    if request.param == "memory":
        yield lambda **changes: serve(settings_over(standin.url, **changes))
        return
    with running_redis() as redis:
        # A deadline for a busy test machine; the outage test below keeps the default.
        settings = {"url": redis.url, "deadline_ms": 1000}
        yield lambda **changes: serve(settings_over(standin.url, redis=settings, **changes))


def until_hit(gateway, **body):
    """Ask until the cache answers: with Redis, an answer is kept a moment after its client has it."""
    deadline = time.monotonic() + 5
    while (answer := ask(gateway, "hello", **body)).headers["x-thalamus-cache"] != "hit-exact":
        assert time.monotonic() < deadline, "the answer was never kept"
        time.sleep(0.05)
    return answer


def test_a_tool_loop_stays_with_the_model_that_began_it(stateful):
    gateway = stateful()
    first = ask(gateway, "Think hard: what does the table say?", tools=TOOLS)
    assert (first.headers["x-thalamus-tier"], first.headers["x-thalamus-reason"]) == ("deep", "intent-up")
    step = ask(gateway, "Think hard: what does the table say?", CALL, RESULT, tools=TOOLS)
    assert (step.headers["x-thalamus-tier"], step.headers["x-thalamus-reason"]) == ("deep", "sticky")


def test_conversations_are_told_apart_by_their_header(stateful):
    gateway = stateful()
    ask(gateway, "Think hard: what does the table say?", tools=TOOLS, headers={"x-thalamus-session": "one"})
    other = ask(gateway, "hello", CALL, RESULT, tools=TOOLS, headers={"x-thalamus-session": "two"})
    assert other.headers["x-thalamus-reason"] != "sticky"
    same = ask(gateway, "hello", CALL, RESULT, tools=TOOLS, headers={"x-thalamus-session": "one"})
    assert same.headers["x-thalamus-reason"] == "sticky"


def test_words_of_the_prompt_choose_in_both_directions(gateway):
    assert ask(gateway, "Take your time and think hard about this.").headers["x-thalamus-reason"] == "intent-up"
    assert ask(gateway, "快点，简单说，法国首都是哪里？").headers["x-thalamus-reason"] == "intent-down"
    assert ask(gateway, 'Translate to French: "think hard about it"').headers["x-thalamus-reason"] == "difficulty"


def test_at_the_limit_the_mini_serves_visibly_and_says_until_when(stateful, standin):
    url = f"{standin.url}/v1"
    gateway = stateful(
        backends={name: {"url": url, "model": f"{name}-1"} for name in ("swift", "sage", "sprite")},
        tiers={"fast": "swift", "deep": "sage", "deep-mini": "sprite"},
        limits=[{"tier": "deep", "window_s": 604800, "calls": 2}],
    )
    answers = [ask(gateway, "hello", headers={"x-thalamus-route": "deep"}) for _ in range(3)]
    assert [answer.headers["x-thalamus-backend"] for answer in answers] == ["sage", "sage", "sprite"]
    last = answers[-1].headers
    assert (last["x-thalamus-tier"], last["x-thalamus-reason"]) == ("deep-mini", "limit-mini")
    assert 0 < int(last["x-thalamus-limit-reset"]) <= 604800


def test_where_the_policy_says_so_a_limit_is_a_429_with_the_time_to_wait(stateful):
    gateway = stateful(limits=[{"tier": "deep", "window_s": 3600, "calls": 1}], routing={"at_limit": "refuse"})
    ask(gateway, "hello", model="deep")
    refused = ask(gateway, "hello", model="deep")
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "limit_reached")
    assert 0 < int(refused.headers["retry-after"]) <= 3600
    assert ask(gateway, "hello", model="fast").status_code == 200


def test_tokens_are_limited_too(stateful):
    gateway = stateful(limits=[{"tier": "fast", "window_s": 3600, "tokens": 5}])
    ask(gateway, "hello there, how are you today?", model="fast")
    assert ask(gateway, "hello", model="fast").headers["x-thalamus-reason"] == "limit-mini"


def test_a_repeated_request_is_answered_from_the_cache_in_either_form(stateful, standin):
    gateway = stateful(cache={"mode": "exact"})
    first = ask(gateway, "hello", temperature=0)
    assert first.headers["x-thalamus-cache"] == "miss"
    again = until_hit(gateway, temperature=0)
    standin.reset()
    streamed = ask(gateway, "hello", temperature=0, stream=True)
    assert streamed.headers["x-thalamus-cache"] == "hit-exact"
    assert again.json()["choices"] == first.json()["choices"]
    text = "".join(
        json.loads(line[6:])["choices"][0]["delta"].get("content") or ""
        for line in streamed.text.splitlines()
        if line.startswith("data: {")
    )
    assert text == first.json()["choices"][0]["message"]["content"]
    assert not [request for request in standin.requests() if request["path"] == "/v1/chat/completions"]


def test_a_streamed_answer_is_kept_and_serves_a_plain_request(stateful):
    gateway = stateful(cache={"mode": "exact"})
    ask(gateway, "hello", seed=1, stream=True)
    plain = until_hit(gateway, seed=1)
    assert plain.json()["choices"][0]["message"]["content"].startswith("Echo")


def test_what_may_not_be_kept_is_not(stateful):
    gateway = stateful(cache={"mode": "exact"})
    bypass = {"temperature": 1}, {"temperature": 0, "headers": {"cache-control": "no-store"}}
    for options in bypass:
        ask(gateway, "hello", **options)
        assert ask(gateway, "hello", **options).headers["x-thalamus-cache"] == "bypass"
    ask(gateway, "hello", temperature=1, headers={"x-thalamus-cache": "on"})
    until_hit(gateway, temperature=1, headers={"x-thalamus-cache": "on"})
    other_effort = ask(gateway, "hello", temperature=0, reasoning_effort="high")
    assert other_effort.headers["x-thalamus-cache"] == "miss"


def test_tenants_share_nothing(serve, standin):
    keys = [{"name": name, "tenant": name, "key": f"secret-{name}"} for name in ("a", "b")]
    gateway = serve(settings_over(standin.url, cache={"mode": "exact"}, keys=keys))
    for name, expected in (("a", "miss"), ("a", "hit-exact"), ("b", "miss")):
        answer = ask(gateway, "hello", temperature=0, headers={"authorization": f"Bearer secret-{name}"})
        assert answer.headers["x-thalamus-cache"] == expected


def test_redis_that_is_killed_costs_no_request(serve, standin):
    with running_redis() as redis:
        gateway = serve(
            settings_over(
                standin.url,
                redis={"url": redis.url, "first_level_ttl_s": 0},
                cache={"mode": "exact"},
                limits=[{"tier": "deep", "window_s": 60, "calls": 1000}],
            )
        )
        assert ask(gateway, "hello", temperature=0).status_code == 200
        redis.kill()
        answers = [ask(gateway, "hello", temperature=0) for _ in range(20)]
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.headers["x-thalamus-cache"] for answer in answers} == {"miss"}
