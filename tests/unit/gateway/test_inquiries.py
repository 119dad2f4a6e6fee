"""What processes on different machines ask each other of decisions, over a real Redis."""

import asyncio
import time
from contextlib import asynccontextmanager

import pytest
from pydantic import SecretStr

from gateway.cache.redis_board import RedisBoard
from gateway.cache.redis_guard import open_redis
from gateway.cache.settings import RedisSettings
from gateway.records.inquiries import MOST_AT_ONCE, Inquiries
from gateway.records.recent import Remembered
from tests.unit.gateway.redis_server import running_redis

KNOWN = Remembered("acme", "fast", "maths", 0.2, "hit-semantic", ("{tag}p", "name"))


@pytest.fixture(scope="module")
def server():
    with running_redis() as server:
        yield server


@asynccontextmanager
async def board(server):
    async with open_redis(RedisSettings(url=SecretStr(server.url), deadline_ms=1000)) as redis:
        yield RedisBoard(redis, "test:inquiries")


@asynccontextmanager
async def answering(shared, inquiries):
    async def keep_answering():
        while True:
            await inquiries.answer(shared, await shared.read())
            await asyncio.sleep(0.05)

    task = asyncio.create_task(keep_answering())
    try:
        yield
    finally:
        task.cancel()


async def test_another_process_says_what_it_remembers_and_only_to_the_decisions_own_tenant(server):
    here, there = Inquiries({}.get), Inquiries({"d-1": KNOWN}.get)
    async with board(server) as shared, answering(shared, there):
        assert await here.ask(shared, "acme", "d-1") == KNOWN
        began = time.monotonic()
        found = await asyncio.gather(here.ask(shared, "rival", "d-1"), here.ask(shared, "acme", "d-2"))
        assert (found, time.monotonic() - began < 5) == ([None, None], True)


async def test_a_flood_of_questions_is_not_put(server):
    here = Inquiries({}.get)
    async with board(server) as shared:
        asking = [asyncio.create_task(here.ask(shared, "acme", f"f-{number}")) for number in range(MOST_AT_ONCE)]
        await asyncio.sleep(0)
        began = time.monotonic()
        assert await here.ask(shared, "acme", "one-more") is None
        assert time.monotonic() - began < 0.5
        await asyncio.gather(*asking)
