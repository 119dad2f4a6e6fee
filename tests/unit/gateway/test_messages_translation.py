"""The Messages API over chat completions: requests one way, answers and streams the other, at every cut."""

from __future__ import annotations

import json
import time
from http import HTTPStatus
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cache.replay import expand
from gateway.errors import (
    AuthenticationFailed,
    BodyTooLarge,
    Draining,
    InternalError,
    InvalidField,
    PermissionRefused,
    RequestError,
    UnknownModel,
    UpstreamFailed,
    UpstreamRateLimited,
    UpstreamRefused,
    UpstreamTimeout,
)
from gateway.surfaces.messages import (
    MESSAGES_ERRORS,
    MessageStream,
    Telling,
    Thoughts,
    estimate_tokens,
    write_chat,
    write_message,
    write_prompt,
)
from gateway.surfaces.messages.thoughts import is_ours, sign
from gateway.wire.body import parse
from gateway.wire.messages import CountTokensRequest, MessagesRequest

Json = dict[str, Any]

ASK: Json = {"model": "auto", "max_tokens": 100, "messages": [{"role": "user", "content": "Hi"}]}
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
TOOL = {"name": "get_weather", "description": "Weather", "input_schema": SCHEMA}
CHAT_TOOL = {
    "type": "function",
    "function": {"name": "get_weather", "parameters": SCHEMA, "description": "Weather"},
}
PNG = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBOR"}}
CHAT_PNG = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBOR"}}


def chat_of(changes: Json, *, routed: bool = True) -> Json:
    """Give the chat request for `ASK` with some fields changed, as JSON has it."""
    request = parse(msgspec.json.encode({**ASK, **changes}), MessagesRequest).typed
    return msgspec.json.decode(msgspec.json.encode(write_chat(request, routed=routed)))


def messages_of(*turns: Json, system: Any = None) -> list[Json]:
    return chat_of({"messages": list(turns), "system": system})["messages"]


def user(*blocks: Any) -> Json:
    return {"role": "user", "content": list(blocks)}


def assistant(*blocks: Any) -> Json:
    return {"role": "assistant", "content": list(blocks)}


def text(words: str) -> Json:
    return {"type": "text", "text": words}


def tool_use(number: int = 1) -> Json:
    return {"type": "tool_use", "id": f"toolu_{number}", "name": "get_weather", "input": {"city": "Łódź"}}


def tool_result(content: Any, number: int = 1, **fields: Any) -> Json:
    return {"type": "tool_result", "tool_use_id": f"toolu_{number}", "content": content, **fields}


def chat_call(number: int = 1) -> Json:
    return {
        "id": f"toolu_{number}",
        "type": "function",
        "function": {"name": "get_weather", "arguments": '{"city":"Łódź"}'},
    }


def test_a_plain_request_becomes_the_plainest_chat_request():
    assert chat_of({}) == {"model": "auto", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 100}


FIELDS = [
    ({"temperature": 0, "top_p": 0.5, "top_k": 7}, {"temperature": 0, "top_p": 0.5, "top_k": 7}),
    ({"stop_sequences": ["END"]}, {"stop": ["END"]}),
    ({"stop_sequences": []}, {}),
    ({"stream": True}, {"stream": True, "stream_options": {"include_usage": True}}),
    ({"stream": False}, {}),
    ({"metadata": {"user_id": "ada"}}, {"user": "ada"}),
    ({"tools": []}, {}),
    ({"tools": [TOOL]}, {"tools": [CHAT_TOOL]}),
    ({"tools": [{**TOOL, "type": "custom", "cache_control": {"type": "ephemeral"}}]}, {"tools": [CHAT_TOOL]}),
    ({"tool_choice": {"type": "any"}}, {}),
    ({"tools": [TOOL], "tool_choice": {"type": "auto"}}, {"tools": [CHAT_TOOL], "tool_choice": "auto"}),
    ({"tools": [TOOL], "tool_choice": {"type": "any"}}, {"tools": [CHAT_TOOL], "tool_choice": "required"}),
    ({"tools": [TOOL], "tool_choice": {"type": "none"}}, {"tools": [CHAT_TOOL], "tool_choice": "none"}),
    (
        {"tools": [TOOL], "tool_choice": {"type": "tool", "name": "get_weather", "disable_parallel_tool_use": True}},
        {
            "tools": [CHAT_TOOL],
            "tool_choice": {"type": "function", "function": {"name": "get_weather"}},
            "parallel_tool_calls": False,
        },
    ),
    (
        {"thinking": {"type": "enabled", "budget_tokens": 2048, "display": "omitted"}},
        {"thinking": {"type": "enabled", "budget_tokens": 2048}},
    ),
    ({"thinking": {"type": "disabled"}}, {"thinking": {"type": "disabled"}}),
    ({"thinking": {"type": "between_tools"}}, {"thinking": {"type": "disabled"}}),
    ({"thinking": {"type": "adaptive"}}, {}),
    ({"output_config": {"effort": "low"}}, {"reasoning_effort": "low"}),
    (
        {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "output", "schema": SCHEMA, "strict": True},
            }
        },
    ),
    ({"service_tier": "auto", "context_management": {"edits": []}, "container": None, "betas": ["x"]}, {}),
]


@pytest.mark.parametrize(("asked", "written"), FIELDS, ids=[str(case[0]) for case in FIELDS])
def test_each_field_is_written_in_chats_words(asked, written):
    assert chat_of(asked) == chat_of({}) | written


EFFORTS = [
    ("medium", True, None),
    ("high", True, None),
    ("xhigh", True, "xhigh"),
    ("max", True, "max"),
    ("low", False, "low"),
    ("high", False, "high"),
]


@pytest.mark.parametrize(("effort", "routed", "written"), EFFORTS)
def test_an_effort_beside_adaptive_thinking_leaves_the_router_its_choice_up_to_high(effort, routed, written):
    asked = {"thinking": {"type": "adaptive"}, "output_config": {"effort": effort}}
    assert chat_of(asked, routed=routed).get("reasoning_effort") == written


def test_a_session_name_too_long_for_a_backend_is_told_by_its_digest():
    name = f"user_{'a' * 64}_account__session_0b1c"
    digest = chat_of({"metadata": {"user_id": name}})["user"]
    assert len(digest) == 48
    assert digest == chat_of({"metadata": {"user_id": name}})["user"]
    assert digest != chat_of({"metadata": {"user_id": name + "2"}})["user"]


PROMPTS: list[tuple[str, Any, list[Json], list[Json]]] = [
    ("a system string", "Be brief", [user(text("Hi"))], [{"role": "system", "content": "Be brief"}]),
    (
        "system blocks, without the line that changes every time",
        [
            text("x-anthropic-billing-header: cc_version=2.1.36.abc; cch=1a2b3;"),
            {**text("You are Claude Code"), "cache_control": {"type": "ephemeral"}},
            text("Rules"),
        ],
        [user(text("Hi"))],
        [{"role": "system", "content": "You are Claude Code\n\nRules"}],
    ),
    ("an empty system", [], [user(text("Hi"))], []),
]


@pytest.mark.parametrize(("system", "turns", "written"), [case[1:] for case in PROMPTS], ids=[c[0] for c in PROMPTS])
def test_instructions_come_first(system, turns, written):
    assert messages_of(*turns, system=system) == [*written, {"role": "user", "content": "Hi"}]


TURNS: list[tuple[str, list[Json], list[Json]]] = [
    (
        "turns of one role in a row are one",
        [{"role": "user", "content": "One"}, user(text("Two"))],
        [{"role": "user", "content": [text("One"), text("Two")]}],
    ),
    ("an image", [user(text("See"), PNG)], [{"role": "user", "content": [text("See"), CHAT_PNG]}]),
    (
        "an image by address",
        [user({"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}})],
        [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]}],
    ),
    (
        "a plain document with its title",
        [user({"type": "document", "title": "T", "source": {"type": "text", "media_type": "text/plain", "data": "D"}})],
        [{"role": "user", "content": [text("T"), text("D")]}],
    ),
    (
        "a document of blocks",
        [user({"type": "document", "source": {"type": "content", "content": [text("A"), PNG]}})],
        [{"role": "user", "content": [text("A"), CHAT_PNG]}],
    ),
    (
        "a PDF",
        [user({"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBE"}})],
        [
            {
                "role": "user",
                "content": [
                    {
                        "type": "file",
                        "file": {"filename": "document", "file_data": "data:application/pdf;base64,JVBE"},
                    }
                ],
            }
        ],
    ),
    (
        "a search result",
        [user({"type": "search_result", "title": "T", "source": "S", "content": [text("A"), text("B")]})],
        [{"role": "user", "content": "T\nS\n\nA\nB"}],
    ),
    (
        "a tool loop, results before what the user adds",
        [
            user(text("Weather?")),
            assistant(text("Let me "), text("look."), tool_use(1), tool_use(2)),
            user(tool_result("Rain"), tool_result([text("Sun"), text("Wind")], 2), text("Well?")),
        ],
        [
            {"role": "user", "content": "Weather?"},
            {"role": "assistant", "content": "Let me look.", "tool_calls": [chat_call(1), chat_call(2)]},
            {"role": "tool", "tool_call_id": "toolu_1", "content": "Rain"},
            {"role": "tool", "tool_call_id": "toolu_2", "content": "Sun\nWind"},
            {"role": "user", "content": "Well?"},
        ],
    ),
    (
        "results that are empty, or errors",
        [assistant(tool_use()), user(tool_result(None), tool_result("no such city", 2, is_error=True))],
        [
            {"role": "assistant", "content": None, "tool_calls": [chat_call()]},
            {"role": "tool", "tool_call_id": "toolu_1", "content": ""},
            {"role": "tool", "tool_call_id": "toolu_2", "content": "Error:\nno such city"},
        ],
    ),
    (
        "a picture in a result goes where chat can hold it",
        [assistant(tool_use()), user(tool_result([text("Shot"), PNG]))],
        [
            {"role": "assistant", "content": None, "tool_calls": [chat_call()]},
            {"role": "tool", "tool_call_id": "toolu_1", "content": "Shot"},
            {"role": "user", "content": [text("[media from the result of tool call toolu_1]"), CHAT_PNG]},
        ],
    ),
    (
        "a tool that the client's search found",
        [assistant(tool_use()), user(tool_result([{"type": "tool_reference", "tool_name": "grep"}]))],
        [
            {"role": "assistant", "content": None, "tool_calls": [chat_call()]},
            {"role": "tool", "tool_call_id": "toolu_1", "content": "Tool: grep"},
        ],
    ),
    (
        "a system message in the middle",
        [user(text("Hi")), {"role": "system", "content": [text("Mind"), text("this")]}],
        [{"role": "user", "content": "Hi"}, {"role": "system", "content": "Mind\n\nthis"}],
    ),
    ("an answer begun by the client", [assistant(text("("))], [{"role": "assistant", "content": "("}]),
    (
        "reasoning that the gateway signed",
        [assistant({"type": "thinking", "thinking": "Hm 想", "signature": sign("Hm 想")}, tool_use())],
        [{"role": "assistant", "content": None, "tool_calls": [chat_call()], "reasoning_content": "Hm 想"}],
    ),
    (
        "reasoning that was altered afterwards",
        [assistant({"type": "thinking", "thinking": "Ha", "signature": sign("Hm")}, text("A"))],
        [{"role": "assistant", "content": "A"}],
    ),
    (
        "reasoning that the gateway did not show",
        [assistant({"type": "thinking", "thinking": "", "signature": sign("Hm")}, text("A"))],
        [{"role": "assistant", "content": "A"}],
    ),
    (
        "reasoning that Claude signed, and some that only Claude can read",
        [
            assistant(
                {"type": "thinking", "thinking": "Hm", "signature": "EqQB"},
                {"type": "redacted_thinking", "data": "XYZ"},
                text("A"),
            )
        ],
        [
            {
                "role": "assistant",
                "content": "A",
                "reasoning_content": "Hm",
                "thinking_blocks": [
                    {"type": "thinking", "thinking": "Hm", "signature": "EqQB"},
                    {"type": "redacted_thinking", "data": "XYZ"},
                ],
            }
        ],
    ),
]


@pytest.mark.parametrize(("turns", "written"), [case[1:] for case in TURNS], ids=[case[0] for case in TURNS])
def test_turns_become_chat_messages(turns, written):
    assert messages_of(*turns) == written


REFUSALS: list[tuple[Json, str]] = [
    ({"max_tokens": 0}, "max_tokens"),
    ({"messages": []}, "messages"),
    ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role"),
    ({"messages": [user({"type": "server_tool_use", "id": "a", "name": "b", "input": {}})]}, "messages[0].content[0]"),
    ({"messages": [user(tool_use())]}, "messages[0].content[0]"),
    ({"messages": [user(text("x")), assistant(PNG)]}, "messages[1].content[0]"),
    ({"messages": [assistant(tool_result("x"))]}, "messages[0].content[0]"),
    (
        {"messages": [user({"type": "image", "source": {"type": "file", "file_id": "f"}})]},
        "messages[0].content[0]",
    ),
    (
        {"messages": [user({"type": "document", "source": {"type": "url", "url": "https://example.com/a.pdf"}})]},
        "messages[0].content[0]",
    ),
    ({"messages": [assistant({**tool_use(), "input": "x"})]}, "messages[0].content[0].input"),
    ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools[0].type"),
    ({"tools": [TOOL, {"name": "x"}]}, "tools[1]"),
    ({"tools": [TOOL], "tool_choice": {"type": "tool"}}, "tool_choice.name"),
    ({"thinking": {"type": "enabled"}}, "thinking.budget_tokens"),
    ({"thinking": {"type": "enabled", "budget_tokens": 10}}, "thinking.budget_tokens"),
    ({"output_config": {"effort": "enormous"}}, "output_config.effort"),
    ({"temperature": 1.5}, "temperature"),
    ({"mcp_servers": [{"type": "url", "url": "https://example.com"}]}, "mcp_servers"),
    ({"compaction": {"type": "enabled"}}, "compaction"),
    ({"thread": {"type": "continue", "previous_message_id": "msg_1"}}, "thread"),
]


@pytest.mark.parametrize(("changes", "param"), REFUSALS, ids=[str(case[0])[:60] for case in REFUSALS])
def test_what_cannot_be_done_is_refused_by_its_path(changes, param):
    with pytest.raises(RequestError) as refused:
        chat_of(changes)
    assert (refused.value.param or "").startswith(param)


def completion(message: Json, finish: str = "stop", usage: Json | None = None, **choice: Any) -> Json:
    answer = {"role": "assistant", "content": None, **message}
    told = {"index": 0, "message": answer, "finish_reason": finish, **choice}
    return {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "swift-1", "choices": [told]} | (
        {"usage": usage} if usage else {}
    )


def call(arguments: str, number: int = 1) -> Json:
    return {"id": f"call_{number}", "type": "function", "function": {"name": "get_weather", "arguments": arguments}}


def used(arguments: Any, number: int = 1) -> Json:
    return {"type": "tool_use", "id": f"call_{number}", "name": "get_weather", "input": arguments}


def thinking(words: str, signature: str | None = None) -> Json:
    return {"type": "thinking", "thinking": words, "signature": signature or sign(words)}


TELLING = Telling("msg_1", "swift-1", "swift", Thoughts.SHOWN, ("END", "!"), 9)
USAGE = {"prompt_tokens": 12, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 4}}

ANSWERS: list[tuple[str, Json, list[Json], str, str | None]] = [
    ("text", completion({"content": "Hello"}), [text("Hello")], "end_turn", None),
    ("nothing", completion({"content": ""}), [], "end_turn", None),
    ("text cut short", completion({"content": "Hel"}, "length"), [text("Hel")], "max_tokens", None),
    ("a filtered answer", completion({"content": "H"}, "content_filter"), [text("H")], "refusal", None),
    ("a refusal in words", completion({"refusal": "No."}), [text("No.")], "refusal", None),
    ("an unheard-of ending", completion({"content": "H"}, "eos"), [text("H")], "end_turn", None),
    ("vLLM's stop string", completion({"content": "H"}, stop_reason="END"), [text("H")], "stop_sequence", "END"),
    ("vLLM's stop token", completion({"content": "H"}, stop_reason=151643), [text("H")], "end_turn", None),
    ("SGLang's stop string", completion({"content": "H"}, matched_stop="!"), [text("H")], "stop_sequence", "!"),
    ("a stop nobody asked for", completion({"content": "H"}, stop_reason="</s>"), [text("H")], "end_turn", None),
    (
        "reasoning, text and calls",
        completion({"reasoning_content": "Hm", "content": "So", "tool_calls": [call('{"city":"Łódź"}')]}, "tool_calls"),
        [thinking("Hm"), text("So"), used({"city": "Łódź"})],
        "tool_use",
        None,
    ),
    (
        "calls of a backend that says stop",
        completion({"tool_calls": [call("{}"), call("", 2)]}),
        [used({}), used({}, 2)],
        "tool_use",
        None,
    ),
]


@pytest.mark.parametrize(
    ("body", "content", "reason", "sequence"), [case[1:] for case in ANSWERS], ids=[case[0] for case in ANSWERS]
)
def test_a_completion_is_told_as_a_message_whole_and_streamed(body, content, reason, sequence):
    body = {**body, "usage": USAGE}
    whole = json.loads(write_message(msgspec.json.encode(body), TELLING))
    assert whole == {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "swift-1",
        "content": content,
        "stop_reason": reason,
        "stop_sequence": sequence,
        "usage": {
            "input_tokens": 8,
            "output_tokens": 7,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 4,
        },
    }
    frames = b"".join(frame.data for frame in expand(msgspec.json.encode(body)))
    assert gathered(MessageStream(TELLING).feed(frames)) == whole


def test_arguments_that_are_no_object_are_given_as_they_are_under_a_name_that_says_so():
    body = msgspec.json.encode(completion({"tool_calls": [call('{"city": "Łó'), call("[1]", 2)]}, "length"))
    content = json.loads(write_message(body, TELLING))["content"]
    assert [block["input"] for block in content] == [{"INVALID_JSON": '{"city": "Łó'}, {"INVALID_JSON": "[1]"}]


def test_usage_that_the_backend_does_not_tell_is_estimated_and_marked():
    body = completion({"reasoning_content": "one two", "content": "three four", "tool_calls": [call('{"a":1}')]})
    whole = json.loads(write_message(msgspec.json.encode(body), TELLING))
    assert whole["usage"]["estimated"] is True
    assert whole["usage"]["input_tokens"] == 9
    assert whole["usage"]["output_tokens"] > 5
    frames = b"".join(frame.data for frame in expand(msgspec.json.encode(body)))
    assert gathered(MessageStream(TELLING).feed(frames))["usage"] == whole["usage"]


def test_thinking_tokens_are_told_apart():
    usage = {**USAGE, "completion_tokens_details": {"reasoning_tokens": 5}}
    whole = json.loads(write_message(msgspec.json.encode(completion({"content": "x"}, usage=usage)), TELLING))
    assert whole["usage"]["output_tokens_details"] == {"thinking_tokens": 5}


CLAUDES = {
    "reasoning_content": "One.Two.",
    "thinking_blocks": [
        {"type": "thinking", "thinking": "One.", "signature": "EqQB"},
        {"type": "redacted_thinking", "data": "XYZ"},
        {"type": "thinking", "thinking": "Two.", "signature": "EqQC"},
    ],
    "content": "Three",
}
SHOWN: list[tuple[Thoughts, Json, list[Json]]] = [
    (Thoughts.SHOWN, {"reasoning_content": "Hm", "content": "A"}, [thinking("Hm"), text("A")]),
    (Thoughts.OMITTED, {"reasoning_content": "Hm", "content": "A"}, [thinking("", sign("Hm")), text("A")]),
    (Thoughts.HIDDEN, {"reasoning_content": "Hm", "content": "A"}, [text("A")]),
    (
        Thoughts.SHOWN,
        CLAUDES,
        [
            thinking("One.", "EqQB"),
            {"type": "redacted_thinking", "data": "XYZ"},
            thinking("Two.", "EqQC"),
            text("Three"),
        ],
    ),
    (Thoughts.HIDDEN, CLAUDES, [text("Three")]),
]


@pytest.mark.parametrize(("thoughts", "message", "content"), SHOWN)
def test_reasoning_is_shown_as_asked_under_the_models_own_signatures_or_the_gateways(thoughts, message, content):
    body = msgspec.json.encode(completion(message))
    assert json.loads(write_message(body, with_thoughts(thoughts)))["content"] == content


def with_thoughts(thoughts: Thoughts) -> Telling:
    return Telling("msg_1", "swift-1", "swift", thoughts)


def chunk(delta: Json, finish: str | None = None, **fields: Any) -> bytes:
    told = {"index": 0, "delta": delta, "finish_reason": finish}
    return b"data: " + msgspec.json.encode({"model": "swift-1", "choices": [told], **fields}) + b"\n\n"


DONE = b"data: [DONE]\n\n"


def piece_of_call(index: int | None, arguments: str, **opening: Any) -> Json:
    name = {"name": "get_weather"} if opening else {}
    return {"tool_calls": [{"index": index, **opening, "function": {**name, "arguments": arguments}}]}


def test_claudes_own_signatures_end_their_blocks_in_a_stream():
    frames = (
        chunk({"reasoning_content": "One.", "thinking_blocks": [{"type": "thinking", "thinking": "One."}]}),
        chunk({"thinking_blocks": [{"type": "thinking", "thinking": "", "signature": "EqQB"}]}),
        chunk({"thinking_blocks": [{"type": "redacted_thinking", "data": "XYZ"}]}),
        chunk({"reasoning_content": "Two.", "thinking_blocks": [{"type": "thinking", "thinking": "Two."}]}),
        chunk({"thinking_blocks": [{"type": "thinking", "thinking": "", "signature": "EqQC"}]}),
        chunk({"content": "Three"}),
        chunk({}, "stop"),
        DONE,
    )
    told = MessageStream(TELLING).feed(b"".join(frames))
    assert gathered(told)["content"] == SHOWN[3][2]


def test_omitted_thinking_streams_a_signed_block_without_text():
    frames = chunk({"reasoning_content": "Hm"}) + chunk({"reasoning_content": " so"}) + chunk({}, "stop") + DONE
    told = MessageStream(with_thoughts(Thoughts.OMITTED)).feed(frames)
    assert b"Hm" not in told
    assert gathered(told)["content"] == [thinking("", sign("Hm so"))]


SIDE_BY_SIDE: list[tuple[str, list[Json], list[Json]]] = [
    (
        "calls told in turns",
        [
            piece_of_call(0, "", id="call_1"),
            piece_of_call(1, "", id="call_2"),
            piece_of_call(0, '{"city":'),
            piece_of_call(1, '{"city":"B"}'),
            piece_of_call(0, '"A"}'),
        ],
        [used({"city": "A"}), used({"city": "B"}, 2)],
    ),
    (
        "whole calls without numbers",
        [piece_of_call(None, '{"city":"A"}', id="call_1"), piece_of_call(None, '{"city":"B"}', id="call_2")],
        [used({"city": "A"}), used({"city": "B"}, 2)],
    ),
    (
        "text in the middle of a call",
        [piece_of_call(0, '{"city":', id="call_1"), {"content": "Hm"}, piece_of_call(0, '"A"}')],
        [used({"city": "A"}), text("Hm")],
    ),
    (
        "reasoning, text, reasoning",
        [{"reasoning_content": "A"}, {"content": "B"}, {"reasoning_content": "C"}],
        [thinking("A"), text("B"), thinking("C")],
    ),
]


@pytest.mark.parametrize(("deltas", "content"), [c[1:] for c in SIDE_BY_SIDE], ids=[c[0] for c in SIDE_BY_SIDE])
def test_what_chat_tells_side_by_side_is_told_block_by_block(deltas, content):
    frames = b"".join(map(chunk, deltas)) + chunk({}, "tool_calls") + DONE
    assert gathered(MessageStream(TELLING).feed(frames))["content"] == content


def test_comments_become_pings_behind_the_first_event():
    told = MessageStream(TELLING).feed(b": keep-alive\n\n")
    assert [name for name, _ in events(told)] == ["message_start", "ping", "ping"]


def test_nothing_is_told_after_the_end():
    stream = MessageStream(TELLING)
    stream.feed(chunk({"content": "A"}, "stop") + DONE)
    assert stream.feed(chunk({"content": "B"}) + DONE + b": late\n\n") == b""


@pytest.mark.parametrize("broken", [b"data: {oops\n\n", b"data: []\n\n", b'data: {"choices":[{"delta":5}]}\n\n'])
def test_an_event_that_is_no_chunk_is_the_backends_failure(broken):
    with pytest.raises(UpstreamFailed, match="swift"):
        MessageStream(TELLING).feed(broken)


@pytest.mark.parametrize("broken", [b"", b"[]", b'{"choices":[]}', b'{"choices":[{"message":7}]}'])
def test_an_answer_that_is_no_completion_is_the_backends_failure(broken):
    with pytest.raises(UpstreamFailed, match="swift"):
        write_message(broken, TELLING)


words = st.text(alphabet=st.sampled_from(list('ab \n"\\{}é想\U0001f600\r')), max_size=6)
deltas = st.one_of(
    st.builds(lambda said: {"content": said}, words),
    st.builds(lambda said: {"reasoning_content": said}, words),
    st.builds(lambda index, said: ("call", index, said), st.integers(0, 2), words),
)


def written(parts: list[Any], comments: bool) -> bytes:
    """Write a stream; each index opens its call the first time that it comes."""
    opened: set[int] = set()
    frames = []
    for part in parts:
        if isinstance(part, dict):
            frames.append(chunk(part))
        else:
            _, index, said = part
            opening = {} if index in opened else {"id": f"call_{index}"}
            opened.add(index)
            frames.append(chunk(piece_of_call(index, said, **opening)))
        if comments:
            frames.append(b": keep-alive\r\n\r\n")
    return b"".join(frames) + chunk({}, "stop", usage=USAGE) + DONE


@given(st.lists(deltas, max_size=12), st.booleans())
def test_any_stream_is_told_in_the_official_order_with_nothing_lost(parts, comments):
    message = gathered(MessageStream(TELLING).feed(written(parts, comments)), parse_input=False)
    for kind, name, field in (("text", "content", "text"), ("thinking", "reasoning_content", "thinking")):
        said = "".join(part.get(name, "") for part in parts if isinstance(part, dict))
        assert "".join(block[field] for block in message["content"] if block["type"] == kind) == said
    for index in range(3):
        said = [part[2] for part in parts if isinstance(part, tuple) and part[1] == index]
        inputs = [b["input"] for b in message["content"] if b["type"] == "tool_use" and b["id"] == f"call_{index}"]
        assert inputs == (["".join(said)] if said else [])
    for block in message["content"]:
        assert block["type"] != "thinking" or block["signature"] == sign(block["thinking"])


@given(st.lists(deltas, max_size=8), st.booleans(), st.data())
def test_a_stream_may_be_cut_anywhere(parts, comments, data):
    stream = written(parts, comments)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=10)))
    whole = MessageStream(TELLING).feed(stream)
    cut = MessageStream(TELLING)
    pieces = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert b"".join(map(cut.feed, pieces)) == whole


def test_a_stream_may_come_byte_by_byte():
    parts: list[Any] = [{"reasoning_content": "想"}, {"content": "é\r\n"}, ("call", 0, '{"a":1}'), ("call", 1, "{}")]
    stream = written(parts, comments=True)
    slow = MessageStream(TELLING)
    assert b"".join(slow.feed(bytes([byte])) for byte in stream) == MessageStream(TELLING).feed(stream)


def test_an_event_costs_less_than_a_tenth_of_a_millisecond():
    frames = [chunk({"content": f" word{number}"}) for number in range(1000)]

    def seconds() -> float:
        stream = MessageStream(TELLING)
        started = time.process_time()
        for frame in frames:
            stream.feed(frame)
        return time.process_time() - started

    assert min(seconds() for _ in range(5)) / len(frames) < 100e-6


FAILURES = [
    (InvalidField("no", param="x"), "invalid_request_error"),
    (AuthenticationFailed("no"), "authentication_error"),
    (PermissionRefused("no"), "permission_error"),
    (UnknownModel("no"), "not_found_error"),
    (BodyTooLarge("no"), "request_too_large"),
    (UpstreamRateLimited("no", backend="b"), "rate_limit_error"),
    (UpstreamFailed("no", backend="b"), "api_error"),
    (UpstreamTimeout("no", backend="b"), "timeout_error"),
    (Draining("no"), "overloaded_error"),
    (InternalError(), "api_error"),
]


@pytest.mark.parametrize(("error", "kind"), FAILURES, ids=[type(case[0]).__name__ for case in FAILURES])
def test_failures_have_anthropics_shape_and_types(error, kind):
    told = json.loads(MESSAGES_ERRORS.body(error))
    assert (told["type"], told["error"]["type"], told["error"]["message"]) == ("error", kind, error.message)
    assert told["error"]["details"] == {"error_code": error.code}
    assert MESSAGES_ERRORS.event(error) == b"event: error\ndata: " + MESSAGES_ERRORS.body(error) + b"\n\n"


def test_a_prompt_that_is_too_long_is_told_in_the_words_that_clients_know():
    body = b'{"error":{"message":"128 of 100 tokens","type":"x","code":"context_length_exceeded"}}'
    error = UpstreamRefused("refused", backend="b", status=HTTPStatus.BAD_REQUEST, answer=body)
    told = json.loads(MESSAGES_ERRORS.body(error))["error"]
    assert told["message"] == "prompt is too long: 128 of 100 tokens"
    assert told["type"] == "invalid_request_error"


def test_failures_carry_a_request_id_the_decisions_where_there_was_one():
    error = UpstreamFailed("no", backend="b")
    assert MESSAGES_ERRORS.headers(error)["request-id"].startswith("req_")
    error.headers["x-thalamus-decision-id"] = "dec_1"
    assert MESSAGES_ERRORS.headers(error)["request-id"] == "dec_1"


def test_only_the_gateways_signatures_are_its_own():
    assert is_ours(sign("Hm"))
    assert not is_ours("EqQBCgIYAhIM")
    assert sign("Hm") != sign("Hm ")


def tokens(changes: Json) -> int:
    asked = {"model": "auto", "messages": ASK["messages"], **changes}
    return estimate_tokens(write_prompt(parse(msgspec.json.encode(asked), CountTokensRequest).typed))


def test_an_estimate_grows_with_all_that_the_model_reads():
    plain = tokens({})
    assert 0 < plain < 10
    assert 900 < tokens({"system": "word " * 1000}) - plain < 1500
    assert 500 < tokens({"system": "想" * 1000}) - plain < 1000
    assert tokens({"tools": [TOOL]}) > plain + 10
    assert tokens({"messages": [user(text("Hi"), PNG)]}) > plain + 1000
    looped = [*ASK["messages"], assistant(tool_use()), user(tool_result("Rain and wind all day long"))]
    assert tokens({"messages": looped}) > plain + 10


def events(told: bytes) -> list[tuple[str, Json]]:
    """Read events, each with one name and one line of data that agree."""
    *blocks, rest = told.decode().split("\n\n")
    assert rest == ""
    read = []
    for block in blocks:
        name, data = block.split("\n")
        fields = json.loads(data.removeprefix("data: "))
        assert name.removeprefix("event: ") == fields["type"]
        read.append((fields["type"], fields))
    return read


def gathered(told: bytes, *, parse_input: bool = True) -> Json:
    """Gather a stream's message, and fail where an event is out of the order that Anthropic documents."""
    read = [event for name, event in events(told) if name != "ping"]
    assert [event["type"] for event in read[:1] + read[-2:]] == ["message_start", "message_delta", "message_stop"]
    message: Json = read[0]["message"]
    assert message["content"] == []
    open_block: Json | None = None
    inputs: dict[int, str] = {}
    for event in read[1:-2]:
        if event["type"] == "content_block_start":
            assert open_block is None
            assert event["index"] == len(message["content"])
            open_block = event["content_block"]
            message["content"].append(open_block)
            continue
        assert open_block is not None
        assert event["index"] == len(message["content"]) - 1
        if event["type"] == "content_block_stop":
            open_block = None
        else:
            add_delta(open_block, event["delta"], inputs, event["index"])
    assert open_block is None
    for index, block in enumerate(message["content"]):
        if block["type"] == "tool_use":
            written = inputs.get(index, "")
            block["input"] = json.loads(written or "{}") if parse_input else written
    return message | read[-2]["delta"] | {"usage": read[-2]["usage"]}


def add_delta(block: Json, delta: Json, inputs: dict[int, str], index: int) -> None:
    match block["type"], delta:
        case "text", {"type": "text_delta", "text": said}:
            block["text"] += said
        case "thinking", {"type": "thinking_delta", "thinking": said}:
            assert block["signature"] == "", "a signature ends its block"
            block["thinking"] += said
        case "thinking", {"type": "signature_delta", "signature": signature}:
            block["signature"] = signature
        case "tool_use", {"type": "input_json_delta", "partial_json": said}:
            inputs[index] = inputs.get(index, "") + said
        case kind, _:
            raise AssertionError(f"{delta} in a block of {kind}")
