"""Several servers behind one backend: shared load, kept conversations, failures routed around, drained by command."""

import json
import os
import subprocess
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from gateway.standin import running_standin
from tests.gateway.serving import COMMAND

HELLO = {"model": "auto", "messages": [{"role": "user", "content": "Hello there"}]}
KEY = "admin-0123456789"


@pytest.fixture(scope="module")
def module_pair():
    with running_standin() as one, running_standin() as two:
        yield one, two


@pytest.fixture
def pair(module_pair):
    for standin in module_pair:
        standin.reset()
    yield module_pair
    for standin in module_pair:
        standin.reset()


def settings_for(*standins, server=None, attempts=None, **backend):
    """Give one backend, with a replica at each stand-in and every default, for both tiers."""
    urls = [f"{standin.url}/v1" for standin in standins]
    address = {"replicas": urls} if len(urls) > 1 else {"url": urls[0]}
    return {
        "backends": {"swift": {"model": "swift-1", **address, **backend}},
        "tiers": {"fast": "swift", "deep": "swift"},
        "telemetry": {"log_format": "json"},
        "server": {"port": 0, "notice_s": 0, "drain_s": 2, **(server or {})},
        "attempts": attempts or {},
    }


def calls(standin) -> int:
    return len([request for request in standin.requests() if request["method"] == "POST"])


def wait_for(condition, seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.02)


def test_conversations_stay_with_their_replica_and_are_spread_over_all(serve, pair):
    gateway = serve(settings_for(*pair))
    with gateway.client() as client:
        for session in range(24):
            homes = []
            for _ in range(2):
                before = calls(pair[0])
                headers = {"x-thalamus-session": f"s{session}"}
                assert client.post("/v1/chat/completions", json=HELLO, headers=headers).status_code == 200
                homes.append(calls(pair[0]) > before)
            assert homes[0] == homes[1], "the second request went to the other replica"
    assert min(calls(standin) for standin in pair) >= 8


def test_requests_that_begin_alike_go_to_one_replica_whoever_sends_them(serve, pair):
    """The same tools and system prompt, so that the replica has their beginning in its KV cache."""
    gateway = serve(settings_for(*pair, balance={"affinity": "prefix"}))
    with gateway.client() as client:
        for number in range(24):
            homes = set()
            for question in ("Hello there", "What is new?", "Goodbye"):
                before = calls(pair[0])
                system = {"role": "system", "content": f"You are assistant number {number}."}
                body = {**HELLO, "messages": [system, {"role": "user", "content": question}]}
                headers = {"x-thalamus-session": f"{number} {question}"}
                assert client.post("/v1/chat/completions", json=body, headers=headers).status_code == 200
                homes.add(calls(pair[0]) > before)
            assert len(homes) == 1, "they went to both"
    assert min(calls(standin) for standin in pair) >= 3 * 4


def test_a_scheduler_behind_the_address_is_told_the_conversation_and_what_vllm_reads(serve, pair):
    """`cache_salt` and `priority` are vLLM's fields; what the gateway does not know is passed on as it came."""
    gateway = serve(settings_for(pair[0], balance={"session_header": "x-session-id"}))
    with gateway.client() as client:
        for session in ("one", "two", "one"):
            body = {**HELLO, "cache_salt": "tenant-a", "priority": 3}
            answer = client.post("/v1/chat/completions", json=body, headers={"x-thalamus-session": session})
            assert answer.status_code == 200
    asked = [request for request in pair[0].requests() if request["method"] == "POST"]
    assert all((one["body"]["cache_salt"], one["body"]["priority"]) == ("tenant-a", 3) for one in asked)
    first, second, third = (one["headers"]["x-session-id"] for one in asked)
    assert first == third != second
    assert "one" not in first


def test_load_decides_where_affinity_is_off(serve, pair):
    gateway = serve(settings_for(*pair, balance={"affinity": "off"}))
    for standin in pair:
        standin.behave(first_byte_ms=300)
    with gateway.client() as client, ThreadPoolExecutor(8) as crowd:
        list(crowd.map(lambda _: client.post("/v1/chat/completions", json=HELLO), range(8)))
    assert [calls(standin) for standin in pair] == [4, 4]


@pytest.mark.parametrize("fault", ["status-500", "reset-before-headers", "stall-before-first-token"])
def test_a_failing_replica_costs_no_request_and_is_soon_left_alone(serve, pair, fault):
    settings = settings_for(
        *pair, timeouts={"first_token": 0.25, "idle": 0.25}, breaker={"open_s": 600, "most_open_s": 600}
    )
    settings["backends"]["streamer"] = {**settings["backends"]["swift"], "model": "streamer-1"}
    gateway = serve(settings)
    pair[0].behave(faults=[fault], tokens=2)
    with gateway.client(timeout=30) as client:
        for number in range(60):
            headers = {"x-thalamus-session": f"s{number}"}
            question = {**HELLO, **({"model": "streamer", "stream": True} if number % 2 else {"model": "swift"})}
            answer = client.post("/v1/chat/completions", json=question, headers=headers)
            assert answer.status_code == 200
            assert "error" not in answer.text
        assert calls(pair[0]) == 10, "each backend asked it until the breaker opened, and not after"
        metrics = client.get("/metrics").text
    name = f"127.0.0.1:{pair[0].url.rpartition(':')[2]}"
    assert f'thalamus_replica_condition{{backend="swift",condition="broken",replica="{name}"}} 1.0' in metrics


def test_a_replica_that_is_well_again_is_found_out(serve, pair):
    gateway = serve(settings_for(*pair, breaker={"failures": 1, "open_s": 0.2}, balance={"affinity": "off"}))
    pair[0].behave(faults=["status-500"], fault_limit=1)
    with gateway.client() as client:

        def both_serve() -> bool:
            client.post("/v1/chat/completions", json=HELLO)
            return all(calls(standin) >= 3 for standin in pair)

        wait_for(both_serve)


def test_a_429_rests_a_replica_for_as_long_as_it_asks(serve, pair):
    gateway = serve(settings_for(*pair, balance={"affinity": "off"}))
    pair[0].behave(faults=["status-429"], retry_after="30")
    with gateway.client() as client:
        statuses = [client.post("/v1/chat/completions", json=HELLO).status_code for _ in range(12)]
    assert set(statuses) == {200}
    assert calls(pair[0]) == 1


def test_when_all_rest_the_answer_says_for_how_long(serve, pair):
    gateway = serve(settings_for(*pair))
    for standin in pair:
        standin.behave(faults=["status-429"], retry_after="30")
    with gateway.client() as client:
        assert client.post("/v1/chat/completions", json=HELLO).status_code == 429
        again = client.post("/v1/chat/completions", json=HELLO)
    assert again.status_code == 503
    assert again.json()["error"]["code"] == "upstream_unavailable"
    assert 25 <= int(again.headers["retry-after"]) <= 30
    assert [calls(standin) for standin in pair] == [1, 1]


def test_health_checks_take_a_replica_out_and_back(serve, pair):
    gateway = serve(settings_for(*pair, health={"every_s": 0.05}, balance={"affinity": "off"}))
    pair[0].behave(healthy=False)
    wait_for(lambda: gateway.events("replica health"))
    with gateway.client() as client:
        for _ in range(6):
            client.post("/v1/chat/completions", json=HELLO)
        assert [calls(standin) for standin in pair] == [0, 6]
        pair[0].behave(healthy=True)
        wait_for(lambda: len(gateway.events("replica health")) == 2)
        for _ in range(12):
            client.post("/v1/chat/completions", json=HELLO)
    assert calls(pair[0]) >= 1


def test_a_stream_without_any_useful_byte_may_still_go_elsewhere(serve, pair):
    """Role-only events, comments and empty events commit to nothing."""
    gateway = serve(settings_for(*pair, timeouts={"first_token": 0.3}, balance={"affinity": "off"}))
    pair[0].behave(thinking="always", thinking_style="keep-alive", thinking_ms=60_000, keep_alive_ms=50)
    with gateway.client() as client:
        for _ in range(4):
            answer = client.post("/v1/chat/completions", json={**HELLO, "stream": True})
            assert answer.text.count("Hello") == 1, "no token comes twice"
            assert answer.text.count('"role":"assistant"') == 1
            assert ": keep-alive" not in answer.text


def test_what_one_cannot_or_will_not_take_goes_to_another(serve, pair):
    settings = settings_for(pair[0], context_window=4000)
    settings["backends"]["large"] = {"url": f"{pair[1].url}/v1", "model": "large-1", "context_window": 100_000}
    settings["tiers"] = {"fast": ["swift", "large"], "deep": "large"}
    gateway = serve(settings)
    pair[0].behave(context_window=10)
    with gateway.client() as client:
        answer = client.post("/v1/chat/completions", json={**HELLO, "model": "fast", "max_tokens": 50})
        assert answer.status_code == 200
        assert answer.headers["x-thalamus-attempts"] == "swift=context_length_exceeded, large=ok"
        named = client.post("/v1/chat/completions", json={**HELLO, "model": "swift", "max_tokens": 50})
        pair[0].reset()
        pair[0].behave(faults=["content-refused"])
        refused = client.post("/v1/chat/completions", json={**HELLO, "model": "fast", "stream": True})
        refused_by_name = client.post("/v1/chat/completions", json={**HELLO, "model": "swift"})
    assert named.status_code == 400
    assert named.json()["error"]["code"] == "context_length_exceeded"
    assert refused.headers["x-thalamus-attempts"] == "swift=content_policy_violation, large=ok"
    assert refused.text.rstrip().endswith("data: [DONE]")
    assert refused_by_name.status_code == 400
    assert refused_by_name.json()["error"]["code"] == "content_policy_violation"


def test_killing_the_only_deep_backend_costs_no_request_and_is_told(serve, pair):
    settings = settings_for(pair[1])
    with running_standin() as deep:
        settings["backends"] |= {
            "sage": {"url": f"{deep.url}/v1", "model": "sage-1"},
            "sprite": {"url": f"{pair[0].url}/v1", "model": "sprite-1"},
        }
        settings["tiers"] = {"fast": "swift", "deep": "sage", "deep-mini": "sprite"}
        gateway = serve(settings)
        with gateway.client() as client:
            alive = client.post("/v1/chat/completions", json={**HELLO, "model": "deep"})
            assert alive.headers["x-thalamus-backend"] == "sage"
    with gateway.client() as client:
        answers = [client.post("/v1/chat/completions", json={**HELLO, "model": "deep"}) for _ in range(20)]
    assert {answer.status_code for answer in answers} == {200}
    told = Counter((answer.headers["x-thalamus-backend"], answer.headers["x-thalamus-reason"]) for answer in answers)
    assert told == {("sprite", "fallback"): 20}
    assert answers[0].headers["x-thalamus-attempts"] == "sage=upstream_unreachable, sprite=ok"
    assert answers[-1].headers["x-thalamus-attempts"] == "sage=upstream_unavailable, sprite=ok"


def thalamus(gateway, *arguments, **environment):
    command = [COMMAND, "backends", *arguments, "--url", gateway.url]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=30, check=False, env={**os.environ, **environment}
    )


def test_draining_by_command_lets_streams_finish_and_sends_no_more(serve, pair):
    gateway = serve(settings_for(*pair, balance={"affinity": "off"}))
    port = pair[0].url.rpartition(":")[2]
    replica = f"swift/127.0.0.1:{port}"
    pair[0].behave(tokens=40, token_ms=40)
    texts = []

    def stream() -> None:
        with gateway.client(timeout=30) as client:
            texts.append(client.post("/v1/chat/completions", json={**HELLO, "stream": True}).text)

    with gateway.client() as client:
        threads = [threading.Thread(target=stream) for _ in range(2)]
        for thread in threads:
            thread.start()
        wait_for(lambda: calls(pair[0]) >= 1)
        drained = thalamus(gateway, "drain", replica)
        assert drained.returncode == 0, drained.stderr
        assert "draining" in drained.stdout
        before = calls(pair[0])
        for _ in range(6):
            assert client.post("/v1/chat/completions", json=HELLO).status_code == 200
        assert calls(pair[0]) == before
        for thread in threads:
            thread.join()
        assert all(text.rstrip().endswith("data: [DONE]") for text in texts)
        listed = json.loads(thalamus(gateway, "list", "--json").stdout)
        assert [one["condition"] for one in listed["backends"][0]["replicas"]] == ["draining", "serving"]
        pair[0].behave(tokens=2, token_ms=0)
        assert "serving" in thalamus(gateway, "undrain", replica).stdout
        for _ in range(20):
            client.post("/v1/chat/completions", json=HELLO)
        assert calls(pair[0]) > before
    unknown = thalamus(gateway, "drain", "nobody")
    assert unknown.returncode == 2
    assert "There are: swift" in unknown.stderr


def test_a_reload_keeps_what_was_drained(serve, pair):
    settings = settings_for(*pair)
    gateway = serve(settings)
    assert thalamus(gateway, "drain", "swift").returncode == 0
    settings["backends"]["swift"]["context_window"] = 5000
    gateway.rewrite(settings)
    wait_for(lambda: gateway.events("configuration reloaded"))
    with gateway.client() as client:
        assert client.post("/v1/chat/completions", json=HELLO).status_code == 503
        told = client.get("/admin/backends").json()["backends"][0]["replicas"]
    assert {replica["condition"] for replica in told} == {"draining"}


CALLERS = {
    None: [({}, 200), ({"x-forwarded-for": "203.0.113.9"}, 403), ({"host": "rebound.example.com"}, 403)],
    KEY: [
        ({}, 401),
        ({"authorization": "Bearer wrong"}, 401),
        ({"authorization": f"Bearer {KEY}", "x-forwarded-for": "203.0.113.9"}, 200),
    ],
}


@pytest.mark.parametrize("key", CALLERS, ids=["no key", "a key"])
def test_admin_is_for_the_operator(serve, pair, key):
    gateway = serve(settings_for(*pair, server={"admin_key": key} if key else {}))
    with gateway.client() as client:
        for headers, status in CALLERS[key]:
            assert client.get("/admin/backends", headers=headers).status_code == status, headers
            assert client.post("/admin/backends/swift/drain", headers=headers).status_code == status, headers
    if key:
        assert thalamus(gateway, "list").returncode == 2
        assert thalamus(gateway, "list", THALAMUS_ADMIN_KEY=key).returncode == 0
