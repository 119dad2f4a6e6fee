"""Rows of the operator's own in thalamus.yaml: what reaches the backend, and what is refused at the start."""

from __future__ import annotations

import subprocess

import pytest
import yaml

from tests.gateway.serving import COMMAND, ServingError, settings_over

ASK = {"messages": [{"role": "user", "content": "Hello"}], "temperature": 0.5}
NEW_ROW = {
    "families": ["house"],
    "hosts": ["cluster"],
    "checked": "2026-11-26",
    "source": "measured on our cluster",
    "thinking": "switch",
    "default": "high",
    "efforts": {
        "none": {"chat_template_kwargs": {"ponder": False}},
        "high": {"chat_template_kwargs": {"ponder": True}},
    },
    "rules": [{"fields": ["temperature"], "action": "drop", "why": "the template fixes it"}],
}
REPLACING_ROW = {
    "families": ["glm-4.7"],
    "hosts": ["vllm"],
    "checked": "2026-11-26",
    "source": "our own template",
    "thinking": "always",
    "default": "high",
    "efforts": {"high": {"chat_template_kwargs": {"deep": 1}}},
}
DIALECTS = {
    "families": [{"name": "house", "title": "Our fine-tune", "ids": ["^house-"]}],
    "hosts": [{"name": "cluster", "title": "Our cluster", "domains": ["127.0.0.1"]}],
    "rows": [NEW_ROW, REPLACING_ROW],
}


def settings(standin, **dialects):
    url = f"{standin.url}/v1"
    backends = {
        "own": {"url": url, "model": "house-7b"},
        "glm": {"url": url, "model": "zai-org/GLM-4.7", "host": "vllm"},
        "qwen": {"url": url, "model": "Qwen/Qwen3-8B", "host": "vllm"},
    }
    tiers = {"fast": "own", "deep": "glm"}
    return settings_over(standin.url, backends=backends, tiers=tiers, dialects={**DIALECTS, **dialects})


@pytest.mark.parametrize(
    ("model", "effort", "applied", "variables", "temperature"),
    [
        ("own", "none", "none", {"ponder": False}, 0.5),
        ("own", "low", "high", {"ponder": True}, None),
        ("glm", "none", "high", {"deep": 1}, 0.5),
        ("qwen", "none", "none", {"thinking": False, "enable_thinking": False}, 0.5),
    ],
)
def test_own_rows_add_to_the_built_in_ones_and_replace_them(
    serve, standin, model, effort, applied, variables, temperature
):
    gateway = serve(settings(standin))
    with gateway.client() as client:
        answer = client.post("/v1/chat/completions", json={**ASK, "model": model, "reasoning_effort": effort})
    assert answer.is_success, answer.text
    assert answer.headers["x-thalamus-thinking"] == f"asked={effort} applied={applied}"
    body = standin.requests()[-1]["body"]
    assert (body["chat_template_kwargs"], body.get("temperature")) == (variables, temperature)
    assert "reasoning_effort" not in body


def test_a_row_that_cannot_be_used_is_refused_at_the_start_with_its_path(serve, standin):
    with pytest.raises(ServingError, match=r"did not start(?s:.)*clusster.*Did you mean 'cluster'"):
        serve(settings(standin, rows=[{**NEW_ROW, "hosts": ["clusster"]}]))


def test_the_table_is_printed_with_own_rows(standin, tmp_path):
    config = tmp_path / "thalamus.yaml"
    config.write_text(yaml.safe_dump(settings(standin)), encoding="utf-8")
    command = [str(COMMAND), "dialects", "--config", str(config)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    rows = [line.split() for line in printed.splitlines()]
    assert ["house", "cluster"] in [row[:2] for row in rows]
    assert "…" not in printed
