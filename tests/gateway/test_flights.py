"""Identical requests under way at the same time: one call, whoever leaves and whoever dies."""

import base64
import http.client
import json
import re
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.gateway.serving import settings_over
from tests.unit.gateway.redis_server import running_redis

HELLO = {"model": "fast", "messages": [{"role": "user", "content": "Hello there"}], "temperature": 0}


def calls(standin):
    return [one for one in standin.requests() if one["path"] == "/v1/chat/completions"]


def ask(gateway, timeout=60, **body):
    with gateway.client(timeout=timeout) as client:
        return client.post("/v1/chat/completions", json={**HELLO, **body})


def crowd_of(gateway, count, **body):
    """Send identical requests at once, over one client: making a client costs more than asking."""
    client = gateway.client(timeout=60, limits=httpx.Limits(max_connections=count + 5))
    pool = ThreadPoolExecutor(count)
    asked = [pool.submit(client.post, "/v1/chat/completions", json={**HELLO, **body}) for _ in range(count)]

    def answers():
        try:
            return [one.result() for one in asked]
        finally:
            pool.shutdown()
            client.close()

    return answers


def begin(gateway, **headers):
    """Send a request over a connection of its own, which the test may close when it likes."""
    body = json.dumps(HELLO)
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=60)
    connection.request("POST", "/v1/chat/completions", body, {"content-type": "application/json", **headers})
    return connection


def in_flight(gateway):
    with gateway.client() as client:
        metrics = client.get("/metrics").text
    return float(re.search(r"^thalamus_in_flight_requests (\S+)", metrics, re.MULTILINE).group(1))


def until(condition, what):
    deadline = time.monotonic() + 15
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def text_of(answer):
    return answer.text if answer.headers["content-type"].startswith("text/event-stream") else answer.json()


@pytest.fixture
def redis():
    with running_redis() as server:
        yield server


def settings_with(standin, redis=None, **changes):
    shared = {} if redis is None else {"redis": {"url": redis.url, "deadline_ms": 1000}}
    return settings_over(standin.url, cache={"mode": "exact"}, **shared, **changes)


@pytest.mark.parametrize(("stream", "sealed"), [(False, False), (True, True)])
def test_two_hundred_identical_requests_over_two_workers_are_one_call(serve, standin, redis, stream, sealed):
    settings = settings_with(standin, redis)
    if sealed:
        settings["cache"]["encryption_key"] = base64.b64encode(b"k" * 32).decode()
    workers = [serve(settings) for _ in range(2)]
    standin.behave(first_byte_ms=3000, token_ms=5)
    crowds = [crowd_of(worker, 100, stream=stream) for worker in workers]
    answers = [answer for crowd in crowds for answer in crowd()]
    assert {answer.status_code for answer in answers} == {200}
    assert len({str(text_of(answer)) for answer in answers}) == 1
    assert len(calls(standin)) == 1
    told = [answer.headers["x-thalamus-cache"] for answer in answers]
    assert told.count("miss") == 1
    assert set(told) <= {"miss", "hit-shared", "hit-exact"}
    assert len({answer.headers["x-thalamus-decision-id"] for answer in answers}) == 200
    records = [one for worker in workers for one in worker.records(100)]
    assert sum("tokens_in" in one for one in records) == 1, "one of them paid"
    with redis.client() as client:
        (log,) = (name for name in client.keys("thalamus:flight:*:log:*"))
        assert any(b"chat.completion" in item for item in client.lrange(log, 0, -1)) == (not sealed)


def test_followers_see_a_stream_as_it_arrives_and_from_its_beginning(serve, standin):
    gateway = serve(settings_with(standin))
    standin.behave(token_ms=100, tokens=40)
    body = {**HELLO, "stream": True}
    with gateway.client() as client, client.stream("POST", "/v1/chat/completions", json=body) as first:
        led = first.iter_lines()
        beginning = [next(led) for _ in range(12)]
        with client.stream("POST", "/v1/chat/completions", json=body) as second:
            followed = second.iter_lines()
            assert [next(followed) for _ in range(12)] == beginning
            assert list(led) == list(followed)
    assert second.headers["x-thalamus-cache"] == "hit-shared"
    assert len(calls(standin)) == 1


@pytest.mark.parametrize("where", ["here", "elsewhere"])
def test_the_leaders_client_may_leave_and_the_others_get_their_answer(serve, standin, redis, where):
    gateway = serve(settings_with(standin, redis, limits=[{"concurrent": 50}]))
    other = gateway if where == "here" else serve(settings_with(standin, redis, limits=[{"concurrent": 50}]))
    standin.behave(first_byte_ms=5000)
    leader = begin(gateway)
    until(lambda: len(calls(standin)) == 1, "the leader never called")
    following = crowd_of(other, 3)
    until(lambda: in_flight(other) == (4 if where == "here" else 3), "nobody follows")
    time.sleep(0.3)  # until the leading process has heard of followers elsewhere
    leader.close()
    assert [answer.status_code for answer in following()] == [200] * 3
    assert len(calls(standin)) == 1
    until(lambda: any(one["endpoint"] == "shared" for one in gateway.events()), "the call was not accounted for")
    paid = [one["endpoint"] for one in gateway.events() if "tokens_in" in one]
    assert paid == ["shared"]
    assert next(one["outcome"] for one in gateway.events() if one["endpoint"] == "chat") == "dropped"


def test_a_call_that_nobody_waits_for_is_cancelled(serve, standin):
    gateway = serve(settings_with(standin))
    standin.behave(first_byte_ms=60_000)
    clients = [begin(gateway) for _ in range(3)]
    until(lambda: in_flight(gateway) == 3 and len(calls(standin)) == 1, "nobody called")
    for client in clients:
        client.close()
    gateway.records(3)
    standin.behave(first_byte_ms=0)
    assert ask(gateway).headers["x-thalamus-cache"] == "miss", "whoever comes now begins another"
    assert len(calls(standin)) == 2


def test_when_the_leading_process_is_killed_a_follower_takes_over(serve, standin, redis):
    settings = settings_with(standin, redis)
    leader, other = serve(settings), serve(settings)
    standin.behave(first_byte_ms=60_000)
    doomed = begin(leader)
    until(lambda: len(calls(standin)) == 1, "the leader never called")
    following = crowd_of(other, 200)
    until(lambda: in_flight(other) == 200, "not all follow")
    assert len(calls(standin)) == 1
    standin.behave(first_byte_ms=300)
    leader.kill()
    leader.process.returncode = 0  # it was killed on purpose
    assert {answer.status_code for answer in following()} == {200}
    assert len(calls(standin)) == 2, "the one that died with its process, and one for all"
    doomed.close()


def test_a_failure_is_everybodys_and_the_next_request_tries_again(serve, standin):
    settings = settings_with(standin)
    for backend in settings["backends"].values():
        backend["timeouts"] = {"first_token": 3}
    gateway = serve(settings)
    standin.behave(first_byte_ms=60_000)
    crowd = crowd_of(gateway, 5)
    until(lambda: in_flight(gateway) == 5, "not all follow")
    assert {answer.status_code for answer in crowd()} == {504}
    assert len(calls(standin)) == 2, "each target once, for all of them"
    standin.behave(first_byte_ms=0)
    assert ask(gateway).status_code == 200


def test_requests_that_do_not_take_part_share_nothing(serve, standin):
    gateway = serve(settings_with(standin))
    standin.behave(first_byte_ms=500)
    assert [answer.headers["x-thalamus-cache"] for answer in crowd_of(gateway, 3, temperature=1)()] == ["bypass"] * 3
    assert len(calls(standin)) == 3


def test_without_its_redis_every_worker_still_shares_within_itself(serve, standin, redis):
    gateway = serve(settings_with(standin, redis))
    redis.kill()
    standin.behave(first_byte_ms=3000)
    assert {answer.status_code for answer in crowd_of(gateway, 20)()} == {200}
    assert len(calls(standin)) == 1


def test_when_the_leading_process_dies_in_mid_stream_its_followers_get_an_error_event(serve, standin, redis):
    settings = settings_with(standin, redis)
    leader, other = serve(settings), serve(settings)
    standin.behave(token_ms=200, tokens=1000)
    body = {**HELLO, "stream": True}
    with leader.client(timeout=60) as doomed, doomed.stream("POST", "/v1/chat/completions", json=body) as led:
        leading = led.iter_lines()  # kept: the stream is closed with it
        next(leading)
        with other.client(timeout=60) as client, client.stream("POST", "/v1/chat/completions", json=body) as followed:
            lines = followed.iter_lines()
            seen = [next(lines) for _ in range(4)]
            leader.kill()
            leader.process.returncode = 0  # it was killed on purpose
            seen += list(lines)
    assert followed.headers["x-thalamus-cache"] == "hit-shared"
    events = [json.loads(line.removeprefix("data: ")) for line in seen if line.startswith("data: {")]
    assert "choices" in events[0]
    assert events[-1]["error"]["message"]
    assert len(calls(standin)) == 1, "what was sent cannot be gone on with by another call"


def test_callers_who_see_reasoning_differently_do_not_share_a_call(serve, standin):
    gateway = serve(settings_with(standin))
    standin.behave(first_byte_ms=3000)
    crowds = [crowd_of(gateway, 1, include_reasoning=include) for include in (True, False)]
    assert {answer.status_code for crowd in crowds for answer in crowd()} == {200}
    assert len(calls(standin)) == 2
