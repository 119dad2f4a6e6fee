"""A response's events are kept, bounded, followed from any number on, and found again by other processes."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cache.opening import open_store
from gateway.cache.settings import CacheSettings, RedisSettings
from gateway.cache.store import MemoryStore, StoreUnavailable
from gateway.errors import InvalidField
from gateway.surfaces.responses.events import CHUNK_BYTES, COMMENT, EventLog, EventStore
from tests.unit.gateway.redis_server import running_redis

SMALL = 3 * CHUNK_BYTES


def event(number, size=40):
    return b"event: e\ndata: %d %b\n\n" % (number, b"x" * size)


def numbers_of(pieces):
    frames = [frame for frame in b"".join(pieces).split(b"\n\n") if b"data" in frame]
    numbers = [int(frame.split(b"data: ")[1].split()[0]) for frame in frames]
    assert numbers == [int(frame.split(b"\n")[0].removeprefix(b"id: ")) for frame in frames]
    return numbers


async def read(following):
    async with aclosing(following) as pieces:
        return [piece async for piece in pieces]


async def never():
    return False


@given(cuts=st.lists(st.integers(0, 30), max_size=6), after=st.integers(-1, 35))
def test_the_events_after_any_number_come_in_order_however_they_were_added(cuts, after):
    async def tell():
        store = EventStore(MemoryStore(1 << 22))
        log = store.begin("a", "r")
        for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), 30], strict=True):
            log.add(b"".join(map(event, range(start, end))))
        await log.end()
        expected = list(range(after + 1, 30))
        assert numbers_of(await read(log.follow(after))) == expected
        assert numbers_of(await read(store.follow("a", "r", after, never))) == expected

    asyncio.run(tell())


async def test_comments_are_no_events_and_move_no_numbers():
    log = EventLog(MemoryStore(1 << 20), "tr1:{o}:r:events")
    log.add(event(0) + b": keep-alive\n\n" + event(1))
    log.add(b": keep-alive\n\n")
    await log.end()
    assert numbers_of(await read(log.follow(0))) == [1]


async def test_many_follow_at_once_each_from_its_own_place_and_all_are_told_the_end():
    log = EventLog(MemoryStore(1 << 20), "tr1:{o}:r:events")
    log.add(event(0) + event(1))
    followers = [asyncio.create_task(read(log.follow(after))) for after in (-1, 0, 1)]
    for number in range(2, 6):
        await asyncio.sleep(0)
        log.add(event(number))
    await log.end()
    assert [numbers_of(await follower) for follower in followers] == [
        list(range(6)),
        list(range(1, 6)),
        list(range(2, 6)),
    ]


async def test_a_log_is_bounded_and_says_what_is_gone():
    store = MemoryStore(1 << 24)
    log = EventLog(store, "tr1:{o}:r:events", most_bytes=SMALL)
    for number in range(400):
        log.add(event(number, size=1000))
        if number % 50 == 0:
            await log.write(now=True)
    await log.end()
    assert 0 < log.first < 400
    assert store.size < 2 * SMALL
    assert numbers_of(await read(log.follow(log.first - 1))) == list(range(log.first, 400))
    with pytest.raises(InvalidField):
        await read(log.follow(log.first - 2))


async def test_a_follower_that_falls_behind_is_told_so():
    log = EventLog(MemoryStore(1 << 24), "tr1:{o}:r:events", most_bytes=SMALL)
    log.add(event(0))
    slow = log.follow(-1)
    assert numbers_of([await anext(slow)]) == [0]
    for number in range(1, 400):
        log.add(event(number, size=1000))
    with pytest.raises(InvalidField):
        await anext(slow)


class AwayStore(MemoryStore):
    """A store that can be made not to answer."""

    away = False

    async def put(self, key, value, **options):
        if self.away:
            raise StoreUnavailable("timeout")
        return await super().put(key, value, **options)


async def test_a_store_that_was_away_has_everything_once_it_is_back():
    store = AwayStore(1 << 22)
    log = EventStore(store).begin("a", "r")
    store.away = True
    for number in range(100):
        log.add(event(number, size=1000))
    await log.write()
    assert numbers_of([await anext(log.follow(-1))])[0] == 0
    store.away = False
    await log.end()
    assert numbers_of(await read(EventStore(store).follow("a", "r", -1, never))) == list(range(100))


async def test_what_another_process_writes_is_followed_as_it_comes():
    with running_redis() as redis:
        settings = CacheSettings(), RedisSettings(url=redis.url, deadline_ms=1000)
        async with open_store(*settings) as one, open_store(*settings) as other:
            log = EventStore(one.shared).begin("a", "r")
            log.add(event(0))
            await log.write()
            elsewhere = EventStore(other.shared, look_every_s=0.01)
            following = asyncio.create_task(read(elsewhere.follow("a", "r", -1, never)))
            for number in range(1, 60):
                log.add(event(number, size=2000))
                await log.write(now=True)
            await log.end()
            assert numbers_of(await following) == list(range(60))
            await elsewhere.forget("a", "r")
            assert await EventStore(one.shared).first("a", "r") is None


async def test_nobody_is_followed_for_ever_when_whoever_wrote_is_gone():
    store = EventStore(MemoryStore(1 << 20), look_every_s=0.01, silence_s=0.03)
    log = store.begin("a", "r")
    log.add(event(0))
    await log.write()
    answers = iter([True, False])

    async def is_under_way():
        return next(answers)

    pieces = await read(store.follow("a", "r", -1, is_under_way))
    assert pieces == [b"id: 0\n" + event(0), COMMENT]


async def test_no_tenant_finds_anothers_events():
    store = EventStore(MemoryStore(1 << 20))
    log = store.begin("a", "r")
    log.add(event(0))
    await log.end()
    assert await store.first("a", "r") == 0
    assert await store.first("b", "r") is None
    with pytest.raises(InvalidField):
        await read(store.follow("b", "r", -1, never))
