"""Requests are read once, refused clearly, and sent on with every byte that nobody had to change."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import InvalidField, MalformedBody
from gateway.wire.body import parse
from gateway.wire.chat import ChatRequest, CompletionRequest
from gateway.wire.embeddings import EmbeddingRequest

HELLO = b'{"model": "auto", "messages": [{"role": "user", "content": "hello"}]}'

REFUSALS = [
    (b'{"messages": [{"role": "user", "content": "x"}]}', "model"),
    (b'{"model": "auto"}', "messages"),
    (b'{"model": "auto", "messages": []}', "messages"),
    (b'{"model": 3, "messages": [{"role": "user", "content": "x"}]}', "model"),
    (b'{"model": "", "messages": [{"role": "user", "content": "x"}]}', "model"),
    (b'{"model": "auto", "messages": [{"role": "boss", "content": "x"}]}', "messages[0].role"),
    (b'{"model": "auto", "messages": [{"role": "user", "content": 4}]}', "messages[0].content"),
    (b'{"model": "auto", "messages": [{"role": "user", "content": [{"text": "x"}]}]}', "messages[0].content[0]"),
    (b'{"model": "auto", "messages": [{"role": "user", "content": "x"}], "temperature": 3}', "temperature"),
    (b'{"model": "auto", "messages": [{"role": "user", "content": "x"}], "stream": "yes"}', "stream"),
    (b'{"model": "auto", "messages": [{"role": "user", "content": "x"}], "n": 0}', "n"),
    (b'{"model": "auto", "messages": [{"role": "user", "content": "x"}], "max_tokens": -1}', "max_tokens"),
    (b'{"model": "auto", "messages": [{"role": "user", "content": "x"}], "tools": {}}', "tools"),
]


@pytest.mark.parametrize(("body", "param"), REFUSALS, ids=[param for _, param in REFUSALS])
def test_a_wrong_field_is_named(body, param):
    with pytest.raises(InvalidField) as refusal:
        parse(body, ChatRequest)
    assert (refusal.value.param or "").startswith(param.split(".")[0].split("[")[0])
    assert refusal.value.status == 400


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"nonsense", b'{"model": "auto", "messages": "\xff"}', b'{"a": ' + b"[" * 100_000, b'{"a": NaN}'],
    ids=["empty", "cut", "nonsense", "bad utf-8", "deep", "not a number"],
)
def test_what_is_not_json_is_refused(body):
    with pytest.raises(MalformedBody):
        parse(body, ChatRequest)


def test_another_json_value_than_an_object_is_refused():
    with pytest.raises(InvalidField):
        parse(b"[]", ChatRequest)


def test_untouched_fields_keep_their_bytes():
    """Numbers, key order, escapes and spacing inside a field are the caller's own."""
    odd = b'{"messages":[{"role":"user","content":"\\u00e9 x"}],"model":"auto","seed":1.50e1,"top_k" : [1,  2]}'
    sent = parse(odd.replace(b"1.50e1", b"150"), ChatRequest).with_fields({"model": "m"})
    assert b'[{"role":"user","content":"\\u00e9 x"}]' in sent
    assert b"[1,  2]" in sent
    assert json.loads(sent)["model"] == "m"


def test_fields_are_set_and_dropped():
    body = parse(HELLO, ChatRequest).with_fields({"model": "m", "thinking": {"type": "enabled"}}, drop=["messages"])
    assert json.loads(body) == {"model": "m", "thinking": {"type": "enabled"}}


@pytest.mark.parametrize("text", ["x", ["x", "y"], [1, 2], [[1], [2]]])
def test_embeddings_take_text_and_token_ids(text):
    body = json.dumps({"model": "e", "input": text}).encode()
    assert parse(body, EmbeddingRequest).typed.input == text


@pytest.mark.parametrize("text", ["", [], {"a": 1}, 4])
def test_embeddings_refuse_anything_else(text):
    with pytest.raises(InvalidField):
        parse(json.dumps({"model": "e", "input": text}).encode(), EmbeddingRequest)


def test_completions_take_text_and_token_ids():
    assert parse(b'{"model": "m", "prompt": [1, 2]}', CompletionRequest).typed.prompt == [1, 2]


@given(st.binary(max_size=200))
def test_no_bytes_do_worse_than_a_refusal(body):
    try:
        parse(body, ChatRequest)
    except (InvalidField, MalformedBody) as refusal:
        assert refusal.status == 400


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([*ChatRequest.__struct_fields__, "extra"]), JSON, max_size=6))
def test_no_json_does_worse_than_a_refusal(document):
    body = msgspec.json.encode({"model": "auto", "messages": [{"role": "user", "content": "x"}], **document})
    try:
        parsed = parse(body, ChatRequest)
    except InvalidField as refusal:
        assert refusal.status == 400
    else:
        sent = json.loads(parsed.with_fields({"model": "m"}))
        assert sent == {**json.loads(body), "model": "m"}
