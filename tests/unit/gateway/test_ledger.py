"""The book of what was used: amounts add up, once, in SQLite and in a real Redis."""

import asyncio
import contextlib
import csv
import io
from datetime import UTC, datetime, timedelta

import pytest

from gateway.cache.settings import RedisSettings
from gateway.ledger import Amounts, BookUnavailable, Entry, Ledger, Place, as_csv, entries_of, summarise
from gateway.ledger.redis_book import open_redis_book
from gateway.ledger.sqlite_book import SqliteBook
from gateway.records.accounting import Outcome, Record, Spending
from gateway.records.prices import Usage
from router.types import Target, Tier
from tests.unit.gateway.redis_server import running_redis

TODAY = datetime.now(UTC).strftime("%Y-%m-%d")


@pytest.fixture(scope="module")
def redis():
    with running_redis() as server:
        yield server


@contextlib.asynccontextmanager
async def books(where, redis, folder, count=1):
    """Give several books at one place, as several processes have them."""
    if where == "sqlite":
        yield [SqliteBook(folder / "usage.db", 400) for _ in range(count)]
        return
    settings = RedisSettings.model_validate({"url": redis.url, "key_prefix": f"test:{folder}:"})
    async with contextlib.AsyncExitStack() as stack:
        yield [await stack.enter_async_context(open_redis_book(settings, 400)) for _ in range(count)]


both = pytest.mark.parametrize("where", ["sqlite", "redis"])


def entry(tenant="t", key="k", tier="fast", model="m", day=TODAY, **amounts):
    return Entry(Place(day, tenant, key, tier, model), Amounts(**amounts))


def finished(**changes):
    record = Record("chat", tenant="t", key="k")
    record.target, record.outcome = Target("swift", None, Tier.FAST), Outcome.DONE
    record.usage, record.own_cost, record.cost, record.saved = Usage(10, 5, 2, 1), 0.25, 0.25, 1.5
    for name, value in changes.items():
        setattr(record, name, value)
    return record


@both
def test_many_writers_add_to_one_book_and_nothing_is_lost(where, redis, tmp_path):
    async def run():
        async with books(where, redis, tmp_path, 4) as several:
            ledgers = [Ledger(book) for book in several]
            for number in range(200):
                ledgers[number % 4](finished(tenant=f"t{number % 3}"))
                if number % 20 == 0:
                    assert all(await asyncio.gather(*(ledger.flush() for ledger in ledgers)))
            await asyncio.gather(*(ledger.flush() for ledger in ledgers))
            report = summarise(await several[0].read(TODAY, TODAY), ["tenant"])
            assert [row["requests"] for row in report.rows] == [67, 67, 66]
            assert report.total["cost_dollars"] == 50
            assert report.total["saved_dollars"] == 300
            assert (report.total["input"], report.total["output"], report.total["cached"]) == (2000, 1000, 400)

    asyncio.run(run())


@both
def test_days_are_kept_apart_and_a_tenant_can_be_forgotten(where, redis, tmp_path):
    yesterday = (datetime.now(UTC) - timedelta(days=1)).strftime("%Y-%m-%d")

    async def run():
        async with books(where, redis, tmp_path) as (book,):
            assert await book.read(TODAY, TODAY) == []
            one, other = entry(requests=1), entry("gone", requests=2, day=yesterday)
            await book.add("b1", [one, other, entry("gone", key="|=\"{}'", requests=3)])
            assert [one.amounts.requests for one in await book.read(TODAY, TODAY)] == [3, 1]
            assert len(await book.read(yesterday, TODAY)) == 3
            assert await book.erase("gone") == 2
            assert await book.read(yesterday, TODAY) == [one]

    asyncio.run(run())


def test_a_batch_that_redis_took_although_it_did_not_say_so_is_not_added_again(redis, tmp_path):
    async def run():
        async with books("redis", redis, tmp_path) as (book,):
            for _ in range(3):
                await book.add("the same", [entry(requests=1)])
            assert (await book.read(TODAY, TODAY))[0].amounts.requests == 1

    asyncio.run(run())


@both
def test_what_cannot_be_written_is_kept_and_written_later(where, redis, tmp_path):
    class Ailing:
        """A book that is away for a while."""

        def __init__(self, book):
            self.book, self.away = book, True

        async def add(self, batch, entries):
            if self.away:
                raise BookUnavailable("away")
            await self.book.add(batch, entries)

    async def run():
        async with books(where, redis, tmp_path) as (book,):
            ailing, failures = Ailing(book), []
            ledger = Ledger(ailing, lambda: failures.append(1))
            for _ in range(100):
                ledger(finished())
                assert not await ledger.flush()
            ailing.away = False
            assert await ledger.flush()
            assert (await book.read(TODAY, TODAY))[0].amounts.requests == 100
            assert len(failures) == 100

    asyncio.run(run())


def test_a_file_that_cannot_be_opened_is_no_obstacle_to_serving(tmp_path):
    async def run():
        ledger = Ledger(SqliteBook(tmp_path / "missing" / "usage.db", 400))
        ledger(finished())
        assert not await ledger.flush()
        (tmp_path / "missing").mkdir()
        assert await ledger.flush()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {"requests": 1, "input": 10, "output": 5, "cost": 250_000, "saved": 1_500_000}),
        ({"outcome": Outcome.FAILED, "usage": None, "own_cost": None, "saved": None}, {"requests": 1, "failed": 1}),
        ({"own_cost": None, "saved": None}, {"requests": 1, "unpriced": 1, "cost": 0, "input": 10}),
        ({"cache": "hit-exact", "usage": None, "saved": None}, {"requests": 1, "cached_answers": 1, "cost": 0}),
    ],
)
def test_what_a_record_books(changes, expected):
    ((place, amounts),) = entries_of(finished(**changes))
    assert place == (TODAY, "t", "k", "fast", "swift")
    assert {name: getattr(amounts, name) for name in expected} == expected


def test_further_calls_are_booked_where_they_were_made():
    spent = Spending("sprite", Usage(1, 2), 0.125)
    own, besides = entries_of(finished(besides=[spent]))
    assert (own.amounts.cost, besides.place.model, besides.amounts.cost) == (250_000, "sprite", 125_000)
    assert besides.amounts.requests == 0


def test_questions_about_decisions_are_not_booked():
    written = Ledger(SqliteBook.__new__(SqliteBook))
    for record in (finished(endpoint="route"), finished(tenant="")):
        written(record)
    assert not written._open


def test_reports_group_filter_and_add_up():
    entries = [
        entry("a", "k1", cost=1_000_000, saved=500_000),
        entry("a", "k2", cost=2_000_000),
        entry("b", "=1+1", requests=1),
    ]
    by_tenant = summarise(entries, ["tenant"])
    assert [(row["tenant"], row["cost_dollars"], row["always_deep_dollars"]) for row in by_tenant.rows] == [
        ("a", 3, 3.5),
        ("b", 0, 0),
    ]
    assert summarise(entries, ["key"], tenant="a").total["cost_dollars"] == 3
    assert summarise(entries, []).rows == ()
    with pytest.raises(ValueError, match="there is no 'colour' to group by"):
        summarise(entries, ["colour"])
    table = list(csv.DictReader(io.StringIO(as_csv(summarise(entries, ["tenant", "key"])))))
    assert [row["cost_dollars"] for row in table] == ["1.000000", "2.000000", "0.000000"]
    assert table[2]["key"] == "'=1+1", "no spreadsheet takes a name for a formula"
