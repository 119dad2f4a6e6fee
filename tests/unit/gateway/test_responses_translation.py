"""Requests for responses become chat completions, and whole chat completions become responses."""

from __future__ import annotations

import json

import msgspec
import pytest

from gateway.errors import InvalidField
from gateway.surfaces.responses.answering import Asked, answer_whole
from gateway.surfaces.responses.asking import check_request, truncate, write_chat
from gateway.surfaces.responses.history import Placed, Transcript, write_messages
from gateway.surfaces.responses.items import item_id, new_response_id, response_of_item
from gateway.surfaces.responses.sealing import Seal
from gateway.wire.body import parse
from gateway.wire.responses import ResponsesRequest, read_item

TOOL = {"type": "function", "name": "look", "parameters": {"type": "object"}, "strict": True}
CHAT_TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}, "strict": True}}
OTHER = {"type": "function", "name": "listen"}
SCHEMA = {"type": "json_schema", "name": "place", "schema": {"type": "object"}, "strict": True}


def user(content):
    return {"role": "user", "content": content}


def call(number):
    return {"type": "function_call", "call_id": f"c{number}", "name": "look", "arguments": "{}"}


def output(number, given="seen"):
    return {"type": "function_call_output", "call_id": f"c{number}", "output": given}


def thought(text):
    return {"type": "reasoning", "id": "rs_1", "summary": [], "content": [{"type": "reasoning_text", "text": text}]}


def said(text):
    return {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]}


def chat_calls(*numbers):
    function = {"name": "look", "arguments": "{}"}
    return [{"id": f"c{number}", "type": "function", "function": function} for number in numbers]


def tool(number, given="seen"):
    return {"role": "tool", "tool_call_id": f"c{number}", "content": given}


def messages_of(*items, instructions=None):
    placed = []
    for number, written in enumerate(items):
        item = read_item(written, f"input[{number}]")
        shown = written.get("content") if written.get("type") == "reasoning" else None
        placed.append(Placed(item, written, f"input[{number}]", "".join(part["text"] for part in shown or ())))
    return write_messages(instructions, placed).messages


CONVERSATIONS = {
    "text is text": ([user("hi")], [user("hi")]),
    "a lone text part is text": ([user([{"type": "input_text", "text": "hi"}])], [user("hi")]),
    "developers speak as the system": ([{"role": "developer", "content": "x"}], [{"role": "system", "content": "x"}]),
    "images, files and sounds stay parts": (
        [
            user(
                [
                    {"type": "input_image", "image_url": "data:image/png;base64,AA", "detail": "low"},
                    {"type": "input_file", "file_data": "data:text/plain;base64,AA", "filename": "a.txt"},
                    {"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}},
                ]
            )
        ],
        [
            user(
                [
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA", "detail": "low"}},
                    {"type": "file", "file": {"file_data": "data:text/plain;base64,AA", "filename": "a.txt"}},
                    {"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}},
                ]
            )
        ],
    ),
    "a turn's thought, words and calls are one message": (
        [user("hi"), thought("hm"), said("wait"), call(1), call(2), output(1), output(2, "heard")],
        [
            user("hi"),
            {
                "role": "assistant",
                "content": "wait",
                "reasoning_content": "hm",
                "tool_calls": chat_calls(1, 2),
            },
            tool(1),
            tool(2, "heard"),
        ],
    ),
    "every round of a tool loop is a turn": (
        [call(1), output(1), thought("hm"), call(2), output(2)],
        [
            {"role": "assistant", "content": None, "tool_calls": chat_calls(1)},
            tool(1),
            {"role": "assistant", "content": None, "reasoning_content": "hm", "tool_calls": chat_calls(2)},
            tool(2),
        ],
    ),
    "two answers in a row stay two": (
        [said("one"), said("two")],
        [{"role": "assistant", "content": "one"}, {"role": "assistant", "content": "two"}],
    ),
    "a thought that led to nothing is left out": ([thought("hm"), user("hi")], [user("hi")]),
}


@pytest.mark.parametrize(("items", "messages"), CONVERSATIONS.values(), ids=CONVERSATIONS.keys())
def test_items_become_the_messages_that_backends_expect(items, messages):
    assert messages_of(*items) == messages
    assert messages_of(*items, instructions="Be brief.") == [{"role": "system", "content": "Be brief."}, *messages]


UNSAYABLE = {
    "input[0].content[0]": user([{"type": "input_image", "file_id": "f"}]),
    "input[0].content[0].type": user([{"type": "input_video"}]),
    "input[0]": output(9),
    "input[0].role": {"role": "tool", "content": "x"},
    "input[0].type": {"type": "web_search_call", "id": "ws"},
    "input[0].call_id": {"type": "function_call", "call_id": 1, "name": "x", "arguments": ""},
}


@pytest.mark.parametrize(("param", "item"), UNSAYABLE.items(), ids=UNSAYABLE.keys())
def test_an_item_that_cannot_be_said_is_refused_by_its_place(param, item):
    with pytest.raises(InvalidField) as refusal:
        messages_of(item)
    assert refusal.value.param == param


def test_pictures_are_no_output_of_functions():
    picture = [{"type": "input_image", "image_url": "data:image/png;base64,AA"}]
    with pytest.raises(InvalidField) as refusal:
        messages_of(call(1), output(1, picture))
    assert refusal.value.param == "input[1].output"


FIELDS = [
    ({"max_output_tokens": 5}, {"max_tokens": 5}),
    ({"temperature": 0.5, "top_p": 0.9, "user": "u"}, {"temperature": 0.5, "top_p": 0.9, "user": "u"}),
    ({"reasoning": {"effort": "high", "summary": "auto"}}, {"reasoning_effort": "high"}),
    ({"reasoning": {"effort": None}}, {}),
    ({"tools": [TOOL]}, {"tools": [CHAT_TOOL]}),
    ({"tools": [TOOL], "tool_choice": "required"}, {"tools": [CHAT_TOOL], "tool_choice": "required"}),
    (
        {"tools": [TOOL], "tool_choice": {"type": "function", "name": "look"}, "parallel_tool_calls": False},
        {
            "tools": [CHAT_TOOL],
            "tool_choice": {"type": "function", "function": {"name": "look"}},
            "parallel_tool_calls": False,
        },
    ),
    (
        {
            "tools": [TOOL, OTHER],
            "tool_choice": {
                "type": "allowed_tools",
                "mode": "required",
                "tools": [{"type": "function", "name": "look"}],
            },
        },
        {"tools": [CHAT_TOOL], "tool_choice": "required"},
    ),
    ({"text": {"format": {"type": "text"}, "verbosity": "low"}}, {"verbosity": "low"}),
    ({"text": {"format": {"type": "json_object"}}}, {"response_format": {"type": "json_object"}}),
    (
        {"text": {"format": SCHEMA}},
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "place", "schema": {"type": "object"}, "strict": True},
            }
        },
    ),
    ({"top_logprobs": 2}, {"logprobs": True, "top_logprobs": 2}),
    ({"include": ["message.output_text.logprobs"]}, {"logprobs": True, "top_logprobs": 0}),
    ({"top_k": 4, "chat_template_kwargs": {"a": 1}}, {"top_k": 4, "chat_template_kwargs": {"a": 1}}),
    ({"store": True, "truncation": "auto", "max_tool_calls": 3, "stream_options": {}, "previous_response_id": "r"}, {}),
]


@pytest.mark.parametrize(("given", "written"), FIELDS)
def test_fields_become_those_of_chat_completions(given, written):
    parsed = parse(json.dumps({"model": "auto", "input": "hi", **given}).encode(), ResponsesRequest)
    check_request(parsed.typed)
    chat = json.loads(write_chat(parsed, [user("hi")], stream=False))
    assert chat == {"model": "auto", "messages": [user("hi")], **written}


def test_the_oldest_messages_go_first_and_tool_results_go_with_their_call():
    system = {"role": "system", "content": "s"}
    assistant = {"role": "assistant", "content": None, "tool_calls": chat_calls(1)}
    talk = [system, user("x" * 300), assistant, tool(1), user("last")]
    whole = Transcript(talk, {2: 1})
    assert truncate(whole, 10_000) == whole
    assert truncate(whole, 120) == Transcript([system, assistant, tool(1), user("last")], {1: 1})
    assert truncate(whole, 60) == Transcript([system, user("last")], {})
    assert truncate(whole, 1) == Transcript([system, user("last")], {})


def test_it_is_known_with_which_item_each_turn_begins():
    items = [user("hi"), thought("hm"), said("wait"), call(1), output(1), thought("so"), call(2), output(2), said("ok")]
    placed = [Placed(read_item(item, "input"), item, "input") for item in items]
    transcript = write_messages("Be brief.", placed)
    assert transcript.starts == {2: 1, 4: 5, 6: 8}
    assert all(transcript.messages[position]["role"] == "assistant" for position in transcript.starts)


def asked(**fields):
    request = msgspec.convert({"model": "auto", "input": "hi", **fields}, ResponsesRequest)
    return Asked(new_response_id(), request, "tenant", 1, None, 1_700_000_000)


def chat_of(message, finish="stop", **fields):
    choice = {"index": 0, "message": {"role": "assistant", "content": None, **message}, "finish_reason": finish}
    return json.dumps({"model": "sage-1", "choices": [choice], **fields}).encode()


ANSWERS = [
    ({"content": "hi"}, "stop", "completed", ["message completed"]),
    ({"content": "hi"}, "length", "incomplete", ["message incomplete"]),
    ({"content": "hi"}, "content_filter", "incomplete", ["message incomplete"]),
    ({"content": "", "reasoning_content": "hm"}, "length", "incomplete", ["reasoning incomplete"]),
    (
        {"content": "hi", "reasoning_content": "hm"},
        "length",
        "incomplete",
        ["reasoning completed", "message incomplete"],
    ),
    ({"refusal": "no"}, "stop", "completed", ["message completed"]),
    (
        {"reasoning_content": "hm", "tool_calls": chat_calls(1, 2)},
        "tool_calls",
        "completed",
        ["reasoning completed", "function_call completed", "function_call completed"],
    ),
    ({"content": ""}, "stop", "completed", []),
]


@pytest.mark.parametrize(("message", "finish", "status", "items"), ANSWERS)
def test_an_answer_becomes_items(message, finish, status, items):
    response = answer_whole(asked(), chat_of(message, finish)).response
    assert response["status"] == status
    assert [f"{item['type']} {item['status']}" for item in response["output"]] == items
    assert len({item["id"] for item in response["output"]}) == len(items)
    assert response["model"] == "sage-1"
    if not message.get("reasoning_content"):
        assert response["usage"] is None
    else:
        assert response["usage"]["estimated"] is True
        details = {"reasoning_tokens": 1, "reasoning_tokens_estimated": True}
        assert response["usage"]["output_tokens_details"] == details


def test_usage_and_log_probabilities_are_named_as_this_api_names_them():
    tokens = [{"token": "hi", "logprob": -0.5, "bytes": [104, 105], "top_logprobs": []}]
    usage = {
        "prompt_tokens": 10,
        "completion_tokens": 7,
        "prompt_tokens_details": {"cached_tokens": 4},
        "completion_tokens_details": {"reasoning_tokens": 5},
    }
    chat = json.loads(chat_of({"content": "hi"}, usage=usage))
    chat["choices"][0]["logprobs"] = {"content": tokens}
    response = answer_whole(asked(), json.dumps(chat).encode()).response
    assert response["output"][0]["content"][0]["logprobs"] == tokens
    assert response["usage"] == {
        "input_tokens": 10,
        "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 0},
        "output_tokens": 7,
        "output_tokens_details": {"reasoning_tokens": 5},
        "total_tokens": 17,
    }


def test_reasoning_is_a_summary_only_where_one_was_asked_for():
    chat = chat_of({"content": "hi", "reasoning_content": "hm"})
    plain = answer_whole(asked(), chat).response["output"][0]
    summary = answer_whole(asked(reasoning={"summary": "auto"}), chat).response["output"][0]
    assert (plain["content"], plain["summary"]) == ([{"type": "reasoning_text", "text": "hm"}], [])
    assert summary["summary"] == [{"type": "summary_text", "text": "hm"}]
    assert "content" not in summary


def test_an_items_id_leads_to_its_response():
    response = new_response_id()
    assert response_of_item(item_id(response, "message", 3)) == response
    assert response_of_item("msg_67ccd3acc8d4") is None


@pytest.mark.parametrize("text", ["", "Hm, let us see: 17 is prime.", "让我想想 🤔"])
def test_what_is_sealed_opens_for_the_same_tenant_and_key_alone(text):
    seal = Seal(b"secret")
    sealed = seal.close(text, "a")
    assert text not in sealed or not text
    assert seal.open(sealed, "a") == Seal(b"secret").open(sealed, "a") == text
    assert seal.open(sealed, "b") is None
    assert Seal().open(sealed, "a") is None
    assert seal.open(sealed[:-8] + "AAAAAAA=", "a") is None


@pytest.mark.parametrize("sealed", ["", "x", "ts1.", "ts1.ÄÖ", "gAAAAAB", "ts1." + "A" * 64])
def test_what_was_never_sealed_does_not_open(sealed):
    assert Seal().open(sealed, "a") is None
