"""Responses are kept by tenant and chained by id; background tasks have an owner."""

from __future__ import annotations

import asyncio

import pytest

from gateway.cache.store import MemoryStore, StoreUnavailable
from gateway.errors import InvalidField, PreviousResponseNotFound, ResponseNotFound, StateUnavailable
from gateway.surfaces.responses.background import Background, running_background
from gateway.surfaces.responses.items import item_id, new_response_id
from gateway.surfaces.responses.keeping import Kept, ResponseStore


def turn(text, *before, status="completed"):
    """Give a kept response in which the caller and the model say the same."""
    identity = new_response_id()
    said = [{"id": item_id(identity, "message", number), "type": "message", "text": text} for number in range(2)]
    response = {"id": identity, "status": status, "output": said[1:]}
    return Kept(response, said[:1], [kept.id for kept in before])


class AbsentStore(MemoryStore):
    """A store that does not answer."""

    async def get(self, key):
        raise StoreUnavailable("timeout")

    async def put(self, key, value, **options):
        raise StoreUnavailable("timeout")

    async def delete(self, key):
        raise StoreUnavailable("timeout")


async def test_a_chain_is_told_from_its_beginning():
    store = ResponseStore(MemoryStore(1 << 20))
    one = turn("one")
    two = turn("two", one)
    three = turn("three", one, two)
    for kept in (one, two, three):
        assert await store.keep("a", kept)
    past = await store.past("a", three.id)
    assert [said.item["text"] for said in past.said] == ["one", "one", "two", "two", "three", "three"]
    assert past.ids == [one.id, two.id, three.id]
    await store.forget("a", one.id)
    with pytest.raises(PreviousResponseNotFound):
        await store.past("a", three.id)


async def test_nobody_finds_another_tenants_response_or_item():
    store = ResponseStore(MemoryStore(1 << 20))
    kept = turn("one")
    await store.keep("a", kept)
    item = kept.response["output"][0]
    assert await store.find("a", kept.id) == kept
    assert (await store.item("a", item["id"], "input[0].id")).item == item
    with pytest.raises(ResponseNotFound):
        await store.find("b", kept.id)
    with pytest.raises(InvalidField):
        await store.item("b", item["id"], "input[0].id")
    await store.ask_to_cancel("b", kept.id)
    assert not await store.is_asked_to_cancel("a", kept.id)


@pytest.mark.parametrize("status", ["queued", "in_progress", "failed", "cancelled"])
async def test_only_an_answer_can_be_gone_on_from(status):
    store = ResponseStore(MemoryStore(1 << 20))
    kept = turn("one", status=status)
    await store.keep("a", kept)
    with pytest.raises(InvalidField):
        await store.past("a", kept.id)


async def test_what_is_too_large_is_not_kept_and_that_is_said():
    assert not await ResponseStore(MemoryStore(2048)).keep("a", turn("x" * 4096))


async def test_a_store_that_is_away_is_told_as_such():
    store = ResponseStore(AbsentStore(1 << 20))
    kept = turn("one")
    assert not await store.keep("a", kept)
    assert not await store.is_asked_to_cancel("a", kept.id)
    for call in (store.find("a", kept.id), store.past("a", kept.id), store.forget("a", kept.id)):
        with pytest.raises(StateUnavailable):
            await call


async def test_a_cancelled_task_has_ended_and_knows_why():
    background, ends = Background(), []

    async def work():
        try:
            await asyncio.sleep(60)
        finally:
            ends.append(background.is_cancelled("one"))

    background.start("one", work())
    await asyncio.sleep(0)
    assert await background.cancel("one")
    assert ends == [True]
    assert not await background.cancel("one")


@pytest.mark.parametrize(("takes_s", "finished"), [(0.01, True), (60, False)])
async def test_the_owner_waits_for_its_tasks_and_ends_the_late_ones(takes_s, finished):
    ends = []

    async def work():
        try:
            await asyncio.sleep(takes_s)
            ends.append(True)
        except asyncio.CancelledError:
            ends.append(background.is_cancelled("one"))
            raise

    async with running_background(0.1) as background:
        background.start("one", work())
    assert ends == [finished]
