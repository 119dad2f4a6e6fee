"""What goes wrong arrives as the SDK's own errors, and is retried when and only when that can help."""

import anthropic
from world import PLACE, ask, behave, check, client, raises, same, seen

ONE_BACKEND = "swift"
"""Nobody stands in for a backend that was named."""


@check("a wrong key is an authentication error")
def wrong_key() -> None:
    with raises(anthropic.AuthenticationError) as caught:
        client(api_key="sk-nobody", max_retries=2).messages.create(**ask())
    same((caught[0].type, caught[0].error_code), ("authentication_error", "invalid_api_key"))
    assert caught[0].request_id, caught
    same(seen(), [])


@check("a key that may not use a model gets a permission error")
def limited_key() -> None:
    limited = client(api_key=PLACE["limited_key"])
    limited.messages.create(**ask(model="fast"))
    with raises(anthropic.PermissionDeniedError) as caught:
        limited.messages.create(**ask(model="deep"))
    same(caught[0].type, "permission_error")


@check("an unknown model is a not-found error everywhere")
def unknown_model() -> None:
    request = ask(model="claude-17")
    with raises(anthropic.NotFoundError) as caught:
        client().messages.create(**request)
    same((caught[0].type, caught[0].error_code), ("not_found_error", "model_not_found"))
    with raises(anthropic.NotFoundError):
        client().messages.count_tokens(model="claude-17", messages=request["messages"])


@check("a bad field is a bad request that names the field")
def bad_field() -> None:
    cases = [
        ({"max_tokens": 0}, "max_tokens"),
        ({"extra_body": {"temperature": 3}}, "temperature"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "wizard", "content": "x"}]}, "messages[0].role"),
    ]
    for fields, name in cases:
        with raises(anthropic.BadRequestError) as caught:
            client().messages.create(**ask(**fields))
        same(caught[0].type, "invalid_request_error")
        assert name in str(caught[0].api_message), caught
    same(seen(), [])


@check("a body that is too large is a 413")
def large_body() -> None:
    with raises(anthropic.ContentTooLargeError) as caught:
        client().messages.create(**ask("x" * (PLACE["max_body_bytes"] + 1)))
    same(caught[0].body["error"]["type"], "request_too_large")


@check("a rate limit is a rate-limit error, retried as often as asked")
def rate_limit() -> None:
    behave(faults=["status-429"], retry_after="0")
    with raises(anthropic.RateLimitError) as caught:
        client(max_retries=2).messages.create(**ask(model=ONE_BACKEND))
    same((caught[0].type, len(seen())), ("rate_limit_error", 3))


@check("a rate limit that passes is survived by a retry")
def passing_rate_limit() -> None:
    behave(faults=["status-429"], fault_limit=1, retry_after="0")
    same(client(max_retries=2).messages.create(**ask(model=ONE_BACKEND)).stop_reason, "end_turn")
    same(len(seen()), 2)


@check("a failing backend is a server error")
def failing_backend() -> None:
    behave(faults=["status-500"])
    with raises(anthropic.InternalServerError) as caught:
        client().messages.create(**ask(model=ONE_BACKEND))
    same((caught[0].status_code, caught[0].type), (502, "api_error"))


@check("a stream that breaks raises in the iteration")
def broken_stream() -> None:
    for fault in ("reset-mid-stream", "close-mid-stream", "error-event"):
        behave(faults=[fault], tokens=10)
        events = client().messages.create(**ask(model=ONE_BACKEND), stream=True)
        same(next(events).type, "message_start")
        try:
            list(events)
        except anthropic.APIStatusError as error:
            same(error.type, "api_error")
        else:
            raise AssertionError(f"{fault} went unseen")
