"""Which replica takes a call: who may be called, who is chosen, and what failures do to that."""

import asyncio
from collections import Counter
from http import HTTPStatus

import pytest

from gateway.errors import (
    UpstreamFailed,
    UpstreamMisconfigured,
    UpstreamRateLimited,
    UpstreamRefused,
    UpstreamUnavailable,
    read_retry_after,
)
from gateway.queueing import Queue, SentAway, Visitor
from gateway.settings import BreakerSettings
from gateway.upstream.breaker import Breaker
from gateway.upstream.choosing import Choosing
from gateway.upstream.pool import AllTried, Asking, Pool
from gateway.upstream.replica import Replica, Slowness

FAILED = UpstreamFailed("x", backend="b")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def replica(name: str = "r", *, limit: int | None = None, weight: float = 1.0, **settings) -> Replica:
    written = BreakerSettings(**settings)
    return Replica(name, None, written, Breaker(written), weight=weight, limit=limit)


def pool(*replicas: Replica, by: str = "least-loaded", overload: float = 1.25, places: int = 8, wait_s: float = 1.0):
    return Pool("b", replicas, Choosing(by, overload), Queue("backend:b", places, wait_s))


async def test_the_least_loaded_is_chosen_by_calls_and_by_tokens():
    busy, idle = replica("busy"), replica("idle")
    chosen = pool(busy, idle)
    first = await chosen.lease(Asking(tokens=100_000))
    second = await chosen.lease(Asking())
    assert first.replica is not second.replica
    third = await chosen.lease(Asking())  # one call each, but one of them is long
    assert third.replica is second.replica


async def test_room_to_spare_is_a_place_that_one_more_call_would_leave():
    one, two = replica("one", limit=2), replica("two", limit=1)
    chosen = pool(one, two)
    assert chosen.has_room_to_spare()
    held = [await chosen.lease(Asking())]
    while held[-1].replica is not one:
        held.append(await chosen.lease(Asking()))
    assert not chosen.has_room_to_spare()
    assert pool(replica("boundless")).has_room_to_spare()
    two.draining = one.draining = True
    for lease in held:
        lease.release()
    assert not chosen.has_room_to_spare(), "nobody may be called"


async def test_load_follows_the_weights():
    small, large = replica("small"), replica("large", weight=3)
    chosen = pool(small, large)
    served = Counter([(await chosen.lease(Asking())).replica.name for _ in range(40)])
    assert served == {"small": 10, "large": 30}


async def test_by_weight_alone_load_does_not_count():
    chosen = pool(replica("small"), replica("large", weight=9), by="weighted")
    served = Counter([(await chosen.lease(Asking())).replica.name for _ in range(1000)])
    assert 840 < served["large"] < 955


async def test_by_latency_the_quicker_is_preferred_until_it_is_loaded():
    slow, quick = replica("slow"), replica("quick")
    slow.slowness.add(2.0)
    quick.slowness.add(0.2)
    chosen = pool(slow, quick, by="latency")
    served = Counter([(await chosen.lease(Asking())).replica.name for _ in range(11)])
    assert served["quick"] >= 9
    assert served["slow"] >= 1


def test_slowness_jumps_up_and_is_forgiven_by_time():
    clock = Clock()
    slowness = Slowness(clock)
    slowness.add(0.1)
    slowness.add(3.0)
    assert slowness.now() == 3.0
    clock.now += 10
    assert 1.0 < slowness.now() < 1.2
    slowness.add(0.1)
    assert slowness.now() < 1.2


async def test_a_conversation_stays_with_its_replica_and_leaves_the_others_alone():
    """With a replica gone, only its conversations move; with it back, they return."""
    replicas = [replica(f"r{number}") for number in range(5)]
    chosen = pool(*replicas)

    async def home(session: str) -> str:
        lease = await chosen.lease(Asking(affinity=session))
        lease.release()
        return lease.replica.name

    sessions = [f"s{number}" for number in range(200)]
    before = {session: await home(session) for session in sessions}
    assert all([await home(session) == before[session] for session in sessions])
    shares = Counter(before.values())
    assert min(shares.values()) > 15
    chosen.drain("r2", draining=True)
    during = {session: await home(session) for session in sessions}
    moved = {session for session in sessions if during[session] != before[session]}
    assert moved == {session for session in sessions if before[session] == "r2"}
    chosen.drain("r2", draining=False)
    assert {session: await home(session) for session in sessions} == before


async def test_affinity_yields_where_its_replica_has_more_than_its_share():
    chosen = pool(*[replica(f"r{number}") for number in range(4)])
    served = Counter([(await chosen.lease(Asking(affinity="everybody"))).replica.name for _ in range(40)])
    assert max(served.values()) <= 13  # 1.25 of the share of ten, rounded up
    assert len(served) == 4


async def test_calls_beyond_the_limit_wait_and_are_fair():
    chosen = pool(replica(limit=1))
    held = await chosen.lease(Asking(Visitor("a")))
    again = asyncio.create_task(chosen.lease(Asking(Visitor("a"))))
    await asyncio.sleep(0)
    other = asyncio.create_task(chosen.lease(Asking(Visitor("b"))))
    await asyncio.sleep(0)
    assert len(chosen.queue) == 2
    held.release()
    held.release()  # a second time does nothing
    first = await again
    assert not other.done()
    first.release()
    (await other).release()
    assert chosen.replicas[0].in_flight == 0


async def test_a_full_line_turns_away_with_a_time_to_come_back():
    chosen = pool(replica(limit=1), places=0)
    held = await chosen.lease(Asking())
    with pytest.raises(SentAway) as sent_away:
        await chosen.lease(Asking())
    assert sent_away.value.retry_after_s >= 1
    held.release()


async def test_who_fails_is_left_alone_until_a_probe_succeeds():
    clock = Clock()
    settings = BreakerSettings(failures=3, open_s=5)
    one = Replica("r", None, settings, Breaker(settings, clock=clock, jitter=0))
    chosen = pool(one)
    for _ in range(3):
        lease = await chosen.lease(Asking())
        lease.failed(FAILED)
        lease.release()
    with pytest.raises(UpstreamUnavailable):
        await chosen.lease(Asking())
    desperate = await chosen.lease(Asking(despite_failures=True))
    desperate.release()
    clock.now += 5
    probe = await chosen.lease(Asking())
    with pytest.raises(UpstreamUnavailable):
        await chosen.lease(Asking())  # one probe at a time
    probe.failed(FAILED)
    probe.release()
    clock.now += 5
    with pytest.raises(UpstreamUnavailable):
        await chosen.lease(Asking())  # twice as long now
    clock.now += 5
    probe = await chosen.lease(Asking())
    probe.succeeded()
    probe.release()
    assert (await chosen.lease(Asking())).replica is one


async def test_a_probe_whose_client_leaves_does_not_block_the_next():
    clock = Clock()
    settings = BreakerSettings(failures=1, open_s=1)
    one = Replica("r", None, settings, Breaker(settings, clock=clock))
    chosen = pool(one)
    lease = await chosen.lease(Asking())
    lease.failed(FAILED)
    lease.release()
    clock.now += 2
    (await chosen.lease(Asking())).release()
    assert (await chosen.lease(Asking())).replica is one


@pytest.mark.parametrize(("outcomes", "state"), [("ok fail " * 10, "open"), ("ok ok fail " * 10, "closed")])
def test_half_of_the_last_calls_failing_opens_it_as_well(outcomes, state):
    breaker = Breaker(BreakerSettings(failures=99, share=0.5, window=20))
    for outcome in outcomes.split():
        (breaker.succeeded if outcome == "ok" else breaker.failed)(probe=False)
    assert breaker.state == state


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (FAILED, "broken"),
        (UpstreamMisconfigured("x", backend="b"), "broken"),
        (UpstreamRefused("x", backend="b", status=HTTPStatus.BAD_REQUEST), "serving"),
        (UpstreamRateLimited("x", backend="b"), "cooling"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else value,
)
async def test_what_an_error_says_of_the_replica(error, state):
    one = replica(failures=1)
    lease = await pool(one).lease(Asking())
    lease.failed(error)
    lease.release()
    assert one.condition(one.cools_until - 0.5 if one.cools_until else 0) == state


@pytest.mark.parametrize(("asked", "seconds"), [("7", 7), (None, 1), ("9999", 60), ("soon", 1)])
async def test_a_429_is_left_alone_as_long_as_it_asks_within_bounds(asked, seconds):
    one, error = replica(), UpstreamRateLimited("x", backend="b")
    if asked:
        error.headers["retry-after"] = asked
    chosen = pool(one)
    lease = await chosen.lease(Asking())
    lease.failed(error)
    lease.release()
    assert seconds - 1 < chosen.cools_for_s() <= seconds
    with pytest.raises(UpstreamUnavailable) as unavailable:
        await chosen.lease(Asking(despite_failures=True))  # not even in despair
    assert int(unavailable.value.headers["retry-after"]) == seconds


def test_retry_after_may_be_a_date():
    assert read_retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0.0
    assert read_retry_after("Fri, 21 Oct 2095 07:28:00 GMT") > 1e6
    assert read_retry_after("3.5") == 3.5
    assert read_retry_after("whenever") is None


async def test_who_was_tried_is_not_asked_again():
    one, two = replica("one"), replica("two")
    chosen = pool(one, two)
    assert (await chosen.lease(Asking(tried={one}))).replica is two
    with pytest.raises(AllTried):
        await chosen.lease(Asking(tried={one, two}))


async def test_the_drained_and_the_unwell_get_no_calls():
    one, two = replica("one"), replica("two")
    chosen = pool(one, two)
    assert chosen.drain("one", draining=True)
    assert not chosen.drain("nobody", draining=True)
    two.healthy = False
    with pytest.raises(UpstreamUnavailable, match="draining, unhealthy"):
        await chosen.lease(Asking())
    assert (await chosen.lease(Asking(despite_failures=True))).replica is two
    two.healthy = True
    assert (await chosen.lease(Asking())).replica is two
