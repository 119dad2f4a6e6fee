"""What processes tell each other of replicas, over a real Redis and over none."""

from contextlib import asynccontextmanager
from time import monotonic
from types import SimpleNamespace

import pytest
from pydantic import SecretStr

from gateway.cache.redis_board import RedisBoard
from gateway.cache.redis_guard import open_redis
from gateway.cache.settings import RedisSettings
from gateway.queueing import Queue
from gateway.settings import BackendSettings, BreakerSettings
from gateway.upstream.breaker import Breaker
from gateway.upstream.choosing import Choosing
from gateway.upstream.pool import Pool
from gateway.upstream.replica import Replica
from gateway.upstream.sharing import Sharing
from tests.unit.gateway.redis_server import running_redis

REPLICAS = ["http://10.0.0.1/v1", "http://10.0.0.2/v1"]


@pytest.fixture(scope="module")
def server():
    with running_redis() as server:
        yield server


@asynccontextmanager
async def board(server):
    settings = RedisSettings(url=SecretStr(server.url), deadline_ms=1000)
    with server.client() as client:
        client.flushall()
    async with open_redis(settings) as redis:
        yield RedisBoard(redis, "test:board")


class Process:
    """One process's view of a backend, kept in step with a board, which may be away."""

    def __init__(self, board, urls=REPLICAS) -> None:
        written = BreakerSettings(failures=1)
        settings = BackendSettings(model="m", replicas=urls)
        names = [address.shown_name for address in settings.addresses()]
        self.replicas = tuple(Replica(name, None, written, Breaker(written, jitter=0)) for name in names)
        self.pool = Pool("b", self.replicas, Choosing("least-loaded", 1.25), Queue("backend:b", 8, 1.0))
        self.board = board
        backend = SimpleNamespace(name="b", settings=settings, pool=self.pool)
        self._sharing = Sharing(lambda: (self.board, [backend]))

    async def step(self) -> None:
        await self._sharing.once()

    def conditions(self) -> list[str]:
        return [replica.condition(monotonic()) for replica in self.replicas]


async def test_who_rests_and_whose_breaker_is_open_is_heard_by_others(server):
    async with board(server) as shared:
        one, two = Process(shared), Process(shared)
        one.replicas[0].cools_until = monotonic() + 20
        one.replicas[1].breaker.failed(probe=False)
        await one.step()
        await two.step()
        assert two.conditions() == one.conditions() == ["cooling", "broken"]
        assert two.replicas[0].cools_until == pytest.approx(one.replicas[0].cools_until, abs=0.5)
        assert two.replicas[1].breaker.opens_in_s() == pytest.approx(5.0, abs=0.5)


async def test_the_longer_rest_counts_whoever_says_so(server):
    async with board(server) as shared:
        one, two = Process(shared), Process(shared)
        one.replicas[0].cools_until = monotonic() + 20
        two.replicas[0].cools_until = monotonic() + 40
        for process in (one, two, one):
            await process.step()
        assert one.replicas[0].cools_until == pytest.approx(two.replicas[0].cools_until, abs=0.5)
        assert one.replicas[0].cools_until > monotonic() + 35


async def test_a_drain_is_whatever_was_said_last_and_outlives_whoever_said_it(server):
    async with board(server) as shared:
        one, two = Process(shared), Process(shared)
        one.pool.drain(None, draining=True)
        await one.step()
        await two.step()
        assert two.conditions() == ["draining", "draining"]
        later = Process(shared)
        await later.step()
        assert later.conditions() == ["draining", "draining"]
        two.pool.drain(two.replicas[0].name, draining=False)
        for process in (two, one, later):
            await process.step()
            assert process.conditions() == ["serving", "draining"]


async def test_a_redis_that_has_lost_everything_is_told_again(server):
    async with board(server) as shared:
        one = Process(shared)
        one.pool.drain(None, draining=True)
        await one.step()
        with server.client() as client:
            client.flushall()
        await one.step()
        two = Process(shared)
        await two.step()
        assert one.conditions() == two.conditions() == ["draining", "draining"]


async def test_another_address_of_the_same_name_is_another_replica(server):
    async with board(server) as shared:
        named = [{"url": f"http://10.0.0.{number}/v1", "name": "big"} for number in (1, 2)]
        one, two = Process(shared, [named[0]]), Process(shared, [named[1]])
        one.pool.drain("big", draining=True)
        await one.step()
        await two.step()
        assert two.conditions() == ["serving"]


async def test_without_a_board_and_with_one_that_is_away_everybody_goes_on_alone(server):
    alone = Process(None)
    alone.pool.drain(None, draining=True)
    await alone.step()
    assert alone.conditions() == ["draining", "draining"]
    async with board(server) as shared:
        one = Process(shared)
        server.kill()
        try:
            one.replicas[0].breaker.failed(probe=False)
            await one.step()
            assert one.conditions() == ["broken", "serving"]
        finally:
            server.start()
