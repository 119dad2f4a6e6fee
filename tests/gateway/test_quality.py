"""How good routing is, as the real gateway measures it: where time goes, thinking, verdicts, shadow answers."""

import json
import re
import time

import pytest

from tests.gateway.serving import running_gateway, settings_over

CHAT = "/v1/chat/completions"


@pytest.fixture(scope="module")
def quality(session_standin, tmp_path_factory):
    """A gateway whose deep tier thinks for a while before it answers, and that asks the other tier about everything."""
    folder = tmp_path_factory.mktemp("quality")
    shadow = {"share": 1.0, "judge": "judge", "max_tokens": 1000}
    log = {"path": str(folder / "decisions.jsonl")}
    settings = settings_over(session_standin.url, cache={"mode": "exact"}, shadow=shadow, decision_log=log)
    backends = settings["backends"]
    backends["sage"] |= {
        "model": "sage-1@thinking=always,thinking_ms=150,token_ms=2,answer=42",
        "price": {"input": 9, "output": 9},
    }
    backends["judge"] = {
        "url": backends["swift"]["url"],
        "model": "judge-1@answer=B",
        "price": {"input": 1, "output": 1},
    }
    with running_gateway(settings, folder) as running:
        running.notes = lambda: notes_in(folder / "decisions.jsonl")
        yield running


def notes_in(path):
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return {line["id"]: line for line in lines if line.get("line") == "shadow"}


def until(condition, what):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


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
    answer = ask(quality, "Hello", temperature=0)
    standin.reset()
    note_of(quality, answer)  # nothing of it reaches into the next tests
    rooms = {room: value(quality, "thalamus_room_seconds_total", room=room) for room in ROOMS}
    assert all(rooms.values()), rooms
    assert sum(rooms.values()) < 0.3


ROOMS = ("auth", "read", "parse", "decide", "cache", "open", "relay", "account")


@pytest.mark.parametrize("show", ["pass", "hide"])
def test_thinking_lasts_from_the_first_reasoning_to_the_first_answer_whoever_may_see_it(quality, standin, show):
    before = value(quality, "thalamus_thinking_seconds_sum", tier="deep", backend="sage")
    ask(quality, f"Prove it, {show}", model="deep", stream=True, headers={"x-thalamus-reasoning": show})
    quality.records(1)
    assert 0.1 < value(quality, "thalamus_thinking_seconds_sum", tier="deep", backend="sage") - before < 1


def test_a_stream_without_reasoning_has_no_thinking_time(quality, standin):
    ask(quality, "Hello again", model="fast", stream=True)
    assert value(quality, "thalamus_thinking_seconds_count", tier="fast") == 0


def shadowed(gateway, tier, result):
    return value(gateway, "thalamus_shadow_answers_total", tier=tier, result=result)


def note_of(gateway, answer):
    name = answer.headers["x-thalamus-decision-id"]
    until(lambda: name in gateway.notes(), "no second answer was logged")
    return gateway.notes()[name]


@pytest.mark.parametrize(
    ("said", "text", "served", "verdict", "finding", "outcome"),
    [
        ("42", "How much is it?", "fast", "same", "fast-was-enough", "right"),
        ("41", "How much is it now?", "fast", "deep", "deep-was-needed", "should-be-deep"),
        ("42", "Think hard: how much is it?", "deep", "same", "fast-was-enough", "should-be-fast"),
        ("41", "Think hard: how much is it now?", "deep", "deep", "deep-was-needed", "right"),
    ],
)
def test_the_other_tiers_answer_tells_whether_the_tier_was_right(
    quality, standin, said, text, served, verdict, finding, outcome
):
    standin.behave(answer=said)
    other, backend = ("deep", "sage") if served == "fast" else ("fast", "swift")
    labels = {"source": "shadow", "tier": served, "outcome": outcome}
    before = shadowed(quality, other, verdict), value(quality, "thalamus_routing_verdicts_total", **labels)
    answer = ask(quality, text)
    assert answer.headers["x-thalamus-tier"] == served
    note = note_of(quality, answer)
    assert (note["tier"], note["target"]["backend"], note["verdict"]) == (served, backend, verdict)
    assert (note["by"], note["finding"], text in json.dumps(note)) == ("rule", finding, False)
    after = shadowed(quality, other, verdict), value(quality, "thalamus_routing_verdicts_total", **labels)
    assert [now - then for then, now in zip(before, after, strict=True)] == [1, 1]


def test_a_second_answer_is_no_request_and_no_callers_cost(quality, standin):
    names = ("thalamus_requests_total", "thalamus_cost_dollars_total", "thalamus_shadow_cost_dollars_total")
    before = [value(quality, name) for name in names]
    note = note_of(quality, ask(quality, "Say hello to Ann"))
    requests, cost, shadow = (value(quality, name) - then for name, then in zip(names, before, strict=True))
    assert (requests, cost) == (1, 0), "the fast backend has no price"
    assert shadow > note["cost"] > 0, "the judge was paid as well"


def test_answers_that_no_rule_compares_go_to_the_judge_in_either_order(quality, standin):
    """A judge that always names the second prefers its place, and so neither answer."""
    note = note_of(quality, ask(quality, "Say something nice about the sea in autumn"))
    assert (note["by"], note["verdict"]) == ("judge", "same")
    asked = [one["body"] for one in standin.requests() if one["body"]["model"].startswith("judge")]
    assert len(asked) == 2
    behind = [one["messages"][0]["content"].partition("<<answer B")[2] for one in asked]
    assert ["the sea in autumn" in text for text in behind] == [False, True]


TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}


@pytest.mark.parametrize(
    "body",
    [
        {"stream": True},
        {"tools": [TOOL]},
        {"model": "fast"},
        {"model": "swift"},
        {"n": 2},
        {"reasoning_effort": "none"},
    ],
)
def test_nobody_else_is_asked_where_that_is_not_wanted_or_says_nothing_of_the_router(quality, standin, body):
    answer = ask(quality, "How are you?", **body)
    assert answer.is_success
    time.sleep(0.2)
    assert len(standin.requests()) == 1


def test_a_second_answer_that_fails_is_not_tried_again_and_no_caller_notices(quality, standin):
    standin.behave(models=["swift-1"])
    before = shadowed(quality, "deep", "failed")
    assert ask(quality, "Say anything").is_success
    until(lambda: shadowed(quality, "deep", "failed") == before + 1, "the failure was not counted")
    assert [one["body"]["model"][:4] for one in standin.requests()] == ["swif", "sage"]


def test_a_kept_answer_has_been_compared_before(quality, standin):
    for _ in range(2):
        answer = ask(quality, "What is kept?", temperature=0)
    assert answer.headers["x-thalamus-cache"] == "hit-exact"
    until(lambda: len(standin.requests()) >= 2, "nobody was asked")
    time.sleep(0.2)
    assert [one["body"]["model"] for one in standin.requests()].count("swift-1") == 1


def test_a_shadow_under_way_does_not_hold_up_the_end(quality, standin):
    standin.behave(first_byte_ms=700)
    answer = ask(quality, "Say goodbye")
    quality.stop(timeout_s=8)
    assert answer.headers["x-thalamus-decision-id"] not in quality.notes()
