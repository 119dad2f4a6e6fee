"""One contract for every index of prompts: in the process, in a Redis hash, sealed, in a vector set, by RediSearch."""

import asyncio
import contextlib

import numpy as np
import pytest
from pydantic import SecretStr

from classifiers.sentences import SIZE
from gateway.cache.key import owner_tag
from gateway.cache.redis_guard import open_redis
from gateway.cache.redis_store import RedisStore
from gateway.cache.semantic.index import ProcessIndex
from gateway.cache.semantic.redis_index import RedisIndex
from gateway.cache.settings import RedisSettings
from tests.unit.gateway.redis_server import join_cluster, redis_8, redisearch, running_redis

PREFIX = "test:"
KEY = b"k" * 32
MOST = 5


def partition(tenant, name="p"):
    return f"tn3:{{{owner_tag(tenant)}}}:{name}"


def direction(*parts):
    vector = np.zeros(SIZE, dtype=np.float32)
    vector[: len(parts)] = parts
    return vector / np.linalg.norm(vector)


@pytest.fixture(scope="module")
def plain_server():
    with running_redis() as server:
        yield server


@pytest.fixture(scope="module")
def vector_server():
    with running_redis(binary=redis_8()) as server:
        yield server


@pytest.fixture(scope="module")
def search_server():
    with running_redis(binary=redis_8(), options=redisearch()) as server:
        yield server


@contextlib.asynccontextmanager
async def redis_index(server, *, url=None, **options):
    settings = RedisSettings(url=SecretStr(url or server.url), deadline_ms=1000)
    async with open_redis(settings) as redis:
        given = {"ttl_s": 60, "fresh_for_s": 0, **options}
        local = ProcessIndex(most=100, most_of_one=MOST)
        yield (
            RedisIndex(redis, local, key_prefix=PREFIX, most_of_one=MOST, **given),
            RedisStore(redis, key_prefix=PREFIX),
        )


SERVERS = {"hash": "plain_server", "sealed": "plain_server", "vectors": "vector_server", "search": "search_server"}
OPTIONS = {"sealed": {"encryption_key": KEY}, "search": {"may_use": ("search",)}}  # this server has vector sets as well


@pytest.fixture(params=["process", *SERVERS])
async def index(request):
    if request.param == "process":
        yield ProcessIndex(most=100, most_of_one=MOST)
        return
    server = request.getfixturevalue(SERVERS[request.param])
    with server.client() as client:
        client.flushall()
    async with redis_index(server, **OPTIONS.get(request.param, {})) as (opened, _):
        yield opened


async def test_the_nearest_come_first_with_their_cosine(index):
    for name, parts in (("east", (1, 0)), ("north-east", (1, 1)), ("north", (0, 1))):
        await index.add(partition("ada"), name, direction(*parts), ttl_s=60)
    found = await index.nearest(partition("ada"), direction(1, 0.1), 2)
    assert [one.name for one in found] == ["east", "north-east"]
    assert found[0].similarity == pytest.approx(0.995, abs=0.003)
    assert found[1].similarity == pytest.approx(0.774, abs=0.003)


async def test_partitions_and_tenants_do_not_see_each_other(index):
    await index.add(partition("ada"), "one", direction(1), ttl_s=60)
    assert await index.nearest(partition("bob"), direction(1), 5) == []
    assert await index.nearest(partition("ada", "q"), direction(1), 5) == []


async def test_a_full_partition_lets_its_oldest_go(index):
    for number in range(MOST + 2):
        await index.add(partition("ada"), f"n{number}", direction(1, number), ttl_s=60)
        await asyncio.sleep(0.002)  # the order in Redis is by milliseconds
    found = {one.name for one in await index.nearest(partition("ada"), direction(1), 64)}
    assert found == {f"n{number}" for number in range(2, MOST + 2)}


async def test_what_is_added_again_is_there_once_and_what_is_removed_is_not(index):
    for _ in range(2):
        await index.add(partition("ada"), "one", direction(1), ttl_s=60)
    assert [one.name for one in await index.nearest(partition("ada"), direction(1), 5)] == ["one"]
    await index.remove(partition("ada"), "one")
    assert await index.nearest(partition("ada"), direction(1), 5) == []


async def test_time_ends_it(index):
    await index.add(partition("ada"), "one", direction(1), ttl_s=0.05)
    await asyncio.sleep(0.2)
    if isinstance(index, RedisIndex):
        index.forget(owner_tag("ada"))  # copies live for the answers' time, here a minute
    assert await index.nearest(partition("ada"), direction(1), 5) == []


@pytest.mark.parametrize(
    ("kind", "named", "held_as"),
    [
        ("hash", "{}:vectors", b"hash"),
        ("vectors", "{}:vectors", b"vectorset"),
        ("search", "{}:one", b"hash"),
    ],
)
async def test_erasing_an_owner_erases_its_prompts_and_counts_towards_its_quota(request, kind, named, held_as):
    server, options = request.getfixturevalue(SERVERS[kind]), OPTIONS.get(kind, {})
    with server.client() as client:
        client.flushall()
        async with redis_index(server, **options) as (one, store), redis_index(server, **options) as (other, _):
            await one.add(partition("ada"), "one", direction(1), ttl_s=60)
            await one.add(partition("bob"), "one", direction(1), ttl_s=60)
            assert len(await other.nearest(partition("ada"), direction(1), 5)) == 1
            owner = owner_tag("ada")
            total = int(client.hget(f"{PREFIX}{{{owner}}}:sizes", "total"))
            assert SIZE <= total <= 8 * SIZE
            await one.add(partition("ada"), "one", direction(1), ttl_s=60)
            assert int(client.hget(f"{PREFIX}{{{owner}}}:sizes", "total")) == total, "it is there once"
            place = partition("ada") if kind != "search" else partition("ada").replace(":", "-entry:", 1)
            assert client.type(PREFIX + named.format(place)) == held_as
            assert all(client.ttl(name) > 0 for name in client.scan_iter())
            await store.erase(owner)
            one.forget(owner)
            assert await one.nearest(partition("ada"), direction(1), 5) == []
            assert await other.nearest(partition("ada"), direction(1), 5) == [], "its copy sees that Redis has less"
            assert len(await one.nearest(partition("bob"), direction(1), 5)) == 1
            assert not [name for name in client.scan_iter() if owner.encode() in name and b"sizes" not in name]


async def test_an_index_that_went_with_its_server_is_made_again(search_server):
    with search_server.client() as client:
        async with redis_index(search_server, may_use=("search",)) as (index, _):
            await index.add(partition("ada"), "one", direction(1), ttl_s=60)
            client.flushall()
            assert await index.nearest(partition("ada"), direction(1), 5) == []
            await index.add(partition("ada"), "two", direction(1), ttl_s=60)
            assert [one.name for one in await index.nearest(partition("ada"), direction(1), 5)] == ["two"]


async def test_a_cluster_keeps_a_tenants_vector_sets_in_one_slot():
    options = ("--cluster-enabled", "yes", "--cluster-node-timeout", "2000", *redisearch())
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(running_redis(binary=redis_8(), options=options)) for _ in range(3)]
        join_cluster(servers)
        url = f"redis+cluster://127.0.0.1:{servers[0].port}"
        tenants = ("ada", "bob", "eve", "dan")
        async with redis_index(None, url=url) as (index, store):
            for who in tenants:
                await index.add(partition(who), f"of-{who}", direction(1), ttl_s=60)
            for who in tenants:
                assert [one.name for one in await index.nearest(partition(who), direction(1), 5)] == [f"of-{who}"]
            await index.remove(partition("bob"), "of-bob")
            await store.erase(owner_tag("ada"))
            left = [who for who in tenants if await index.nearest(partition(who), direction(1), 5)]
            assert left == ["eve", "dan"]
        async with redis_index(None, url=url, may_use=("search",)) as (index, _):
            await index.add(partition("ada", "q"), "one", direction(1), ttl_s=60)
            assert len(await index.nearest(partition("ada", "q"), direction(1), 5)) == 1, "copies, without an index"
        holding = [client.dbsize() for server in servers for client in [stack.enter_context(server.client())]]
        assert sum(holding) > 0
        assert sum(size > 0 for size in holding) > 1, "tenants lie on several nodes"


async def test_a_sealed_vector_is_bound_to_its_place(plain_server):
    with plain_server.client() as client:
        client.flushall()
        async with redis_index(plain_server, encryption_key=KEY) as (index, _):
            await index.add(partition("ada"), "one", direction(1), ttl_s=60)
            here, there = (f"{PREFIX}{partition(who)}" for who in ("ada", "bob"))
            sealed = client.hget(f"{here}:vectors", "one")
            assert direction(1).astype("<f2").tobytes() not in sealed
            client.hset(f"{there}:vectors", "one", sealed)
            client.zadd(f"{there}:order", {"one": 1})
            assert await index.nearest(partition("bob"), direction(1), 5) == []


async def test_the_index_in_the_process_is_bounded_over_all_partitions():
    index = ProcessIndex(most=4, most_of_one=3)
    for number in range(9):
        await index.add(partition("ada", f"p{number}"), "one", direction(1), ttl_s=60)
    assert len(index) == 4
    assert await index.nearest(partition("ada", "p8"), direction(1), 1)
    assert await index.nearest(partition("ada", "p0"), direction(1), 1) == []
