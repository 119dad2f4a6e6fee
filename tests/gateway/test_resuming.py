"""Streams that survive their connection, on two workers with a Redis: followed again at whichever is asked."""

import re
import time

import httpx
import pytest

from gateway.standin import running_standin
from tests.gateway.serving import running_gateway, settings_over
from tests.unit.gateway.redis_server import running_redis

QUESTION = "Tell me a story of some length, please."
CHAT = {"model": "auto", "messages": [{"role": "user", "content": QUESTION}], "stream": True, "max_tokens": 400}
SURFACES = {
    "/v1/chat/completions": CHAT,
    "/v1/messages": CHAT,
    "/v1/responses": {"model": "auto", "input": QUESTION, "stream": True},
}
KEYS = {name: {"authorization": f"Bearer sk-{name}-0123456789"} for name in ("ours", "theirs")}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with running_standin() as standin, running_redis() as redis:
        settings = settings_over(
            standin.url,
            server={"resumable_streams": True, "workers": 2},
            redis={"url": redis.url, "deadline_ms": 200},
            keys=[{"name": name, "tenant": name, "key": f"sk-{name}-0123456789"} for name in KEYS],
        )
        with running_gateway(settings, tmp_path_factory.mktemp("resuming")) as gateway:
            yield gateway, standin


@pytest.fixture
def gateway(world):
    gateway, standin = world
    standin.reset()
    standin.behave(tokens=40, token_ms=30)
    yield gateway
    standin.reset()


def begin(gateway, path: str, events: int, **headers: str) -> tuple[str, bytes]:
    """Send a request, read some events, and lose the connection; give the stream's name and what was read."""
    read = b""
    asked = {"x-thalamus-resumable": "on", **KEYS["ours"], **headers}
    with gateway.client(headers=asked) as client, client.stream("POST", path, json=SURFACES[path]) as answer:
        assert answer.status_code == 200
        for piece in answer.iter_raw():
            read += piece
            if read.count(b"\n\n") >= events:
                break
    return answer.headers.get("x-thalamus-stream", ""), read[: read.rindex(b"\n\n") + 2]


def follow(gateway, name: str, *, whose: str = "ours", **options) -> httpx.Response:
    with gateway.client(headers=KEYS[whose], timeout=20) as client:
        return client.get(f"/v1/streams/{name}", **options)


def ids(events: bytes) -> list[int]:
    return [int(number) for number in re.findall(rb"^id: (\d+)$", events, re.MULTILINE)]


def without_comments(events: bytes) -> bytes:
    return b"".join(frame + b"\n\n" for frame in events.split(b"\n\n") if frame and not frame.startswith(b":"))


@pytest.mark.parametrize("path", SURFACES)
def test_a_stream_goes_on_without_its_client_and_is_had_again_from_any_event_at_any_worker(gateway, world, path):
    before = gateway.settled()
    name, read = begin(gateway, path, 6)
    rests = [follow(gateway, name, params={"starting_after": ids(read)[-1]}).content for _ in range(4)]
    whole = without_comments(read) + without_comments(rests[0])
    assert ids(whole) == list(range(len(ids(whole)))), "no event is missing, and none comes twice"
    assert len(ids(whole)) > 40
    assert len({without_comments(rest) for rest in rests}) == 1, "whoever is asked says the same"
    assert without_comments(follow(gateway, name).content) == whole
    (call,) = [one for one in world[1].requests() if one["method"] == "POST"]
    assert call["outcome"] == "completed"
    (record,) = gateway.records(before + 1)[before:]
    assert record["outcome"] == "done"
    assert record["tokens_out"] >= 40


def test_the_last_event_id_is_understood(gateway):
    name, read = begin(gateway, "/v1/chat/completions", 4)
    rest = follow(gateway, name, headers={"last-event-id": str(ids(read)[-1])}).content
    assert ids(rest)[0] == ids(read)[-1] + 1
    assert rest.rstrip().endswith(b"data: [DONE]")


def test_nobody_elses_stream_is_to_be_had(gateway):
    name, _ = begin(gateway, "/v1/chat/completions", 2)
    for _ in range(4):
        assert follow(gateway, name, whose="theirs").status_code == 404
    assert follow(gateway, "strm_" + 32 * "0").json()["error"]["code"] == "unknown_url"
    assert follow(gateway, "../responses/x").status_code == 404
    with gateway.client(headers=KEYS["theirs"]) as client:
        assert client.delete(f"/v1/streams/{name}").status_code == 404
    assert follow(gateway, name).content.rstrip().endswith(b"data: [DONE]")


def test_a_stream_can_be_stopped_by_any_worker_and_its_record_says_so(gateway, world):
    before = gateway.settled()
    world[1].behave(tokens=600, token_ms=30)
    name, _ = begin(gateway, "/v1/chat/completions", 2)
    with gateway.client(headers=KEYS["ours"]) as client:
        assert client.delete(f"/v1/streams/{name}").json()["deleted"] is True
    (record,) = gateway.records(before + 1)[before:]
    assert (record["outcome"], record["error"]) == ("dropped", "cancelled")
    deadline = time.monotonic() + 2
    while any(one["outcome"] == "open" for one in world[1].requests()):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_who_does_not_ask_has_a_stream_that_ends_with_its_connection(gateway, world):
    before = gateway.settled()
    name, read = begin(gateway, "/v1/chat/completions", 2, **{"x-thalamus-resumable": "off"})
    assert not name
    assert not ids(read)
    (record,) = gateway.records(before + 1)[before:]
    assert record["outcome"] == "dropped"
