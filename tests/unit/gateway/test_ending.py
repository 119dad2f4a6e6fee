"""An answer that was cut before it began is told from one that says something, and from one of no known shape."""

import json

import pytest

from gateway.wire.ending import says_nothing


def completion(*messages: object, finish_reason: str = "length") -> bytes:
    return json.dumps(
        {"choices": [{"finish_reason": finish_reason, "message": message} for message in messages]}
    ).encode()


@pytest.mark.parametrize("message", [{}, {"content": None}, {"content": ""}, {"content": None, "tool_calls": []}])
def test_thinking_alone_says_nothing(message):
    assert says_nothing(completion({"role": "assistant", "reasoning_content": "Hm", **message}))
    assert not says_nothing(completion(message, finish_reason="stop"))
    assert not says_nothing(completion(message, {"content": "Yes"}))


@pytest.mark.parametrize(
    "said",
    [
        {"content": "Yes"},
        {"content": [{"type": "text", "text": "Yes"}]},
        {"refusal": "I cannot help with that."},
        {"tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{"}}]},
        {"function_call": {"name": "f", "arguments": "{"}},
        {"audio": {"id": "a", "data": "", "transcript": ""}},
    ],
)
def test_what_is_cut_short_says_something(said):
    assert not says_nothing(completion({"content": None, **said}))


@pytest.mark.parametrize(
    "lie", [completion(None), completion("Yes"), completion(), b'{"choices": {"finish_reason": "length"}}']
)
def test_another_shape_is_not_held_against_its_backend(lie):
    assert not says_nothing(lie)
