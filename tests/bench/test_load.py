"""The load generator counts and times what really happened: its figures are only worth what these tests are."""

import itertools
import json

import pytest

from gateway.standin import running_standin
from tests.bench.load import LoadError, closed_loop, post, streams
from tests.bench.prompts import PROMPTS

CHAT = "/v1/chat/completions"


@pytest.fixture(scope="module")
def standin():
    with running_standin() as standin:
        yield standin


def address(standin):
    host, port = standin.url.removeprefix("http://").split(":")
    return host, int(port)


def asking(standin, *, stream=False, **switches):
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": stream, "standin": switches}
    return itertools.repeat(post(CHAT, json.dumps(body).encode(), {"x-a": "b"}, standin.url.removeprefix("http://")))


async def test_every_request_reaches_the_server_once(standin):
    standin.reset()
    samples = await closed_loop(*address(standin), asking(standin), connections=4, seconds=30, most=200)
    assert len(samples.answers) == 200
    seen = standin.requests()
    assert len(seen) == 200
    assert {entry["outcome"] for entry in seen} == {"completed"}
    assert seen[0]["headers"]["x-a"] == "b"


async def test_the_time_limit_ends_a_loop(standin):
    samples = await closed_loop(*address(standin), asking(standin), connections=2, seconds=0.2, most=10**9)
    assert 0.2 <= samples.seconds < 5
    assert samples.answers


async def test_an_answer_takes_as_long_as_the_server_does(standin):
    slow = asking(standin, first_byte_ms=50)
    samples = await closed_loop(*address(standin), slow, connections=1, seconds=30, most=3)
    assert all(0.05 <= answer.seconds < 1 for answer in samples.answers)


async def test_streams_are_timed_to_their_first_event_and_counted_to_their_last(standin):
    request = asking(
        standin, stream=True, tokens=20, token_ms=5, first_token_ms=42
    )  # the loop's timers tick in whole milliseconds
    samples = await streams(*address(standin), request, count=8, over_seconds=0.1, patience=10)
    assert len(samples.answers) == 8
    for answer in samples.answers:
        assert answer.events == 23  # the role, twenty tokens, the finish reason and [DONE]
        assert 0.04 <= answer.first_event_seconds < answer.seconds
        assert answer.seconds >= 0.14


@pytest.mark.parametrize("fault", ["status-503", "close-mid-stream", "reset-before-headers"])
async def test_a_failed_answer_ends_the_measurement(standin, fault):
    with pytest.raises(LoadError):
        await closed_loop(*address(standin), asking(standin, faults=[fault]), connections=1, seconds=5, most=5)


async def test_a_stalled_stream_ends_the_measurement(standin):
    stalled = asking(standin, stream=True, faults=["stall-mid-stream"])
    with pytest.raises(LoadError, match="did not end"):
        await streams(*address(standin), stalled, count=2, over_seconds=0.1, patience=0.5)


def test_the_prompts_are_fifty_different_ones_in_two_languages():
    assert len(set(PROMPTS)) == 50
    assert sum(any("\u4e00" <= sign <= "\u9fff" for sign in prompt) for prompt in PROMPTS) >= 13
