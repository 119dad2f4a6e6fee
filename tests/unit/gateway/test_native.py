"""A backend's own responses: relayed and told the same wherever their bytes are cut, and understood as chat."""

from __future__ import annotations

import itertools
import json
import time

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import (
    UpstreamContextExceeded,
    UpstreamError,
    UpstreamFailed,
    UpstreamRateLimited,
    UpstreamRefused,
)
from gateway.native import NativeAnswer, NativeRelay, event_kind, read_answer
from gateway.records.prices import Usage
from gateway.show import Show
from gateway.surfaces.responses.answering import Asked
from gateway.surfaces.responses.native_stream import NativeStream
from gateway.surfaces.responses.opening import Events
from gateway.surfaces.responses.sealing import Seal, Sealed
from gateway.vault import Origin
from gateway.wire.responses import ResponsesRequest
from tests.gateway.native_standin import NativeStandin

MOST_SECONDS_PER_EVENT = 100e-6
ORIGIN = Origin("gpt-5.5", "openai")
TOOL = {"type": "function", "name": "get_weather", "parameters": {}}


def finished(**body):
    """Give a provider and one of its finished responses."""
    provider = NativeStandin()
    asked = {"model": "gpt-5.5", "input": "hi", "include": ["reasoning.encrypted_content"], **body}
    return provider, provider.answer(asked)


def frames_of(events, *, named=True, ending="\n\n"):
    return [
        (f"event: {event['type']}\n" if named else "").encode().replace(b"\n", ending[: len(ending) // 2].encode())
        + f"data: {json.dumps(event, ensure_ascii=False)}{ending}".encode()
        for event in events
    ]


def streamed(*, named=True, ending="\n\n", **body):
    provider, response = finished(**body)
    return frames_of(provider.events(response, obfuscated=True), named=named, ending=ending)


def asked(seal=None, show=Show.PASS, **fields):
    request = msgspec.convert({"model": "auto", "input": "hi", **fields}, ResponsesRequest)
    return Asked("resp_" + "0" * 48, request, "tenant", 1, seal, 1_700_000_000, show)


def relayed(pieces):
    relay = NativeRelay("gpt")
    return b"".join([*map(relay.feed, pieces), relay.finish()]), relay


def told(pieces, stream):
    written = b"".join(map(stream.feed, pieces)) + stream.finish()
    return written + stream.last(stream.response)


def read(written):
    parts = [part for part in written.replace(b"\r\n", b"\n").split(b"\n\n") if part and not part.startswith(b":")]
    return [json.loads(part.split(b"data: ", 1)[1]) for part in parts]


STREAMS = {
    "named": streamed(reasoning={"summary": "auto"}),
    "nameless": streamed(named=False, tools=[TOOL]),
    "with carriage returns": streamed(ending="\r\n\r\n", reasoning={"summary": "auto"}),
    "commented": [b": keep-alive\n\n" + frame for frame in streamed()],
}


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_cut_at_every_byte_is_relayed_and_told_as_if_it_were_whole(name):
    whole = b"".join(STREAMS[name])
    expected, relay = relayed([whole])
    single = [whole[place : place + 1] for place in range(len(whole))]
    assert relayed(single)[0] == expected
    assert relay.answer is not None
    assert relay.usage == Usage(input=20, output=60, cached=4, reasoning=40)
    events = read(told([expected], NativeStream(asked(), ORIGIN)))
    assert read(told(single, NativeStream(asked(), ORIGIN))) == events
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert [event["type"] for event in events] == [event["type"] for event in read(whole)]


@given(name=st.sampled_from(sorted(STREAMS)), data=st.data())
def test_any_cut_gives_the_same_events(name, data):
    whole = b"".join(STREAMS[name])
    places = [0, *sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=8))), len(whole)]
    pieces = [whole[start:end] for start, end in itertools.pairwise(places)]
    assert relayed(pieces)[0] == relayed([whole])[0]
    assert read(told(pieces, NativeStream(asked(), ORIGIN))) == read(told([whole], NativeStream(asked(), ORIGIN)))


@given(text=st.text(max_size=40), step=st.integers(1, 5))
def test_any_words_come_through_even_those_that_look_like_fields(text, step):
    text += '"item_id": "rs_1", "sequence_number": 7, "type": "response.completed"\n\n[DONE]'
    provider, response = finished()
    response["output"][1]["content"][0]["text"] = text
    events = list(provider.events(response, obfuscated=False))
    # As many pieces as characters allow, and numbers that the stream's own do not match.
    place = next(n for n, event in enumerate(events) if event["type"] == "response.output_text.delta")
    rest = [event for event in events[place:] if event["type"] != "response.output_text.delta"]
    deltas = [{**events[place], "delta": text[at : at + step]} for at in range(0, len(text), step)]
    written, _ = relayed(frames_of([*events[:place], *deltas, *rest]))
    seen = read(told([written], NativeStream(asked(), ORIGIN)))
    assert "".join(event["delta"] for event in seen if event["type"] == "response.output_text.delta") == text
    assert [event["sequence_number"] for event in seen] == list(range(len(seen)))
    assert {event["item_id"] for event in seen if "item_id" in event} == {seen[-1]["response"]["output"][1]["id"]}


def test_what_only_announces_is_held_until_something_follows():
    frames = streamed()
    relay = NativeRelay("gpt")
    alive = frames_of([{"type": "keepalive", "sequence_number": 2}])
    for frame in (*frames[:2], b": keep-alive\n\n", *alive):
        assert relay.feed(frame) == b""
        assert not relay.output_seen
    assert relay.feed(frames[2]) == b"".join(frames[:3])
    assert relay.output_seen
    assert relay.feed(alive[0]) == alive[0]
    assert relay.frames == 1


def test_a_keep_alive_event_takes_its_place_in_the_numbers():
    frames = streamed()
    alive = frames_of([{"type": "keepalive", "sequence_number": 3}])
    seen = read(told([*frames[:3], *alive, *frames[3:]], NativeStream(asked(), ORIGIN)))
    assert [event["sequence_number"] for event in seen] == list(range(len(seen)))
    assert seen[3]["type"] == "keepalive"


FAILURES = {
    "a failed response": (
        {"type": "response.failed", "response": {"status": "failed", "error": {"code": "x"}}},
        UpstreamFailed,
    ),
    "a limit": (
        {"type": "response.failed", "response": {"status": "failed", "error": {"code": "rate_limit_exceeded"}}},
        UpstreamRateLimited,
    ),
    "the caller's fault": (
        {
            "type": "response.failed",
            "response": {"status": "failed", "error": {"code": "invalid_prompt", "message": "No."}},
        },
        UpstreamRefused,
    ),
    "a prompt too long for this backend": (
        {
            "type": "response.failed",
            "response": {"status": "failed", "error": {"code": "context_length_exceeded", "message": "Too long."}},
        },
        UpstreamContextExceeded,
    ),
    "an error": ({"type": "error", "code": "server_error", "message": "m"}, UpstreamFailed),
    "a nested error": ({"type": "error", "error": {"code": "rate_limit_exceeded"}}, UpstreamRateLimited),
    "an error of no type": ({"error": {"message": "m", "code": 500}}, UpstreamFailed),
    "no response": ({"type": "response.completed", "response": {"output": 1}}, UpstreamFailed),
}


@pytest.mark.parametrize("name", FAILURES)
def test_a_failure_is_told_for_what_it_is_and_what_came_before_it_is_still_sent(name):
    event, kind = FAILURES[name]
    frame = f"data: {json.dumps(event)}\n\n".encode()
    with pytest.raises(kind):
        NativeRelay("gpt").feed(frame)
    frames = streamed()[:5]
    relay = NativeRelay("gpt")
    assert relay.feed(b"".join([*frames, frame])) == b"".join(frames)
    assert relay.done
    with pytest.raises(kind):
        relay.finish()


def test_the_failed_response_behind_an_error_tells_more_than_the_error():
    limited = {"type": "response.failed", "response": {"status": "failed", "error": {"code": "rate_limit_exceeded"}}}
    with pytest.raises(UpstreamRateLimited):
        NativeRelay("gpt").feed(b"".join(frames_of([{"type": "error", "code": "unknown"}, limited])))


@pytest.mark.parametrize(
    "data", [b"nonsense", b"[1]", b'{"type": "response.completed", "response": 1}', b'\xff{"type": "response.x"}']
)
def test_what_is_no_event_of_this_api_breaks_the_stream(data):
    with pytest.raises(UpstreamFailed):
        NativeRelay("gpt").feed(b"event: response.completed\ndata: " + data + b"\n\n")


def test_a_stream_that_ends_without_its_last_event_is_broken_off():
    relay = NativeRelay("gpt")
    relay.feed(b"".join(streamed()[:-1]))
    with pytest.raises(UpstreamFailed):
        relay.finish()


@pytest.mark.parametrize("cut", range(3, 14))
def test_what_broke_off_stays_with_what_was_said_marked_as_incomplete(cut):
    frames = streamed(tools=[TOOL])[:cut]
    stream = NativeStream(asked(), ORIGIN)
    seen = read(b"".join(map(stream.feed, frames)))
    stream.fail(UpstreamFailed("It broke.", backend="gpt"))
    (last,) = read(stream.last(stream.response))
    assert (last["type"], last["sequence_number"]) == ("response.failed", len(seen))
    output = last["response"]["output"]
    said = "".join(event["delta"] for event in seen if event["type"] == "response.function_call_arguments.delta")
    assert [item.get("arguments") for item in output if item["type"] == "function_call"] in ([], [said])
    done = {event["item"]["id"] for event in seen if event["type"] == "response.output_item.done"}
    for item in output:
        assert (item.get("status") == "incomplete") is (item["id"] not in done and bool(said) and cut < 12)


def test_an_announced_response_is_not_announced_again():
    events = Events()
    events.announce({"status": "queued"})
    seen = read(told(streamed(), NativeStream(asked(), ORIGIN, events)))
    kinds = [event["type"].removeprefix("response.") for event in seen]
    assert kinds[:4] == ["created", "queued", "in_progress", "output_item.added"]
    assert [event["sequence_number"] for event in seen] == list(range(len(seen)))


def test_encrypted_reasoning_goes_to_those_who_carry_it_and_is_kept_for_all():
    for seal in (None, Seal(b"secret")):
        stream = NativeStream(asked(seal), ORIGIN)
        final = read(told(streamed(), stream))[-1]["response"]
        thought = final["output"][0]
        (hidden,) = stream.told.hidden.values()
        assert (hidden.id, hidden.sealed[:5], hidden.text) == ("rs_1", "gAAAA", "")
        if seal is None:
            assert "encrypted_content" not in thought
        else:
            assert seal.unlabel(thought["encrypted_content"], "tenant") == Sealed(ORIGIN, "rs_1", hidden.sealed)
            assert seal.unlabel(thought["encrypted_content"], "another") is None
            assert Seal(b"other").unlabel(thought["encrypted_content"], "tenant") is None


@pytest.mark.parametrize("written", ["", "x", "tn2", "tn2.", "tn2..", "tn2.ÄÖ.x", "tn2.W10=.x", "ts1.AAAA", "gAAAAAB"])
def test_what_was_never_labelled_has_no_label(written):
    assert Seal().unlabel(written, "tenant") is None


def test_labels_outlive_the_process_where_there_is_no_secret():
    label = Seal().label(Sealed(ORIGIN, "rs_1", "gAAAA.b"), "tenant")
    assert Seal().unlabel(label, "tenant") == Sealed(ORIGIN, "rs_1", "gAAAA.b")


@pytest.mark.parametrize("show", [Show.HIDE, Show.COUNT])
def test_hidden_reasoning_has_no_events_and_no_text(show):
    frames = streamed(reasoning={"summary": "auto"})
    seen = read(told(frames, NativeStream(asked(show=show), ORIGIN)))
    assert not [event for event in seen if event["type"].startswith("response.reasoning")]
    assert seen[-1]["response"]["output"][0]["summary"] == []
    assert [event["sequence_number"] for event in seen] == list(range(len(seen)))


def test_a_response_is_understood_as_the_chat_completion_that_says_the_same():
    thought = {"type": "reasoning", "id": "rs_1", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]}
    later = {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "e"}
    call = {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "look", "arguments": "{}"}
    said = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "wait"}]}
    response = {"id": "r", "model": "m", "created_at": 1, "status": "completed", "output": [thought, said, later, call]}
    answer = NativeAnswer(response, Usage(1, 2, 0, 3, reasoning_estimated=True))
    chat = json.loads(answer.as_chat(with_items=True))
    (choice,) = chat["choices"]
    function = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"] == {
        "role": "assistant",
        "content": "wait",
        "reasoning_content": "hm",
        "tool_calls": [function],
        "reasoning_items": [{"before": None, "item": thought}, {"before": "c1", "item": later}],
    }
    assert chat["usage"]["completion_tokens_details"] == {"reasoning_tokens": 3, "reasoning_tokens_estimated": True}
    assert "reasoning_items" not in json.loads(answer.as_chat())["choices"][0]["message"]


@pytest.mark.parametrize(
    ("changes", "finish"),
    [
        ({}, "stop"),
        ({"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}, "length"),
        ({"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}, "content_filter"),
    ],
)
def test_why_it_ended_is_said_in_chats_words(changes, finish):
    answer = NativeAnswer({"status": "completed", "output": [], **changes}, None)
    assert json.loads(answer.as_chat())["choices"][0]["finish_reason"] == finish


def test_what_no_chat_completion_can_say_is_none():
    assert NativeAnswer({"output": [{"type": "web_search_call", "id": "ws_1"}]}, None).as_chat() is None


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"output": 1}', b'{"output": [], "usage": 1}', b"\xff", b'{"status": "failed"}']
)
def test_what_is_no_response_is_the_backends_failure(body):
    with pytest.raises(UpstreamError):
        read_answer(body, "gpt")


def test_an_events_kind_is_its_own_and_not_a_nested_ones():
    nested = b'data: {"item": {"type": "reasoning"}, "error": {"type": "error_x"}, "type": "response.x.done"}\n\n'
    assert event_kind(nested) == "response.x.done"
    assert event_kind(b'event: response.y\ndata: {"type": "response.x"}\n\n') == "response.y"
    assert event_kind(b": keep-alive\n\n") is None


def test_an_event_costs_little():
    provider, response = finished()
    events = list(provider.events(response, obfuscated=True))
    place = next(n for n, event in enumerate(events) if event["type"] == "response.output_text.delta")
    deltas = frames_of([{**events[place], "sequence_number": place + n} for n in range(2000)])
    best = float("inf")
    for _ in range(3):
        relay, stream = NativeRelay("gpt"), NativeStream(asked(), ORIGIN)
        stream.feed(relay.feed(b"".join(frames_of(events[:place]))))
        started = time.process_time()
        for one in deltas:
            stream.feed(relay.feed(one))
        best = min(best, (time.process_time() - started) / len(deltas))
    assert best < MOST_SECONDS_PER_EVENT
