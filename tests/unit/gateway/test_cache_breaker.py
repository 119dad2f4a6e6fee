"""The breaker: what opens it, and what a probe makes of it."""

import pytest

from gateway.cache.breaker import Breaker
from gateway.cache.events import BreakerChanged, CacheEvent


@pytest.fixture
def events() -> list[CacheEvent]:
    return []


@pytest.fixture
def breaker(events: list[CacheEvent]) -> Breaker:
    return Breaker(3, on_event=events.append)


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


def test_a_probe_that_is_answered_closes_it(breaker: Breaker, events: list[CacheEvent]):
    open_it(breaker)
    breaker.begin_probe()
    assert breaker.state == "half-open"
    breaker.end_probe(answered=True)
    assert events == [BreakerChanged("open"), BreakerChanged("half-open"), BreakerChanged("closed")]
    open_it(breaker)  # by as many failures as the first time


def test_a_probe_that_fails_opens_it_again(breaker: Breaker):
    open_it(breaker)
    breaker.begin_probe()
    breaker.end_probe(answered=False)
    assert breaker.state == "open"


def test_stragglers_from_before_it_opened_change_nothing(breaker: Breaker, events: list[CacheEvent]):
    open_it(breaker)
    breaker.failed()
    breaker.succeeded()
    assert breaker.state == "open"
    breaker.begin_probe()
    breaker.failed()
    breaker.succeeded()
    assert breaker.state == "half-open"
    assert events == [BreakerChanged("open"), BreakerChanged("half-open")]


def test_a_ping_before_it_opens_neither_opens_nor_excuses(breaker: Breaker):
    breaker.failed()
    breaker.failed()
    breaker.begin_probe()
    breaker.end_probe(answered=True)
    assert breaker.state == "closed"
    breaker.failed()  # pings are answered and commands are not: that is no recovery
    assert breaker.state == "open"
