"""Windows: never more than the limit in any stretch of time, the same in the process and in a real Redis."""

import asyncio
import contextlib
import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cache.redis_guard import open_redis
from gateway.cache.settings import RedisSettings
from gateway.limits import BudgetSpent, Demand, Limits, Meter, RateReached, TierExhausted, TooLarge, Used, meters_of
from gateway.limits.headers import anthropic_headers, duration, openai_headers
from gateway.limits.redis_windows import RedisWindows
from gateway.limits.reservation import Ask, Standing
from gateway.limits.window import LocalWindows
from gateway.settings import LimitSettings
from router.types import Tier
from tests.unit.gateway.redis_server import running_redis


def limit(**fields):
    return LimitSettings.model_validate(fields)


def meters(*limits):
    return meters_of([limit(**fields) for fields in limits], ())


def ask_for(meter: Meter, amount: int = 1, key: str = "k") -> Ask:
    return Ask(meter, meter.name("t", key), amount)


class Clock:
    def __init__(self, now: float = 1_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def redis():
    with running_redis() as server:
        yield server


@contextlib.asynccontextmanager
async def limits_in(where, redis, **settings):
    """Limits in the process, or in Redis with a deadline for a busy test machine."""
    if where == "memory":
        yield Limits(LocalWindows())
        return
    redis_settings = RedisSettings.model_validate({"url": redis.url, "deadline_ms": 1000, **settings})
    async with open_redis(redis_settings) as guarded:
        limits = Limits(LocalWindows(), RedisWindows(guarded, key_prefix=f"test:{random.random()}:"))
        async with limits.kept():
            yield limits


both = pytest.mark.parametrize("where", ["memory", "redis"])


@both
def test_a_limit_is_used_up_and_says_when_there_is_room_again(where, redis):
    async def run():
        async with limits_in(where, redis) as limits:
            used = meters({"window_s": 1.2, "calls": 3})
            held = [await limits.reserve(used, "t", "k", None, Demand()) for _ in range(3)]
            assert [one.standing[0].remaining for one in held] == [2, 1, 0]
            with pytest.raises(RateReached) as refused:
                await limits.reserve(used, "t", "k", None, Demand())
            assert 0.9 < refused.value.resets_in_s <= 1.2
            assert refused.value.standing[0].remaining == 0
            await limits.reserve(used, "t", "other key", None, Demand())
            await limits.reserve(used, "other tenant", "k", None, Demand())
            await asyncio.sleep(refused.value.resets_in_s + 0.02)
            await limits.reserve(used, "t", "k", None, Demand())

    asyncio.run(run())


@both
def test_what_was_not_used_is_given_back(where, redis):
    async def run():
        async with limits_in(where, redis) as limits:
            used = meters({"window_s": 60, "tokens": 1000}, {"window_s": 60, "dollars": 1.0})
            first = await limits.reserve(used, "t", "k", None, Demand(900, 0.9))
            with pytest.raises((RateReached, BudgetSpent)):
                await limits.reserve(used, "t", "k", None, Demand(200, 0.05))
            limits.settle(first, Used(100, 0.1, None))
            await asyncio.sleep(0.1 if where == "redis" else 0)
            second = await limits.reserve(used, "t", "k", None, Demand(200, 0.2))
            assert [one.remaining for one in second.standing] == [700, 700_000]
            with pytest.raises(BudgetSpent):
                await limits.reserve(used, "t", "k", None, Demand(1, 0.8))
            with pytest.raises(TooLarge):
                await limits.reserve(used, "t", "k", None, Demand(1001, 0.1))

    asyncio.run(run())


@both
def test_refusals_take_nothing_of_any_limit(where, redis):
    async def run():
        async with limits_in(where, redis) as limits:
            used = meters({"window_s": 60, "calls": 10}, {"window_s": 60, "tokens": 100}, {"concurrent": 5})
            for _ in range(20):
                with pytest.raises(TooLarge):
                    await limits.reserve(used, "t", "k", None, Demand(101))
            held = await limits.reserve(used, "t", "k", None, Demand(1))
            assert [one.remaining for one in held.standing] == [9, 99, 4]

    asyncio.run(run())


@both
def test_so_many_at_once_and_no_more(where, redis):
    async def run():
        async with limits_in(where, redis) as limits:
            used = meters({"concurrent": 2})
            one, two = [await limits.reserve(used, "t", "k", None, Demand()) for _ in range(2)]
            with pytest.raises(RateReached) as refused:
                await limits.reserve(used, "t", "k", None, Demand())
            assert refused.value.meter.unit == "concurrent"
            limits.settle(one, Used(0, 0, None))
            await limits.reserve(used, "t", "k", None, Demand())
            limits.settle(two, Used(0, 0, None))

    asyncio.run(run())


@both
def test_a_tiers_quota_counts_for_the_tier_that_served(where, redis):
    async def run():
        async with limits_in(where, redis) as limits:
            used = meters({"tier": "deep", "window_s": 60, "calls": 1}, {"tier": "fast", "window_s": 60, "tokens": 5})
            held = await limits.reserve(used, "t", "k", Tier.DEEP, Demand(500))
            with pytest.raises(TierExhausted):
                await limits.reserve(used, "t", "k", Tier.DEEP, Demand(500))
            limits.settle(held, Used(7, 0, Tier.FAST))  # deep failed and fast stood in
            await asyncio.sleep(0.1 if where == "redis" else 0)
            assert list(await limits.exhausted(used, "t", "k")) == [Tier.FAST]
            await limits.reserve(used, "t", "k", Tier.DEEP, Demand(500))
            with pytest.raises(TierExhausted):
                await limits.reserve(used, "t", "k", Tier.FAST, Demand(1))

    asyncio.run(run())


@both
def test_a_tenants_limit_is_shared_by_its_keys(where, redis):
    async def run():
        async with limits_in(where, redis) as limits:
            used = meters({"per": "tenant", "window_s": 60, "calls": 2})
            for key in ("a", "b"):
                await limits.reserve(used, "t", key, None, Demand())
            with pytest.raises(RateReached):
                await limits.reserve(used, "t", "c", None, Demand())

    asyncio.run(run())


def test_a_client_who_leaves_while_redis_is_asked_gets_its_reservation_given_back(redis):
    async def run():
        async with limits_in("redis", redis) as limits:
            used = meters({"window_s": 60, "tokens": 100}, {"concurrent": 1})
            for _ in range(5):
                leaving = asyncio.create_task(limits.reserve(used, "t", "k", None, Demand(100)))
                await asyncio.sleep(0)  # the question is on its way
                await asyncio.sleep(0)
                leaving.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    limits.settle(await leaving, Used(0, 0, None))
                await asyncio.sleep(0.05)
            held = await limits.reserve(used, "t", "k", None, Demand(100))
            assert [one.remaining for one in held.standing] == [0, 0]

    asyncio.run(run())


def test_without_redis_a_worker_goes_on_with_its_share_of_what_is_left():
    async def run():
        with running_redis() as server:
            async with contextlib.AsyncExitStack() as stack:
                settings = RedisSettings.model_validate({"url": server.url, "deadline_ms": 500, "breaker_failures": 1})
                workers = []
                for _ in range(4):
                    guarded = await stack.enter_async_context(open_redis(settings))
                    limits = Limits(LocalWindows(), RedisWindows(guarded, key_prefix="test:shared:"))
                    await stack.enter_async_context(limits.kept(every_s=0.1))
                    workers.append(limits)
                one = workers[0]
                deadline = time.monotonic() + 10
                while one.workers < 4:
                    assert time.monotonic() < deadline
                    await asyncio.sleep(0.1)
                used = meters({"window_s": 60, "calls": 100})
                for _ in range(10):
                    await one.reserve(used, "t", "k", None, Demand())
                server.kill()
                admitted = 0
                with contextlib.suppress(RateReached):
                    while admitted < 100:
                        await one.reserve(used, "t", "k", None, Demand())
                        admitted += 1
                assert admitted == 15, "a quarter of 100, of which 10 are used"

    asyncio.run(run())


# Properties of the window itself

steps = st.lists(st.tuples(st.integers(0, 400), st.integers(1, 4)), max_size=120)


@given(steps, st.integers(1, 12))
def test_no_stretch_of_the_windows_length_ever_holds_more_than_the_limit(steps, most):
    clock, meter = Clock(), Meter("tokens", most, 1.0)
    windows, admitted = LocalWindows(clock), []
    for wait_ms, amount in steps:
        clock.now += wait_ms / 1000
        if windows.take([ask_for(meter, amount)], "").granted:
            admitted.append((int(clock.now * 1000), amount))
    for at, _ in admitted:
        assert sum(amount for other, amount in admitted if at <= other < at + 1000) <= most


@given(steps, st.integers(1, 12))
def test_who_waits_as_long_as_told_is_admitted(steps, most):
    clock, meter = Clock(), Meter("tokens", most, 1.0)
    windows = LocalWindows(clock)
    for wait_ms, amount in steps:
        clock.now += wait_ms / 1000
        taken = windows.take([ask_for(meter, amount)], "")
        wait = taken.looks[0].free_in_ms
        assert taken.granted == (wait == 0)
        assert (wait == -1) == (amount > most)
        if wait > 0:
            assert wait <= 1000
            clock.now = (taken.at_ms + wait + 0.1) / 1000
            assert windows.take([ask_for(meter, amount)], "").granted


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 5), st.integers(-4, 4)), max_size=60))
def test_corrections_never_lose_or_invent_anything(steps):
    clock, meter = Clock(), Meter("tokens", 10**6, 1.0)
    windows, taken = LocalWindows(clock), []
    for wait_ms, amount, by in steps:
        clock.now += wait_ms / 1000
        taken.append([windows.take([ask_for(meter, amount)], "").at_ms, amount])
        place = taken[len(taken) // 2]
        windows.adjust(ask_for(meter), place[0], by)
        place[1] += by
    horizon, latest = int(clock.now * 1000) - 1000, {}
    for at, _ in taken:
        latest[at // meter.width_ms] = max(at, latest.get(at // meter.width_ms, 0))
    expected = sum(amount for at, amount in taken if latest[at // meter.width_ms] > horizon)
    assert windows.look([ask_for(meter, 0)]).looks[0].used == expected


def test_redis_does_what_the_process_does(redis):
    """The same questions at the same times, some of them refused, get the same answers from both."""
    chance = random.Random(7)

    async def run():
        settings = RedisSettings.model_validate({"url": redis.url, "deadline_ms": 1000})
        async with open_redis(settings) as guarded:
            shared = RedisWindows(guarded, key_prefix=f"test:same{time.time()}:")
            clock = Clock()
            local = LocalWindows(clock)
            of = (Meter("tokens", 40, 0.8), Meter("calls", 12, 0.5), Meter("tokens", 60, 1.5, Tier.DEEP))
            refused = 0
            for _ in range(150):
                asks = [ask_for(meter, 1 if meter.unit == "calls" else chance.randint(0, 9)) for meter in of]
                far = await shared.take(asks, "")
                clock.now = (far.at_ms + 0.01) / 1000  # the process lives by Redis' clock
                near = local.take(asks, "")
                assert (near.granted, near.looks) == (far.granted, far.looks)
                refused += not far.granted
                if far.granted and chance.random() < 0.4:
                    await shared.settle([(ask, -ask.amount) for ask in asks], "", far.at_ms)
                    for ask in asks:
                        local.adjust(ask, far.at_ms, -ask.amount)
                await asyncio.sleep(chance.choice((0, 0, 0.01, 0.05)))
            assert 20 < refused < 130

    asyncio.run(run())


def test_a_keys_own_limit_takes_the_place_of_the_general_one_of_its_kind():
    general = [limit(window_s=60, calls=10, tokens=1000), limit(tier="deep", window_s=86400, calls=5)]
    own = [limit(window_s=60, calls=99), limit(window_s=3600, dollars=1.5)]
    found = {(meter.unit, meter.tier, meter.window_s): meter.most for meter in meters_of(general, own)}
    assert found == {
        ("calls", None, 60): 99,
        ("tokens", None, 60): 1000,
        ("calls", Tier.DEEP, 86400): 5,
        ("dollars", None, 3600): 1_500_000,
    }


@pytest.mark.parametrize(
    ("seconds", "written"),
    [(0, "0ms"), (0.02, "20ms"), (1, "1s"), (1.5, "1.5s"), (60, "1m0s"), (360, "6m0s"), (3630, "1h0m30s")],
)
def test_times_are_written_as_openai_writes_them(seconds, written):
    assert duration(seconds) == written


def test_a_budget_too_small_for_its_unit_is_none():
    assert openai_headers([Standing(Meter("dollars", 0, 60), 0, 1)]) == {"x-thalamus-budget-remaining": "0.000000"}


def test_the_nearest_limit_is_told_in_both_vendors_headers():
    standing = [
        Standing(Meter("calls", 100, 60), 50, 30),
        Standing(Meter("calls", 1000, 3600), 10, 3000),
        Standing(Meter("tokens", 500, 60), 0, 59.5),
        Standing(Meter("calls", 1, 60, Tier.DEEP), 0, 1),
        Standing(Meter("dollars", 5_000_000, 86400), 1_250_000, 1),
    ]
    assert openai_headers(standing) == {
        "x-ratelimit-limit-requests": "1000",
        "x-ratelimit-remaining-requests": "10",
        "x-ratelimit-reset-requests": "50m0s",
        "x-ratelimit-limit-tokens": "500",
        "x-ratelimit-remaining-tokens": "0",
        "x-ratelimit-reset-tokens": "59.5s",
        "x-thalamus-budget-remaining": "1.250000",
    }
    told = anthropic_headers(standing)
    assert told["anthropic-ratelimit-requests-remaining"] == "10"
    assert told["anthropic-ratelimit-tokens-limit"] == "500"
    assert told["anthropic-ratelimit-tokens-reset"].endswith("Z")
