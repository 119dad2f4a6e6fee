"""The stand-in backend over real HTTP: what it says, what it refuses, how it misbehaves."""

import base64
import gzip
import json
import math
import socket
import struct
import time

import httpx
import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.standin import Behaviour, SwitchError, adjusted, running_standin
from gateway.standin.answers import tokenise
from gateway.standin.schema import SchemaError, check_schema, instance_of

CHAT = "/v1/chat/completions"
USER = [{"role": "user", "content": "Say hello to 世界"}]
TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
CALLED = {
    "role": "assistant",
    "content": None,
    "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}],
}
ANSWERED = {"role": "tool", "tool_call_id": "call_1", "content": "sunny"}


KINDS = ["object", "array", "string", "integer", "number", "boolean", "null", "wizard"]
NUMBERS = st.integers(-5, 5) | st.floats(-5, 5) | st.just(10**400)
ATOMS = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(KINDS) | st.lists(st.sampled_from(KINDS), max_size=2),
        "enum": st.lists(st.integers() | st.text(max_size=3), max_size=2),
        "$ref": st.sampled_from(["#", "#/$defs/a", "#/nowhere", "elsewhere"]),
        **dict.fromkeys(["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"], NUMBERS),
        **dict.fromkeys(["minItems", "maxItems", "minLength", "maxLength"], st.integers(-1, 4)),
        "uniqueItems": st.booleans(),
        "required": st.lists(st.sampled_from("ab"), max_size=2),
    },
)


def schemas_around(inner):
    """Schemas that hold others, well formed or not."""
    some = inner | st.booleans() | st.none()
    return ATOMS.flatmap(
        lambda atom: st.fixed_dictionaries(
            {},
            optional={
                **dict.fromkeys(["properties", "$defs"], st.dictionaries(st.sampled_from("ab"), some, max_size=2)),
                **dict.fromkeys(["anyOf", "oneOf", "allOf", "prefixItems"], st.lists(some, max_size=2)),
                "items": some,
            },
        ).map(lambda parts: {**atom, **parts})
    )


@pytest.fixture(scope="module")
def running():
    with running_standin() as standin:
        yield standin


@pytest.fixture
def standin(running):
    yield running
    running.reset()


@pytest.fixture
def client(standin):
    with httpx.Client(base_url=standin.url, timeout=5) as client:
        yield client


def chat(client, **fields):
    return client.post(CHAT, json={"model": "m", "messages": USER, **fields})


def events(response):
    """The data of a stream's events, `[DONE]` included."""
    lines = response.content.decode("utf-8-sig").splitlines()
    data = [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]
    return [item if item == "[DONE]" else json.loads(item) for item in data]


def streamed(response, field="content"):
    """What the deltas of a stream's first choice add up to."""
    chunks = [event for event in events(response) if event != "[DONE]" and event["choices"]]
    return "".join(chunk["choices"][0]["delta"].get(field) or "" for chunk in chunks)


def until(condition, seconds=2.0):
    """Wait for something that another thread brings about."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


class TestAnswers:
    def test_the_echo_shows_which_text_reached_the_backend(self, client):
        answer = chat(client).json()
        message = answer["choices"][0]["message"]
        assert message["content"].startswith("Echo ")
        assert message["content"].endswith(": Say hello to 世界")
        assert answer["choices"][0]["finish_reason"] == "stop"
        usage = answer["usage"]
        assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
        assert usage["completion_tokens"] == len(tokenise(message["content"]))

    def test_a_stream_adds_up_to_the_plain_answer(self, client):
        stream = chat(client, stream=True)
        assert stream.headers["content-type"].startswith("text/event-stream")
        assert streamed(stream) == chat(client).json()["choices"][0]["message"]["content"]
        assert events(stream)[-1] == "[DONE]"
        assert all("usage" not in event for event in events(stream)[:-1])

    def test_usage_is_asked_for_in_the_last_chunk_and_null_before(self, client):
        *chunks, last, done = events(chat(client, stream=True, stream_options={"include_usage": True}))
        assert done == "[DONE]"
        assert last["choices"] == []
        assert last["usage"]["completion_tokens"] > 0
        assert all(chunk["usage"] is None for chunk in chunks)

    def test_n_choices_come_plain_and_side_by_side(self, client):
        plain = chat(client, n=3).json()["choices"]
        assert len({choice["message"]["content"] for choice in plain}) == 3
        chunks = events(chat(client, n=3, stream=True))[:-1]
        assert {chunk["choices"][0]["index"] for chunk in chunks[:3]} == {0, 1, 2}

    @pytest.mark.parametrize("limit", ["max_tokens", "max_completion_tokens"])
    def test_the_callers_limit_cuts_the_answer(self, client, limit):
        answer = chat(client, **{limit: 3}).json()
        assert answer["choices"][0]["finish_reason"] == "length"
        assert answer["usage"]["completion_tokens"] == 3

    def test_a_stop_sequence_ends_the_answer_before_it(self, client):
        choice = chat(client, stop=[" hello", "nothing like this"]).json()["choices"][0]
        assert choice["message"]["content"].endswith(": Say")
        assert choice["finish_reason"] == "stop"

    def test_logprobs_cover_every_token_with_the_alternatives_asked_for(self, client):
        choice = chat(client, logprobs=True, top_logprobs=20).json()["choices"][0]
        content = choice["logprobs"]["content"]
        assert "".join(item["token"] for item in content) == choice["message"]["content"]
        for item in content:
            assert item["logprob"] <= 0
            assert bytes(item["bytes"]).decode() == item["token"]
            likelihoods = [other["logprob"] for other in item["top_logprobs"]]
            assert len(likelihoods) == 20
            assert likelihoods == sorted(likelihoods, reverse=True)

    def test_images_and_audio_are_accepted_and_counted(self, client):
        parts = [
            {"type": "text", "text": "Say hello to 世界"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low"}},
            {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
        ]
        answer = chat(client, messages=[{"role": "user", "content": parts}]).json()
        assert answer["choices"][0]["message"]["content"].endswith("Say hello to 世界")
        assert answer["usage"]["prompt_tokens"] > chat(client).json()["usage"]["prompt_tokens"]

    def test_a_json_object_is_json(self, client):
        messages = [{"role": "user", "content": "Answer in JSON"}]
        answer = chat(client, messages=messages, response_format={"type": "json_object"}).json()
        assert json.loads(answer["choices"][0]["message"]["content"])["echo"].endswith("Answer in JSON")

    def test_models_are_listed_and_found(self, standin, client):
        standin.behave(models=["a", "org/b"])
        assert [model["id"] for model in client.get("/v1/models").json()["data"]] == ["a", "org/b"]
        assert client.get("/v1/models/org/b").json()["id"] == "org/b"
        assert client.get("/v1/models/c").status_code == 404

    def test_health_says_what_it_is_told_to(self, standin, client):
        assert client.get("/health").status_code == 200
        standin.behave(healthy=False)
        assert client.get("/health").status_code == 503


class TestThinking:
    @pytest.mark.parametrize(
        ("fields", "thinks"),
        [
            ({}, False),
            ({"reasoning_effort": "high"}, True),
            ({"reasoning_effort": "none"}, False),
            ({"thinking": {"type": "enabled"}}, True),
            ({"thinking": {"type": "disabled"}, "reasoning_effort": "high"}, False),
            ({"enable_thinking": True}, True),
            ({"chat_template_kwargs": {"thinking": True}}, True),
            ({"chat_template_kwargs": {"enable_thinking": False}}, False),
            ({"reasoning": {"effort": "low"}}, True),
            ({"reasoning": {"enabled": False}}, False),
        ],
    )
    def test_each_familys_switch_is_understood(self, client, fields, thinks):
        answer = chat(client, **fields).json()
        assert ("reasoning_content" in answer["choices"][0]["message"]) is thinks
        assert (answer["usage"]["completion_tokens_details"]["reasoning_tokens"] > 0) is thinks

    @pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
    def test_the_reasoning_field_has_the_name_asked_for(self, client, field):
        switches = {"thinking": "always", "thinking_field": field}
        plain = chat(client, standin=switches).json()["choices"][0]["message"]
        assert plain[field].startswith("Let me think")
        assert streamed(chat(client, stream=True, standin=switches), field) == plain[field]

    def test_inline_thinking_is_wrapped_in_tags(self, client):
        switches = {"thinking": "always", "thinking_field": "inline"}
        plain = chat(client, standin=switches).json()["choices"][0]["message"]["content"]
        assert plain.startswith("<think>Let me")
        assert "</think>Echo" in plain
        assert streamed(chat(client, stream=True, standin=switches)) == plain

    def test_silent_thinking_takes_its_time_and_shows_nothing(self, client):
        switches = {"thinking": "always", "thinking_style": "silent", "thinking_ms": 500}
        started = time.monotonic()
        with client.stream(
            "POST", CHAT, json={"model": "m", "messages": USER, "stream": True, "standin": switches}
        ) as r:
            headers_after = time.monotonic() - started
            first = next(r.iter_lines())
            first_after = time.monotonic() - started
        assert headers_after < 0.4 < 0.5 <= first_after
        assert "reasoning" not in first

    def test_keep_alive_thinking_sends_comments_first(self, client):
        switches = {"thinking": "always", "thinking_style": "keep-alive", "thinking_ms": 60, "keep_alive_ms": 20}
        text = chat(client, stream=True, standin=switches).text
        assert text.startswith(": keep-alive\n\n" * 3 + "data: ")

    def test_thinking_counts_towards_the_callers_limit(self, client):
        answer = chat(client, reasoning_effort="high", max_tokens=5).json()
        assert answer["choices"][0]["message"]["content"] == ""
        assert answer["choices"][0]["finish_reason"] == "length"


class TestTools:
    def asked(self, client, text="How is the weather in 上海?", **fields):
        return chat(client, messages=[{"role": "user", "content": text}], tools=[TOOL], **fields)

    def test_a_tool_is_called_when_the_prompt_mentions_it(self, client):
        choice = self.asked(client).json()["choices"][0]
        call = choice["message"]["tool_calls"][0]
        assert choice["finish_reason"] == "tool_calls"
        assert choice["message"]["content"] is None
        assert call["function"]["name"] == "get_weather"
        assert isinstance(json.loads(call["function"]["arguments"])["city"], str)

    @pytest.mark.parametrize(
        ("choice", "text", "called"),
        [
            ("auto", "Tell me a joke", False),
            ("auto", "the weather please", True),
            ("none", "the weather please", False),
            ("required", "Tell me a joke", True),
            ({"type": "function", "function": {"name": "get_weather"}}, "Tell me a joke", True),
        ],
    )
    def test_the_tool_choice_is_obeyed(self, client, choice, text, called):
        message = self.asked(client, text, tool_choice=choice).json()["choices"][0]["message"]
        assert ("tool_calls" in message) is called

    def test_calls_are_parallel_unless_that_is_switched_off(self, client):
        several = {"standin": {"tool_calls": 3}}
        calls = self.asked(client, **several).json()["choices"][0]["message"]["tool_calls"]
        assert len({call["id"] for call in calls}) == 3
        single = self.asked(client, parallel_tool_calls=False, **several).json()["choices"][0]["message"]["tool_calls"]
        assert len(single) == 1

    def test_streamed_calls_add_up_to_the_plain_ones(self, client):
        fields = {"standin": {"tool_calls": 2}}
        plain = self.asked(client, **fields).json()["choices"][0]["message"]["tool_calls"]
        gathered = {}
        for chunk in events(self.asked(client, stream=True, **fields))[:-1]:
            for part in chunk["choices"][0]["delta"].get("tool_calls", ()):
                call = gathered.setdefault(part["index"], {"arguments": ""})
                call.update({"id": part.get("id", call.get("id"))})
                call["arguments"] += part["function"]["arguments"]
        assert [call["id"] for call in plain] == [gathered[0]["id"], gathered[1]["id"]]
        assert [call["function"]["arguments"] for call in plain] == [gathered[0]["arguments"], gathered[1]["arguments"]]

    def test_a_tools_result_is_answered_in_words(self, client):
        messages = [{"role": "user", "content": "weather?"}, CALLED, ANSWERED]
        message = chat(client, messages=messages, tools=[TOOL]).json()["choices"][0]["message"]
        assert message["content"].endswith(": sunny")


class TestSchemas:
    @pytest.mark.parametrize(
        "schema",
        [
            {"type": "object", "properties": {"a": {"type": "integer", "minimum": 3}, "b": {"type": "boolean"}}},
            {"type": "array", "items": {"enum": ["x", "y"]}, "minItems": 2, "uniqueItems": True},
            {"type": "array", "items": {"type": "string"}, "minItems": 3, "uniqueItems": True},
            {"anyOf": [{"type": "string", "minLength": 8}, {"type": "null"}]},
            {"type": ["string", "null"], "maxLength": 2},
            {"type": "number", "exclusiveMinimum": 1, "multipleOf": 0.5},
            {"type": "integer", "maximum": -4},
            {"const": {"a": [1]}},
            {"type": "string", "format": "date-time"},
            {
                "allOf": [{"properties": {"a": {"type": "string"}}, "required": ["a"]}, {"required": ["b"]}],
                "type": "object",
            },
            {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}], "items": False, "minItems": 2},
            {
                "$defs": {
                    "node": {
                        "type": "object",
                        "properties": {"next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}},
                        "required": ["next"],
                        "additionalProperties": False,
                    }
                },
                "$ref": "#/$defs/node",
            },
        ],
        ids=lambda schema: json.dumps(schema)[:40],
    )
    def test_an_instance_satisfies_its_schema(self, schema):
        check_schema(schema)
        jsonschema.validate(instance_of(schema), schema)

    @settings(deadline=None)
    @given(schemas=st.recursive(ATOMS, schemas_around, max_leaves=8))
    def test_whatever_passes_for_a_schema_has_an_instance(self, schemas):
        try:
            check_schema(schemas)
        except SchemaError:
            return
        json.dumps(instance_of(schemas))

    @pytest.mark.parametrize(
        "schema",
        [
            {"$ref": "#"},
            {"allOf": [{"$ref": "#"}, {"$ref": "#"}]},
            {"type": "array", "items": {"$ref": "#"}, "minItems": 100},
            {"properties": {"a": {"$ref": "#"}, "b": {"$ref": "#"}}, "required": ["a", "b"]},
            {"$ref": "#/no/where"},
        ],
        ids=str,
    )
    def test_a_schema_that_runs_in_circles_has_an_end(self, schema):
        json.dumps(instance_of(schema))

    @pytest.mark.parametrize("schema", [{"type": "wizard"}, {"properties": {"a": 3}}, {"minItems": -1}], ids=str)
    def test_what_is_no_schema_is_refused(self, client, schema):
        tool = {"type": "function", "function": {"name": "f", "parameters": schema}}
        error = chat(client, tools=[tool]).json()["error"]
        assert (error["param"], error["code"]) == ("tools[0].function.parameters", "invalid_json_schema")

    def test_structured_outputs_follow_the_schema_plain_and_streamed(self, client):
        schema = {
            "type": "object",
            "properties": {"steps": {"type": "array", "items": {"type": "string"}}, "sure": {"type": "number"}},
            "required": ["steps", "sure"],
            "additionalProperties": False,
        }
        wanted = {"type": "json_schema", "json_schema": {"name": "plan", "schema": schema, "strict": True}}
        plain = chat(client, response_format=wanted).json()["choices"][0]["message"]["content"]
        jsonschema.validate(json.loads(plain), schema)
        assert streamed(chat(client, response_format=wanted, stream=True)) == plain


class TestOtherEndpoints:
    def test_completions_answer_every_prompt_n_times(self, client):
        body = {"model": "m", "prompt": ["one", "two"], "n": 2, "logprobs": 2, "echo": True}
        choices = client.post("/v1/completions", json=body).json()["choices"]
        assert [choice["index"] for choice in choices] == [0, 1, 2, 3]
        assert choices[0]["text"].startswith("oneEcho")
        assert choices[3]["text"].startswith("twoEcho")
        assert "".join(choices[0]["logprobs"]["tokens"]) == choices[0]["text"]
        assert len(choices[0]["logprobs"]["top_logprobs"][0]) == 2

    def test_streamed_completions_add_up(self, client):
        body = {"model": "m", "prompt": "one", "max_tokens": 50}
        plain = client.post("/v1/completions", json=body).json()
        stream = client.post(
            "/v1/completions", json={**body, "stream": True, "stream_options": {"include_usage": True}}
        )
        *chunks, usage, done = events(stream)
        assert done == "[DONE]"
        assert usage["usage"] == plain["usage"]
        assert "".join(chunk["choices"][0]["text"] for chunk in chunks) == plain["choices"][0]["text"]

    def test_embeddings_agree_in_both_encodings_and_sizes(self, client):
        def embedded(**fields):
            body = {"model": "m", "input": "routes", **fields}
            return client.post("/v1/embeddings", json=body).json()["data"][0]["embedding"]

        numbers = embedded(dimensions=8)
        raw = base64.b64decode(embedded(dimensions=8, encoding_format="base64"))
        assert struct.unpack("<8f", raw) == pytest.approx(numbers)
        assert math.hypot(*numbers) == pytest.approx(1, abs=1e-5)
        assert len(embedded()) == 1536

    def test_embeddings_of_texts_with_shared_words_lie_closer(self, client):
        texts = ["the cat sat on the mat", "the cat lay on the mat", "quarterly revenue forecasts"]
        data = client.post("/v1/embeddings", json={"model": "m", "input": texts}).json()["data"]
        first, near, far = (item["embedding"] for item in data)
        assert sum(map(float.__mul__, first, near)) > 0.5 > sum(map(float.__mul__, first, far))


class TestRefusals:
    @pytest.mark.parametrize(
        ("fields", "param", "code"),
        [
            ({"model": None}, "model", "invalid_type"),
            ({"model": ""}, "model", "empty_str"),
            ({"messages": []}, "messages", "empty_array"),
            ({"messages": "hi"}, "messages", "invalid_type"),
            ({"messages": [{"role": "wizard", "content": "hi"}]}, "messages[0].role", "invalid_value"),
            ({"messages": [{"content": "hi"}]}, "messages[0].role", "missing_required_parameter"),
            ({"messages": [{"role": "user"}]}, "messages[0].content", "missing_required_parameter"),
            ({"messages": [{"role": "user", "content": 4}]}, "messages[0].content", "invalid_type"),
            ({"messages": [{"role": "user", "content": []}]}, "messages[0].content", "empty_array"),
            ({"messages": [{"role": "assistant"}]}, "messages.[0].content", None),
            (
                {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]},
                "messages[0].content[0].image_url.url",
                "invalid_value",
            ),
            ({"temperature": 2.1}, "temperature", "decimal_above_max_value"),
            ({"temperature": -1}, "temperature", "decimal_below_min_value"),
            ({"temperature": "hot"}, "temperature", "invalid_type"),
            ({"top_p": 1.5}, "top_p", "decimal_above_max_value"),
            ({"n": 0}, "n", "integer_below_min_value"),
            ({"n": 1.5}, "n", "invalid_type"),
            ({"max_tokens": 0}, "max_tokens", "integer_below_min_value"),
            ({"max_tokens": 1, "max_completion_tokens": 1}, "max_tokens", "invalid_parameter_combination"),
            ({"stop": ["a", "b", "c", "d", "e"]}, "stop", "array_above_max_length"),
            ({"reasoning_effort": "enormous"}, "reasoning_effort", "invalid_value"),
            ({"stream_options": {"include_usage": True}}, "stream_options", None),
            ({"top_logprobs": 2}, "top_logprobs", None),
            ({"logprobs": True, "top_logprobs": 21}, "top_logprobs", "integer_above_max_value"),
            ({"tools": []}, "tools", "empty_array"),
            ({"tool_choice": "auto"}, "tool_choice", None),
            ({"parallel_tool_calls": False}, "parallel_tool_calls", None),
            (
                {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "other"}}},
                "tool_choice",
                None,
            ),
            (
                {"tools": [{"type": "function", "function": {"name": "no spaces"}}]},
                "tools[0].function.name",
                "invalid_value",
            ),
            ({"messages": [*USER, ANSWERED]}, "messages.[1].role", None),
            ({"messages": [*USER, CALLED]}, "messages.[2].role", None),
            ({"messages": [*USER, CALLED, *USER]}, "messages.[2].role", None),
            ({"messages": [*USER, CALLED, {**ANSWERED, "tool_call_id": "x"}]}, "messages.[2].tool_call_id", None),
            (
                {"messages": [*USER, CALLED, {"role": "tool", "content": "sunny"}]},
                "messages[2].tool_call_id",
                "missing_required_parameter",
            ),
            ({"response_format": {"type": "json_object"}}, "messages", None),
            (
                {"response_format": {"type": "json_schema", "json_schema": {"name": "x"}}},
                "response_format.json_schema.schema",
                "missing_required_parameter",
            ),
            (
                {
                    "response_format": {
                        "type": "json_schema",
                        "json_schema": {"name": "x", "strict": True, "schema": {"type": "object"}},
                    }
                },
                "response_format",
                "invalid_json_schema",
            ),
            ({"standin": {"no_such_switch": 1}}, "standin", None),
        ],
    )
    def test_a_request_that_the_documentation_forbids_is_refused_naming_the_field(self, client, fields, param, code):
        response = chat(client, **fields)
        error = response.json()["error"]
        assert (response.status_code, error["param"], error["code"]) == (400, param, code)
        assert error["type"] == "invalid_request_error"
        assert error["message"]

    @pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b'{"model": "m",}'])
    def test_malformed_json_is_refused(self, client, body):
        response = client.post(CHAT, content=body)
        assert response.status_code == 400
        assert "could not parse the JSON body" in response.json()["error"]["message"]

    def test_the_key_is_checked_where_one_is_set(self, standin, client):
        standin.behave(api_key="sk-right")
        assert chat(client).status_code == 401
        wrong = client.post(CHAT, json={"model": "m", "messages": USER}, headers={"authorization": "Bearer sk-wrong"})
        assert (wrong.status_code, wrong.json()["error"]["code"]) == (401, "invalid_api_key")
        right = client.post(CHAT, json={"model": "m", "messages": USER}, headers={"authorization": "Bearer sk-right"})
        assert right.status_code == 200
        assert client.get("/v1/models").status_code == 401

    def test_an_unknown_model_is_not_found(self, standin, client):
        standin.behave(models=["a"])
        response = chat(client)
        assert (response.status_code, response.json()["error"]["code"]) == (404, "model_not_found")

    @pytest.mark.parametrize(("room", "refused"), [(None, False), (40, False), (80, True)])
    def test_prompt_and_answer_must_fit_the_context_window(self, standin, client, room, refused):
        standin.behave(context_window=60)
        response = chat(client, max_tokens=room)
        assert (response.status_code == 400) is refused
        if refused:
            assert response.json()["error"]["code"] == "context_length_exceeded"

    def test_undocumented_fields_pass_unless_they_are_to_be_refused(self, standin, client):
        assert chat(client, top_k=5, standin={}).status_code == 200
        standin.behave(refuse_unknown_fields=True)
        refused = chat(client, top_k=5)
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, "top_k")
        assert chat(client, thinking={"type": "enabled"}).status_code == 400
        assert chat(client, seed=1, standin={}).status_code == 200

    @pytest.mark.parametrize(
        ("method", "path", "status"), [("GET", CHAT, 405), ("POST", "/v1/nothing", 404), ("GET", "/", 404)]
    )
    def test_unknown_paths_and_methods_have_openais_error_shape(self, client, method, path, status):
        response = client.request(method, path)
        assert response.status_code == status
        assert set(response.json()["error"]) == {"message", "type", "param", "code"}


class TestSwitches:
    def test_a_header_the_model_name_and_the_body_change_one_request(self, client):
        body = {"model": "deep@tokens=3,answer=a b c d", "messages": USER}
        by_model = client.post(CHAT, json=body).json()
        assert by_model["model"] == "deep"
        assert by_model["choices"][0]["message"]["content"] == "a b c"
        by_header = client.post(CHAT, json={"model": "m", "messages": USER}, headers={"x-standin-tokens": "2"})
        assert by_header.json()["usage"]["completion_tokens"] == 2
        assert chat(client, standin={"tokens": 4}).json()["usage"]["completion_tokens"] == 4
        assert chat(client).json()["usage"]["completion_tokens"] not in {2, 3, 4}

    def test_text_values_become_what_the_switch_takes(self):
        changed = adjusted(Behaviour(), {"token_ms": "20", "faults": "status-503+no-done", "gzip": "true"})
        assert (changed.token_ms, changed.faults, changed.gzip) == (20.0, ("status-503", "no-done"), True)

    @pytest.mark.parametrize(
        "changes", [{"token_ms": -1}, {"faults": ["status-299"]}, {"nonsense": 1}, {"fault_rate": 1.1}]
    )
    def test_an_unfit_switch_is_refused(self, changes):
        with pytest.raises(SwitchError):
            adjusted(Behaviour(), changes)

    def test_the_pace_is_kept_for_plain_and_streamed_answers(self, client):
        pace = {"first_byte_ms": 30, "first_token_ms": 30, "token_ms": 10, "tokens": 6}
        for stream in (False, True):
            started = time.monotonic()
            chat(client, stream=stream, standin=pace)
            assert 0.12 <= time.monotonic() - started < 2

    def test_reset_returns_to_the_start(self, standin, client):
        standin.behave(tokens=1)
        chat(client)
        standin.reset()
        assert standin.requests() == []
        assert chat(client).json()["usage"]["completion_tokens"] > 1


class TestJournal:
    def test_it_shows_what_arrived_without_the_key(self, standin, client):
        client.post(
            CHAT, json={"model": "m", "messages": USER, "x": 1}, headers={"Authorization": "Bearer s3cret", "X-A": "b"}
        )
        (entry,) = standin.requests()
        assert entry["body"] == {"model": "m", "messages": USER, "x": 1}
        assert (entry["method"], entry["path"], entry["status"], entry["outcome"]) == ("POST", CHAT, 200, "completed")
        assert entry["headers"]["x-a"] == "b"
        assert entry["authorization_present"] is True
        assert "s3cret" not in json.dumps(entry)

    def test_only_the_last_are_shown_on_request(self, standin, client):
        for _ in range(3):
            chat(client)
        shown = client.get("/standin/requests?last=2").json()
        assert shown["count"] == 3
        assert [entry["number"] for entry in shown["requests"]] == [2, 3]
        assert client.get("/standin/requests?last=x").status_code == 400

    @pytest.mark.parametrize(
        ("stream", "switches"),
        [
            (False, {"first_byte_ms": 60_000}),
            (True, {"first_token_ms": 60_000}),
            (True, {"token_ms": 50, "tokens": 10_000}),
            (True, {"faults": ["stall-mid-stream"]}),
            (False, {"faults": ["stall-before-headers"]}),
        ],
    )
    def test_a_client_that_leaves_is_noticed_at_once(self, standin, stream, switches):
        body = json.dumps({"model": "m", "messages": USER, "stream": stream, "standin": switches}).encode()
        head = f"POST {CHAT} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n".encode()
        host, port = standin.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=5) as connection:
            connection.sendall(head + body)
            until(lambda: len(standin.requests()) == 1)
            time.sleep(0.1)
            assert standin.requests()[0]["outcome"] == "open"
            left = time.time()
        until(lambda: standin.requests()[0]["outcome"] != "open")
        (entry,) = standin.requests()
        assert entry["outcome"] == "client-left"
        assert entry["arrived"] + entry["seconds"] - left < 1

    def test_refusals_and_faults_are_told_apart(self, standin, client):
        chat(client, n=0)
        chat(client, standin={"faults": ["status-500"]})
        assert [entry["outcome"] for entry in standin.requests()] == ["refused", "faulted"]
        assert [entry["status"] for entry in standin.requests()] == [400, 500]


class TestFaults:
    @staticmethod
    def read_all(client, body, on_status):
        """Read an answer to its end with little patience, telling its status as soon as that is known."""
        with client.stream("POST", CHAT, json=body, timeout=0.2) as response:
            on_status(response.status_code)
            response.read()

    @pytest.mark.parametrize("status", [400, 401, 403, 404, 408, 409, 422, 429, 500, 502, 503, 504, 529])
    def test_each_status_comes_with_openais_error_shape(self, client, status):
        response = chat(client, standin={"faults": [f"status-{status}"]})
        assert response.status_code == status
        assert set(response.json()["error"]) == {"message", "type", "param", "code"}
        assert response.headers.get("retry-after") == ("1" if status in {429, 503} else None)

    @pytest.mark.parametrize(("body", "start"), [("html", b"<html>"), ("empty", b"")])
    def test_an_error_can_come_without_json(self, client, body, start):
        switches = {"faults": ["status-502"], "error_body": body}
        response = chat(client, standin=switches)
        assert response.content[:6] == start
        assert response.headers["content-type"].startswith("text/html")

    def test_the_same_seed_draws_the_same_faults(self, standin, client):
        def drawn():
            standin.behave(faults=["status-500", "status-503"], fault_rate=0.5, fault_seed=3)
            return [chat(client).status_code for _ in range(40)]

        first = drawn()
        assert set(first) == {200, 500, 503}
        assert drawn() == first

    def test_a_limit_ends_the_faults(self, standin, client):
        standin.behave(faults=["status-500"], fault_limit=2)
        assert [chat(client).status_code for _ in range(4)] == [500, 500, 200, 200]

    @pytest.mark.parametrize("stream", [False, True])
    @pytest.mark.parametrize(
        ("fault", "error"),
        [
            ("close-before-headers", httpx.RemoteProtocolError),
            ("reset-before-headers", httpx.ReadError),
            ("close-mid-stream", httpx.RemoteProtocolError),
            ("reset-mid-stream", httpx.ReadError),
        ],
    )
    def test_dropped_connections_are_dropped(self, client, fault, error, stream):
        with pytest.raises(error):
            chat(client, stream=stream, standin={"faults": [fault], "token_ms": 5})

    @pytest.mark.parametrize("stream", [False, True])
    @pytest.mark.parametrize(
        ("fault", "headers_come"),
        [("stall-before-headers", False), ("stall-before-first-token", True), ("stall-mid-stream", True)],
    )
    def test_stalls_last_for_ever(self, client, fault, headers_come, stream):
        body = {"model": "m", "messages": USER, "stream": stream, "standin": {"faults": [fault]}}
        came = []
        with pytest.raises(httpx.ReadTimeout):
            self.read_all(client, body, came.append)
        assert came == ([200] if headers_come else [])

    def test_a_drop_mid_stream_comes_after_tokens(self, standin, client):
        body = {
            "model": "m",
            "messages": USER,
            "stream": True,
            "standin": {"faults": ["close-mid-stream"], "tokens": 10},
        }
        got = []
        with pytest.raises(httpx.RemoteProtocolError), client.stream("POST", CHAT, json=body) as response:
            got.extend(line for line in response.iter_lines() if line)
        assert len(got) == standin.requests()[0]["events_sent"] == 6  # the role and half of the tokens

    @pytest.mark.parametrize("fault", ["not-json", "truncated-json", "invalid-utf8"])
    def test_malformed_answers_do_not_parse(self, client, fault):
        plain = chat(client, standin={"faults": [fault]})
        with pytest.raises(ValueError):  # noqa: PT011 - JSON's and UTF-8's errors have only this in common
            json.loads(plain.content)
        stream = chat(client, stream=True, standin={"faults": [fault]}).content
        unreadable = 0
        for line in stream.split(b"\n\n")[:-2]:
            try:
                json.loads(line.removeprefix(b"data: "))
            except ValueError:
                unreadable += 1
        assert unreadable == 1
        assert stream.endswith(b"data: [DONE]\n\n")

    def test_a_huge_event_is_lawful_json(self, client):
        assert len(streamed(chat(client, stream=True, standin={"faults": ["huge-event"]}))) > 1_000_000
        assert (
            len(chat(client, standin={"faults": ["huge-event"]}).json()["choices"][0]["message"]["content"]) > 1_000_000
        )

    def test_an_error_event_ends_a_stream_of_status_200(self, client):
        response = chat(client, stream=True, standin={"faults": ["error-event"]})
        assert response.status_code == 200
        assert events(response)[-1]["error"]["type"] == "server_error"

    def test_done_and_usage_can_be_missing(self, client):
        assert events(chat(client, stream=True, standin={"faults": ["no-done"]}))[-1] != "[DONE]"
        counted = {"stream": True, "stream_options": {"include_usage": True}}
        chunks = events(chat(client, **counted, standin={"faults": ["no-usage"]}))
        assert all(chunk["usage"] is None for chunk in chunks[:-1])
        assert "usage" not in chat(client, standin={"faults": ["no-usage"]}).json()

    def test_the_content_type_can_be_wrong(self, client):
        for stream in (False, True):
            response = chat(client, stream=stream, standin={"faults": ["wrong-content-type"]})
            assert response.headers["content-type"].startswith("text/html")

    def test_the_content_length_can_promise_too_much(self, client):
        with pytest.raises(httpx.RemoteProtocolError):
            chat(client, standin={"faults": ["content-length-long"]})

    def test_the_content_length_can_promise_too_little(self, client):
        response = chat(client, standin={"faults": ["content-length-short"]})
        with pytest.raises(ValueError):  # noqa: PT011 - whatever half an object is called
            response.json()

    def test_a_stale_connection_answers_once(self, client):
        assert chat(client, standin={"faults": ["stale-connection"]}).status_code == 200
        with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
            chat(client)
        assert chat(client).status_code == 200


class TestFraming:
    @pytest.mark.parametrize("framing", ["crlf", "coalesced", "split", "bom", "named", "commented"])
    def test_every_framing_says_the_same(self, client, framing):
        switches = {"framing": [framing], "tokens": 12}
        assert streamed(chat(client, stream=True, standin=switches)) == streamed(
            chat(client, stream=True, standin={"tokens": 12})
        )

    @pytest.mark.parametrize(
        ("framing", "sign"),
        [
            ("crlf", b"}\r\n\r\ndata: [DONE]\r\n\r\n"),
            ("bom", b"\xef\xbb\xbfdata: {"),
            ("named", b"event: message\nid: 0\ndata: {"),
            ("commented", b": event 0\ndata: {"),
        ],
    )
    def test_a_framing_is_seen_in_the_bytes(self, client, framing, sign):
        assert sign in chat(client, stream=True, standin={"framing": [framing]}).content

    @pytest.mark.parametrize(("framing", "most_events"), [("split", 0), ("coalesced", 5)])
    def test_packets_are_cut_as_asked(self, client, framing, most_events):
        body = {"model": "m", "messages": USER, "stream": True, "standin": {"framing": [framing], "token_ms": 3}}
        with client.stream("POST", CHAT, json=body) as response:
            pieces = list(response.iter_raw())
        assert max(piece.count(b"data: ") for piece in pieces) == most_events

    def test_answers_can_be_compressed_plain_and_streamed(self, client):
        body = {"model": "m", "messages": USER, "stream": True, "standin": {"gzip": True}}
        with client.stream("POST", CHAT, json=body) as response:
            raw = b"".join(response.iter_raw())
        assert response.headers["content-encoding"] == "gzip"
        assert gzip.decompress(raw).endswith(b"data: [DONE]\n\n")
        assert chat(client, standin={"gzip": True}).json()["object"] == "chat.completion"
