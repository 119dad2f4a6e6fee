"""Budgets as metrics: what the limits in the configuration allow a tenant, and what is used of it."""

import asyncio

import pytest
from pydantic import SecretStr

from gateway.auth import Keyring
from gateway.limits import Demand
from gateway.limits.spending import MOST_TENANTS, Budget, read_budgets
from gateway.metrics import Metrics
from gateway.settings import KeySettings, LimitSettings
from tests.unit.gateway.redis_server import running_redis
from tests.unit.gateway.test_limits import limits_in
from tests.unit.gateway.test_metrics import value

DAY, WEEK = 86_400, 604_800
GENERAL = [
    LimitSettings(window_s=DAY, dollars=10),
    LimitSettings(window_s=WEEK, dollars=20, per="tenant"),
    LimitSettings(window_s=DAY, dollars=1, tier="deep"),
    LimitSettings(window_s=60, calls=100),
]


def key(name, tenant, *limits):
    return KeySettings(name=name, tenant=tenant, key=SecretStr(f"sk-{name}"), limits=limits)


KEYS = [
    key("shop-1", "shop"),
    key("shop-2", "shop", LimitSettings(window_s=DAY, dollars=5)),
    key("desk-1", "desk"),
]


@pytest.fixture(scope="module")
def redis():
    with running_redis() as server:
        yield server


def budgets(where, redis, spends=()):
    async def read():
        async with limits_in(where, redis) as limits:
            return await spend_and_read(Keyring(KEYS, GENERAL), limits)

    async def spend_and_read(keyring, limits):
        callers = {caller.name: caller for caller in keyring.callers()}
        for name, dollars in spends:
            caller = callers[name]
            await limits.reserve(caller.meters, caller.tenant, caller.name, None, Demand(1, dollars))
        return await read_budgets(keyring.callers(), limits)

    return {(one.tenant, one.window_s): (one.dollars, one.spent) for one in asyncio.run(read())}


@pytest.mark.parametrize("where", ["memory", "redis"])
def test_a_tenants_budget_is_its_own_limit_or_else_its_keys_together(where, redis):
    spends = [("shop-1", 2.0), ("shop-2", 1.5), ("desk-1", 4.0)]
    assert budgets(where, redis, spends) == {
        ("shop", DAY): (15.0, 3.5),
        ("shop", WEEK): (20.0, 3.5),
        ("desk", DAY): (10.0, 4.0),
        ("desk", WEEK): (20.0, 4.0),
    }


def test_budgets_are_shown_by_tenant_and_the_tightest_over_thirty_days_and_go_with_the_limit():
    metrics = Metrics()
    metrics.show_budgets([Budget("shop", DAY, 15.0, 3.5), Budget("shop", WEEK, 20.0, 4.0)])
    assert value(metrics, "thalamus_tenant_budget_dollars", tenant="shop", window_s="86400") == 15
    assert value(metrics, "thalamus_tenant_budget_spent_dollars", tenant="shop", window_s="604800") == 4
    assert value(metrics, "thalamus_tenant_budget_30d_dollars") == pytest.approx(20 * 30 / 7)
    metrics.show_budgets([])
    assert "tenant=" not in metrics.render().decode()


def test_budgets_make_no_more_series_than_there_may_be_tenants():
    metrics = Metrics()
    metrics.show_budgets([Budget(f"tenant-{number}", DAY, 1.0, 0.0) for number in range(MOST_TENANTS + 50)])
    assert value(metrics, "thalamus_tenant_budget_dollars") == MOST_TENANTS
