"""A stream that breaks off is gone on with by another backend, from the text so far, where that is switched on."""

import json

import pytest

from gateway.standin import running_standin
from tests.gateway.serving import running_gateway

WORDS = "one two three four five six seven eight "
QUESTIONS = {
    "chat": ("/v1/chat/completions", {"messages": [{"role": "user", "content": "Count"}], "max_tokens": 100}),
    "completions": ("/v1/completions", {"prompt": "Count: ", "max_tokens": 100}),
    "messages": ("/v1/messages", {"messages": [{"role": "user", "content": "Count"}], "max_tokens": 100}),
    "responses": ("/v1/responses", {"input": "Count", "max_output_tokens": 100}),
}


@pytest.fixture(scope="module")
def module_world(tmp_path_factory):
    with running_standin() as one, running_standin() as two:
        models = {"family": "qwen3", "host": "vllm", "breaker": {"enabled": False}}
        backends = {
            name: {"url": f"{standin.url}/v1", "model": f"{name}-1", **models}
            for name, standin in (("first", one), ("second", two))
        }
        backends["deaf"] = {"url": f"{two.url}/v1", "model": "deaf-1", "breaker": {"enabled": False}}
        settings = {
            "backends": backends,
            "tiers": {"fast": ["first", "second"], "deep": ["first", "deaf"]},
            "attempts": {"continue_streams": True},
            "server": {"port": 0, "notice_s": 0, "drain_s": 2},
            "telemetry": {"log_format": "json"},
        }
        with running_gateway(settings, tmp_path_factory.mktemp("continuing")) as gateway:
            yield gateway, one, two


@pytest.fixture
def world(module_world):
    gateway, one, two = module_world
    for standin in (one, two):
        standin.reset()
    one.behave(answer=WORDS, faults=["close-mid-stream"])
    two.behave(answer="nine ten")
    return gateway, one, two


def ask(gateway, surface="chat", **changes):
    path, body = QUESTIONS[surface]
    with gateway.client() as client:
        return client.post(path, json={"model": "fast", "stream": True, **body, **changes})


def events(text):
    return [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]


def said(surface, text):
    if surface == "completions":
        return "".join(choice["text"] for event in events(text) for choice in event["choices"])
    if surface == "messages":
        return "".join(
            event["delta"].get("text", "") for event in events(text) if event["type"].endswith("block_delta")
        )
    if surface == "responses":
        return "".join(event["delta"] for event in events(text) if event["type"] == "response.output_text.delta")
    return "".join(choice["delta"].get("content") or "" for event in events(text) for choice in event["choices"])


@pytest.mark.parametrize("surface", QUESTIONS)
def test_the_rest_comes_from_another_backend_and_no_word_comes_twice(world, surface):
    gateway, _, two = world
    answer = ask(gateway, surface)
    (sent,) = [request["body"] for request in two.requests()]
    if surface == "completions":
        prefix = sent["prompt"].removeprefix("Count: ")
    else:
        assert (sent["continue_final_message"], sent["add_generation_prompt"]) == (True, False)
        assert sent["chat_template_kwargs"]["enable_thinking"] is False
        assert sent["messages"][-1]["role"] == "assistant"
        prefix = sent["messages"][-1]["content"]
    assert prefix
    assert WORDS.startswith(prefix)
    assert len(prefix) < len(WORDS)
    assert sent["max_tokens"] < 100
    assert said(surface, answer.text) == f"{prefix}nine ten"
    assert '"error":{' not in answer.text
    assert ": x-thalamus-continued: second\n" in answer.text
    assert answer.headers["x-thalamus-backend"] == "first"


def test_the_stream_stays_one_stream_and_says_that_it_was_continued(world):
    gateway, _, _ = world
    before = gateway.settled()
    answer = ask(gateway)
    assert ": x-thalamus-continued: second\n" in answer.text
    chunks = events(answer.text)
    assert len({chunk["id"] for chunk in chunks}) == 1
    assert len({chunk["model"] for chunk in chunks}) == 1
    assert sum("role" in choice["delta"] for chunk in chunks for choice in chunk["choices"]) == 1
    assert answer.text.rstrip().endswith("data: [DONE]")
    record = gateway.records(before + 1)[-1]
    assert (record["outcome"], record["backend"]) == ("done", "second")
    assert record["attempts"] == ["first:ok", "first:upstream_failed", "second:ok"]


@pytest.mark.parametrize(
    "changes",
    [
        {"model": "deep"},
        {"n": 2},
        {"response_format": {"type": "json_object"}},
        {"tools": [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]},
    ],
    ids=["nobody can", "two answers", "a format", "a tool call"],
)
def test_what_cannot_be_gone_on_with_ends_in_an_error_event(world, changes):
    gateway, one, two = world
    if "tools" in changes:
        one.behave(answer=None, tool_calls=1)
    if "response_format" in changes:
        one.behave(answer=None)
        changes = {**changes, "messages": [{"role": "user", "content": "Count in JSON " * 20}]}
    before = gateway.settled()
    answer = ask(gateway, **changes)
    assert events(answer.text)[-1]["error"]["code"] == "upstream_failed"
    assert not two.requests()
    record = gateway.records(before + 1)[-1]
    assert (record["outcome"], record["error"]) == ("failed", "upstream_failed")
    assert record["partial"] is True
    assert record["tokens_out"] > 0


def test_when_nobody_else_answers_either_the_first_failure_is_told(world):
    gateway, _, two = world
    two.behave(faults=["status-500"])
    answer = ask(gateway)
    assert "one" in said("chat", answer.text.rsplit("data: ", 1)[0])
    assert events(answer.text)[-1]["error"]["message"].startswith("Backend 'first'")
