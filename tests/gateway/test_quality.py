"""How good routing is, as the real gateway measures it: where time goes, thinking, verdicts, shadow answers."""

import re

import pytest

from tests.gateway.serving import running_gateway, settings_over

CHAT = "/v1/chat/completions"


@pytest.fixture(scope="module")
def quality(session_standin, tmp_path_factory):
    """A gateway whose deep tier thinks for a while before it answers."""
    settings = settings_over(session_standin.url, cache={"mode": "exact"}, redis={})
    settings["backends"]["sage"]["model"] = "sage-1@thinking=always,thinking_ms=60,token_ms=2"
    with running_gateway(settings, tmp_path_factory.mktemp("quality")) as running:
        yield running


def ask(gateway, text, headers=None, **body):
    messages = [{"role": "user", "content": text}]
    with gateway.client() as client:
        return client.post(CHAT, json={"model": "auto", "messages": messages, **body}, headers=headers)


def value(gateway, name, **labels):
    """Give the sum of a metric's series that have these labels."""
    with gateway.client() as client:
        lines = client.get("/metrics").text.splitlines()
    found = [line for line in lines if re.match(rf"{name}(\{{| )", line)]
    wanted = [f'{label}="{text}"' for label, text in labels.items()]
    return sum(float(line.rpartition(" ")[2]) for line in found if all(one in line for one in wanted))


def test_every_room_that_a_request_passes_is_timed_and_waiting_for_backends_is_nobodys(quality, standin):
    standin.behave(first_byte_ms=300)
    ask(quality, "Hello", temperature=0)
    rooms = {room: value(quality, "thalamus_room_seconds_total", room=room) for room in ROOMS}
    assert all(rooms.values()), rooms
    assert sum(rooms.values()) < 0.3


ROOMS = ("auth", "read", "parse", "decide", "cache", "open", "relay", "account")


@pytest.mark.parametrize("show", ["pass", "hide"])
def test_thinking_lasts_from_the_first_reasoning_to_the_first_answer_whoever_may_see_it(quality, standin, show):
    before = value(quality, "thalamus_thinking_seconds_sum", tier="deep", backend="sage")
    ask(quality, f"Prove it, {show}", model="deep", stream=True, headers={"x-thalamus-reasoning": show})
    quality.records(1)
    assert 0.04 < value(quality, "thalamus_thinking_seconds_sum", tier="deep", backend="sage") - before < 1


def test_a_stream_without_reasoning_has_no_thinking_time(quality, standin):
    ask(quality, "Hello again", model="fast", stream=True)
    assert value(quality, "thalamus_thinking_seconds_count", tier="fast") == 0
