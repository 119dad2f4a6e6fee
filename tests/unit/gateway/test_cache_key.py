"""Keys: equal where only the writing differs, different wherever the answer may be."""

import json
import random
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gateway.cache.key import IRRELEVANT_FIELDS, NotCanonical, cache_key, owner_of, owner_tag

CHAT = "/v1/chat/completions"
BODY: dict[str, Any] = {
    "model": "auto",
    "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "为什么天空是蓝色的？"}],
    "temperature": 0,
    "max_tokens": 100,
}


def key_of(body: dict[str, Any], **changes: Any) -> str:
    parts = {"tenant": "acme", "endpoint": CHAT, "target": "kimi/k2", "effort": "high", **changes}
    return cache_key(body=json.dumps(body).encode(), **parts)


MEANINGFUL = {
    "messages": [{"role": "user", "content": "Why is the sky blue?"}],
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
    "tool_choice": "required",
    "parallel_tool_calls": False,
    "temperature": 0.5,
    "top_p": 0.9,
    "top_k": 40,
    "min_p": 0.1,
    "seed": 7,
    "n": 2,
    "max_tokens": 101,
    "max_completion_tokens": 100,
    "stop": ["\n"],
    "presence_penalty": 0.1,
    "frequency_penalty": 0.1,
    "repetition_penalty": 1.1,
    "logit_bias": {"42": -100},
    "logprobs": True,
    "top_logprobs": 2,
    "response_format": {"type": "json_object"},
    "guided_json": {"type": "object"},
    "modalities": ["text"],
    "verbosity": "low",
    "reasoning_effort": "low",
    "reasoning": {"effort": "low"},
    "thinking": {"type": "disabled"},
    "enable_thinking": False,
    "thinking_budget": 1024,
    "chat_template_kwargs": {"enable_thinking": False},
    "separate_reasoning": False,
    "include_reasoning": False,
    "cache_salt": "user-17",
    "a_switch_of_next_year": True,
}


@pytest.mark.parametrize("name", MEANINGFUL)
def test_a_field_that_may_change_the_answer_changes_the_key(name: str):
    assert key_of({**BODY, name: MEANINGFUL[name]}) != key_of(BODY)


def test_all_meaningful_changes_give_keys_of_their_own():
    keys = [key_of({**BODY, name: value}) for name, value in MEANINGFUL.items()]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("name", sorted(IRRELEVANT_FIELDS))
def test_a_field_that_cannot_change_the_answer_does_not_change_the_key(name: str):
    assert key_of({**BODY, name: "anything"}) == key_of({**BODY, name: {"else": 1}}) == key_of(BODY)


@pytest.mark.parametrize(
    "change",
    [
        {"tenant": "other"},
        {"endpoint": "/v1/completions"},
        {"target": "kimi/k2-thinking"},
        {"target": "other/k2"},
        {"effort": "low"},
        {"effort": None},
        {"effort": "None"},
        {"headers": {"x-thalamus-reasoning": "hide"}},
    ],
)
def test_who_asks_whom_and_how_is_in_the_key(change: dict[str, Any]):
    assert key_of(BODY, **change) != key_of(BODY)


def test_thinking_on_and_off_do_not_share_an_answer():
    bodies = [
        BODY,
        {**BODY, "chat_template_kwargs": {"thinking": True}},
        {**BODY, "chat_template_kwargs": {"thinking": False}},
        {**BODY, "thinking": {"type": "enabled"}},
        {**BODY, "reasoning_effort": "none"},
        {**BODY, "reasoning_effort": None},
    ]
    assert len({key_of(body) for body in bodies}) == len(bodies)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"stop": "END"}, {"stop": ["END"]}),
        ({"temperature": 0}, {"temperature": 0.0}),
        ({"temperature": 0}, {"temperature": -0.0}),
        ({"top_p": 1}, {"top_p": 1.0}),
        (
            {"tools": [{"type": "function", "function": {"name": "f", "parameters": {"a": 1, "b": {"c": 2, "d": 3}}}}]},
            {"tools": [{"function": {"parameters": {"b": {"d": 3, "c": 2}, "a": 1}, "name": "f"}, "type": "function"}]},
        ),
    ],
)
def test_two_ways_of_writing_the_same_have_one_key(one: dict[str, Any], other: dict[str, Any]):
    assert key_of({**BODY, **one}) == key_of({**BODY, **other})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]},
         {"messages": [{"role": "user", "content": "b"}, {"role": "user", "content": "a"}]}),
        ({"stop": ["a", "b"]}, {"stop": ["b", "a"]}),
        ({"stop": ["a"]}, {"stop": None}),
        ({"messages": [{"role": "user", "content": "a"}]}, {"messages": [{"role": "user", "content": "a "}]}),
        ({"messages": [{"role": "user", "content": "a", "name": "x"}]},
         {"messages": [{"role": "user", "content": "a"}]}),
        ({"seed": 1}, {"seed": True}),
        ({"seed": 1}, {"seed": "1"}),
        ({"seed": 2**64}, {"seed": 2**64 + 1}),
        ({"logit_bias": {"1": 2}}, {"logit_bias": {"12": None}}),
    ],
)  # fmt: skip
def test_two_different_requests_have_two_keys(one: dict[str, Any], other: dict[str, Any]):
    assert key_of({**BODY, **one}) != key_of({**BODY, **other})


@pytest.mark.parametrize("name", sorted(IRRELEVANT_FIELDS))
def test_only_at_the_top_is_a_field_left_out(name: str):
    """A tool's parameter may be called `user`."""
    schema = {"type": "object", "properties": {name: {"type": "string"}}}
    tools = [{"type": "function", "function": {"name": "f", "parameters": schema}}]
    other = [{"type": "function", "function": {"name": "f", "parameters": {**schema, "properties": {}}}}]
    assert key_of({**BODY, "tools": tools}) != key_of({**BODY, "tools": other})


def test_header_names_are_compared_without_case_and_values_with():
    assert key_of(BODY, headers={"A": "1", "b": "2"}) == key_of(BODY, headers={"B": "2", "a": "1"})
    assert key_of(BODY, headers={"a": "x"}) != key_of(BODY, headers={"a": "X"})


def test_the_key_shows_neither_tenant_nor_prompt():
    key = key_of({**BODY, "messages": [{"role": "user", "content": "secret"}]}, tenant="acme")
    assert key == f"tc1:{{{owner_tag('acme')}}}:{key[-64:]}"
    assert "acme" not in key
    assert owner_of(key) == owner_tag("acme")


def test_keys_stay_the_same_between_releases_that_say_so():
    """Whoever changes the canonical form must raise `VERSION`, and then this."""
    assert key_of(BODY) == (
        "tc1:{df2a4bdfb49f5cfedc6435660401caf7}:8b07794496e2106319e666017d1415edf775b6ed1d3c698a1705a77eb0e5efa1"
    )


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b'"text"', b"{", b'{"a":1e999}', b'{"a":"\\ud800"}', b'{"a":"\xff"}', b'{"a":' + b"[" * 100_000],
)
def test_what_cannot_be_read_has_no_key(body: bytes):
    with pytest.raises(NotCanonical):
        cache_key("t", CHAT, "b/m", None, body)


# Properties

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=8
)
names = st.sampled_from(sorted(MEANINGFUL)) | st.text(max_size=8).filter(lambda name: name not in IRRELEVANT_FIELDS)
bodies = st.dictionaries(names, values, max_size=4)
texts = st.text(max_size=12)


def shuffled(value: Any, chance: random.Random) -> Any:
    """Give an equal value whose objects have their keys in another order, at every depth."""
    if isinstance(value, dict):
        keys = list(value)
        chance.shuffle(keys)
        return {key: shuffled(value[key], chance) for key in keys}
    return [shuffled(item, chance) for item in value] if isinstance(value, list) else value


def sort_of(value: Any) -> Any:
    """Give a value that is equal exactly if JSON means the same: `1` is not `true`, `-0.0` at the top is `0`."""
    if isinstance(value, dict):
        return ("object", frozenset((key, sort_of(item)) for key, item in value.items()))
    if isinstance(value, list):
        return ("array", tuple(sort_of(item) for item in value))
    return (type(value).__name__ if isinstance(value, bool) or value is None else "value", repr(value))


def meaning(body: dict[str, Any]) -> Any:
    """Say by other means than the key's what a body means."""
    relevant = {name: value for name, value in body.items() if name not in IRRELEVANT_FIELDS}
    for name, value in relevant.items():
        if name == "stop" and isinstance(value, str):
            relevant[name] = [value]
        elif isinstance(value, float) and value == int(value):
            relevant[name] = int(value)
    return sort_of(relevant)


@given(bodies, st.randoms(use_true_random=False), st.booleans(), st.sampled_from([None, 2]))
def test_order_white_space_and_escapes_never_change_the_key(body, chance, ascii_only, indent):
    other = json.dumps(shuffled(body, chance), ensure_ascii=ascii_only, indent=indent).encode()
    assert cache_key("t", CHAT, "b/m", None, other) == cache_key("t", CHAT, "b/m", None, msgspec.json.encode(body))


@given(bodies, st.dictionaries(st.sampled_from(sorted(IRRELEVANT_FIELDS)), values))
def test_fields_that_do_not_count_never_change_the_key(body, noise):
    one, other = json.dumps(body).encode(), json.dumps({**noise, **body}).encode()
    assert cache_key("t", CHAT, "b/m", None, one) == cache_key("t", CHAT, "b/m", None, other)


@given(bodies, bodies)
def test_bodies_share_a_key_exactly_if_they_mean_the_same(one, other):
    keys = [cache_key("t", CHAT, "b/m", None, json.dumps(body).encode()) for body in (one, other)]
    assert (keys[0] == keys[1]) == (meaning(one) == meaning(other))


@given(bodies.filter(bool), st.data())
def test_changing_one_field_changes_the_key(body, data):
    name = data.draw(st.sampled_from(sorted(body)))
    changed = {**body, name: data.draw(values)}
    assume(meaning(changed) != meaning(body))
    assert cache_key("t", CHAT, "b/m", None, json.dumps(body).encode()) != cache_key(
        "t", CHAT, "b/m", None, json.dumps(changed).encode()
    )


@given(st.tuples(texts, texts, texts, st.none() | texts), st.tuples(texts, texts, texts, st.none() | texts), bodies)
def test_no_tenant_endpoint_target_or_effort_runs_into_another(one, other, body):
    keys = [cache_key(*parts, msgspec.json.encode(body)) for parts in (one, other)]
    assert (keys[0] == keys[1]) == (one == other)
    assert (owner_of(keys[0]) == owner_of(keys[1])) == (one[0] == other[0])


@given(bodies)
def test_bytes_fields_and_raw_fields_have_one_key(body):
    encoded = msgspec.json.encode(body)
    raw = msgspec.json.decode(encoded, type=dict[str, msgspec.Raw])
    keys = {cache_key("t", CHAT, "b/m", None, form) for form in (encoded, body, raw)}
    assert len(keys) == 1
