"""The course of one request: whom it asks next, when it pauses, when it gives up, and which of two racers wins."""

import asyncio
from dataclasses import dataclass, field
from http import HTTPStatus
from types import SimpleNamespace

import pytest

from gateway.calls.attempts import Attempts, Course, Step
from gateway.calls.budgets import Beginnings, RetryBudget
from gateway.errors import (
    UpstreamContentRefused,
    UpstreamContextExceeded,
    UpstreamError,
    UpstreamFailed,
    UpstreamMisconfigured,
    UpstreamRateLimited,
    UpstreamRefused,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from gateway.queueing import Queue
from gateway.records.accounting import Record
from gateway.settings import AttemptsSettings, BreakerSettings, HedgeSettings
from gateway.upstream.breaker import Breaker
from gateway.upstream.choosing import Choosing
from gateway.upstream.pool import Asking, Pool
from gateway.upstream.replica import Replica
from router.types import Target, Tier


@dataclass
class Answered:
    step: Step
    discarded: list[str] = field(default_factory=list)

    async def discard(self) -> None:
        self.discarded.append(self.step.lease.replica.name)
        self.step.lease.release()


class World:
    """Backends that answer as their script says: an error, seconds to wait, or nothing for an answer at once."""

    def __init__(self, **backends: list[str]) -> None:
        self.backends = {name: _backend(name, replicas) for name, replicas in backends.items()}
        self.script: dict[str, list] = {}
        self.called: list[str] = []
        self.cancelled: list[str] = []
        self.discarded: list[str] = []
        self.events: list = []
        self.record = Record("chat")

    def course(self, *targets: str, **settings) -> Course:
        settings = {"backoff_s": 0.0, **settings}
        self.attempts = Attempts(AttemptsSettings(**settings), self.events.append)
        return self.again(*targets)

    def again(self, *targets: str) -> Course:
        listed = [Target(name, tier=Tier.FAST if name.startswith("fast") else Tier.DEEP) for name in targets]
        return Course(self.attempts, listed, self.backends.__getitem__, lambda _target, _pool: Asking(), self.record)

    async def ask(self, step: Step) -> Answered:
        name = step.lease.replica.name
        self.called.append(name)
        outcome = self.script[name].pop(0) if self.script.get(name) else None
        try:
            if isinstance(outcome, float):
                await asyncio.sleep(outcome)
            elif outcome is not None:
                raise outcome
        except asyncio.CancelledError:
            self.cancelled.append(name)
            step.lease.release()
            raise
        except UpstreamError as error:
            step.lease.failed(error)
            step.lease.release()
            raise
        step.lease.succeeded()
        step.lease.release()
        return Answered(step, self.discarded)

    def results(self) -> list[str]:
        return [f"{attempt.backend}={attempt.result}" for attempt in self.record.attempts]


def _backend(name: str, replicas: list[str]) -> SimpleNamespace:
    written = BreakerSettings()
    made = tuple(Replica(replica, None, written, Breaker(written)) for replica in replicas)
    return SimpleNamespace(
        name=name,
        pool=Pool(name, made, Choosing(), Queue(name, 8, 1.0)),
        settings=SimpleNamespace(context_window=8000 if "small" in name else 128_000, model=name),
        dialect=SimpleNamespace(host="one" if "one" in name else "two", family="f"),
    )


def failed() -> UpstreamFailed:
    return UpstreamFailed("x", backend="b")


async def test_every_replica_of_a_target_is_asked_before_the_next_target():
    world = World(deep=["d1", "d2"], mini=["m1"])
    world.script = {"d1": [failed()], "d2": [failed()]}
    given = await world.course("deep", "mini").run(world.ask)
    assert given.step.target.backend == "mini"
    assert sorted(world.called[:2]) == ["d1", "d2"]
    assert world.results() == ["deep=upstream_failed", "deep=upstream_failed", "mini=ok"]


async def test_once_all_have_failed_all_are_asked_again():
    world = World(deep=["d1"], mini=["m1"])
    world.script = {"d1": [failed(), failed()], "m1": [failed()]}
    given = await world.course("deep", "mini").run(world.ask)
    assert world.called == ["d1", "m1", "d1", "m1"]
    assert given.step.target.backend == "mini"


async def test_the_number_of_calls_is_bounded_and_the_last_failure_told():
    world = World(deep=["d1"], mini=["m1"])
    world.script = {name: [failed() for _ in range(20)] for name in ("d1", "m1")}
    with pytest.raises(UpstreamFailed):
        await world.course("deep", "mini", most=5).run(world.ask)
    assert len(world.called) == 5


async def test_the_purse_bounds_repeated_calls_and_never_the_first_to_a_target():
    world = World(deep=["d1"], mini=["m1"])
    world.script = {name: [failed() for _ in range(50)] for name in ("d1", "m1")}
    course = world.course("deep", "mini", retry_share=0, retries_per_s=0)
    with pytest.raises(UpstreamFailed):
        await course.run(world.ask)
    assert world.called == ["d1", "m1"]
    assert ("retry", "refused") in [(event.what, event.result) for event in world.events]


async def test_a_backend_that_is_known_to_fail_is_passed_by_without_a_call_and_that_is_told():
    world = World(deep=["d1"], mini=["m1"])
    replica = world.backends["deep"].pool.replicas[0]
    for _ in range(5):
        replica.breaker.failed(probe=False)
    await world.course("deep", "mini").run(world.ask)
    assert world.called == ["m1"]
    assert world.results() == ["deep=upstream_unavailable", "mini=ok"]


async def test_with_nobody_else_left_those_that_fail_are_called_all_the_same():
    world = World(deep=["d1"])
    for _ in range(5):
        world.backends["deep"].pool.replicas[0].breaker.failed(probe=False)
    given = await world.course("deep").run(world.ask)
    assert given.step.target.backend == "deep"


async def test_the_drained_are_never_called():
    world = World(deep=["d1"])
    world.backends["deep"].pool.drain(None, draining=True)
    with pytest.raises(UpstreamUnavailable, match="draining"):
        await world.course("deep").run(world.ask)
    assert not world.called


async def test_a_short_retry_after_is_waited_for_and_a_long_one_told():
    world, error = World(deep=["d1"]), UpstreamRateLimited("x", backend="deep")
    error.headers["retry-after"] = "0.05"
    world.script = {"d1": [error]}
    await world.course("deep").run(world.ask)
    assert world.record.queued_s >= 0.04
    error.headers["retry-after"] = "30"
    world.script = {"d1": [error]}
    with pytest.raises(UpstreamRateLimited) as told:
        await world.course("deep").run(world.ask)
    assert told.value.headers["retry-after"] == "30"


@pytest.mark.parametrize(
    ("error", "called"),
    [
        (UpstreamRefused("x", backend="b", status=HTTPStatus.BAD_REQUEST), ["small-one"]),
        (UpstreamContextExceeded("x", backend="b", status=HTTPStatus.BAD_REQUEST), ["small-one", "large-one"]),
        (UpstreamContentRefused("x", backend="b", status=HTTPStatus.BAD_REQUEST), ["small-one", "small-two"]),
    ],
    ids=["bad request", "too long", "content"],
)
async def test_a_refusal_goes_only_to_those_who_may_take_it(error, called):
    names = ["small-one", "small-two", "large-one"]
    world = World(**{name: [name] for name in names})
    # The same model at the same provider has the same policy.
    world.backends["large-one"].settings.model = world.backends["small-one"].settings.model
    world.script = {"small-one": [error]}
    try:
        await world.course(*names).run(world.ask)
    except UpstreamRefused:
        assert len(called) == 1
    assert world.called == called


async def test_a_refusal_that_nobody_takes_is_told():
    world = World(small=["s1"], smaller=["s2"])
    world.backends["smaller"].settings.context_window = 100
    world.script = {"s1": [UpstreamContextExceeded("x", backend="b", status=HTTPStatus.BAD_REQUEST)]}
    with pytest.raises(UpstreamContextExceeded):
        await world.course("small", "smaller").run(world.ask)
    assert world.called == ["s1"]


async def test_a_wrong_key_is_not_tried_twice():
    world = World(deep=["d1"], mini=["m1"])
    world.script = {"d1": [UpstreamMisconfigured("x", backend="deep")] * 3, "m1": [failed()]}
    await world.course("deep", "mini").run(world.ask)
    assert world.called == ["d1", "m1", "m1"]


async def test_the_deadline_ends_it():
    world = World(deep=["d1"])
    world.script = {"d1": [failed() for _ in range(9)]}
    world.record.started -= 100
    with pytest.raises(UpstreamTimeout, match="deadline"):
        await world.course("deep", deadline_s=99).run(world.ask)
    assert not world.called


def hedged(world: World, *targets: str, **hedge) -> Course:
    course = world.course(*targets, hedge=HedgeSettings(least_s=0.01, share=1.0, **hedge))
    for _ in range(30):
        world.attempts.hedges.request()
        world.attempts.beginnings(targets[0], stream=False).add(0.01)
    return course


async def test_a_slow_beginning_gets_a_second_call_and_the_loser_is_cut():
    world = World(fast=["f1", "f2"])
    world.script = {"f1": [5.0], "f2": [5.0]}
    course = hedged(world, "fast")
    running = asyncio.create_task(course.run(world.ask))
    await asyncio.sleep(0.1)
    assert len(world.called) == 2
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert sorted(world.cancelled) == ["f1", "f2"], "a client that leaves ends both"
    assert [replica.in_flight for replica in world.backends["fast"].pool.replicas] == [0, 0]


async def test_whichever_begins_first_is_kept():
    world = World(fast=["f1", "f2"])
    world.backends["fast"].pool.replicas[1].tokens = 10_000  # so that f1 is asked first
    world.script = {"f1": [5.0], "f2": [0.01]}
    given = await hedged(world, "fast").run(world.ask)
    assert given.step.lease.replica.name == "f2"
    assert world.cancelled == ["f1"]
    assert world.results() == ["fast=hedged", "fast=ok"]
    assert [event.result for event in world.events] == ["sent", "won"]


async def test_the_first_may_still_win():
    world = World(fast=["f1", "f2"])
    world.backends["fast"].pool.replicas[1].tokens = 10_000
    world.script = {"f1": [0.05], "f2": [5.0]}
    given = await hedged(world, "fast").run(world.ask)
    assert given.step.lease.replica.name == "f1"
    assert world.cancelled == ["f2"]
    assert world.results() == ["fast=ok"]


async def test_a_hedge_that_is_refused_does_not_end_the_first_call():
    """The tier's next target may not take what the first one is about to answer."""
    world = World(fast_one=["f1"], fast_two=["g1"])
    course = hedged(world, "fast_one", "fast_two")
    world.script = {"f1": [0.05], "g1": [UpstreamRefused("no", backend="fast_two", status=400)]}
    given = await course.run(world.ask)
    assert given.step.target.backend == "fast_one"
    assert world.cancelled == []
    assert world.results() == ["fast_two=upstream_refused", "fast_one=ok"]


async def test_what_was_waited_for_in_vain_is_no_time_of_the_gateways():
    world = World(fast=["f1"], deep=["d1"])

    async def ask(step: Step) -> Answered:
        await asyncio.sleep(0.05)
        if step.target.backend == "fast":
            step.lease.release()
            raise failed()
        return await world.ask(step)

    await world.course("fast", "deep").run(ask)
    assert 0.04 < world.record.upstream_s < 0.1, "a call that goes well counts for itself"


async def test_the_time_before_a_hedge_that_wins_was_waited_for_the_first():
    world = World(fast=["f1", "f2"])
    world.backends["fast"].pool.replicas[1].tokens = 10_000
    world.script = {"f1": [30.0], "f2": []}
    await hedged(world, "fast").run(world.ask)
    assert world.results() == ["fast=hedged", "fast=ok"]
    assert 0.005 < world.record.upstream_s < 5


async def test_other_tiers_are_not_hedged():
    world = World(deep=["d1", "d2"])
    world.script = {"d1": [0.06], "d2": [0.06]}
    await hedged(world, "deep").run(world.ask)
    assert len(world.called) == 1


async def test_hedges_are_a_small_share_of_the_traffic():
    world = World(fast=["f1", "f2"])
    world.course("fast", hedge=HedgeSettings(least_s=0.001, share=0.1))
    world.attempts.beginnings("fast", stream=False).add(0.001)
    for _ in range(30):
        world.attempts.beginnings("fast", stream=False).add(0.001)
    for _ in range(50):
        world.script = {"f1": [0.004], "f2": [0.004]}
        await world.again("fast").run(world.ask)
    sent = [event for event in world.events if event.result == "sent"]
    assert 1 <= len(sent) <= 7


def test_a_purse_fills_with_traffic_and_time_and_bounds_a_burst():
    now = [0.0]
    purse = RetryBudget(0.5, 1.0, clock=lambda: now[0])
    assert sum(purse.spend() for _ in range(100)) == 10
    for _ in range(20):
        purse.request()
    assert sum(purse.spend() for _ in range(100)) == 10
    now[0] += 3
    assert sum(purse.spend() for _ in range(100)) == 3


def test_the_quantile_is_of_recent_answers_and_unknown_at_first():
    beginnings = Beginnings(0.95)
    assert beginnings.value() is None
    for number in range(100):
        beginnings.add(number / 100)
    assert beginnings.value() == pytest.approx(0.94)
