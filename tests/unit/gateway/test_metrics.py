"""What is counted: each metric is declared once and described, and callers cannot invent series."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families

from classifiers.bundle import list_bundles, load_bundle
from classifiers.language import LANGUAGES, language_of
from classifiers.traits import SIGNALS, place
from classifiers.types import Conversation, Kind, Turn
from gateway.limits.spending import MOST_TENANTS
from gateway.metrics import Metrics
from gateway.metrics.batch import Batch
from gateway.metrics.catalogue import CATALOGUE, COST, REQUEST_SECONDS, SHED
from gateway.metrics.describe import describe
from gateway.metrics.drift import Drift, stability_index
from gateway.records.accounting import Attempt, Outcome, Record
from gateway.records.prices import Usage
from router.types import Bounds, Decision, Effort, Reason, RouteRequest, Session, Signal, Target, Tier
from tests.bench.recording import LIMIT_US, measure

MOST_SERIES = 2500
"""Of one gateway with two backends, whatever callers do."""


def series_of(metrics):
    return [
        (sample.name, tuple(sorted(sample.labels.items())), sample.value)
        for family in text_string_to_metric_families(metrics.render().decode())
        for sample in family.samples
    ]


def value(metrics, name, **labels):
    return sum(
        number for found, own, number in series_of(metrics) if found == name and labels.items() <= dict(own).items()
    )


def test_the_page_is_written_from_the_catalogue():
    page = Path(__file__).parents[3] / "docs" / "metrics.md"
    assert page.read_text(encoding="utf-8") == describe(), "python -m gateway.metrics.describe > docs/metrics.md"


def test_names_are_unique_and_every_metric_says_what_to_do():
    assert len({metric.name for metric in CATALOGUE}) == len(CATALOGUE)
    for metric in CATALOGUE:
        assert metric.name.startswith("thalamus_")
        assert metric.meaning.endswith(".")
        assert metric.action.endswith(".")
        assert bool(metric.buckets) == (metric.type == "histogram")


def invented(number):
    """A request of which all that a caller can choose was never seen before."""
    target = Target(("swift", "sage")[number % 2], Effort.NONE, (Tier.FAST, Tier.DEEP)[number % 2])
    record = Record("chat", tenant=f"tenant-{number}", key=f"key-{number}", conversation=f"c-{number}")
    record.request = RouteRequest(
        model=f"model-{number}", conversation=None, attributes={"metadata.user": f"user-{number}"}
    )
    record.target = target
    record.attempts = [Attempt(target.backend, None, replica="a")]
    record.usage, record.cost, record.own_cost = Usage(10, 10), 0.01, 0.01
    record.outcome, record.first_token_s, record.total_s = Outcome.DONE, 0.1, 0.5
    return record


def test_ten_thousand_invented_models_keys_and_users_make_no_more_series_than_stated():
    metrics = Metrics()
    for number in range(10_000):
        metrics.record_request(invented(number))
    assert len(series_of(metrics)) < MOST_SERIES
    tenants = {dict(labels)["tenant"] for name, labels, _ in series_of(metrics) if "tenant_cost" in name}
    assert len(tenants) == MOST_TENANTS + 1
    assert value(metrics, "thalamus_tenant_cost_dollars_total") == pytest.approx(100)
    assert value(metrics, "thalamus_requests_total") == 10_000


def decided(before, after, reason):
    session = Session(before, "b", 0.5) if before else None
    record = Record("chat")
    record.request = RouteRequest(
        model="auto", conversation=Conversation.from_prompt("hello"), bounds=Bounds(), session=session
    )
    record.decision = Decision(
        id="d", tier=after, targets=(Target("b", None, after),), reason=reason, effort=None, effort_asked=None,
        difficulty=0.5, kind=None, threshold=0.5, dial="balanced", estimate=None, steps=(),
    )  # fmt: skip
    return record


@pytest.mark.parametrize(
    ("before", "after", "reason", "counted"),
    [
        (Tier.FAST, Tier.DEEP, Reason.CLIENT, ("up", "client")),
        (Tier.FAST, Tier.DEEP_MINI, Reason.DIFFICULTY, ("up", "router")),
        (Tier.DEEP, Tier.FAST, Reason.CLIENT, ("down", "client")),
        (Tier.DEEP, Tier.DEEP_MINI, Reason.DIFFICULTY, None),
        (None, Tier.DEEP, Reason.CLIENT, None),
    ],
)
def test_a_change_of_tier_within_a_conversation_is_counted_by_whose_will_it_was(before, after, reason, counted):
    metrics = Metrics()
    metrics.record_request(decided(before, after, reason))
    assert value(metrics, "thalamus_tier_changes_total") == (1 if counted else 0)
    if counted:
        assert value(metrics, "thalamus_tier_changes_total", direction=counted[0], by=counted[1]) == 1


def test_the_language_is_counted_as_the_decision_read_it():
    metrics, record = Metrics(), decided(None, Tier.DEEP, Reason.DIFFICULTY)
    record.decision = replace(record.decision, kind=Kind.CHAT, signals=(Signal("language", "zh"),))
    metrics.record_request(record)
    assert value(metrics, "thalamus_decisions_by_language_total", language="zh", tier="deep") == 1


async def test_the_oldest_request_under_way_has_an_age_whatever_else_comes_and_goes():
    metrics, name = Metrics(), "thalamus_oldest_request_age_seconds"

    def age():
        metrics.show_load([], {}, 0.0)
        return value(metrics, name)

    assert age() == 0
    hanging, later = Record("chat"), Record("chat")
    hanging.started -= 4000
    later.started -= 10
    for record in (hanging, later):
        metrics.begin_request(record)
    for _ in range(100):
        passing = Record("chat")
        metrics.begin_request(passing)
        metrics.end_request(passing)
    assert age() == pytest.approx(4000, abs=5)
    metrics.end_request(hanging)
    assert age() == pytest.approx(10, abs=5)
    metrics.end_request(later)
    assert age() == 0
    assert value(metrics, "thalamus_memory_blocks") > 100_000


def test_time_per_token_is_of_streams_that_a_backend_gave():
    metrics = Metrics()
    record = invented(0)
    record.usage = Usage(10, 41)
    metrics.record_request(record)
    kept = invented(0)
    kept.cache = "hit-exact"
    metrics.record_request(kept)
    assert value(metrics, "thalamus_output_token_seconds_count") == 1
    assert value(metrics, "thalamus_output_token_seconds_sum") == pytest.approx(0.01)
    assert value(metrics, "thalamus_cached_requests_total", cache="hit-exact") == 1


def test_a_slow_bucket_leads_to_a_trace():
    metrics = Metrics()
    record = invented(0)
    record.trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
    metrics.record_request(record)
    families = read_openmetrics(metrics.render(as_openmetrics=True).decode())
    exemplars = [sample.exemplar for family in families for sample in family.samples if sample.exemplar]
    assert {exemplar.labels["trace_id"] for exemplar in exemplars} == {record.trace_id}
    assert "# EOF" not in metrics.render().decode()


REFERENCE = {"difficulty": [0.5, 0.3] + [0.025] * 8, "kind": [0.2] * 5 + [0.0] * 4}


def test_the_stability_index_is_that_of_the_formula():
    assert stability_index([0.5, 0.5], [0.5, 0.5]) == 0
    assert stability_index([0.5, 0.5], [0.25, 0.75]) == pytest.approx(0.25 * math.log(2) + 0.25 * math.log(1.5))
    assert stability_index([1.0, 0.0], [0.0, 1.0]) < 20  # a value that never came leaves it finite


def test_traffic_that_moves_away_from_training_is_seen_and_seen_no_more_when_it_comes_back():
    drift = Drift(REFERENCE, last=400, fewest=200)
    kinds, asked = list(Kind), Conversation.from_prompt("What is the capital of France?")

    def traffic(shares):
        for at, share in enumerate(shares):
            for number in range(round(400 * share)):
                drift.note(place(asked, at / 10 + 0.05, kinds[number % 5]))

    for _ in range(199):
        drift.note(place(asked, 0.0, Kind.CHAT))
    assert drift.indices() == {}
    traffic(REFERENCE["difficulty"])
    assert drift.indices() == pytest.approx({"difficulty": 0, "kind": 0}, abs=0.01)
    traffic(reversed(REFERENCE["difficulty"]))
    assert drift.indices()["difficulty"] > 2
    traffic(REFERENCE["difficulty"])
    assert drift.indices()["difficulty"] < 0.01


def test_a_conversation_has_its_place_in_every_signal():
    turns = (Turn("user", "Salut"), Turn("assistant", "Bonjour !"), Turn("user", "Pourquoi le ciel est bleu ?"))
    found = place(Conversation(turns, tools=3), 0.35, Kind.KNOWLEDGE)
    assert dict(zip(SIGNALS, found, strict=True)) == {
        "difficulty": 3,
        "kind": list(Kind).index(Kind.KNOWLEDGE),
        "language": LANGUAGES.index("fr"),
        "length": 1,
        "turns": 1,
        "tools": 1,
    }
    edges = [place(Conversation((Turn("user", "x" * size),)), 1.0, Kind.CHAT)[3] for size in (0, 31, 32, 10**6)]
    assert edges == [0, 0, 1, SIGNALS["length"] - 1]


def test_every_bundle_says_what_drift_is_measured_against():
    for name in list_bundles():
        reference = load_bundle(name).reference
        assert {signal: len(shares) for signal, shares in reference.items()} == dict(SIGNALS)
        assert all(sum(shares) == pytest.approx(1, abs=0.001) for shares in reference.values())


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("What is the capital of France?", "en"),
        ("translate 你好 into English for me please", "en"),
        ("用 Python 写一个快速排序", "zh"),
        ("東京の人口は?", "ja"),
        ("서울의 인구는?", "ko"),
        ("Напиши стихи об осени", "cyrillic"),
        ("ما هي عاصمة فرنسا؟", "arabic"),
        ("Wie ist das Wetter und was mache ich mit dem Garten?", "de"),
        ("Écris une lettre pour mon ami, avec des fautes", "fr"),
        ("¿Cuál es la capital de Francia y por qué?", "es"),
        ("x = f(y)", "other"),
        ("", "other"),
    ],
)
def test_a_questions_language_is_told_by_its_script_or_its_common_words(text, language):
    assert language_of(text) == language
    assert language in LANGUAGES


def test_times_of_rooms_leave_out_what_was_waited_for_and_add_up():
    record, metrics = Record("chat"), Metrics()
    record.leave("parse")
    record.upstream_s += 1000.0
    record.leave("open")
    record.leave("open")
    assert 0 <= record.rooms_s["open"] < 1
    record.queued_s = 2.0
    for _ in range(2):
        metrics.record_rooms(record)
    assert value(metrics, "thalamus_room_seconds_total", room="queue") == 4
    assert value(metrics, "thalamus_room_seconds_total", room="parse") > 0


def test_recording_a_request_costs_no_more_than_a_slow_machine_excuses():
    figures = measure(rounds=3)
    assert figures["metrics"] + figures["times of rooms"] < 5 * LIMIT_US


def test_what_is_added_up_first_comes_to_the_same_as_what_is_counted_at_once():
    metrics, values = Metrics(), [0.0, 0.005, 0.0051, 1.0, 599.9, 600.0, 601.0, 1e9]
    batch = Batch(metrics._child)
    for number in values:
        metrics._child(REQUEST_SECONDS, "chat", "fast").observe(number)
        batch.observe(REQUEST_SECONDS, "chat", "deep", value=number)
        metrics._child(SHED).inc(number)
        batch.count(COST, "swift", by=number)
    assert value(metrics, "thalamus_cost_dollars_total") == 0, "nobody has looked"
    batch.write()
    batch.write()
    by_tier = [
        {(name, *(part for part in labels if part[0] == "le")): number for name, labels, number in series_of(metrics)
         if name.startswith("thalamus_request_seconds") and ("tier", tier) in labels}
        for tier in ("fast", "deep")
    ]  # fmt: skip
    assert by_tier[0] == by_tier[1]
    assert (
        value(metrics, "thalamus_cost_dollars_total") == value(metrics, "thalamus_shed_requests_total") == sum(values)
    )
