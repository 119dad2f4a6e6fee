"""Streams become plain answers and plain answers streams, and a recorded stream comes back event by event."""

import time
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cache.answer import Answer, Frame
from gateway.cache.assemble import IncompleteStream, assemble
from gateway.cache.replay import JSON_TYPE, Recorder, expand, paced, replay
from gateway.streaming import event_data

HEAD = {"id": "chatcmpl-1", "created": 1700000000, "model": "kimi-k2", "system_fingerprint": "fp_1"}
USAGE = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}


def chunk(*choices: dict[str, Any], **fields: Any) -> bytes:
    return msgspec.json.encode({**HEAD, "object": "chat.completion.chunk", "choices": choices, **fields})


def piece(delta: dict[str, Any] | None, index: int = 0, finish: str | None = None, **more: Any) -> dict[str, Any]:
    return {"index": index, "delta": delta, "finish_reason": finish, **more}


def assembled(*events: bytes) -> dict[str, Any]:
    return msgspec.json.decode(assemble(events))


def sse(*events: bytes) -> bytes:
    return b"".join(b"data: " + event + b"\n\n" for event in events)


def recorded(stream: bytes, **options: Any) -> Answer | None:
    recorder = Recorder(options.pop("max_bytes", 1_000_000), **options)
    recorder.feed(stream)
    return recorder.answer()


THINKING = (
    chunk(piece({"role": "assistant", "content": ""}), usage=None),
    chunk(piece({"reasoning_content": "Rayleigh "}), usage=None),
    chunk(piece({"reasoning_content": "scattering."}), usage=None),
    chunk(piece({"content": "因为"}), usage=None),
    chunk(piece({"content": "散射。"}), usage=None),
    chunk(piece({}, finish="stop"), usage=None),
    chunk(usage=USAGE),
    b"[DONE]",
)


# From a stream to a plain answer


def test_thinking_text_usage_and_identity_survive():
    assert assembled(*THINKING) == {
        **HEAD,
        "object": "chat.completion",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "因为散射。", "reasoning_content": "Rayleigh scattering."},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": USAGE,
    }


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning", "refusal", "a_field_of_next_year"])
def test_every_text_of_a_message_is_concatenated(name: str):
    answer = assembled(chunk(piece({name: "a"})), chunk(piece({name: None})), chunk(piece({name: "b"}, finish="stop")))
    assert answer["choices"][0]["message"] == {"role": "assistant", "content": None, name: "ab"}


def test_lists_are_chained_and_log_probabilities_stay_with_their_choice():
    def log(*tokens: str) -> dict[str, Any]:
        return {"content": [{"token": token, "logprob": -0.1} for token in tokens], "refusal": None}

    answer = assembled(
        chunk(piece({"content": "a", "reasoning_details": [{"text": "x"}]}, logprobs=log("a"))),
        chunk(piece({"content": "B"}, 1, logprobs=log("B"))),
        chunk(piece({"content": "bc", "reasoning_details": [{"text": "y"}]}, logprobs=log("b", "c"))),
        chunk(piece({}, finish="stop", logprobs=None)),
        chunk(piece({}, 1, finish="length")),
    )
    first, second = answer["choices"]
    assert [entry["token"] for entry in first["logprobs"]["content"]] == ["a", "b", "c"]
    assert [entry["token"] for entry in second["logprobs"]["content"]] == ["B"]
    assert first["message"]["reasoning_details"] == [{"text": "x"}, {"text": "y"}]
    assert [choice["finish_reason"] for choice in (first, second)] == ["stop", "length"]


def call(index: int | None, arguments: str | None = None, **opening: Any) -> dict[str, Any]:
    name = opening.pop("name", None)
    function = {**({"name": name} if name else {}), **({"arguments": arguments} if arguments is not None else {})}
    return {**({} if index is None else {"index": index}), **opening, "function": function}


WHOLE_CALLS = [
    {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"北京"}'}},
    {"id": "c2", "type": "function", "function": {"name": "time", "arguments": "{}"}},
]


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param(
            [
                call(0, "", id="c1", type="function", name="weather"),
                call(0, '{"city":'),
                call(1, "", id="c2", type="function", name="time"),
                call(0, '"北京"}'),
                call(1, "{}"),
            ],
            id="interleaved by index",
        ),
        pytest.param(
            [call(3, '{"city":"北京"}', id="c1", type="function", name="weather"),
             call(7, "{}", id="c2", type="function", name="time")],
            id="indices with gaps",
        ),
        pytest.param(
            [call(0, '{"city":', id="c1", type="function", name="weather"), call(0, '"北京"}', id="c1", name="weather"),
             call(1, "{}", id="c2", type="function", name="time")],
            id="name and id repeated with every piece",
        ),
        pytest.param(
            [call(None, '{"city":', id="c1", type="function", name="weather"), call(None, '"北京"}'),
             call(None, "{}", id="c2", type="function", name="time")],
            id="no index",
        ),
    ],
)  # fmt: skip
def test_tool_calls_are_put_together(pieces: list[dict[str, Any]]):
    opening = chunk(piece({"role": "assistant", "content": ""}))
    events = [opening, *(chunk(piece({"tool_calls": [one]})) for one in pieces), chunk(piece({}, finish="tool_calls"))]
    message = assembled(*events)["choices"][0]["message"]
    assert message == {"role": "assistant", "content": None, "tool_calls": WHOLE_CALLS}


def test_a_function_call_of_the_older_api_is_put_together():
    answer = assembled(
        chunk(piece({"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": ""}})),
        chunk(piece({"function_call": {"arguments": "{}"}}, finish="function_call")),
    )
    assert answer["choices"][0]["message"]["function_call"] == {"name": "f", "arguments": "{}"}


@pytest.mark.parametrize(
    "events",
    [
        [],
        [b"[DONE]"],
        [chunk(usage=USAGE)],
        [chunk(piece({"content": "half"}))],
        [chunk(piece({}, finish="stop")), chunk(piece({"content": "half"}, 1))],
        [chunk(piece({}, finish="stop")), b'{"error":{"message":"overloaded"}}'],
        [chunk(piece({}, finish="stop")), b"{"],
        [chunk(piece({}, finish="stop")), b"\xff"],
        [chunk(piece({}, finish="stop")), b"[1]"],
        [chunk(piece({"content": "a", "tool_calls": [{"index": "x"}]}, finish="stop"))],
        [chunk(piece({"tool_calls": [{"index": 0, "function": {"arguments": {}}}]}, finish="stop"))],
        [chunk({"index": 0, "text": "a text completion", "finish_reason": "stop"})],
        [chunk("no object")],
    ],
)  # fmt: skip
def test_what_is_not_one_whole_answer_is_refused(events: list[bytes]):
    with pytest.raises(IncompleteStream):
        assemble(events)


# From a plain answer to a stream

PLAIN = {
    **HEAD,
    "object": "chat.completion",
    "choices": [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": "4",
                "refusal": None,
                "reasoning_content": "2 + 2",
                "tool_calls": WHOLE_CALLS,
            },
            "logprobs": {"content": [{"token": "4", "logprob": -0.1}], "refusal": None},
            "finish_reason": "tool_calls",
        }
    ],
    "usage": USAGE,
}


def events_of(body: dict[str, Any], *, usage_asked: bool = True) -> list[Any]:
    answer = Answer(200, JSON_TYPE, msgspec.json.encode(body))
    data = [event_data(frame.data) or b"" for frame in replay(answer, usage_asked=usage_asked)]
    assert data[-1] == b"[DONE]"
    return [msgspec.json.decode(event) for event in data[:-1]]


def test_a_plain_answer_streams_in_openais_order_and_shapes():
    events = events_of(PLAIN)
    assert all({**HEAD, "object": "chat.completion.chunk"}.items() <= event.items() for event in events)
    assert [event["choices"][0]["delta"] for event in events[:-1]] == [
        {"role": "assistant", "content": ""},
        {"reasoning_content": "2 + 2"},
        {"content": "4"},
        *(
            {"tool_calls": [piece]}
            for index, whole in enumerate(WHOLE_CALLS)
            for piece in (
                {"index": index, **whole, "function": {**whole["function"], "arguments": ""}},
                {"index": index, "function": {"arguments": whole["function"]["arguments"]}},
            )
        ),
        {},
    ]
    assert [event["choices"][0]["finish_reason"] for event in events[:-1]] == [None] * 7 + ["tool_calls"]
    assert events[2]["choices"][0]["logprobs"] == PLAIN["choices"][0]["logprobs"]
    assert (events[-1]["choices"], events[-1]["usage"]) == ([], USAGE)
    assert all(event["usage"] is None for event in events[:-1])


def test_usage_is_streamed_only_if_asked_for():
    events = events_of(PLAIN, usage_asked=False)
    assert all("usage" not in event for event in events)
    assert len(events) == len(events_of(PLAIN)) - 1


def test_each_choice_is_streamed_with_its_own_end():
    body = {**PLAIN, "choices": [{**PLAIN["choices"][0], "index": index} for index in (0, 1)]}
    ends = [event["choices"][0] for event in events_of(body)[:-1] if event["choices"][0]["finish_reason"]]
    assert [end["index"] for end in ends] == [0, 1]


texts = st.text(max_size=20)
tool_calls = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.text(min_size=1, max_size=8),
            "type": st.just("function"),
            "function": st.fixed_dictionaries({"name": st.text(min_size=1, max_size=8), "arguments": texts}),
        }
    ),
    min_size=1,
    max_size=3,
    unique_by=lambda call: call["id"],
)
messages = st.fixed_dictionaries(
    {"role": st.just("assistant"), "content": st.none() | st.text(min_size=1, max_size=20)},
    optional={
        "reasoning_content": st.text(min_size=1, max_size=20),
        "reasoning": st.text(min_size=1, max_size=20),
        "refusal": st.text(min_size=1, max_size=20),
        "tool_calls": tool_calls,
        "annotations": st.lists(st.dictionaries(texts, texts), min_size=1, max_size=2),
    },
)
logprobs = st.none() | st.fixed_dictionaries(
    {"content": st.lists(st.fixed_dictionaries({"token": texts}), min_size=1, max_size=3)}
)
reasons = st.sampled_from(["stop", "length", "tool_calls", "content_filter"])


@st.composite
def completions(draw: st.DrawFn) -> dict[str, Any]:
    choices = [
        {"index": index, "message": draw(messages), "logprobs": draw(logprobs), "finish_reason": draw(reasons)}
        for index in range(draw(st.integers(1, 3)))
    ]
    body = {**HEAD, "object": "chat.completion", "choices": choices}
    return {**body, "usage": USAGE} if draw(st.booleans()) else body


def without_empty_content(body: dict[str, Any]) -> dict[str, Any]:
    """A stream opens with `"content": ""` and so cannot tell null from an empty text."""
    for choice in body["choices"]:
        choice["message"]["content"] = choice["message"]["content"] or None
    return body


@given(completions())
def test_a_plain_answer_survives_being_streamed_and_put_together_again(body: dict[str, Any]):
    events = [event_data(frame.data) or b"" for frame in expand(msgspec.json.encode(body))]
    assert without_empty_content(msgspec.json.decode(assemble(events))) == body


# Recording and replaying a stream


class Clock:
    now = 50.0

    def __call__(self) -> float:
        return self.now


@given(st.data())
def test_a_recorded_stream_comes_back_event_by_event_however_it_was_cut(data: st.DataObject):
    stream = b": keep-alive\n\n" + sse(*THINKING)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    recorder = Recorder(1_000_000)
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        recorder.feed(stream[start:end])
    answer = recorder.answer()
    assert answer is not None
    assert b"".join(frame.data for frame in replay(answer, usage_asked=True)) == sse(*THINKING)
    assert answer.body == assemble(THINKING)


def test_a_replay_without_usage_is_what_a_live_stream_without_usage_is():
    answer = recorded(sse(*THINKING))
    assert answer is not None
    frames = replay(answer, usage_asked=False)
    expected = [event.replace(b',"usage":null', b"") for event in THINKING if b'"prompt_tokens"' not in event]
    assert [event_data(frame.data) for frame in frames] == expected


def test_a_recorded_stream_serves_a_plain_request_and_a_plain_answer_a_stream():
    from_stream = recorded(sse(*THINKING))
    assert from_stream is not None
    assert (from_stream.status, from_stream.content_type) == (200, "application/json")
    assert msgspec.json.decode(from_stream.body)["choices"][0]["message"]["content"] == "因为散射。"
    from_plain = Answer(200, JSON_TYPE, from_stream.body)
    again = [event_data(frame.data) or b"" for frame in replay(from_plain, usage_asked=True)]
    assert msgspec.json.decode(assemble(again)) == msgspec.json.decode(from_stream.body)


@pytest.mark.parametrize(
    "stream",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(sse(*THINKING[:-1]), id="no [DONE]"),
        pytest.param(sse(*THINKING[:4]), id="cut off"),
        pytest.param(sse(*THINKING)[:-3], id="cut off inside the last event"),
        pytest.param(sse(*THINKING[:4], b"[DONE]"), id="no finish reason"),
        pytest.param(sse(*THINKING[:4], b'{"error":{"message":"x"}}', b"[DONE]"), id="an error"),
        pytest.param(b": ping\n\n", id="comments alone"),
    ],
)
def test_a_stream_that_is_not_whole_gives_no_answer(stream: bytes):
    assert recorded(stream) is None


def test_a_stream_beyond_the_size_is_dropped_at_once():
    recorder = Recorder(500)
    for event in THINKING * 3:
        recorder.feed(sse(event))
    assert recorder.answer() is None
    assert recorder._chunks == []


def test_times_count_from_the_first_event():
    clock = Clock()
    recorder = Recorder(1_000_000, clock=clock)
    for number, event in enumerate(THINKING):
        clock.now = 50.0 + (number > 2) * 0.25
        recorder.feed(sse(event))
    answer = recorder.answer()
    assert answer is not None
    assert [frame.at_ms for frame in answer.frames] == [0, 0, 0, 250, 250, 250, 250, 250]


@pytest.mark.parametrize(("pace", "shortest", "longest"), [("full", 0.0, 0.05), ("recorded", 0.12, 0.5)])
async def test_a_replay_keeps_the_recorded_pace_if_asked(pace: Any, shortest: float, longest: float):
    frames = [Frame(0, b"a"), Frame(60, b"b"), Frame(60, b"c"), Frame(120, b"d")]
    start = time.perf_counter()
    assert [data async for data in paced(frames, pace)] == [b"a", b"b", b"c", b"d"]
    assert shortest <= time.perf_counter() - start <= longest
