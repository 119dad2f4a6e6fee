"""A client that leaves ends all that is done for it within a second, in the rarer phases of a request as well.

The common ones, on every surface, are left in crowds by the chaos suite (tests/chaos/leaving.py).
"""

import json
import socket
import time
from collections.abc import Callable

import pytest

from gateway.standin import running_standin
from tests.gateway.serving import settings_over

CHAT = "/v1/chat/completions"
EASY = {"model": "auto", "messages": [{"role": "user", "content": "What is the capital of France?"}]}


def until(condition: Callable[[], object], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def calls(standin, model: str) -> list[dict]:
    return [one for one in standin.requests() if one["method"] == "POST" and one["body"]["model"].startswith(model)]


def check_that_leaving_ends_it(gateway, standins, path: str, body: dict, once: Callable[[], object]) -> None:
    """Send a request, leave once something has come about, and see that everything ends and is recorded once."""
    before = gateway.settled()
    payload = json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {len(payload)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", gateway.port)) as connection:
        connection.sendall(head.encode() + payload)
        until(once, 5, "it did not come so far")

    def none_is_open() -> bool:
        return all(one["outcome"] != "open" for standin in standins for one in standin.requests())

    until(none_is_open, 1.0, "a call was still open a second after its client had left")
    until(lambda: len(gateway.events()) > before, 1.0, "no record was written within a second")
    asked = sum(len(calls(standin, "")) for standin in standins)
    (record,) = gateway.records(before + 1)[before:]
    assert (record["outcome"], record["error"]) == ("dropped", "client_left")
    gateway.settled()
    assert sum(len(calls(standin, "")) for standin in standins) == asked, "somebody was asked after the client had left"


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "held stream"])
@pytest.mark.parametrize(("swift", "waits_for"), [("first_byte_ms=20000", "swift"), ("answer=I am not sure.", "sage")])
def test_while_an_answer_is_made_and_checked_behind_its_back(serve, standin, swift, waits_for, stream):
    settings = settings_over(
        standin.url,
        routing={
            "thresholds": {"balanced": 1.0},
            "cascade": {"min_confidence": 0.0, "allow_streams": True},
        },
    )
    settings["backends"]["swift"]["model"] += f"@{swift}"
    settings["backends"]["sage"]["model"] += "@first_byte_ms=20000"
    gateway = serve(settings)
    check_that_leaving_ends_it(gateway, [standin], CHAT, {**EASY, "stream": stream}, lambda: calls(standin, waits_for))


def test_in_the_pause_before_everybody_is_asked_again(serve, standin):
    attempts = {"patience_s": 60, "backoff_s": 30, "most_backoff_s": 60, "retries_per_s": 100}
    gateway = serve(settings_over(standin.url, attempts=attempts))
    standin.behave(faults=["status-500"])
    check_that_leaving_ends_it(gateway, [standin], CHAT, {**EASY, "model": "sage"}, lambda: calls(standin, "sage"))


def test_while_embeddings_are_made(serve, standin):
    standin.behave(first_byte_ms=20_000)
    body = {"model": "swift", "input": "Hello"}
    check_that_leaving_ends_it(
        serve(settings_over(standin.url)), [standin], "/v1/embeddings", body, lambda: calls(standin, "swift")
    )


def test_while_somebody_else_is_asked_to_go_on_with_a_stream_that_broke(serve, standin):
    with running_standin() as other:
        standin.behave(answer="one two three four five six ", faults=["close-mid-stream"])
        other.behave(first_byte_ms=20_000)
        settings = settings_over(standin.url, attempts={"continue_streams": True})
        for name, url in (("swift", standin.url), ("sage", other.url)):
            settings["backends"][name] |= {"url": f"{url}/v1", "family": "qwen3", "host": "vllm"}
        settings["tiers"]["fast"] = ["swift", "sage"]
        body = {**EASY, "model": "fast", "stream": True}
        check_that_leaving_ends_it(serve(settings), [standin, other], CHAT, body, lambda: calls(other, "sage"))
