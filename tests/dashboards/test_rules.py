"""Alerts and recording rules: valid, each alert shown to fire and not to fire, each with its section in the runbook."""

import re
import subprocess
from pathlib import Path

import yaml

from gateway.errors import ThalamusError

ROOT = Path(__file__).parents[2]
RULES = sorted((ROOT / "dashboards" / "rules").glob("*.yaml"))
TESTS = sorted((Path(__file__).parent / "rules").glob("*.yaml"))

CALLERS_OWN = {
    "authentication": {"invalid_api_key", "permission_denied"},
    "the request": {
        "invalid_request",
        "invalid_json",
        "invalid_value",
        "model_not_found",
        "unknown_url",
        "response_not_found",
        "decision_not_found",
        "previous_response_not_found",
        "method_not_allowed",
        "request_too_large",
        "thread_unsupported_request",
        "no_capable_backend",
        "context_length_exceeded",
        "request_timeout",
        "upstream_refused",
        "content_policy_violation",
        "cancelled",
    },
    "limits": {"limit_reached", "rate_limit_exceeded", "budget_exceeded"},
}
"""Errors that are no outage, whatever their status: the caller, its key or its limits are the reason."""


def rules(kind):
    read = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in RULES]
    return [rule for file in read for group in file["groups"] for rule in group["rules"] if kind in rule]


def promtool(*arguments):
    done = subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_finds_nothing_wrong_with_the_rules():
    assert len(RULES) == 2
    promtool("check", "rules", *RULES)


def test_alerts_fire_when_they_should_and_only_then():
    promtool("test", "rules", *TESTS)


def test_every_alert_is_shown_to_fire_and_not_to_fire():
    shown = set()
    for path in TESTS:
        for test in yaml.safe_load(path.read_text(encoding="utf-8"))["tests"]:
            shown |= {(case["alertname"], bool(case["exp_alerts"])) for case in test.get("alert_rule_test", ())}
    assert shown == {(rule["alert"], fires) for rule in rules("alert") for fires in (True, False)}


def test_every_alert_has_its_section_in_the_runbook_and_no_section_is_left_over():
    page = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
    sections = dict(zip(*[iter(re.split(r"^### (Thalamus\w+)\n", page, flags=re.MULTILINE)[1:])] * 2, strict=True))
    assert set(sections) == {rule["alert"] for rule in rules("alert")}
    for rule in rules("alert"):
        assert rule["annotations"]["runbook"] == f"docs/runbook.md#{rule['alert'].lower()}"
        assert rule["labels"]["severity"] in ("page", "ticket")
        for part in ("**Means**", "**Look**", "**Do**"):
            assert part in sections[rule["alert"]], f"{rule['alert']} does not say: {part}"


def test_every_error_is_either_an_outage_or_the_callers_own():
    """A new error has to be put on one side: into the rule's expression or into the table above."""
    codes, classes = set(), [ThalamusError]
    while classes:
        found = classes.pop()
        codes.add(found.code)
        classes += found.__subclasses__()
    expressions = [rule["expr"] for rule in rules("record") if "request_errors" in rule["record"]]
    assert len(expressions) == 5
    (pattern,) = {re.search(r'error=~"([^"]+)"', expression).group(1) for expression in expressions}
    outages = {code for code in codes if re.fullmatch(pattern, code)}
    assert outages == codes - set().union(*CALLERS_OWN.values())
