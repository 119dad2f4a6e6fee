"""A small `max_tokens` does not end in an empty answer because thinking has used it up; where it does, that is told."""

import json

import pytest

from tests.gateway.serving import running_gateway, settings_over

CAP = 200
THOUGHTS = 300
"""Tokens of thinking: more than the caller's cap, so that nothing would be left of it for the answer."""

HARD = (
    "Prove that for every integer n > 2 there are no positive integers a, b, c with a^n + b^n = c^n when n is a "
    "multiple of 4, by infinite descent, and explain every step rigorously."
)
SURFACES = {
    "chat": ("/v1/chat/completions", "max_tokens"),
    "responses": ("/v1/responses", "max_output_tokens"),
    "messages": ("/v1/messages", "max_tokens"),
}
EFFORT = {
    "chat": {"reasoning_effort": "high"},
    "responses": {"reasoning": {"effort": "high"}},
    "messages": {"thinking": {"type": "adaptive"}},
}


@pytest.fixture(scope="module")
def roomy(session_standin, tmp_path_factory):
    settings = settings_over(session_standin.url)
    hybrid = {**settings["backends"]["sage"], "family": "glm-4.5", "host": "vllm"}
    settings["backends"] |= {
        "sage": {**hybrid, "model": f"sage-1@thinking_tokens={THOUGHTS}"},
        "keen": {**hybrid, "model": f"keen-1@thinking=always,thinking_tokens={THOUGHTS}"},
        "oss": {
            **hybrid,
            "family": "gpt-oss",
            "responses": "translate",
            "model": f"oss-1@thinking=always,thinking_tokens={THOUGHTS}",
        },
        "small": {
            **hybrid,
            "model": f"small-1@thinking=always,thinking_tokens={THOUGHTS},context_window=1000",
            "context_window": 1000,
        },
        "glutton": {**hybrid, "model": "glutton-1@thinking=always,thinking_tokens=20000"},
    }
    settings["tiers"]["fast-mini"] = "oss"
    with running_gateway(settings, tmp_path_factory.mktemp("roomy")) as running:
        yield running


def ask(gateway, surface, *, stream=False, question=HARD, **fields):
    path, cap = SURFACES[surface]
    said = {"input": question} if surface == "responses" else {"messages": [{"role": "user", "content": question}]}
    with gateway.client() as client:
        return client.post(path, json={**said, cap: CAP, "stream": stream, **fields})


def events(answer):
    return [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: {")]


def text_of(surface, answer):
    """Give what an answer says, reasoning aside, in whichever form it came."""
    if answer.headers["content-type"].startswith("application/json"):
        told = answer.json()
        if surface == "chat":
            return told["choices"][0]["message"]["content"] or ""
        blocks = told["content"] if surface == "messages" else [
            part for item in told["output"] if item["type"] == "message" for part in item["content"]
        ]  # fmt: skip
        return "".join(block.get("text", "") for block in blocks)
    if surface == "chat":
        return "".join(choice["delta"].get("content") or "" for event in events(answer) for choice in event["choices"])
    if surface == "messages":
        return "".join(event["delta"].get("text", "") for event in events(answer) if "delta" in event)
    return "".join(event["delta"] for event in events(answer) if event["type"] == "response.output_text.delta")


def sent_cap(standin):
    return standin.requests()[-1]["body"]["max_tokens"]


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize("surface", SURFACES)
def test_who_was_to_think_for_difficulty_alone_answers_without(roomy, standin, surface, stream):
    answer = ask(roomy, surface, stream=stream, model="auto")
    assert (answer.headers["x-thalamus-backend"], answer.headers["x-thalamus-reason"]) == ("swift", "max-tokens")
    assert text_of(surface, answer)
    assert sent_cap(standin) == CAP


WHO_THINKS = {
    "a tier": lambda surface: {"model": "deep"},
    "a named backend at an effort": lambda surface: {"model": "sage", **EFFORT[surface]},
    "a fast tier that always thinks": lambda surface: {"model": "fast-mini"},
}


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize("surface", SURFACES)
@pytest.mark.parametrize("who", WHO_THINKS)
def test_who_thinks_has_room_for_the_answer_as_well(roomy, standin, surface, stream, who):
    answer = ask(roomy, surface, stream=stream, **WHO_THINKS[who](surface))
    assert text_of(surface, answer)
    assert sent_cap(standin) >= CAP + 1024
    assert answer.headers["x-thalamus-thinking"].endswith(f" max_tokens={sent_cap(standin)}")


@pytest.mark.parametrize("surface", ["chat", "responses"])
def test_who_thinks_unless_told_not_to_has_it_too(roomy, standin, surface):
    answer = ask(roomy, surface, model="keen")
    assert text_of(surface, answer)
    assert sent_cap(standin) >= CAP + 1024
    answer = ask(roomy, surface, model="swift")
    assert text_of(surface, answer)
    assert sent_cap(standin) == CAP, "of which nobody knows that it thinks"
    assert "max_tokens" not in answer.headers["x-thalamus-thinking"]


def test_no_more_room_is_asked_for_than_the_context_window_has(roomy, standin):
    answer = ask(roomy, "chat", model="small")
    assert answer.status_code == 200
    assert text_of("chat", answer)
    assert CAP + THOUGHTS < sent_cap(standin) < 1000


@pytest.mark.parametrize("surface", SURFACES)
def test_where_thinking_used_up_everything_all_the_same_that_is_told(roomy, surface):
    before = roomy.settled()
    plain = ask(roomy, surface, model="glutton", **EFFORT[surface])
    streamed = ask(roomy, surface, stream=True, model="glutton", **EFFORT[surface])
    for answer in (plain, streamed):
        assert answer.status_code == 200
        assert text_of(surface, answer) == ""
    thinking = plain.headers["x-thalamus-thinking"]
    assert thinking.endswith(" answer=none")
    assert f": x-thalamus-thinking: {thinking}\n\n" in streamed.text
    ends = {
        "chat": lambda told: told["choices"][0]["finish_reason"] == "length",
        "responses": lambda told: told["incomplete_details"] == {"reason": "max_output_tokens"},
        "messages": lambda told: told["stop_reason"] == "max_tokens",
    }
    assert ends[surface](plain.json())
    assert [record["answer"] for record in roomy.records(before + 2)[before:]] == ["none", "none"]


def test_it_is_counted_by_backend_and_an_answer_is_not(roomy):
    def counted():
        with roomy.client() as client:
            lines = client.get("/metrics").text.splitlines()
        found = [line for line in lines if line.startswith("thalamus_empty_answers_total")]
        assert all('backend="glutton"' in line for line in found)
        return sum(float(line.rsplit(" ", 1)[1]) for line in found)

    before = counted()
    ask(roomy, "chat", model="glutton", reasoning_effort="high")
    ask(roomy, "chat", model="sage", reasoning_effort="high")
    roomy.settled()
    assert counted() == before + 1
