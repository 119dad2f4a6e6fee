"""A stream passes frame by frame, the same however the network cuts it, and its end is never a guess."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import UpstreamFailed
from gateway.records.prices import Usage
from gateway.streaming import DONE, Relay, error_frame, event_data, split_frames


def frame(**fields: object) -> bytes:
    return b"data: " + json.dumps(fields, ensure_ascii=False).encode() + b"\n\n"


def delta(content: str | None = None, finish: str | None = None, **more: object) -> bytes:
    return frame(choices=[{"index": 0, "delta": {"content": content}, "finish_reason": finish}], **more)


USAGE = {
    "prompt_tokens": 7,
    "completion_tokens": 5,
    "prompt_tokens_details": {"cached_tokens": 3},
    "completion_tokens_details": {"reasoning_tokens": 2},
}
HELLO = [delta("Hel", usage=None), delta("lo 你好", usage=None), delta(None, "stop", usage=None)]
LAST = frame(choices=[], usage=USAGE)


def relayed(chunks: list[bytes], *, usage_asked: bool = False) -> tuple[bytes, Relay]:
    relay = Relay("b", usage_asked=usage_asked)
    sent = b"".join(relay.feed(chunk) for chunk in chunks)
    return sent + relay.finish(), relay


def test_frames_pass_untouched_when_usage_was_asked_for():
    stream = [*HELLO, LAST, DONE]
    sent, relay = relayed(stream, usage_asked=True)
    assert sent == b"".join(stream)
    assert relay.usage == Usage(input=7, output=5, cached=3, reasoning=2)
    assert relay.done


def test_usage_that_was_not_asked_for_is_kept_and_taken_out_again():
    sent, relay = relayed([*HELLO, LAST, DONE])
    assert b"usage" not in sent
    assert relay.usage == Usage(input=7, output=5, cached=3, reasoning=2)
    assert sent.endswith(DONE)
    assert [json.loads(event_data(part))["choices"] for part in split_frames(sent)[0][:-1]] == [
        json.loads(event_data(part))["choices"] for part in HELLO
    ]


def test_a_text_that_speaks_of_usage_is_left_alone():
    talk = delta('the field ,"usage":null and "error": {} and "finish_reason":"stop"')
    sent, relay = relayed([talk, delta(None, "stop"), DONE])
    assert sent.startswith(talk)
    assert relay.usage is None


def test_usage_beside_the_last_words_stays_in_its_frame():
    both = delta("end", "stop", usage=USAGE)
    sent, relay = relayed([both, DONE])
    assert sent == both + DONE
    assert relay.usage is not None


@pytest.mark.parametrize("ending", [b"\n\n", b"\r\n\r\n"])
def test_every_cut_of_a_stream_gives_the_same_bytes(ending):
    stream = b"".join([b": keep-alive\n\n", *HELLO, LAST, DONE]).replace(b"\n\n", ending)
    whole, _ = relayed([stream])
    for cut in range(1, len(stream)):
        sent, relay = relayed([stream[:cut], stream[cut:]])
        assert sent == whole
        assert relay.usage is not None
    single, _ = relayed([stream[i : i + 1] for i in range(len(stream))])
    assert single == whole


@given(st.lists(st.text(max_size=30), max_size=8), st.data())
def test_any_words_survive_any_cuts(words, data):
    stream = b"".join([*(delta(word) for word in words), delta(None, "stop"), LAST, DONE])
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=10)))
    chunks = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    sent, _ = relayed([chunk for chunk in chunks if chunk])
    said = [json.loads(event_data(part))["choices"][0]["delta"]["content"] for part in split_frames(sent)[0][:-1]]
    assert said == [*words, None]


def test_a_stream_that_forgets_its_end_mark_gets_one():
    sent, _ = relayed(HELLO)
    assert sent.endswith(DONE)


def test_a_stream_that_ends_without_a_blank_line_is_read_to_its_end():
    sent, relay = relayed([*HELLO, b"data: [DONE]"])
    assert sent.endswith(DONE)
    assert relay.done


BROKEN = [
    ("breaks off", HELLO[:2], "broke off"),
    ("says nothing", [], "broke off"),
    ("cuts its JSON short", [HELLO[0], b'data: {"choices": [\n\n'], "not JSON"),
    ("sends words", [b"data: hello\n\n"], "not JSON"),
    ("sends bad UTF-8", [b'data: {"choices": "\xff"}\n\n'], "not UTF-8"),
    ("reports an error", [HELLO[0], frame(error={"message": "out of memory"})], "reported an error"),
    ("never ends an event", [b"data: {" + b"x" * (17 << 20)], "endless event"),
]


@pytest.mark.parametrize(("chunks", "words"), [case[1:] for case in BROKEN], ids=[case[0] for case in BROKEN])
def test_a_backend_that_lies_ends_in_an_error(chunks, words):
    with pytest.raises(UpstreamFailed, match=words):
        relayed(chunks)


def test_what_came_before_a_spoilt_event_is_still_sent():
    relay = Relay("b", usage_asked=False)
    assert relay.feed(HELLO[0] + b"data: nonsense\n\n") == delta("Hel")
    assert relay.done
    with pytest.raises(UpstreamFailed, match="not JSON"):
        relay.finish()


def test_the_error_event_has_openais_shape():
    event = error_frame(UpstreamFailed("gone", backend="b"))
    assert json.loads(event_data(event))["error"]["code"] == "upstream_failed"
    assert event.endswith(b"\n\n")


def test_the_first_output_is_told_apart_from_what_comes_before_it():
    relay = Relay("b", usage_asked=False)
    relay.feed(frame(choices=[{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}]))
    assert not relay.output_seen
    relay.feed(b": keep-alive\n\n")
    assert not relay.output_seen
    relay.feed(frame(choices=[{"index": 0, "delta": {"reasoning_content": "Hm"}, "finish_reason": None}]))
    assert relay.output_seen
