"""The semantic cache over HTTP: who gets the answer to the same question in other words, and who does not."""

import base64
import json
import time

import pytest

from tests.gateway.serving import running_gateway, settings_over
from tests.unit.gateway.redis_server import redis_8, redisearch, running_redis

ASKED = "What is the capital of France?"
REWORDED = "Can you tell me what France's capital city is?"
OTHERS = ("What is the capital of Spain?", "What was the capital of France?", "What is not the capital of France?")


def settings_with(standin, redis=None, **cache):
    shared = {} if redis is None else {"redis": {"url": redis.url, "deadline_ms": 1000, "first_level_ttl_s": 0.05}}
    keys = [{"name": name, "key": f"sk-{name}", "tenant": name} for name in ("ada", "bob")]
    # A starved processor is slow to embed: what is asked here is who gets what, and not how fast.
    semantic = {"budget_ms": 10_000, **cache.pop("semantic", {})}
    return settings_over(
        standin.url, cache={"mode": "semantic", "store": "all", "semantic": semantic, **cache}, keys=keys, **shared
    )


def ask(gateway, text, *, who="ada", system=None, headers=None, **body):
    messages = [{"role": "user", "content": text}]
    if system is not None:
        messages.insert(0, {"role": "system", "content": system})
    with gateway.client(timeout=60, headers={"authorization": f"Bearer sk-{who}", **(headers or {})}) as client:
        return client.post("/v1/chat/completions", json={"model": "fast", "messages": messages, **body})


def told(answer):
    assert answer.status_code == 200, answer.text
    return answer.headers["x-thalamus-cache"]


def keep(gateway, text, *, event="semantic-offer", **asked):
    """Ask, and wait until the answer is kept: its client has it a moment before."""
    before = counted(gateway, event)
    answer = ask(gateway, text, **asked)
    assert told(answer) == "miss"
    until(lambda: counted(gateway, event) > before, "the answer was not kept")
    return answer


def counted(gateway, event):
    with gateway.client(timeout=30) as client:
        lines = client.get("/metrics").text.splitlines()
    found = [line for line in lines if f'event="{event}",outcome="stored"' in line]
    return float(found[0].split()[-1]) if found else 0.0


def looked_up(gateway):
    with gateway.client(timeout=30) as client:
        return [line for line in client.get("/metrics").text.splitlines() if "thalamus_cache_events_total" in line]


def until(condition, what):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def record_of(gateway, answer):
    """Wait for a request's record, which is written after its client has the answer."""
    own = answer.headers["x-thalamus-decision-id"]

    def found():
        return [one for one in gateway.events() if one.get("decision") == own]

    until(found, "the request has no record")
    return found()[0]


@pytest.fixture(scope="module")
def semantic(session_standin, tmp_path_factory):
    """One gateway for all tests without Redis: each has a system prompt of its own, and so answers of its own."""
    with running_gateway(settings_with(session_standin), tmp_path_factory.mktemp("semantic")) as running:
        yield running


@pytest.fixture
def redis():
    with running_redis() as server:
        yield server


def test_another_wording_gets_the_answer_and_other_questions_do_not(semantic):
    gateway = semantic
    first = keep(gateway, ASKED)
    hit = ask(gateway, REWORDED)
    assert told(hit) == "hit-semantic"
    assert 0.67 <= float(hit.headers["x-thalamus-cache-similarity"]) <= 1
    assert hit.json()["choices"] == first.json()["choices"]
    assert "tokens_in" not in record_of(gateway, hit), "nothing was spent"
    assert [told(ask(gateway, text)) for text in OTHERS] == ["miss"] * len(OTHERS)
    with gateway.client() as client:
        metrics = client.get("/metrics").text
    assert 'thalamus_cache_events_total{event="semantic",outcome="hit"}' in metrics
    assert 'event="semantic",outcome="unlike-negation"' in metrics
    assert "France" not in metrics


def test_an_answer_that_its_caller_calls_wrong_is_given_to_no_other_words_any_more(semantic):
    keep(semantic, "What is the capital of Peru?")
    reworded = "Can you tell me what Peru's capital city is?"
    hit = ask(semantic, reworded)
    assert told(hit) == "hit-semantic"
    given = {"decision_id": hit.headers["x-thalamus-decision-id"], "rating": "down"}
    with semantic.client(headers={"authorization": "Bearer sk-ada"}) as client:
        until(lambda: client.post("/v1/feedback", json=given).is_success, "the decision was not remembered")
        assert 'thalamus_false_hits_total{cache="hit-semantic"} 1.0' in client.get("/metrics").text
    assert told(ask(semantic, reworded)) == "miss"
    assert told(ask(semantic, "What is the capital of Peru?")) == "hit-exact"


def test_chinese_is_understood(semantic):
    gateway = semantic
    keep(gateway, "怎么学吉他？")
    assert told(ask(gateway, "请问如何学习吉他？")) == "hit-semantic"
    assert told(ask(gateway, "请问如何学习钢琴？")) == "miss"


def test_what_lies_around_the_question_must_be_the_same(semantic):
    gateway = semantic
    keep(gateway, ASKED, system="Be brief.", temperature=0)
    assert told(ask(gateway, REWORDED, system="Be brief.", temperature=0)) == "hit-semantic"
    asked = {"system": "Be brief.", "temperature": 0}
    for change in (
        {"who": "bob"},
        {"system": "Be long."},
        {"system": None},
        {"temperature": 0.5},
        {"max_tokens": 9},
        {"model": "deep"},
        {"seed": 5},
        {"some_new_thinking_switch": True},
    ):
        assert told(ask(gateway, REWORDED, **{**asked, **change})) == "miss", change


@pytest.mark.parametrize(
    "changes",
    [
        {"tools": [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]},
        {"headers": {"x-thalamus-cache": "exact"}},
        {"headers": {"cache-control": "no-cache"}},
    ],
)
def test_some_requests_take_no_part(semantic, changes):
    gateway, around = semantic, {"system": f"{sorted(changes)} {changes}"}
    keep(gateway, ASKED, **around)
    assert told(ask(gateway, REWORDED, **around, **changes)) in {"miss", "bypass"}


def test_a_conversation_takes_no_part(semantic):
    gateway = semantic
    before = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    with gateway.client(headers={"authorization": "Bearer sk-ada"}) as client:
        for text in (ASKED, REWORDED):
            messages = [*before, {"role": "user", "content": text}]
            assert told(client.post("/v1/chat/completions", json={"model": "fast", "messages": messages})) == "miss"


def test_a_similar_hit_streams(semantic):
    gateway = semantic
    plain = keep(gateway, ASKED, system="Stream.")
    streamed = ask(gateway, REWORDED, system="Stream.", stream=True)
    assert told(streamed) == "hit-semantic"
    assert streamed.headers["content-type"].startswith("text/event-stream")
    assert "x-thalamus-cache-similarity" in streamed.headers
    assert streamed.text.rstrip().endswith("data: [DONE]")
    events = [line.removeprefix("data: ") for line in streamed.text.splitlines() if line.startswith("data: {")]
    choices = [choice for event in events for choice in json.loads(event)["choices"]]
    said = "".join(choice["delta"].get("content") or "" for choice in choices)
    assert said == plain.json()["choices"][0]["message"]["content"]


def test_without_the_mode_nothing_similar_is_found(serve, standin):
    gateway = serve(settings_with(standin, mode="exact"))
    keep(gateway, ASKED, event="offer")
    assert told(ask(gateway, REWORDED)) == "miss"


@pytest.mark.parametrize("sealed", [False, True])
def test_workers_share_what_they_found_through_a_redis_without_vectors(serve, standin, redis, sealed):
    key = {"encryption_key": base64.b64encode(b"k" * 32).decode()} if sealed else {}
    one, other = (serve(settings_with(standin, redis, **key)) for _ in range(2))
    keep(one, ASKED)
    assert told(ask(other, REWORDED)) == "hit-semantic", looked_up(other)
    with redis.client() as client:
        names = client.keys("thalamus:tn3:*")
        assert {client.type(name) for name in names} == {b"hash", b"zset"}
        assert all(client.ttl(name) > 0 for name in names)
        assert not any(b"France" in value or b"france" in value for name in names for value in [client.dump(name)])


@pytest.mark.parametrize("kind", ["vectors", "search"])
def test_an_index_of_redis_own_is_searched_and_erased(serve, standin, kind):
    with running_redis(binary=redis_8(), options=redisearch() if kind == "search" else ()) as server:
        if kind == "search":
            with server.client() as client:
                client.execute_command("ACL SETUSER", "thalamus", "-vcard")  # as if it had no vector sets
        gateway = serve(settings_with(standin, server))
        first = keep(gateway, ASKED)
        hit = ask(gateway, REWORDED)
        assert told(hit) == "hit-semantic", looked_up(gateway)
        assert 0.67 <= float(hit.headers["x-thalamus-cache-similarity"]) <= 1
        assert hit.json()["choices"] == first.json()["choices"]
        assert told(ask(gateway, OTHERS[0])) == "miss"
        with server.client() as client:
            held = {client.type(name) for name in client.scan_iter("thalamus:tn3*")}
            assert held == ({b"vectorset", b"zset"} if kind == "vectors" else {b"hash", b"zset"})
            assert ("cmdstat_FT.SEARCH" in client.info("commandstats")) == (kind == "search")
        with gateway.client() as client:
            assert client.delete("/admin/tenants/ada").status_code == 200
        assert told(ask(gateway, REWORDED)) == "miss"


def test_an_erased_tenant_is_found_by_nobody(serve, standin, redis):
    gateway = serve(settings_with(standin, redis))
    keep(gateway, ASKED)
    keep(gateway, ASKED, who="bob")
    assert told(ask(gateway, REWORDED)) == "hit-semantic"
    with gateway.client() as client:
        assert client.delete("/admin/tenants/ada").status_code == 200
    with redis.client() as client:
        assert len(client.keys("thalamus:tn3:*:vectors")) == 1, "bob's are still there"
    assert told(ask(gateway, REWORDED)) == "miss"
    assert told(ask(gateway, REWORDED, who="bob")) == "hit-semantic"


def test_while_redis_is_away_requests_are_answered(serve, standin, redis):
    gateway = serve(settings_with(standin, redis))
    keep(gateway, ASKED)
    redis.kill()
    assert told(ask(gateway, REWORDED)) == "miss"
    assert told(ask(gateway, OTHERS[0])) == "miss"
