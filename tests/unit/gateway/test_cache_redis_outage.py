"""A real Redis is killed, frozen, filled and brought back: it costs hits, never requests, and at most the deadline."""

import asyncio
import contextlib
import inspect
import random
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from functools import partial

import pytest
from pydantic import SecretStr
from redis import exceptions
from redis.crc import key_slot

from gateway.cache.answer import Answer
from gateway.cache.events import AnswerLookedUp, AnswerOffered, BreakerChanged, CacheEvent, RedisCalled
from gateway.cache.exact import ExactCache
from gateway.cache.key import cache_key
from gateway.cache.opening import open_store
from gateway.cache.redis_guard import REDIS_FAILURES, GuardedRedis, open_redis, outcome_of
from gateway.cache.redis_store import RedisStore
from gateway.cache.settings import CacheSettings, RedisSettings
from gateway.cache.store import StoreUnavailable
from tests.unit.gateway.redis_server import RedisServer, join_cluster, running_redis

DEADLINE_S = 0.025
SLACK_S = 0.02  # for two cores that other tests share
PATIENT = {"deadline_ms": 1000}  # for what is not about time
RESET_S = 0.2
FAILURES = 5

KEY = "v:{a}:1"


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with running_redis() as server:
        yield server


def settings_for(server: RedisServer, **changes: object) -> RedisSettings:
    written = {"breaker_failures": FAILURES, "breaker_reset_s": RESET_S, "first_level_ttl_s": 0}
    return RedisSettings.model_validate({"url": server.url, **written, **changes})


@contextlib.asynccontextmanager
async def guarded(
    server: RedisServer, events: list[CacheEvent], **changes: object
) -> AsyncIterator[tuple[GuardedRedis, RedisStore]]:
    """Give a guard and a store in which `KEY` has its value; the first tries may be too slow on a busy machine."""
    async with open_redis(settings_for(server, **changes), on_event=events.append) as redis:
        store = RedisStore(redis, key_prefix="test:")
        await until(lambda: store.put(KEY, b"value", ttl_s=60))
        events.clear()
        yield redis, store


async def waited(call: Callable[[], Awaitable[object]]) -> tuple[object, float]:
    """Give a call's result, or the outcome of its failure, and how long that took."""
    start = time.perf_counter()
    try:
        result = await call()
    except StoreUnavailable as error:
        result = error.outcome
    return result, time.perf_counter() - start


def calls(events: list[CacheEvent]) -> list[RedisCalled]:
    return [event for event in events if isinstance(event, RedisCalled)]


async def until(call: Callable[[], Awaitable[bool]]) -> None:
    for _ in range(500):
        if (await waited(call))[0] is True:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("not within 5 s")


async def until_state(redis: GuardedRedis, state: str) -> float:
    """Wait for the breaker's state, asking Redis for nothing, and give the seconds that took."""
    start = time.monotonic()
    while redis.state != state:
        assert time.monotonic() - start < 5, f"not {state} within 5 s"
        await asyncio.sleep(0.01)
    return time.monotonic() - start


async def test_a_frozen_redis_costs_the_deadline_once_and_then_nothing(server: RedisServer):
    events: list[CacheEvent] = []
    async with guarded(server, events) as (redis, store):
        server.freeze()
        assert (await waited(lambda: store.get(KEY)))[0] == "timeout"
        refusals = [await waited(lambda: store.get(KEY)) for _ in range(20)]
        assert [outcome for outcome, _ in refusals] == ["open"] * 20
        assert statistics.median(seconds for _, seconds in refusals) < 0.001
        await until_state(redis, "open")  # by pings alone
        server.thaw()
        assert await until_state(redis, "closed") < RESET_S + 1
        assert await store.get(KEY) == b"value"
    states = [event.state for event in events if isinstance(event, BreakerChanged)]
    assert states[0] == "open"
    assert states[-2:] == ["half-open", "closed"]
    assert RedisCalled("get", "open", 0.0) in events


async def test_all_calls_of_one_request_together_wait_for_a_frozen_redis_once(server: RedisServer):
    """A request asks for its conversation, limits, vault, cache and flight, one after the other."""
    async with guarded(server, []) as (_, store):
        server.freeze()
        start = time.perf_counter()
        for _ in range(5):
            await waited(lambda: store.get(KEY))
        assert time.perf_counter() - start < DEADLINE_S + SLACK_S


async def test_a_deadline_missed_by_chance_costs_a_round_trip_and_no_breaker(server: RedisServer):
    events: list[CacheEvent] = []
    async with guarded(server, events) as (redis, store):

        async def answers() -> bool:
            return await store.get(KEY) == b"value"

        for _ in range(3):
            server.freeze()
            assert (await waited(lambda: store.get(KEY)))[0] == "timeout"
            server.thaw()
            await until(answers)
        assert redis.state == "closed"
    assert not [event for event in events if isinstance(event, BreakerChanged)]


async def test_a_killed_redis_is_noticed_at_once_and_used_again_when_it_is_back(server: RedisServer):
    async with guarded(server, []) as (redis, store):
        server.kill()
        waits = [await waited(lambda: store.get(KEY)) for _ in range(FAILURES)]
        assert [outcome for outcome, _ in waits] == ["unreachable", *["open"] * (FAILURES - 1)]
        await until_state(redis, "open")
        server.start()
        assert await until_state(redis, "closed") < RESET_S + 1
        assert await store.get(KEY) is None
        assert await store.put(KEY, b"again", ttl_s=60)


async def test_a_restart_between_two_calls_is_not_even_a_failure(server: RedisServer):
    async with guarded(server, [], **PATIENT) as (_, store):
        server.kill()
        server.start()
        await asyncio.sleep(0.01)  # starting it held up the loop, which has yet to see that the connection ended
        assert await store.put(KEY, b"again", ttl_s=60)
        assert await store.get(KEY) == b"again"


async def test_two_hundred_callers_at_a_frozen_redis_all_leave_at_the_deadline(server: RedisServer):
    async with guarded(server, []) as (_, store):
        server.freeze()
        start = time.perf_counter()
        outcomes = await asyncio.gather(*(waited(lambda: store.get(KEY)) for _ in range(200)))
        assert time.perf_counter() - start < DEADLINE_S + 0.1
        assert {outcome for outcome, _ in outcomes} <= {"timeout", "open"}


async def test_a_burst_on_a_healthy_redis_may_cost_hits_but_does_not_open_the_breaker(server: RedisServer):
    events: list[CacheEvent] = []
    async with open_redis(settings_for(server), on_event=events.append) as redis:
        store = RedisStore(redis, key_prefix="test:")
        for _ in range(3):
            await asyncio.gather(*(waited(lambda: store.get(KEY)) for _ in range(500)))
        assert redis.state == "closed"
    assert {event.outcome for event in calls(events)} <= {"ok", "timeout", "open"}
    assert BreakerChanged("open") not in events


async def test_a_full_redis_refuses_writes_and_still_answers_reads(server: RedisServer):
    async with guarded(server, [], **PATIENT) as (redis, store):
        with server.client() as client:
            client.config_set("maxmemory-policy", "noeviction")
            client.config_set("maxmemory", 1)
        for _ in range(2 * FAILURES):
            assert (await waited(lambda: store.put("v:{a}:2", b"x", ttl_s=60)))[0] == "refused"
        assert redis.state == "closed"
        assert await store.get(KEY) == b"value"
        assert await store.erase("a") == 1  # what frees memory is still done


async def test_a_redis_that_asks_for_a_password_counts_as_denied(server: RedisServer):
    with server.client() as client:
        client.config_set("requirepass", "secret")
    events: list[CacheEvent] = []
    unknown = f"redis://127.0.0.1:{server.port}/0"
    async with open_redis(settings_for(server, url=unknown, **PATIENT), on_event=events.append):
        assert ("ping", "denied") in {(event.operation, event.outcome) for event in calls(events)}


async def test_a_gateway_starts_without_its_redis_and_finds_it_later(server: RedisServer):
    server.kill()
    async with open_redis(settings_for(server, **PATIENT)) as redis:
        store = RedisStore(redis, key_prefix="test:")
        assert (await waited(lambda: store.get(KEY)))[0] == "open"
        server.start()
        await until_state(redis, "closed")
        assert await store.get(KEY) is None


async def test_callers_that_leave_at_any_moment_never_get_another_ones_reply(server: RedisServer):
    chance = random.Random(7)
    async with open_redis(settings_for(server, max_connections=4, breaker_failures=10_000)) as redis:
        store = RedisStore(redis, key_prefix="test:")
        for number in range(50):
            await until(partial(store.put, f"v:{{a}}:{number}", b"%d" % number, ttl_s=60))

        async def read(number: int) -> tuple[int, bytes | None]:
            return number, await store.get(f"v:{{a}}:{number}")

        answered = 0
        for turn in range(40):
            if turn % 10 == 5:
                server.freeze()
            callers = [asyncio.create_task(read(chance.randrange(50))) for _ in range(20)]
            await asyncio.sleep(chance.uniform(0, 0.004))
            for caller in chance.sample(callers, 10):
                caller.cancel()
            if turn % 10 == 5:
                await asyncio.sleep(0.01)
                server.thaw()
            for result in await asyncio.gather(*callers, return_exceptions=True):
                if isinstance(result, tuple):
                    number, value = result
                    assert value == b"%d" % number
                    answered += 1
        assert answered > 100


async def test_while_it_is_open_redis_hears_pings_and_nothing_else(server: RedisServer):
    events: list[CacheEvent] = []
    async with guarded(server, events, breaker_reset_s=0.05) as (redis, store):
        server.freeze()
        await waited(lambda: store.get(KEY))
        await until_state(redis, "open")
        events.clear()
        for _ in range(100):
            assert (await waited(lambda: store.get(KEY)))[0] == "open"
            await asyncio.sleep(0.005)
        server.thaw()
        await until_state(redis, "closed")
    assert {event.outcome for event in calls(events) if event.operation != "probe"} == {"open"}
    probes = [event.outcome for event in calls(events) if event.operation == "probe"]
    assert len(probes) >= 3
    assert set(probes[:-1]) == {"timeout"}
    assert probes[-1] == "ok"


CLUSTER = ("--cluster-enabled", "yes", "--cluster-node-timeout", "60000", "--repl-diskless-sync-delay", "0")


@pytest.fixture(scope="module")
def cluster() -> Iterator[list[RedisServer]]:
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(running_redis(options=CLUSTER)) for _ in range(3)]
        join_cluster(servers)
        yield servers


@pytest.mark.parametrize("sick", range(3))
async def test_one_sick_node_of_a_cluster_is_waited_for_once(cluster: list[RedisServer], sick: int):
    """The others answer pings all the while, and would end the doubt."""
    url = SecretStr("redis+cluster://thalamus:password@" + ",".join(f"127.0.0.1:{server.port}" for server in cluster))
    settings = RedisSettings(url=url, breaker_failures=FAILURES, breaker_reset_s=RESET_S, first_level_ttl_s=0)
    key = next(f"v:{{{owner}}}:1" for owner in "abcdef" if lies_on(owner) == sick)
    async with open_redis(settings) as redis:
        store = RedisStore(redis, key_prefix="test:")
        await until(partial(store.put, key, b"value", ttl_s=60))
        cluster[sick].freeze()
        try:
            waits = []
            for _ in range(30):
                waits.append(await waited(partial(store.get, key)))
                await asyncio.sleep(0.01)  # what passes between two requests: a ping of another node takes less
            assert [outcome for outcome, _ in waits].count("timeout") == 1
            assert sum(seconds for _, seconds in waits) < DEADLINE_S + SLACK_S
            await until_state(redis, "open")
        finally:
            cluster[sick].thaw()
        assert await until_state(redis, "closed") < RESET_S + 1
        assert await store.get(key) == b"value"


async def test_a_node_that_was_replaced_is_not_waited_for():
    with contextlib.ExitStack() as stack:
        first, second, replica = (stack.enter_context(running_redis(options=CLUSTER)) for _ in range(3))
        join_cluster([first, second])
        replicate(replica, first, of=[first, second, replica])
        key = next(f"v:{{{owner}}}:1" for owner in "abc" if key_slot(owner.encode()) < 8192)
        url = SecretStr(f"redis+cluster://thalamus:password@127.0.0.1:{second.port},127.0.0.1:{first.port}")
        async with open_redis(RedisSettings(url=url, breaker_reset_s=RESET_S, first_level_ttl_s=0)) as redis:
            store = RedisStore(redis, key_prefix="test:")
            await until(partial(store.put, key, b"value", ttl_s=60))
            first.freeze()
            assert (await waited(partial(store.get, key)))[0] == "timeout"
            await until_state(redis, "open")
            with replica.client() as client:
                client.execute_command("CLUSTER FAILOVER", "TAKEOVER")
            await until_state(redis, "closed")
            await until(partial(store.put, key, b"another", ttl_s=60))
            assert await store.get(key) == b"another"


def replicate(replica: RedisServer, primary: RedisServer, of: Sequence[RedisServer]) -> None:
    """Make one server the replica of another, and wait until it is and all `of` the cluster know of each other."""
    with primary.client() as client:
        name = str(client.execute_command("CLUSTER MYID"), "ascii")
    deadline, is_told = time.monotonic() + 20, False
    with replica.client() as client:
        client.execute_command("CLUSTER MEET", "127.0.0.1", primary.port)
        while client.info("replication").get("master_link_status") != "up":
            assert time.monotonic() < deadline, "the replica did not join"
            with contextlib.suppress(exceptions.ResponseError):  # it has not heard of the primary yet
                is_told = is_told or bool(client.execute_command("CLUSTER REPLICATE", name))
            time.sleep(0.05)
    for server in of:
        with server.client() as client:
            while client.execute_command("CLUSTER INFO")["cluster_known_nodes"] != str(len(of)):
                assert time.monotonic() < deadline, "they do not know each other"
                time.sleep(0.05)


def lies_on(owner: str) -> int:
    """Give the node of a cluster of three that has an owner's slot: each has a third, in order."""
    return key_slot(owner.encode()) * 3 // 16384


async def test_closing_with_calls_left_behind_ends_them(server: RedisServer):
    before = asyncio.all_tasks()
    async with guarded(server, []) as (_, store):
        server.freeze()
        await waited(lambda: store.get(KEY))
        await asyncio.sleep(DEADLINE_S)
        assert len(asyncio.all_tasks()) > len(before)  # who asks whether it is back
    assert asyncio.all_tasks() == before


async def test_closing_while_a_frozen_redis_is_asked_ends_at_whatever_step_that_is(server: RedisServer):
    """A cancellation in the moment in which a ping has been sent is lost on the way (see `was_cancelled`)."""
    for steps in range(40):
        async with open_redis(settings_for(server)) as redis:
            store = RedisStore(redis, key_prefix="test:")
            server.freeze()
            await waited(lambda: store.get(KEY))  # noqa: B023
            for _ in range(steps):
                await asyncio.sleep(0)
            await asyncio.wait_for(redis.finish(), 3)
        server.thaw()


async def test_the_cache_turns_an_outage_into_misses(server: RedisServer):
    events: list[CacheEvent] = []
    settings = CacheSettings(mode="exact")
    answer = Answer(200, "application/json", b'{"choices":[{"finish_reason":"stop","message":{"content":"x"}}]}')
    key = cache_key("tenant", "/v1/chat/completions", "b/m", None, b'{"temperature":0}')
    async with open_store(settings, settings_for(server), on_event=events.append) as opened:
        cache = ExactCache(opened.store, settings, on_event=events.append)
        plan = cache.plan("/v1/chat/completions", {"temperature": 0})

        async def answers() -> bool:
            return await cache.offer(key, answer, plan) == "stored" and await cache.lookup(key, plan) is not None

        await until(answers)
        server.freeze()
        for _ in range(FAILURES + 5):
            assert await cache.lookup(key, plan) is None
        assert await cache.offer(key, answer, plan) == "unavailable"
        assert opened.redis is not None
        await until_state(opened.redis, "open")
        with pytest.raises(StoreUnavailable):  # an operator who erases must know that it was not done
            await cache.erase("tenant")
        server.thaw()
    assert AnswerLookedUp("unavailable") in events
    assert AnswerOffered("unavailable") in events


OUTCOMES = {
    "timeout": {"TimeoutError"},
    "denied": {
        "AuthenticationError", "AuthenticationWrongNumberOfArgsError", "AuthorizationError",
        "ExternalAuthProviderError", "NoPermissionError",
    },
    "unreachable": {
        "AskError", "BusyLoadingError", "ClusterDownError", "ClusterError", "ConnectionError",
        "CrossSlotTransactionError", "InvalidPipelineStack", "InvalidResponse", "MasterDownError",
        "MaxConnectionsError", "MovedError", "RedisClusterException", "SlotNotCoveredError", "TryAgainError",
    },
    "refused": {
        "ClusterCrossSlotError", "DataError", "ExecAbortError", "LockError", "LockNotOwnedError", "ModuleError",
        "NoScriptError", "NoSuchFieldsetError", "OutOfMemoryError", "PubSubError", "ReadOnlyError", "RedisError",
        "ResponseError", "WatchError",
    },
}  # fmt: skip
NOT_FROM_THE_SERVER = {"ChildDeadlockedError", "IncorrectPolicyType"}


def test_every_exception_of_the_client_library_has_its_outcome():
    defined = {
        name
        for name, value in inspect.getmembers(exceptions, inspect.isclass)
        if issubclass(value, Exception) and value.__module__ == exceptions.__name__
    }
    assert defined == set().union(*OUTCOMES.values(), NOT_FROM_THE_SERVER)
    for outcome, names in OUTCOMES.items():
        for name in names:
            error_type = getattr(exceptions, name)
            assert issubclass(error_type, REDIS_FAILURES), name
            assert outcome_of(error_type.__new__(error_type)) == outcome, name


@pytest.mark.parametrize(
    ("error", "outcome"),
    [(OSError(), "unreachable"), (ConnectionResetError(), "unreachable"), (TimeoutError(), "timeout")],
)
def test_failures_of_the_network_have_their_outcome(error: Exception, outcome: str):
    assert outcome_of(error) == outcome
