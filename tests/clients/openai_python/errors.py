"""What goes wrong arrives as the SDK's own errors, and is retried when and only when that can help."""

import json
from collections.abc import Callable
from typing import Any

import openai
from world import PLACE, behave, check, client, raises, same, seen, standin, user, wait_until_left


def ask(chosen: openai.OpenAI | None = None, **fields: Any) -> Any:
    """Send a chat request to the backend `swift`, which nobody stands in for."""
    request = {"model": "swift", "messages": user("Hello"), **fields}
    return (chosen or client()).chat.completions.create(**request)


@check("a wrong key is an authentication error")
def wrong_key() -> None:
    stranger = client(api_key="sk-nobody", max_retries=2)
    calls: list[Callable[[], Any]] = [
        lambda: ask(stranger),
        lambda: ask(stranger, stream=True),
        lambda: stranger.completions.create(model="auto", prompt="x"),
        lambda: stranger.embeddings.create(model="swift", input="x"),
        stranger.models.list,
        lambda: stranger.models.retrieve("auto"),
    ]
    for call in calls:
        with raises(openai.AuthenticationError) as caught:
            call()
        same((caught[0].status_code, caught[0].code), (401, "invalid_api_key"))
        assert "sk-nobody" not in str(caught[0]), caught
    same(seen(), [])


@check("a key that may not use a model gets a permission error")
def limited_key() -> None:
    limited = client(api_key=PLACE["limited_key"])
    ask(limited, model="fast")
    with raises(openai.PermissionDeniedError) as caught:
        ask(limited, model="deep")
    same(caught[0].code, "permission_denied")
    same([model.id for model in limited.models.list()], ["fast"])


@check("an unknown model is a not-found error everywhere")
def unknown_model() -> None:
    calls: list[Callable[[], Any]] = [
        lambda: ask(model="gpt-17"),
        lambda: ask(model="gpt-17", stream=True),
        lambda: client().completions.create(model="gpt-17", prompt="x"),
        lambda: client().embeddings.create(model="gpt-17", input="x"),
        lambda: client().models.retrieve("gpt-17"),
    ]
    for call in calls:
        with raises(openai.NotFoundError) as caught:
            call()
        same((caught[0].code, caught[0].param), ("model_not_found", "model"))


@check("a bad field is a bad request that names the field")
def bad_field() -> None:
    cases: list[tuple[dict[str, Any], str]] = [
        ({"temperature": "hot"}, "temperature"),
        ({"temperature": 3}, "temperature"),
        ({"messages": "hello"}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "wizard", "content": "x"}]}, "messages[0].role"),
        ({"n": 0}, "n"),
        ({"stream": "yes"}, "stream"),
        ({"tools": {}}, "tools"),
        ({"reasoning_effort": "enormous"}, "reasoning_effort"),
        ({"extra_headers": {"x-thalamus-route": "sideways"}}, "x-thalamus-route"),
    ]
    for fields, param in cases:
        with raises(openai.BadRequestError) as caught:
            ask(**fields)
        same((caught[0].param, caught[0].type), (param, "invalid_request_error"))
        assert param in caught[0].message, caught
    same(seen(), [])


@check("a body that is too large is a 413")
def too_large() -> None:
    with raises(openai.APIStatusError) as caught:
        ask(client(max_retries=2), messages=user("x" * PLACE["max_body_bytes"]))
    same((caught[0].status_code, caught[0].code), (413, "request_too_large"))
    same(seen(), [])


@check("what the backend refuses is a bad request in the backend's words")
def refused() -> None:
    with raises(openai.BadRequestError) as caught:
        ask(client(max_retries=2), tool_choice="required")
    assert "tool" in caught[0].message, caught
    same(len(seen()), 1)
    with raises(openai.UnprocessableEntityError):
        ask(extra_body=standin(faults=["status-422"]))
    with raises(openai.ConflictError):
        ask(extra_body=standin(faults=["status-409"]))


@check("a rate limit is a rate-limit error, retried as often as asked")
def rate_limited() -> None:
    with raises(openai.RateLimitError) as caught:
        ask(client(max_retries=1), extra_body=standin(faults=["status-429"], retry_after="1"))
    same((caught[0].code, caught[0].response.headers["retry-after"]), ("upstream_rate_limited", "1"))
    same(len(seen()), 2)


@check("a rate limit that passes is survived by a retry")
def rate_limit_passes() -> None:
    behave(faults=["status-429"], fault_limit=1, retry_after="1")
    answer = ask(client(max_retries=2))
    same(answer.choices[0].finish_reason, "stop")
    same([request["status"] for request in seen()], [429, 200])
    same(seen()[1]["arrived"] - seen()[0]["arrived"] >= 1, True)


@check("a failing backend is a server error, retried as often as asked")
def failing() -> None:
    for fault, retries in (("status-500", 1), ("status-503", 0), ("status-529", 0), ("status-401", 0)):
        before = len(seen())
        with raises(openai.InternalServerError) as caught:
            ask(client(max_retries=retries), extra_body=standin(faults=[fault], retry_after=None))
        same(caught[0].status_code, 502)
        same(caught[0].response.headers["x-thalamus-backend"], "swift")
        same(len(seen()) - before, retries + 1)


@check("a backend that cannot be reached is a server error")
def unreachable() -> None:
    with raises(openai.InternalServerError) as caught:
        ask(model="gone")
    same((caught[0].status_code, caught[0].code), (503, "upstream_unreachable"))


@check("a backend that is too slow is a server error")
def too_slow() -> None:
    for stream in (False, True):
        with raises(openai.InternalServerError) as caught:
            ask(model="impatient", stream=stream, extra_body=standin(first_byte_ms=5000))
        same((caught[0].status_code, caught[0].code), (504, "upstream_timeout"))


@check("a client's own timeout ends its request and the backend's")
def own_timeout() -> None:
    with raises(openai.APITimeoutError):
        ask(client(timeout=0.5), extra_body=standin(first_byte_ms=20_000))
    wait_until_left()
    with raises(openai.APITimeoutError):
        list(ask(client(timeout=0.5), stream=True, extra_body=standin(first_byte_ms=20_000)))
    wait_until_left()


@check("a failure before the first event is an error of the call")
def fails_before_first() -> None:
    with raises(openai.InternalServerError) as caught:
        ask(stream=True, extra_body=standin(faults=["status-500"]))
    same(caught[0].status_code, 502)
    with raises(openai.InternalServerError):
        ask(stream=True, extra_body=standin(faults=["reset-before-headers"]))


@check("a stream that breaks raises in the iteration")
def breaks_mid_stream() -> None:
    for fault in ("reset-mid-stream", "close-mid-stream", "truncated-json"):
        _breaks_after_some(fault)


@check("a stream in which the backend reports an error raises in the iteration")
def error_event() -> None:
    _breaks_after_some("error-event")


def _breaks_after_some(fault: str) -> None:
    stream = ask(stream=True, extra_body=standin(faults=[fault], tokens=12, token_ms=2))
    chunks = []
    with raises(openai.APIError) as caught:
        for chunk in stream:
            chunks.append(chunk)  # noqa: PERF402  what came before the error is kept
    assert chunks, fault
    same(caught[0].body["code"], "upstream_failed")
    json.dumps(caught[0].body)


@check("a failed backend is routed around, and that is told")
def routed_around() -> None:
    behave(faults=["status-503"], fault_limit=1)
    raw = client().chat.completions.with_raw_response.create(model="fast", messages=user("Hello"))
    same(raw.headers["x-thalamus-backend"], "sage")
    same(raw.headers["x-thalamus-reason"], "fallback")
    assert raw.headers["x-thalamus-attempts"].startswith("swift="), raw.headers
    same([request["status"] for request in seen()], [503, 200])
