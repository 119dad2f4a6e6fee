"""From a backend's bytes to each surface's events: the same wherever the bytes are cut, whatever is shown of them."""

from __future__ import annotations

import itertools
import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cache.replay import Recorder, replay
from gateway.reasoning import FrameRewriter, ReasoningOptions, shown
from gateway.show import Show
from gateway.streaming import Relay
from gateway.surfaces.messages import MessageStream, Telling, Thoughts
from gateway.surfaces.responses.answering import Asked
from gateway.surfaces.responses.stream import ResponseStream
from gateway.vault import Listener, Origin
from gateway.wire.chat import Message
from gateway.wire.responses import ResponsesRequest

THOUGHT, SAID = "先想想 < 3 ✓", "Hello `</think>` 🌍"
INLINE = ReasoningOptions(inline=True)


def frame(delta, finish=None, **fields):
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    event = {"model": "sage-1", "choices": [choice], **fields}
    return b"data: " + json.dumps(event, ensure_ascii=False).encode() + b"\n\n"


def call(arguments, **opening):
    return frame({"tool_calls": [{"index": 0, **opening, "function": {"arguments": arguments, "name": "look"}}]})


USAGE = b'data: {"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":30}}\n\n'
ENDING = [call('{"a":', id="c0123456789abcdef0"), call(" 1}"), frame({}, "tool_calls"), USAGE, b"data: [DONE]\n\n"]
WAYS = {
    "inline": [frame({"content": piece}) for piece in ("<think>", THOUGHT, "</think>\n\n", SAID)],
    "renamed": [*(frame({"reasoning": char}) for char in THOUGHT), frame({"content": SAID})],
    "detailed": [frame({"reasoning_details": [{"type": "reasoning.text", "text": THOUGHT}]}), frame({"content": SAID})],
    "named": [frame({"reasoning_content": THOUGHT}), frame({"content": SAID})],
}
STREAMS = {way: b"".join([*frames, *ENDING]) for way, frames in WAYS.items()}


def pass_through(pieces, show, both_names=False):
    """Give what a chat client gets of a stream, and who listened to it."""
    listener = Listener(Origin("f", "h"), INLINE, [Message("user", "hi")], "")
    rewriter = FrameRewriter(shown(INLINE, show, both_names=both_names))
    relay = Relay("sage", usage_asked=True, rewrite=listener.around(rewriter))
    return b"".join([*map(relay.feed, pieces), relay.finish()]), listener


def read(data):
    return [json.loads(line[6:]) for line in data.splitlines() if line.startswith(b"data: {")]


def joined(data):
    texts = {}
    for event in read(data):
        for choice in event["choices"]:
            for name, value in choice["delta"].items():
                if isinstance(value, str):
                    texts[name] = texts.get(name, "") + value
                elif name == "reasoning_summary":
                    texts[name] = value
    return texts


def responses_of(data):
    request = msgspec.convert({"model": "auto", "input": "hi"}, ResponsesRequest)
    stream = ResponseStream(Asked("resp_" + "0" * 48, request, "t", 1, None, 1))
    written = stream.feed(data) + stream.finish()
    return [{k: v for k, v in event.items() if k != "response"} for event in read(written)]


def messages_of(data):
    stream = MessageStream(Telling("msg_1", "m", "sage", Thoughts.SHOWN))
    return read(stream.feed(data))


SHOWS = [(show, both) for show in Show for both in (False, True)]
by_way = pytest.mark.parametrize("way", STREAMS)


@by_way
@pytest.mark.parametrize(("show", "both_names"), SHOWS)
def test_every_byte_of_a_stream_may_come_alone(way, show, both_names):
    whole = STREAMS[way]
    single = [whole[place : place + 1] for place in range(len(whole))]
    expected, heard = pass_through([whole], show, both_names)
    told, listener = pass_through(single, show, both_names)
    assert told == expected
    assert list(listener.keepsakes()) == list(heard.keepsakes())
    ((_, keepsake),) = listener.keepsakes()
    assert keepsake.text == THOUGHT
    texts = joined(told)
    assert texts["content"].strip() == SAID
    assert texts.get("reasoning_content") == (THOUGHT if show is Show.PASS else None)
    assert texts.get("reasoning") == (THOUGHT if show is Show.PASS and both_names else None)
    assert ("reasoning_summary" in texts) is (show is Show.COUNT)
    assert (THOUGHT in texts.get("content", "")) is False
    usage = read(told)[-1]["usage"]["completion_tokens_details"]
    assert usage["reasoning_tokens_estimated"] is True


@by_way
@given(data=st.data())
def test_a_surface_tells_the_same_wherever_the_bytes_are_cut(way, data):
    whole = STREAMS[way]
    places = [0, *sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=10))), len(whole)]
    pieces = [whole[start:end] for start, end in itertools.pairwise(places)]
    expected, _ = pass_through([whole], Show.PASS)
    told, _ = pass_through(pieces, Show.PASS)
    assert told == expected
    assert responses_of(told) == responses_of(expected)
    kinds = {event["type"] for event in responses_of(told)}
    assert "response.reasoning_text.delta" in kinds
    assert [event["type"] for event in messages_of(told)] == [event["type"] for event in messages_of(expected)]


@by_way
@pytest.mark.parametrize("show", Show)
def test_a_kept_stream_is_shown_as_the_live_one_was(way, show):
    recorder = Recorder(1 << 20, clock=lambda: 0.0)
    for place in range(len(STREAMS[way])):
        recorder.feed(STREAMS[way][place : place + 1])
    kept = recorder.answer()
    assert kept is not None
    frames = replay(kept, usage_asked=True, rewrite=FrameRewriter(shown(INLINE, show, both_names=False)))
    assert b"".join(frame.data for frame in frames) == pass_through([STREAMS[way]], show)[0]
