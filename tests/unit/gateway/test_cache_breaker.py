"""The breaker, with a clock that the test moves."""

import pytest

from gateway.cache.breaker import Breaker
from gateway.cache.events import BreakerChanged, CacheEvent


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def events() -> list[CacheEvent]:
    return []


@pytest.fixture
def breaker(clock: Clock, events: list[CacheEvent]) -> Breaker:
    return Breaker(3, 1.0, on_event=events.append, clock=clock)


def open_it(breaker: Breaker) -> None:
    for _ in range(3):
        assert breaker.state == "closed"
        breaker.failed()


def test_it_opens_after_so_many_failures_in_a_row(breaker: Breaker):
    for _ in range(5):
        breaker.failed()
        breaker.failed()
        breaker.succeeded()
    assert breaker.state == "closed"
    open_it(breaker)
    assert breaker.state == "open"
    assert not breaker.takes_probe()


def test_after_its_time_one_caller_is_told_to_probe(breaker: Breaker, clock: Clock):
    open_it(breaker)
    clock.now += 1.0
    assert breaker.state == "half-open"
    assert breaker.takes_probe()
    assert not breaker.takes_probe()


def test_a_probe_that_succeeds_closes_it(breaker: Breaker, clock: Clock, events: list[CacheEvent]):
    open_it(breaker)
    clock.now += 1.0
    assert breaker.takes_probe()
    breaker.succeeded()
    assert breaker.state == "closed"
    assert not breaker.takes_probe()
    assert events == [BreakerChanged("open"), BreakerChanged("half-open"), BreakerChanged("closed")]


def test_a_probe_that_fails_opens_it_for_the_whole_time_again(breaker: Breaker, clock: Clock):
    open_it(breaker)
    clock.now += 1.5
    assert breaker.takes_probe()
    breaker.failed()
    clock.now += 0.9
    assert breaker.state == "open"
    clock.now += 0.1
    assert breaker.takes_probe()


def test_stragglers_from_before_it_opened_change_nothing(breaker: Breaker, clock: Clock, events: list[CacheEvent]):
    open_it(breaker)
    clock.now += 0.5
    breaker.failed()
    breaker.succeeded()
    assert breaker.state == "open"
    clock.now += 0.5
    assert breaker.state == "half-open"  # the failure did not put it off
    assert events == [BreakerChanged("open")]
