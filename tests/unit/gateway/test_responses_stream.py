"""A streamed chat completion becomes the events of a response, wherever the bytes are cut."""

from __future__ import annotations

import itertools
import json
import time

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import UpstreamFailed
from gateway.surfaces.responses.answering import Asked, answer_whole
from gateway.surfaces.responses.sealing import Seal
from gateway.surfaces.responses.stream import ResponseStream
from gateway.wire.responses import ResponsesRequest

MOST_SECONDS_PER_EVENT = 100e-6


def asked(seal=None, **fields):
    request = msgspec.convert({"model": "auto", "input": "hi", **fields}, ResponsesRequest)
    return Asked("resp_" + "0" * 48, request, "tenant", 1, seal, 1_700_000_000)


def frame(delta, finish=None, **fields):
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return b"data: " + json.dumps({"model": "sage-1", "choices": [choice], **fields}).encode() + b"\n\n"


def call(index, arguments=None, *, name=None, identity=None):
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    return frame({"tool_calls": [{"index": index, "id": identity, "function": function}]})


USAGE = b'data: {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}\n\n'
DONE = b"data: [DONE]\n\n"
THINKS_SPEAKS_CALLS = [
    frame({"role": "assistant", "content": ""}),
    b": keep-alive\n\n",
    frame({"reasoning_content": "让我"}),
    frame({"reasoning_content": "想想"}),
    frame({"content": "Hel"}),
    frame({"content": "lo \U0001f30d"}),
    call(0, "", name="look", identity="c0"),
    call(0, '{"a"'),
    call(0, ": 1}"),
    call(1, "{}", name="listen", identity="c1"),
    frame({}, "tool_calls"),
    USAGE,
    DONE,
]


def run(stream, pieces):
    """Give all events of a stream, and the bytes they came in."""
    written = b"".join(map(stream.feed, pieces)) + stream.finish()
    return written + stream.last(stream.response)


def read(written):
    frames = [part for part in written.split(b"\n\n") if part and not part.startswith(b":")]
    return [json.loads(part.split(b"\ndata: ", 1)[1]) for part in frames]


def kinds(written):
    return [event["type"].removeprefix("response.") for event in read(written)]


def test_thinking_speaking_and_calling_are_told_in_the_official_order():
    written = run(ResponseStream(asked()), THINKS_SPEAKS_CALLS)
    assert kinds(written) == [
        "created",
        "in_progress",
        *("output_item.added", "content_part.added", "reasoning_text.delta", "reasoning_text.delta"),
        *("reasoning_text.done", "content_part.done", "output_item.done"),
        *("output_item.added", "content_part.added", "output_text.delta", "output_text.delta"),
        *("output_text.done", "content_part.done", "output_item.done"),
        *("output_item.added", "function_call_arguments.delta", "function_call_arguments.delta"),
        *("function_call_arguments.done", "output_item.done"),
        *("output_item.added", "function_call_arguments.delta"),
        *("function_call_arguments.done", "output_item.done"),
        "completed",
    ]
    events = read(written)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert b"\n\n: keep-alive\n\n" in written
    final = events[-1]["response"]
    assert [item.get("arguments") for item in final["output"]] == [None, None, '{"a": 1}', "{}"]
    assert [event["item"] for event in events if event["type"] == "response.output_item.done"] == final["output"]
    assert final["usage"]["total_tokens"] == 5


def test_a_summary_has_events_of_its_own():
    written = run(ResponseStream(asked(reasoning={"summary": "auto"})), THINKS_SPEAKS_CALLS)
    assert kinds(written)[2:9] == [
        "output_item.added",
        "reasoning_summary_part.added",
        *("reasoning_summary_text.delta", "reasoning_summary_text.delta", "reasoning_summary_text.done"),
        "reasoning_summary_part.done",
        "output_item.done",
    ]


@given(cuts=st.lists(st.integers(0, sum(map(len, THINKS_SPEAKS_CALLS))), max_size=12))
def test_the_events_are_the_same_wherever_the_bytes_are_cut(cuts):
    whole = b"".join(THINKS_SPEAKS_CALLS)
    places = [0, *sorted(cuts), len(whole)]
    pieces = [whole[start:end] for start, end in itertools.pairwise(places)]
    assert read(run(ResponseStream(asked()), pieces))[:-1] == read(run(ResponseStream(asked()), [whole]))[:-1]


def test_the_events_are_the_same_cut_at_every_byte():
    whole = b"".join(THINKS_SPEAKS_CALLS)
    single = [whole[place : place + 1] for place in range(len(whole))]
    assert read(run(ResponseStream(asked()), single))[:-1] == read(run(ResponseStream(asked()), [whole]))[:-1]


@given(
    thought=st.text(max_size=20),
    said=st.text(max_size=20),
    arguments=st.lists(st.dictionaries(st.text(max_size=4), st.integers(), max_size=3), max_size=3),
    step=st.integers(1, 7),
    finish=st.sampled_from(["stop", "length", "tool_calls"]),
)
def test_a_streamed_answer_becomes_what_the_whole_one_becomes(thought, said, arguments, step, finish):
    texts = [json.dumps(one) for one in arguments]
    frames = [frame({"reasoning_content": thought[at : at + step]}) for at in range(0, len(thought), step)]
    frames += [frame({"content": said[at : at + step]}) for at in range(0, len(said), step)]
    for number, text in enumerate(texts):
        frames.append(call(number, "", name="look", identity=f"c{number}"))
        frames += [call(number, text[at : at + step]) for at in range(0, len(text), step)]
    calls = [
        {"id": f"c{number}", "type": "function", "function": {"name": "look", "arguments": text}}
        for number, text in enumerate(texts)
    ]
    message = {"content": said, "reasoning_content": thought, "tool_calls": calls}
    whole = json.dumps({"model": "sage-1", "choices": [{"message": message, "finish_reason": finish}]}).encode()
    stream = ResponseStream(asked())
    run(stream, [*frames, frame({}, finish), DONE])
    expected = answer_whole(asked(), whole).response
    # A call whose arguments are complete is complete, even where the answer was cut right after it.
    for response in (stream.response, expected):
        response.pop("completed_at", None)
        for item in response["output"]:
            if item["type"] == "function_call":
                item.pop("status")
    assert stream.response == expected


def test_calls_whose_pieces_come_interleaved_are_kept_apart():
    frames = [
        call(0, '{"a":', name="look", identity="c0"),
        call(1, '{"b":', name="listen", identity="c1"),
        call(0, " 1}"),
        call(1, " 2}"),
        frame({}, "tool_calls"),
    ]
    stream = ResponseStream(asked())
    run(stream, frames)
    assert [item["arguments"] for item in stream.response["output"]] == ['{"a": 1}', '{"b": 2}']


def test_calls_of_one_index_are_told_apart_by_their_ids():
    frames = [call(0, "{}", name="look", identity="c0"), call(0, "{}", name="look", identity="c1")]
    stream = ResponseStream(asked())
    run(stream, [*frames, frame({}, "tool_calls")])
    assert [item["call_id"] for item in stream.response["output"]] == ["c0", "c1"]


def test_a_call_without_arguments_has_an_empty_object():
    written = run(ResponseStream(asked()), [call(0, name="look", identity="c0"), frame({}, "tool_calls")])
    assert read(written)[-1]["response"]["output"][0]["arguments"] == "{}"


def test_a_refusal_is_a_part_of_its_own():
    written = run(ResponseStream(asked()), [frame({"content": "Hm. "}), frame({"refusal": "No."}), frame({}, "stop")])
    assert "refusal.done" in kinds(written)
    parts = read(written)[-1]["response"]["output"][0]["content"]
    assert [part["type"] for part in parts] == ["output_text", "refusal"]


def test_reasoning_is_sealed_once_it_is_whole():
    seal = Seal()
    events = read(run(ResponseStream(asked(seal)), THINKS_SPEAKS_CALLS))
    added = next(event for event in events if event["type"] == "response.output_item.added")
    assert "encrypted_content" not in added["item"]
    assert seal.open(events[-1]["response"]["output"][0]["encrypted_content"], "tenant") == "让我想想"


def test_what_broke_off_is_told_with_what_was_said():
    stream = ResponseStream(asked())
    stream.feed(b"".join(THINKS_SPEAKS_CALLS[:8]))
    stream.fail(UpstreamFailed("It broke.", backend="sage"))
    (event,) = read(stream.last(stream.response))
    assert event["type"] == "response.failed"
    assert event["response"]["error"] == {"code": "server_error", "message": "It broke."}
    statuses = [item["status"] for item in event["response"]["output"]]
    assert statuses == ["completed", "completed", "incomplete"]


@pytest.mark.parametrize("data", [b"nonsense", b'{"choices": 1}', b'{"choices": [{"delta": {"content": 1}}]}'])
def test_what_is_no_chat_completion_breaks_the_stream(data):
    with pytest.raises(UpstreamFailed):
        ResponseStream(asked()).feed(b"data: " + data + b"\n\n")


def test_an_event_costs_little():
    frames = [frame({"content": "word "}) for _ in range(2000)]
    best = float("inf")
    for _ in range(3):
        stream = ResponseStream(asked())
        started = time.process_time()
        for one in frames:
            stream.feed(one)
        best = min(best, (time.process_time() - started) / len(frames))
    assert best < MOST_SECONDS_PER_EVENT
