"""Background responses that are streamed: who leaves may come back, here or at another process; only a cancel stops."""

from __future__ import annotations

import json
import signal
import time

import pytest

from tests.gateway.serving import settings_over
from tests.unit.gateway.redis_server import running_redis

ASK = {"model": "sage", "input": "Hello there", "background": True, "stream": True}
SLOW = {"tokens": 40, "token_ms": 20}


@pytest.fixture(params=["memory", "redis"])
def processes(request, serve, standin):
    """Give two addresses of one service: of one process, or of two that share a Redis."""
    if request.param == "memory":
        gateway = serve(settings_over(standin.url))
        yield gateway, gateway
        return
    with running_redis() as redis:
        settings = settings_over(standin.url, redis={"url": redis.url, "deadline_ms": 1000})
        yield serve(settings), serve(settings)


def read(lines):
    """Yield the events of a stream as they come."""
    for line in lines:
        if line.startswith("data: "):
            yield json.loads(line[6:])


def begin(gateway, *, leave_after, headers=None, **fields):
    """Start a background response, read some of its events and leave; give them."""
    seen = []
    with (
        gateway.client(headers=headers) as client,
        client.stream("POST", "/v1/responses", json={**ASK, **fields}) as answer,
    ):
        assert answer.status_code == 200, answer.read()
        assert answer.headers["x-thalamus-backend"] == "sage"
        for event in read(answer.iter_lines()):
            seen.append(event)
            if len(seen) == leave_after:
                break
    return seen


def follow(gateway, response_id, *, headers=None, **query):
    with gateway.client(headers=headers) as client:
        answer = client.get(f"/v1/responses/{response_id}", params={"stream": "true", **query}, timeout=20)
    assert answer.status_code == 200, answer.text
    return list(read(answer.text.splitlines()))


def wait_for(condition, timeout_s=5.0):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that in time"
        time.sleep(0.02)


def test_whoever_leaves_finds_every_event_again_in_its_place(processes, standin):
    here, elsewhere = processes
    standin.behave(**SLOW)
    seen = begin(here, leave_after=6)
    kinds = [event["type"].removeprefix("response.") for event in seen]
    assert kinds == ["created", "queued", "in_progress", "output_item.added", "content_part.added", "output_text.delta"]
    assert [event["response"]["status"] for event in seen[:3]] == ["queued", "queued", "in_progress"]
    response_id = seen[0]["response"]["id"]
    rest = follow(elsewhere, response_id, starting_after=seen[-1]["sequence_number"])
    assert not standin.requests()[-1]["client_left"]
    whole = seen + rest
    assert follow(elsewhere, response_id, headers={"last-event-id": str(len(whole) - 3)}) == whole[-2:]
    assert [event["sequence_number"] for event in whole] == list(range(len(whole)))
    assert whole[-1]["type"] == "response.completed"
    deltas = [event["delta"] for event in whole if event["type"] == "response.output_text.delta"]
    assert len(deltas) == SLOW["tokens"]
    with elsewhere.client() as client:
        kept = client.get(f"/v1/responses/{response_id}").json()
    assert kept == whole[-1]["response"]
    assert "".join(deltas) == kept["output"][-1]["content"][0]["text"]
    for gateway in (here, elsewhere):
        assert follow(gateway, response_id) == whole
        assert follow(gateway, response_id, starting_after=len(whole) - 2) == whole[-1:]
        assert follow(gateway, response_id, starting_after=len(whole) + 5) == []
    (record,) = [event for event in here.events() if event["endpoint"] == "responses-background"]
    assert (record["outcome"], record["tokens_out"]) == ("done", kept["usage"]["output_tokens"])


def test_many_follow_one_response_and_each_is_told_all(processes, standin):
    here, elsewhere = processes
    standin.behave(**SLOW)
    response_id = begin(here, leave_after=1)[0]["response"]["id"]
    told = [follow(gateway, response_id) for gateway in (elsewhere, here, elsewhere)]
    assert told[0] == told[1] == told[2]
    assert told[0][-1]["type"] == "response.completed"


def test_a_cancel_stops_it_and_tells_those_who_follow(processes, standin):
    here, elsewhere = processes
    standin.behave(tokens=1000, token_ms=20)
    response_id = begin(here, leave_after=7)[0]["response"]["id"]
    with (
        elsewhere.client(timeout=20) as client,
        client.stream("GET", f"/v1/responses/{response_id}?stream=true") as answer,
    ):
        events = read(answer.iter_lines())
        first = next(events)
        with elsewhere.client() as other:
            cancelled = other.post(f"/v1/responses/{response_id}/cancel").json()
        told = [first, *events]
    assert cancelled["status"] == "cancelled"
    assert (told[-1]["type"], told[-1]["response"]["status"]) == ("response.cancelled", "cancelled")
    assert [event["sequence_number"] for event in told] == list(range(len(told)))
    wait_for(lambda: standin.requests()[-1]["client_left"])
    with here.client() as client:
        assert client.get(f"/v1/responses/{response_id}").json()["status"] == "cancelled"


def test_events_carry_their_numbers_as_ids_for_an_event_source(gateway, standin):
    events = begin(gateway, leave_after=None)
    with gateway.client() as client:
        told = client.get(f"/v1/responses/{events[0]['response']['id']}?stream=true").text
    ids = [line.removeprefix("id: ") for line in told.splitlines() if line.startswith("id: ")]
    assert ids == [str(event["sequence_number"]) for event in events]


def test_a_response_that_fails_tells_so_in_its_last_event(gateway, standin):
    standin.behave(faults=["status-429"])
    events = begin(gateway, leave_after=None)
    assert [event["type"] for event in events] == [
        "response.created",
        "response.queued",
        "response.in_progress",
        "response.failed",
    ]
    assert events[-1]["response"]["error"]["code"] == "rate_limit_exceeded"


def test_what_is_refused_at_once_is_no_stream(gateway, standin):
    with gateway.client() as client:
        answer = client.post("/v1/responses", json={**ASK, "model": "gpt-9"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_found")


def test_only_what_was_created_to_be_followed_can_be(gateway, standin):
    with gateway.client() as client:
        plain = client.post("/v1/responses", json={"model": "sage", "input": "Hi"}).json()
        polled = client.post("/v1/responses", json={**ASK, "stream": False}).json()
        for response in (plain, polled):
            refused = client.get(f"/v1/responses/{response['id']}?stream=true")
            assert (refused.status_code, refused.json()["error"]["param"]) == (400, "stream")
        wrong = client.get(f"/v1/responses/{plain['id']}?stream=true&starting_after=x")
        assert wrong.json()["error"]["param"] == "starting_after"


def test_deleting_a_response_ends_it_and_forgets_its_events(processes, standin):
    here, elsewhere = processes
    standin.behave(tokens=1000, token_ms=20)
    response_id = begin(here, leave_after=7)[0]["response"]["id"]
    with elsewhere.client() as client:
        assert client.delete(f"/v1/responses/{response_id}").json()["deleted"]
        assert client.get(f"/v1/responses/{response_id}?stream=true").status_code == 404
    wait_for(lambda: standin.requests()[-1]["client_left"])


def test_no_tenant_follows_anothers_response(serve, standin):
    keys = [{"name": name, "key": f"secret-{name}", "tenant": name} for name in ("a", "b")]
    gateway = serve(settings_over(standin.url, keys=keys))
    ours, theirs = ({"authorization": f"Bearer secret-{name}"} for name in ("a", "b"))
    response_id = begin(gateway, leave_after=1, headers=ours)[0]["response"]["id"]
    with gateway.client() as client:
        assert client.get(f"/v1/responses/{response_id}?stream=true", headers=theirs).status_code == 404
        assert client.get(f"/v1/responses/{response_id}?stream=true").status_code == 401
    assert follow(gateway, response_id, headers=ours)[-1]["type"] == "response.completed"


def test_the_shutdown_waits_for_those_who_follow(serve, standin):
    standin.behave(**SLOW)
    gateway = serve(settings_over(standin.url, server={"drain_s": 10}))
    with gateway.client(timeout=20) as client, client.stream("POST", "/v1/responses", json=ASK) as answer:
        events = read(answer.iter_lines())
        next(events)
        gateway.signal(signal.SIGTERM)
        assert list(events)[-1]["type"] == "response.completed"
    assert gateway.process.wait(10) == 0  # a second signal would cut what is under way
