"""A client that gives up after some seconds of silence gets its answer, however long the model thinks in silence."""

import json
import threading
import time

import httpx
import pytest

from tests.gateway.serving import running_gateway, settings_over

QUESTION = {"messages": [{"role": "user", "content": "Hello there"}], "max_tokens": 64, "stream": True}
SURFACES = {
    "chat": ("/v1/chat/completions", QUESTION),
    "responses": ("/v1/responses", {"input": "Hello there", "stream": True}),
    "messages": ("/v1/messages", QUESTION),
}
SILENCE_S = 0.6
"""After so much silence the client of these tests gives up: 30 s in real life, of which the rest is scaled down."""
THINKING = {"thinking": "always", "thinking_style": "silent", "thinking_ms": 1500}


@pytest.fixture(scope="module")
def lively(session_standin, tmp_path_factory):
    settings = settings_over(session_standin.url, server={"keep_alive_s": 0.2})
    with running_gateway(settings, tmp_path_factory.mktemp("lively")) as running:
        yield running


def ask(gateway, surface, **body) -> httpx.Response:
    path, question = SURFACES[surface]
    with gateway.client(timeout=httpx.Timeout(10, read=SILENCE_S)) as client:
        return client.post(path, json={**question, "model": "sage", **body})


@pytest.mark.parametrize("surface", SURFACES)
def test_silent_thinking_before_the_first_event_is_survived(lively, standin, surface):
    standin.behave(**THINKING)
    before = lively.settled()
    answer = ask(lively, surface)
    assert answer.status_code == 200
    assert answer.headers["x-thalamus-backend"] == "sage"
    assert answer.text.startswith(": keep-alive\n\n")
    assert "Hello" in answer.text
    assert answer.text.count(": keep-alive") >= 3
    assert lively.records(before + 1)[-1]["outcome"] == "done"


@pytest.mark.parametrize("surface", SURFACES)
def test_silence_between_events_is_survived(lively, standin, surface):
    standin.behave(tokens=2, token_ms=1000)
    answer = ask(lively, surface)
    sign = "event: ping" if surface == "messages" else ": keep-alive"
    assert answer.text.count(sign) >= 3
    assert answer.text.rstrip().endswith(
        {"chat": "data: [DONE]", "messages": '{"type":"message_stop"}'}.get(surface, "}")
    )


def test_a_stream_that_flows_gets_no_signs(lively, standin):
    standin.behave(tokens=60, token_ms=15)
    assert ": keep-alive" not in ask(lively, "chat").text


@pytest.fixture(scope="module")
def impatient(session_standin, tmp_path_factory):
    settings = settings_over(session_standin.url)
    settings["backends"]["sage"]["timeouts"] = {"first_token": 0.5, "idle": 0.5}
    with running_gateway(settings, tmp_path_factory.mktemp("impatient")) as running:
        yield running


@pytest.mark.parametrize("stream", [False, True], ids=["blank lines", "comments"])
@pytest.mark.parametrize("surface", SURFACES)
def test_a_backends_own_signs_of_life_are_no_beginning(impatient, standin, surface, stream):
    """DeepSeek sends comments in a stream, and blank lines ahead of a plain answer, for as long as it likes."""
    standin.behave(thinking="always", thinking_style="keep-alive", thinking_ms=60_000, keep_alive_ms=50)
    before, started = impatient.settled(), time.monotonic()
    answer = ask(impatient, surface, stream=stream)
    assert answer.status_code == 504
    assert time.monotonic() - started < 5
    assert impatient.records(before + 1)[-1]["error"] == "upstream_timeout"


@pytest.mark.parametrize("surface", SURFACES)
def test_a_backends_own_signs_of_life_are_no_progress(impatient, standin, surface):
    standin.behave(faults=["comments-mid-stream"], tokens=10)
    before, started = impatient.settled(), time.monotonic()
    answer = ask(impatient, surface)
    assert answer.status_code == 200
    assert "error" in answer.text.strip().rsplit("data: ", 1)[1]
    assert time.monotonic() - started < 5
    record = impatient.records(before + 1)[-1]
    assert (record["outcome"], record["error"], record["partial"]) == ("failed", "upstream_timeout", True)


def test_a_plain_answer_may_be_waited_for_behind_blank_lines(serve, standin):
    """They neither end its patience nor begin the idle deadline."""
    settings = settings_over(standin.url)
    settings["backends"]["sage"]["timeouts"] = {"first_token": 5, "idle": 0.2}
    standin.behave(thinking="always", thinking_style="keep-alive", thinking_ms=700, keep_alive_ms=300)
    with serve(settings).client() as client:
        answer = client.post("/v1/chat/completions", json={**QUESTION, "model": "sage", "stream": False})
    assert answer.json()["choices"][0]["message"]["content"]


def test_a_failure_after_a_sign_of_life_is_told_as_an_event(lively, standin):
    standin.behave(first_byte_ms=500, faults=["status-500"])
    before = lively.settled()
    answer = ask(lively, "chat")
    assert answer.status_code == 200
    assert json.loads(answer.text.rsplit("data: ", 1)[1])["error"]["code"] == "upstream_failed"
    record = lively.records(before + 1)[-1]
    assert (record["outcome"], record["error"]) == ("failed", "upstream_failed")


def test_a_fallback_after_a_sign_of_life_is_told_in_a_comment(lively, standin):
    """The headers have been sent by then, and named another backend."""
    standin.behave(first_byte_ms=500, faults=["status-500"], fault_limit=1)
    answer = ask(lively, "chat", model="deep")
    assert answer.headers["x-thalamus-backend"] == "sage"
    assert ": x-thalamus-backend: swift\n" in answer.text
    assert ": x-thalamus-reason: fallback\n" in answer.text
    assert "Hello" in answer.text


def test_those_who_wait_in_line_are_told_their_place(serve, standin):
    settings = settings_over(standin.url, server={"keep_alive_s": 0.1})
    settings["backends"]["sage"]["max_concurrency"] = 1
    gateway = serve(settings)
    standin.behave(first_byte_ms=800)
    answers = []

    def stream() -> None:
        answers.append(ask(gateway, "chat"))

    threads = [threading.Thread(target=stream) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    said = "".join(answer.text for answer in answers)
    assert ": waiting in line, place 1\n" in said
    assert ": waiting in line, place 2\n" in said
    assert said.count("data: [DONE]") == 3
