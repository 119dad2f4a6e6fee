"""Dashboards and rules before a real Prometheus that scrapes a real gateway: every query finds data."""

import math
import re

import pytest

from tests.dashboards.reading import filled_in, panels, rules
from tests.dashboards.run import observed_run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    with observed_run(tmp_path_factory.mktemp("run")) as running:
        yield running


def has_data(series):
    return any(not math.isnan(float(one["value"][1])) for one in series)


def test_every_query_of_every_panel_finds_data(run):
    silent = [
        (panel.board, panel.title, expression)
        for panel in panels()
        for expression, _ in panel.queries
        if not has_data(run.prometheus.ask(expression))
    ]
    assert silent == []


def test_every_rule_has_something_to_judge(run):
    """Of an alert its comparisons are made to say 0 or 1, so that it gives data whenever both of their sides do."""
    silent = []
    for rule in rules():
        expression = rule["expr"]
        if "alert" in rule:
            expression, changed = re.subn(r" (>|<|>=|<=|==) ", r" \1 bool ", expression)
            assert changed, f"{rule['alert']} compares nothing"
        if not has_data(run.prometheus.ask(expression)):
            silent.append((rule.get("alert") or rule["record"], expression))
    assert silent == []


def test_prometheus_itself_evaluates_the_rules_without_a_fault(run):
    groups = run.prometheus.get("rules")["groups"]
    found = [rule for group in groups for rule in group["rules"]]
    assert len(found) == len(rules())
    assert {(rule["health"], rule.get("lastError", "")) for rule in found} == {("ok", "")}


def test_the_failures_of_the_run_raise_their_alerts(run):
    """What needs no time to hold fires at once; what the run did for moments is pending at most."""
    states = {alert["labels"]["alertname"]: alert["state"] for alert in run.prometheus.get("alerts")["alerts"]}
    assert states["ThalamusReloadRefused"] == "firing"
    assert states["ThalamusBudgetSpent"] == "firing"
    assert states["ThalamusRedisAway"] == "pending"


def test_a_query_without_data_is_noticed(run):
    assert not has_data(
        run.prometheus.ask(filled_in('rate(thalamus_requests_total{tier="no-such"}[$__rate_interval])'))
    )
    assert not has_data(run.prometheus.ask("histogram_quantile(0.5, thalamus_decision_seconds_bucket) * NaN"))
