"""What a request cost, what it saved, and that it is counted once under labels nobody can invent."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from classifiers.types import Estimate, Kind
from gateway.metrics import Metrics
from gateway.records.accounting import Accounts, Attempt, Outcome, Record
from gateway.records.prices import Price, Usage, find_price
from gateway.settings import BackendSettings
from router.types import Decision, Effort, Reason, Target, Tier

ESTIMATE = Estimate(0.3, 0.7, 0.9, Kind.CHAT, 0.8, 1000, 0.3, "reflex-v1")


def decision(tier: Tier) -> Decision:
    return Decision(
        id="dec_1",
        tier=tier,
        targets=(Target(f"{tier}-model", Effort.NONE, tier),),
        reason=Reason.DIFFICULTY,
        effort=Effort.NONE,
        effort_asked=None,
        difficulty=0.3,
        kind=Kind.CHAT,
        threshold=0.5,
        dial="balanced",
        estimate=ESTIMATE,
        steps=(),
    )


def record(tier: Tier, usage: Usage) -> Record:
    made = decision(tier)
    return Record(
        "chat",
        decision=made,
        target=made.targets[0],
        usage=usage,
        attempts=[Attempt(made.targets[0].backend, None)],
        outcome=Outcome.DONE,
        status=200,
    )


PRICES = {"fast-model": Price(1.0, 2.0, 0.5), "deep-model": Price(10.0, 20.0, 10.0)}


def test_a_call_costs_its_tokens_and_cached_ones_their_own_price():
    assert PRICES["fast-model"].cost(Usage(input=1_000_000, output=500_000, cached=400_000)) == pytest.approx(
        0.6 * 1.0 + 0.4 * 0.5 + 0.5 * 2.0
    )


def test_a_fast_answer_saves_what_deep_would_have_cost_with_its_thinking():
    closed = []
    accounts = Accounts(PRICES, "deep-model", (closed.append,))
    accounts.close(record(Tier.FAST, Usage(input=1000, output=100)))
    cost = (1000 * 1.0 + 100 * 2.0) / 1e6
    assert closed[0].cost == pytest.approx(cost)
    assert closed[0].saved == pytest.approx((1000 * 10 + 1100 * 20) / 1e6 - cost)


def test_a_deep_answer_saves_nothing():
    closed = []
    Accounts(PRICES, "deep-model", (closed.append,)).close(record(Tier.DEEP, Usage(input=1000, output=100)))
    assert closed[0].saved == 0


def test_without_prices_nothing_is_claimed():
    closed = []
    Accounts({}, "deep-model", (closed.append,)).close(record(Tier.FAST, Usage(input=1000, output=100)))
    assert (closed[0].cost, closed[0].saved) == (None, None)


def test_own_prices_win_over_the_price_map_and_unknown_models_have_none():
    own = BackendSettings(url="http://x/v1", model="gpt-4o", price={"input": 1, "output": 2})
    assert find_price(own, "openai") == Price(1, 2, find_price(own, "openai").cached)
    known = find_price(BackendSettings(url="http://x/v1", model="gpt-4o"), "openai")
    assert known is not None
    assert 0 < known.cached < known.input < known.output
    assert find_price(BackendSettings(url="http://x/v1", model="no-such-model"), None) is None
    cached = BackendSettings(url="http://x/v1", model="m", price={"input": 1, "output": 2, "cached": 0})
    assert find_price(cached, None) == Price(1, 2, 0)


def samples(metrics: Metrics) -> dict[tuple[str, frozenset], float]:
    families = text_string_to_metric_families(metrics.render().decode())
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def test_a_record_is_counted_once_everywhere():
    metrics = Metrics()
    Accounts(PRICES, "deep-model", (metrics.record_request,)).close(record(Tier.FAST, Usage(1000, 100, 10, 5)))
    found = samples(metrics)
    labels = {"endpoint": "chat", "tier": "fast", "backend": "fast-model", "outcome": "done", "error": ""}
    assert found["thalamus_requests_total", frozenset(labels.items())] == 1
    for sort, tokens in {"input": 1000, "output": 100, "cached": 10, "reasoning": 5}.items():
        assert found["thalamus_tokens_total", frozenset({"backend": "fast-model", "sort": sort}.items())] == tokens
    assert found["thalamus_difficulty_count", frozenset()] == 1
    assert found["thalamus_saved_dollars_total", frozenset()] > 0


def test_a_request_that_never_reached_a_decision_is_counted_too():
    metrics = Metrics()
    Accounts({}, "d", (metrics.record_request,)).close(Record("chat", error="invalid_json", status=400))
    labels = {"endpoint": "chat", "tier": "", "backend": "", "outcome": "failed", "error": "invalid_json"}
    assert samples(metrics)["thalamus_requests_total", frozenset(labels.items())] == 1
