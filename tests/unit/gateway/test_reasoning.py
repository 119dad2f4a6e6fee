"""One reasoning field: read from any name and from inline tags, plain and streamed, at every cut."""

from __future__ import annotations

import itertools
import json
import timeit

import msgspec
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from gateway.reasoning import (
    FrameRewriter,
    Meter,
    ReasoningOptions,
    ReasoningStream,
    TagSplitter,
    needs_rewrite,
    normalise_message,
    rewrite_answer,
    show_answer,
    shown,
    split_whole,
    with_reasoning_tokens,
)
from gateway.records.prices import Usage
from gateway.show import Show, narrowest
from gateway.streaming import Relay
from gateway.upstream.dialects import load_dialects

INLINE = ReasoningOptions(inline=True)
ASSUMED = ReasoningOptions(inline=True, opener_missing=True)

# --- tags ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "reasoning", "answer"),
    [
        ("<think>so</think>yes", "so", "yes"),
        ("\n <think>\nso\n</think>\n\nyes", "so\n", "yes"),
        ("想<think>", "", "想<think>"),
        ("<think>先想想</think>好的", "先想想", "好的"),
        ("<think></think>yes", "", "yes"),
        ("<think>cut off", "cut off", ""),
        ("<think>a</think>\n\n<think>b</think>c", "ab", "c"),
        ("<thinking>other</thinking>", "", "<thinking>other</thinking>"),
        ("use the <think> tag", "", "use the <think> tag"),
        ("`<think>` opens", "", "`<think>` opens"),
        ("```\n<think>code</think>\n```", "", "```\n<think>code</think>\n```"),
        ("<think>say `</think>` here</think>yes", "say `</think>` here", "yes"),
        ("<think>a fence\n```\n</think>yes", "a fence\n```\n", "yes"),
        ("<think>closed by `</think>", "closed by `", ""),
        ("so it is</think>\n\nyes", "so it is", "yes"),
        ("closers look like `</think>` there", "", "closers look like `</think>` there"),
        ("```\n</think>\n```", "", "```\n</think>\n```"),
        ("a < b and c > d", "", "a < b and c > d"),
        ("", "", ""),
        (" \n ", "", " \n "),
    ],
)
def test_a_whole_text_is_split_at_its_tags_but_not_at_those_in_code(text, reasoning, answer):
    assert split_whole(text) == (reasoning, answer)


@pytest.mark.parametrize(
    ("text", "reasoning", "answer"),
    [
        ("Let me see.\n<think>so</think>\nyes", "so", "Let me see.\nyes"),
        ("Let me see. <think>so</think>", "", "Let me see. <think>so</think>"),
        ("```\n<think>code</think>\n```\n<think>so</think>yes", "so", "```\n<think>code</think>\n```\nyes"),
        ("~~~~\n~~~\n<think>code\n~~~~\n<think>so</think>yes", "so", "~~~~\n~~~\n<think>code\n~~~~\nyes"),
        ("``\n<think>so</think>yes", "so", "``\nyes"),
        ("<mm:think>so</mm:think>yes", "so", "yes"),
        ("<mm:think>so</think>no</mm:think>yes", "so</think>no", "yes"),
    ],
)
def test_a_backend_known_to_think_inline_may_open_a_tag_on_any_line(text, reasoning, answer):
    assert split_whole(text, ("mm:think", "think"), anywhere=True) == (reasoning, answer)


@pytest.mark.parametrize(
    ("text", "truncated", "reasoning", "answer"),
    [
        ("so</think>yes", False, "so", "yes"),
        ("<think>so</think>yes", False, "so", "yes"),
        ("no thinking today", False, "", "no thinking today"),
        ("cut off for len", True, "cut off for len", ""),
    ],
)
def test_a_missing_opener_is_assumed_and_given_up_when_no_closer_comes(text, truncated, reasoning, answer):
    assert split_whole(text, opener_missing=True, truncated=truncated) == (reasoning, answer)


def stream_text(pieces, options, *, truncated=False):
    splitter = TagSplitter(options.tags, anywhere=options.inline, opener_missing=options.opener_missing)
    given = [splitter.feed(piece) for piece in pieces] + [splitter.flush(truncated=truncated)]
    return "".join(reasoning for reasoning, _ in given), "".join(answer for _, answer in given)


TEXTS = [
    "<think>先 so</think>\n\nyes",
    " \n<think>\nsay `</think>` here</think>yes",
    "Sure.\n  <think>so</think>yes\n```\n<think>\n```\n<think>b</think>",
    "`</think>` <think> ``` </think>\n<thin k>",
    "so it goes</think>\nyes",
]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("options", [ReasoningOptions(), INLINE, ASSUMED], ids=["start", "inline", "assumed"])
def test_a_text_cut_once_or_twice_anywhere_splits_as_if_it_were_whole(text, options):
    whole = stream_text([text], options)
    for first, second in itertools.combinations_with_replacement(range(len(text) + 1), 2):
        pieces = [text[:first], text[first:second], text[second:]]
        assert stream_text(pieces, options) == whole


ALPHABET = st.sampled_from(
    ["<think>", "</think>", "<mm:think>", "</mm:think>", "`", "```", "~~~", "\n", "\r\n", " ", "<", ">", "</",
     "think", "a", "想", "🙂"]
)  # fmt: skip


@given(st.lists(ALPHABET, max_size=14).map("".join), st.sampled_from([ReasoningOptions(), INLINE, ASSUMED]))
@example("```<think>", INLINE)
@example("`</think>`", ASSUMED)
def test_any_text_cut_at_every_character_splits_as_if_it_were_whole(text, options):
    assert stream_text(list(text), options) == stream_text([text], options)


@given(st.lists(ALPHABET, max_size=14).map("".join))
def test_without_a_missing_opener_plain_and_streamed_agree(text):
    streamed = stream_text(list(text), INLINE)
    if "</think>" not in text or "<think>" in text.split("</think>")[0]:
        assert split_whole(text, anywhere=True) == streamed


@given(st.text(alphabet="ab<`~\n 想", max_size=30))
def test_a_text_without_tags_comes_through_unchanged(text):
    assert stream_text(list(text), INLINE) == ("", text)


def test_only_what_might_become_a_tag_is_held_back():
    splitter = TagSplitter(anywhere=True)
    assert splitter.feed("Hello <thi") == ("", "Hello <thi")
    assert splitter.feed("\n<thi") == ("", "\n")
    assert splitter.feed("s") == ("", "<this")
    assert splitter.feed("\n<think>so</thi") == ("so", "\n")
    assert splitter.feed("nk>yes") == ("", "yes")


# --- fields -------------------------------------------------------------------------------------------------------

MESSAGES = [
    ("DeepSeek and SGLang", {"content": "yes", "reasoning_content": "so"}),
    ("vLLM", {"content": "yes", "reasoning": "so"}),
    ("vLLM with both", {"content": "yes", "reasoning": "so", "reasoning_content": "so"}),
    (
        "OpenRouter",
        {"content": "yes", "reasoning": "so", "reasoning_details": [{"type": "reasoning.text", "text": "so"}]},
    ),
    ("MiniMax", {"content": "yes", "reasoning_details": [{"text": "s"}, {"text": "o"}]}),
    ("an encrypted detail beside text", {"content": "yes", "reasoning_details": [{"data": "x"}, {"text": "so"}]}),
    ("litellm", {"content": "yes", "thinking_blocks": [{"type": "thinking", "thinking": "so", "signature": "s"}]}),
    ("Claude", {"content": [{"type": "thinking", "thinking": "so"}, {"type": "text", "text": "yes"}]}),
    (
        "Mistral",
        {"content": [{"type": "thinking", "thinking": [{"text": "so"}]}, {"type": "text", "text": "yes"}]},
    ),
    ("Gemini", {"content": [{"text": "so", "thought": True}, {"text": "yes"}]}),
    ("inline", {"content": "<think>so</think>yes"}),
    ("inline without opener", {"content": "so</think>yes"}),
]  # fmt: skip


@pytest.mark.parametrize("message", [case[1] for case in MESSAGES], ids=[case[0] for case in MESSAGES])
def test_a_message_has_its_reasoning_under_one_name(message):
    before = json.dumps(message)
    result, reasoning = normalise_message({"role": "assistant", **message})
    assert reasoning == "so"
    assert result["reasoning_content"] == "so"
    assert result["content"] == "yes"
    assert "reasoning" not in result
    assert json.dumps(message) == before


@pytest.mark.parametrize("message", [case[1] for case in MESSAGES], ids=[case[0] for case in MESSAGES])
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (ReasoningOptions(both_names=True), {"reasoning_content": "so", "reasoning": "so"}),
        (ReasoningOptions(show=Show.HIDE), {}),
        (ReasoningOptions(show=Show.COUNT), {"reasoning_summary": {"tokens": 1, "estimated": True}}),
    ],
    ids=["both", "hide", "count"],
)
def test_a_message_shows_as_much_reasoning_as_it_may(message, options, expected):
    result, _ = normalise_message(message, options)
    carriers = result.keys() - {"content", "reasoning_details", "thinking_blocks"}
    assert {name: result[name] for name in carriers} == expected
    assert result["content"] == "yes"
    if options.show is not Show.PASS:
        assert '"so"' not in json.dumps(result)


def test_signed_details_stay_as_they_are_when_reasoning_is_shown():
    details = [{"type": "reasoning.text", "text": "so", "signature": "abc"}]
    result, _ = normalise_message({"content": "yes", "reasoning_details": details})
    assert result["reasoning_details"] == details


def test_a_content_list_with_images_stays_a_list_without_its_thinking():
    image = {"type": "image_url", "image_url": {"url": "data:,"}}
    result, _ = normalise_message({"content": [{"type": "thinking", "thinking": "so"}, image]})
    assert result["content"] == [image]


def test_a_tool_call_after_inline_thinking_has_no_content():
    result, _ = normalise_message({"content": "<think>so</think>", "tool_calls": [{"id": "1"}]})
    assert result["content"] is None
    assert result["reasoning_content"] == "so"


def test_a_message_without_reasoning_gets_none():
    assert normalise_message({"content": "yes", "reasoning": None}) == ({"content": "yes"}, "")


# --- streams ------------------------------------------------------------------------------------------------------


def joined(deltas):
    whole = {}
    for delta in deltas:
        for name, value in delta.items():
            whole[name] = whole.get(name, "") + value if isinstance(value, str) else value
    return whole


@given(
    st.lists(ALPHABET, max_size=10).map("".join),
    st.lists(st.integers(min_value=1, max_value=5), min_size=1, max_size=5),
    st.sampled_from([ReasoningOptions(), INLINE]),
)
def test_deltas_add_up_to_the_plain_message(text, sizes, options):
    pieces, at, size = [], 0, itertools.cycle(sizes)
    while at < len(text):
        pieces.append(text[at : at + (step := next(size))])
        at += step

    def streamed(parts):
        stream = ReasoningStream(options)
        return joined([*(stream.feed({"content": part}) for part in parts), stream.flush()])

    assert streamed(pieces) == streamed([text] if text else [])


@given(st.lists(ALPHABET, max_size=12).map("".join), st.sampled_from([ReasoningOptions(), INLINE]))
@example("Sure.\n<think>so</think>yes", INLINE)
@example("Sure.\n<think>so</think>yes", ReasoningOptions())
def test_a_stream_adds_up_to_what_the_plain_message_gives(text, options):
    before, closer, _ = text.partition("</think>")
    assume(not closer or "<think>" in before)  # only a whole message can tell a closer without an opener
    stream = ReasoningStream(options)
    streamed = joined([*(stream.feed({"content": char}) for char in text), stream.flush()])
    plain, _ = normalise_message({"content": text}, options)
    assert {"content": "", **streamed} == plain


def test_empty_reasoning_beside_text_does_not_end_the_assumption_of_a_missing_opener():
    rewriter = FrameRewriter(ASSUMED)
    rewriter(frame({"role": "assistant", "reasoning_content": ""}))
    assert deltas(rewriter(frame({"content": "so</think>yes"}))) == [{"reasoning_content": "so", "content": "yes"}]


def test_reasoning_in_a_field_ends_the_assumption_of_a_missing_opener():
    stream = ReasoningStream(ASSUMED)
    assert stream.feed({"reasoning": "so"}) == {"reasoning_content": "so"}
    assert stream.feed({"content": "yes"}) == {"content": "yes"}


def test_an_assumed_opener_that_never_closes_gives_the_text_as_answer_in_the_end():
    stream = ReasoningStream(ASSUMED)
    assert stream.feed({"content": "no thinking"}) == {"reasoning_content": "no thinking"}
    assert stream.flush() == {"content": "no thinking"}
    assert stream.flush() == {}


def test_a_stream_that_only_counts_says_so_in_the_end():
    stream = ReasoningStream(ReasoningOptions(show=Show.COUNT))
    assert stream.feed({"reasoning": "a thought of eight tok"}) == {}
    assert stream.flush() == {"reasoning_summary": {"tokens": 6, "estimated": True}}


# --- frames -------------------------------------------------------------------------------------------------------


def frame(delta=None, *, finish=None, index=0, **extra):
    event = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    choices = [] if delta is None else [{"index": index, "delta": delta, "finish_reason": finish}]
    return b"data: " + json.dumps(event | {"choices": choices} | extra, ensure_ascii=False).encode() + b"\n\n"


def events(data):
    return [json.loads(part.removeprefix(b"data: ")) for part in data.split(b"\n\n") if part]


def deltas(data):
    return [choice["delta"] for event in events(data) for choice in event["choices"]]


@pytest.mark.parametrize(
    ("data", "field", "expected"),
    [
        (frame({"reasoning_content": "so"}), "reasoning_content", False),
        (frame({"content": "yes"}), "reasoning_content", False),
        (frame({"reasoning": "so"}), "reasoning_content", True),
        (frame({"reasoning_content": "so"}), "reasoning", True),
        (frame({"reasoning": None, "reasoning_details": [], "content": "a"}), "reasoning_content", False),
        (frame({"reasoning_details": [{"text": "so"}]}), "reasoning_content", True),
        (frame({"content": "<think>"}), "reasoning_content", True),
        (b'data: {"choices":[{"delta":{"content":"\\u003cthink\\u003e"}}]}\n\n', "reasoning_content", True),
        (frame({"content": '{"reasoning": "quoted JSON"}'}), "reasoning_content", False),
        (frame({"tool_calls": [{"function": {"arguments": '{"reasoning": 1}'}}]}), "reasoning_content", False),
    ],
)
def test_a_look_at_the_bytes_tells_whether_a_frame_may_need_a_rewrite(data, field, expected):
    assert needs_rewrite(data, field) is expected


def test_a_stream_that_speaks_the_right_name_is_relayed_untouched():
    rewriter = FrameRewriter()
    frames = [
        frame({"role": "assistant", "content": ""}),
        frame({"reasoning_content": "so", "content": None}),
        frame({"content": "yes"}),
        frame({"content": " a < b, `<think>` and\n<think>"}),
        frame({"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]}),
        b": keep-alive\n\n",
        frame({}, finish="stop"),
    ]
    for each in frames[:2] + frames[3:]:
        if each is frames[3]:
            assert json.loads(rewriter(frames[2])[6:]) == json.loads(frames[2][6:])  # settles the text's start
        assert rewriter(each) is each
    assert rewriter.flush() == b""


def test_vllms_name_is_changed_and_the_rest_of_the_frame_kept():
    data = FrameRewriter()(frame({"role": "assistant", "reasoning": "so"}, system_fingerprint="f"))
    (event,) = events(data)
    assert event["choices"] == [
        {"index": 0, "delta": {"role": "assistant", "reasoning_content": "so"}, "finish_reason": None}
    ]
    assert event["system_fingerprint"] == "f"


def rewrite_all(frames, options=INLINE, **kwargs):
    rewriter = FrameRewriter(options, **kwargs)
    return b"".join(map(rewriter, frames)) + rewriter.flush()


@pytest.mark.parametrize("text", TEXTS)
def test_tags_cut_at_every_character_come_out_of_frames_as_from_the_whole_text(text):
    pieces = [frame({"content": char}) for char in text] + [frame({}, finish="stop")]
    whole = joined(deltas(rewrite_all([frame({"content": text}, finish="stop")])))
    data = rewrite_all(pieces)
    assert joined(deltas(data)) == whole
    assert events(data)[-1]["choices"][0]["finish_reason"] == "stop"


@given(st.lists(ALPHABET, max_size=8).map("".join), st.data())
def test_a_byte_stream_cut_anywhere_gives_the_same_bytes_through_the_relay(text, data):
    body = b"".join(frame({"content": char}) for char in text) + frame({}, finish="stop") + b"data: [DONE]\n\n"
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=4)))
    pieces = [body[start:end] for start, end in itertools.pairwise([0, *cuts, len(body)])]

    def relayed(chunks):
        relay = Relay("stand-in", usage_asked=True, rewrite=FrameRewriter(INLINE))
        return b"".join([relay.feed(chunk) for chunk in chunks]) + relay.finish()

    assert relayed(pieces) == relayed([body])


def test_every_byte_position_of_one_stream_can_be_cut():
    body = frame({"content": "<think>想"}) + frame({"content": "</think>好"}, finish="stop") + b"data: [DONE]\n\n"
    for cut in range(len(body) + 1):
        relay = Relay("stand-in", usage_asked=True, rewrite=FrameRewriter(INLINE))
        data = relay.feed(body[:cut]) + relay.feed(body[cut:]) + relay.finish()
        assert data.endswith(b"data: [DONE]\n\n")
        assert joined(deltas(data.removesuffix(b"data: [DONE]\n\n"))) == {"reasoning_content": "想", "content": "好"}


def test_held_text_comes_with_the_frame_that_ends_the_choice():
    data = rewrite_all([frame({"content": "<thi"}), frame({}, finish="length")], ReasoningOptions())
    (event,) = events(data)
    assert event["choices"][0] == {"index": 0, "delta": {"content": "<thi"}, "finish_reason": "length"}


def test_held_text_is_not_lost_when_a_stream_breaks_off():
    assert deltas(rewrite_all([frame({"content": "<thi"})], ReasoningOptions())) == [{"content": "<thi"}]


def test_choices_are_told_apart():
    frames = [
        frame({"content": "<think>a"}, index=0),
        frame({"content": "b"}, index=1),
        frame({"content": "</think>c"}, index=0, finish="stop"),
        frame({"content": "d"}, index=1, finish="stop"),
    ]
    by_index = {0: [], 1: []}
    for event in events(rewrite_all(frames, ReasoningOptions(), choices=2)):
        for choice in event["choices"]:
            by_index[choice["index"]].append(choice["delta"])
    assert joined(by_index[0]) == {"reasoning_content": "a", "content": "c"}
    assert joined(by_index[1]) == {"content": "bd"}


def test_hidden_reasoning_leaves_no_frames_behind():
    rewriter = FrameRewriter(ReasoningOptions(show=Show.HIDE))
    assert rewriter(frame({"reasoning_content": "so"})) == b""
    assert deltas(rewriter(frame({"role": "assistant", "reasoning": "so"}))) == [{"role": "assistant"}]
    assert deltas(rewriter(frame({"content": "yes"}, finish="stop"))) == [{"content": "yes"}]


@pytest.mark.parametrize("data", [b"data: {broken\n\n", b": note\n\n", b"data: [DONE]\n\n", b'data: {"a":1}\n\n'])
def test_what_is_no_chat_chunk_passes_untouched(data):
    assert FrameRewriter(INLINE)(data) == data


@pytest.mark.parametrize(
    ("reported", "expected"),
    [
        ({"completion_tokens": 90}, {"reasoning_tokens": 8, "reasoning_tokens_estimated": True}),
        ({"completion_tokens": 5}, {"reasoning_tokens": 5, "reasoning_tokens_estimated": True}),
        (
            {"completion_tokens": 90, "completion_tokens_details": {"reasoning_tokens": None, "audio_tokens": 0}},
            {"reasoning_tokens": 8, "reasoning_tokens_estimated": True, "audio_tokens": 0},
        ),
        (
            {"completion_tokens": 90, "completion_tokens_details": {"reasoning_tokens": 70}},
            {"reasoning_tokens": 70},
        ),
    ],
)
def test_usage_tells_reasoning_tokens_and_marks_an_estimate(reported, expected):
    thought = "thirty-two characters of thought"
    for first in ({"reasoning_content": thought}, {"reasoning": thought}, {"content": f"<think>{thought}</think>"}):
        rewriter = FrameRewriter()
        rewriter(frame(first))
        (event,) = events(rewriter(frame(usage=reported)))
        assert event["usage"]["completion_tokens_details"] == expected


def test_usage_without_reasoning_is_left_alone():
    assert with_reasoning_tokens({"completion_tokens": 3}, 0) == {"completion_tokens": 3}


@pytest.mark.parametrize(
    ("text", "tokens"), [("", 0), ("a", 1), ("word " * 40, 50), ("想想" * 30, 40), ("мысль " * 10, 27)]
)
def test_tokens_are_estimated_from_characters_in_any_script(text, tokens):
    meter, raw = Meter(), Meter()
    meter.add(text)
    raw.add_json(msgspec.json.encode(text)[1:-1])
    assert meter.tokens == raw.tokens
    assert meter.tokens == pytest.approx(tokens, rel=0.1)


def test_escaped_chinese_on_the_wire_is_counted_like_the_characters():
    meter = Meter()
    meter.add_json(json.dumps("想想" * 30)[1:-1].encode())
    assert meter.tokens == 40


def test_a_whole_answer_is_rewritten_and_one_that_needs_nothing_is_the_same_object():
    body = json.dumps(
        {
            "id": "c1",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": "<think>so</think>yes"}}],
            "usage": {"completion_tokens": 9},
        }
    ).encode()
    answer = json.loads(rewrite_answer(body))
    assert answer["choices"][0]["message"] == {"role": "assistant", "content": "yes", "reasoning_content": "so"}
    assert answer["usage"]["completion_tokens_details"]["reasoning_tokens_estimated"] is True
    plain = b'{"choices":[{"message":{"content":"yes"}}],"usage":{"completion_tokens":1}}'
    assert rewrite_answer(plain) is plain


@pytest.mark.parametrize("reported", [0, None])
def test_a_whole_answer_that_counts_no_reasoning_although_it_came_is_counted_here(reported):
    """The right name alone does not spare an answer the look at its usage."""
    details = {"completion_tokens_details": {"reasoning_tokens": reported}}
    message = {"content": "yes", "reasoning_content": "thirty-two characters of thought"}
    body = json.dumps({"choices": [{"message": message}], "usage": {"completion_tokens": 9, **details}}).encode()
    usage = json.loads(rewrite_answer(body))["usage"]
    assert usage["completion_tokens_details"] == {"reasoning_tokens": 8, "reasoning_tokens_estimated": True}


@pytest.mark.parametrize(
    ("show", "both_names", "expected"),
    [
        (Show.PASS, False, {"reasoning_content": "hm"}),
        (Show.PASS, True, {"reasoning_content": "hm", "reasoning": "hm"}),
        (Show.HIDE, False, {}),
        (Show.HIDE, True, {}),
        (Show.COUNT, True, {"reasoning_summary": {"tokens": 1, "estimated": True}}),
    ],
)
def test_an_answer_in_its_normal_form_is_shown_as_far_as_a_client_may_see(show, both_names, expected):
    carried = {"reasoning_details": [{"text": "hm"}], "thinking_blocks": [{"thinking": "hm"}]}
    said = {"content": "<think> is a tag"}
    body = json.dumps({"choices": [{"message": {**said, "reasoning_content": "hm", **carried}}], "usage": {}}).encode()
    options = shown(INLINE, show, both_names=both_names)
    message = json.loads(show_answer(body, options))["choices"][0]["message"]
    assert message == {**said, **expected, **(carried if show is Show.PASS else {})}


def test_an_answer_without_reasoning_is_shown_as_it_is():
    body = b'{"choices":[{"message":{"content":"yes"}}]}'
    assert show_answer(body, ReasoningOptions(show=Show.HIDE)) is body


def test_the_narrowest_word_counts():
    assert narrowest(None, None) is Show.PASS
    assert narrowest(Show.PASS, None, Show.COUNT) is Show.COUNT
    assert narrowest(Show.COUNT, Show.HIDE) is Show.HIDE


def test_an_estimate_of_reasoning_is_part_of_the_output():
    assert Usage(output=5).with_estimate(9) == Usage(output=5, reasoning=5, reasoning_estimated=True)
    assert Usage(output=5).with_estimate(0) == Usage(output=5)


def test_an_answer_that_is_cut_off_while_thinking_stays_reasoning():
    body = b'{"choices":[{"message":{"content":"so and so"},"finish_reason":"length"}]}'
    answer = json.loads(rewrite_answer(body, ASSUMED))
    assert answer["choices"][0]["message"] == {"content": "", "reasoning_content": "so and so"}


@pytest.mark.parametrize(
    ("family", "host", "expected"),
    [
        ("deepseek-r1", "vllm", ReasoningOptions(inline=True, opener_missing=True)),
        ("deepseek-r1", "deepseek", ReasoningOptions(inline=True)),
        ("gemini-3-pro", "gemini", ReasoningOptions(inline=True, tags=("thought", "think"))),
        ("deepseek-v4", "deepseek", ReasoningOptions()),
    ],
)
def test_a_dialect_says_where_to_look(family, host, expected):
    assert ReasoningOptions.of_dialect(load_dialects().find(family, host)) == expected


@pytest.mark.parametrize(
    ("delta", "options"),
    [
        ({"content": "word"}, ReasoningOptions()),
        ({"reasoning": "hmm, let me see"}, ReasoningOptions()),
        ({"content": "and\n more `code`"}, INLINE),
        ({"reasoning_content": "hmm"}, ReasoningOptions(show=Show.HIDE)),
    ],
)
def test_a_frame_costs_less_than_its_budget_even_on_a_busy_machine(delta, options):
    rewriter, data = FrameRewriter(options), frame(delta)
    best = min(timeit.repeat(lambda: rewriter(data), number=100, repeat=20)) / 100
    assert best < 150e-6
