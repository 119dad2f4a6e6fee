"""The exact cache's rules: who takes part, what may be kept, and what may be given."""

import asyncio
import base64
import os
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from gateway.cache.answer import Answer
from gateway.cache.events import AnswerLookedUp, AnswerOffered, CacheEvent
from gateway.cache.exact import ExactCache, Plan, fault_of, narrow
from gateway.cache.key import cache_key
from gateway.cache.settings import CacheSettings
from gateway.cache.store import MemoryStore

CHAT = "/v1/chat/completions"
ON = CacheSettings(mode="exact")


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def completion(*choices: dict[str, Any], **fields: Any) -> bytes:
    whole = [
        {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "4"}, **c} for c in choices
    ]
    return msgspec.json.encode({"object": "chat.completion", "choices": whole, **fields})


GOOD = Answer(200, "application/json", completion({}))
KEY = cache_key("acme", CHAT, "b/m", None, b'{"temperature":0}')
OTHER_TENANT = cache_key("rival", CHAT, "b/m", None, b'{"temperature":0}')


def cache_with(settings: CacheSettings = ON, **parts: Any) -> ExactCache:
    return ExactCache(parts.pop("store", MemoryStore(1_000_000)), settings, **parts)


@pytest.mark.parametrize(
    ("store", "fields", "opted_in", "expected"),
    [
        ("deterministic", {"temperature": 0}, None, True),
        ("deterministic", {"temperature": 0.0}, None, True),
        ("deterministic", {"seed": 0}, None, True),
        ("deterministic", {"seed": 7, "temperature": 1}, None, True),
        ("deterministic", {}, None, False),
        ("deterministic", {"temperature": None, "seed": None}, None, False),
        ("deterministic", {"temperature": 0.2}, None, False),
        ("deterministic", {"temperature": 0.2}, True, True),
        ("deterministic", {"temperature": 0}, False, False),
        ("opt-in", {"temperature": 0}, None, False),
        ("opt-in", {}, True, True),
        ("all", {}, None, True),
        ("all", {}, False, False),
    ],
)
def test_who_takes_part(store: str, fields: dict[str, Any], opted_in: bool | None, expected: bool):
    plan = cache_with(CacheSettings(mode="exact", store=store)).plan(CHAT, fields, opted_in=opted_in)
    assert plan == Plan(expected, expected, 3600.0)


def test_embeddings_take_part_since_they_are_the_same_each_time():
    assert cache_with().plan("/v1/embeddings", {}).read
    assert not cache_with(CacheSettings(mode="exact", store="opt-in")).plan("/v1/embeddings", {}).read


def test_switched_off_nothing_takes_part():
    plan = cache_with(CacheSettings()).plan(CHAT, {"temperature": 0}, opted_in=True)
    assert (plan.read, plan.write) == (False, False)


@pytest.mark.parametrize(
    ("header", "read", "write", "max_age_s"),
    [
        ("no-store", False, False, None),
        ("No-Cache", False, True, None),
        ("max-age=60", True, True, 60.0),
        ('max-age="60"', True, True, 60.0),
        ("max-age=0", True, True, 0.0),
        ("max-age=soon", False, True, None),
        ("max-age=-1", False, True, None),
        ("no-cache, no-store", False, False, None),
        (" no-transform ,max-age=5", True, True, 5.0),
        ("private", True, True, None),
        ("", True, True, None),
    ],
)
def test_cache_control_narrows_what_is_done(header: str, read: bool, write: bool, max_age_s: float | None):
    assert narrow(Plan(True, True, 60.0), header) == Plan(read, write, 60.0, max_age_s)
    closed = narrow(Plan(False, False, 60.0), header)
    assert (closed.read, closed.write) == (False, False)


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (GOOD, None),
        (Answer(200, "", completion({}, {})), None),
        (Answer(200, "", b'{"object":"list","data":[{"embedding":[0.1]}]}'), None),
        (Answer(500, "", completion({})), "status"),
        (Answer(429, "", b'{"error":{"message":"slow down"}}'), "status"),
        (Answer(200, "", b'{"error":{"message":"no"}}'), "incomplete"),
        (Answer(200, "", b'{"choices":[],"data":[]}'), "incomplete"),
        (Answer(200, "", b"{}"), "incomplete"),
        (Answer(200, "", b"not json"), "incomplete"),
        (Answer(200, "", b"\xff"), "incomplete"),
        (Answer(200, "", completion({"finish_reason": None})), "incomplete"),
        (Answer(200, "", completion({}, {"finish_reason": None})), "incomplete"),
        (Answer(200, "", completion({"finish_reason": "abort"})), "incomplete"),
        (Answer(200, "", completion({"finish_reason": "length"})), "truncated"),
        (Answer(200, "", completion({}, {"finish_reason": "length"})), "truncated"),
        (Answer(200, "", completion({"finish_reason": "content_filter"})), "filtered"),
        (Answer(200, "", completion({"finish_reason": "tool_calls"})), "tool-calls"),
        (Answer(200, "", completion({"message": {"tool_calls": [{"id": "1"}]}})), "tool-calls"),
        (Answer(200, "", completion({"message": {"function_call": {"name": "f"}}})), "tool-calls"),
        (Answer(200, "", completion({"message": {"tool_calls": []}})), None),
    ],
)
async def test_only_whole_answers_are_kept(answer: Answer, fault: str | None):
    events: list[CacheEvent] = []
    cache = cache_with(on_event=events.append)
    plan = cache.plan(CHAT, {"seed": 1})
    assert await cache.offer(KEY, answer, plan) == (fault or "stored")
    assert fault_of(answer, ON) == fault
    assert (await cache.lookup(KEY, plan) is not None) == (fault is None)
    assert isinstance(events[0], AnswerOffered)
    assert events[0].outcome == (fault or "stored")
    assert (events[0].size > 0) == (fault is None)


@pytest.mark.parametrize(("permission", "reason"), [("store_truncated", "length"), ("store_tool_calls", "tool_calls")])
def test_the_operator_can_allow_more(permission: str, reason: str):
    answer = Answer(200, "", completion({"finish_reason": reason}))
    assert fault_of(answer, ON) is not None
    assert fault_of(answer, ON.model_copy(update={permission: True})) is None


async def test_an_answer_is_given_to_the_same_tenant_only():
    cache = cache_with()
    plan = cache.plan(CHAT, {"temperature": 0})
    await cache.offer(KEY, GOOD, plan)
    hit = await cache.lookup(KEY, plan)
    assert hit is not None
    assert hit.answer == GOOD
    assert await cache.lookup(OTHER_TENANT, plan) is None


async def test_even_a_store_that_mixes_up_two_tenants_gives_nothing_away():
    store = MemoryStore(1_000_000)
    events: list[CacheEvent] = []
    cache = cache_with(store=store, on_event=events.append)
    plan = cache.plan(CHAT, {"temperature": 0})
    await cache.offer(KEY, GOOD, plan)
    value = await store.get(KEY)
    assert value is not None
    await store.put(OTHER_TENANT, value, ttl_s=60)
    assert await cache.lookup(OTHER_TENANT, plan) is None
    assert events[-1] == AnswerLookedUp("unreadable")


async def test_an_answer_ages_and_expires_even_if_the_store_still_has_it():
    clock, events = Clock(), []
    cache = cache_with(clock=clock, on_event=events.append)
    plan = cache.plan(CHAT, {"temperature": 0}, ttl_s=100)
    await cache.offer(KEY, GOOD, plan)
    clock.now += 40
    hit = await cache.lookup(KEY, plan)
    assert hit is not None
    assert hit.age_s == 40
    assert await cache.lookup(KEY, narrow(plan, "max-age=39")) is None
    assert await cache.lookup(KEY, narrow(plan, "max-age=40")) is not None
    clock.now += 60
    assert await cache.lookup(KEY, plan) is None
    assert [event.outcome for event in events[1:]] == ["hit", "stale", "hit", "stale"]


async def test_what_does_not_take_part_is_neither_asked_nor_kept():
    events: list[CacheEvent] = []
    cache = cache_with(on_event=events.append)
    bypass = cache.plan(CHAT, {})
    assert await cache.offer(KEY, GOOD, bypass) == "bypassed"
    assert await cache.lookup(KEY, bypass) is None
    assert events == []
    assert await cache.lookup(KEY, cache.plan(CHAT, {"seed": 1})) is None


async def test_no_cache_asks_anew_and_replaces_the_answer():
    cache = cache_with()
    plan = cache.plan(CHAT, {"seed": 1})
    newer = Answer(200, "application/json", completion({"message": {"content": "5"}}))
    await cache.offer(KEY, GOOD, plan)
    refresh = cache.plan(CHAT, {"seed": 1}, cache_control="no-cache")
    assert await cache.lookup(KEY, refresh) is None
    await cache.offer(KEY, newer, refresh)
    hit = await cache.lookup(KEY, plan)
    assert hit is not None
    assert hit.answer == newer


async def test_sizes_are_bounded_for_each_answer_and_each_tenant():
    settings = CacheSettings(mode="exact", compress=False, max_value_bytes=4000, tenant_quota_bytes=3000)
    cache = cache_with(settings)
    plan = cache.plan(CHAT, {"seed": 1})
    for size, outcome in ((1000, "stored"), (3000, "quota"), (5000, "too-large")):
        answer = Answer(200, "", completion({"message": {"content": "x" * size}}))
        assert await cache.offer(KEY, answer, plan) == outcome


async def test_erasing_a_tenant_leaves_the_others():
    cache = cache_with()
    plan = cache.plan(CHAT, {"seed": 1})
    await cache.offer(KEY, GOOD, plan)
    await cache.offer(OTHER_TENANT, GOOD, plan)
    assert await cache.erase("acme") == 1
    assert await cache.lookup(KEY, plan) is None
    assert await cache.lookup(OTHER_TENANT, plan) is not None


async def test_with_an_encryption_key_the_store_sees_no_text():
    store = MemoryStore(1_000_000)
    secret = SecretStr(base64.b64encode(os.urandom(32)).decode())
    settings = CacheSettings(mode="exact", encryption_key=secret, compress=False)
    cache = cache_with(settings, store=store)
    plan = cache.plan(CHAT, {"seed": 1})
    await cache.offer(KEY, GOOD, plan)
    assert b"chat.completion" not in (await store.get(KEY) or b"")
    assert await cache.lookup(KEY, plan) is not None
    assert await cache_with(store=store).lookup(KEY, plan) is None


tenants = st.text(min_size=1, max_size=6)
asked = st.dictionaries(
    st.sampled_from(["messages", "seed", "top_p", "thinking", "stop"]), st.integers(0, 2), max_size=3
)


@given(st.lists(st.tuples(tenants, asked, st.booleans()), max_size=25))
def test_no_tenant_is_ever_given_what_it_did_not_keep_for_the_same_request(steps):
    """Whatever is kept and looked up in whatever order: an answer is its own tenant's, and its own request's."""

    async def run():
        cache, mine = cache_with(CacheSettings(mode="exact", store="all")), {}
        plan = Plan(read=True, write=True, ttl_s=60)
        for number, (tenant, fields, keeps) in enumerate(steps):
            key = cache_key(tenant, CHAT, "b/m", None, fields)
            own = (tenant, tuple(sorted(fields.items())))
            if keeps:
                body = completion({"message": {"role": "assistant", "content": f"{number}"}})
                await cache.offer(key, Answer(200, "application/json", body), plan)
                mine[own] = body
            hit = await cache.lookup(key, plan)
            assert (hit.answer.body if hit else None) == mine.get(own)

    asyncio.run(run())
