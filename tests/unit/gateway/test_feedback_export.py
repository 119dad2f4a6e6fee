"""Training data from verdicts: what is joined, what is left out, and that training takes it."""

import json
import stat
from datetime import UTC, datetime

import msgspec
import pytest
from typer.testing import CliRunner

from classifiers.training import dataset
from gateway.cli import app
from router.replay import Feedback, Shadowed
from router.types import Target, Tier
from tests.unit.gateway.test_replay_report import lines_of, reflex, write_log  # noqa: F401  a fixture

NOW = datetime(2026, 11, 27, tzinfo=UTC)
PROMPTS = ["Say hello", "Prove it", "你好，写一首诗", "Say hello"]


def feedback(decision_id, verdict, tier="fast"):
    return Feedback(id=decision_id, at=NOW, tenant="default", tier=tier, verdict=verdict)


def shadow(decision_id, verdict, finding):
    target = Target("sage", None, Tier.DEEP)
    return Shadowed(
        id=decision_id,
        at=NOW,
        tenant="default",
        tier="fast",
        target=target,
        verdict=verdict,
        by="rule",
        finding=finding,
    )


@pytest.fixture
def logged(reflex, tmp_path):  # noqa: F811
    """A log with words, and the ids of its decisions."""
    path = write_log(tmp_path / "decisions.jsonl", reflex, PROMPTS, content=True)
    return path, [line.id for line in lines_of(path)[::2]]  # the others are second turns


def add(path, *notes):
    with path.open("ab") as file:
        file.writelines(msgspec.json.encode(note) + b"\n" for note in notes)


def run(*arguments):
    return CliRunner().invoke(app, ["feedback", "export", *map(str, arguments)])


def written(folder, source):
    return [json.loads(line) for line in (folder / "train" / f"{source}.jsonl").read_text().splitlines()]


def test_verdicts_become_lines_that_training_reads(logged, tmp_path):
    path, (hello, proof, poem, again) = logged
    add(
        path,
        feedback(hello, "down"),
        feedback(hello, "up"),  # the last word counts
        feedback(again, "down"),  # the same prompt: a half
        feedback(proof, "down", tier="deep"),  # says nothing of fast
        shadow(proof, "deep", "deep-was-needed"),
        shadow(poem, "same", "fast-was-enough"),
        feedback("gone", "up"),
    )
    told = json.loads(run(path, "--out", tmp_path, "--json").stdout)
    assert (told["verdicts"], told["says_nothing"], told["unknown"]) == (6, 1, 1)
    assert told["lines"] == {"feedback": 1, "shadow": 2}
    [line] = written(tmp_path, "feedback")
    assert line["messages"] == [{"role": "user", "content": "Say hello"}]
    assert (line["fast_correct"], line["deep_correct"], line["language"]) == (0.5, None, "other")
    by_language = {line["language"]: line for line in written(tmp_path, "shadow")}
    assert (by_language["zh"]["fast_correct"], by_language["zh"]["deep_correct"]) == (1, 1)
    assert stat.S_IMODE((tmp_path / "train" / "shadow.jsonl").stat().st_mode) == 0o600
    examples = dataset.load(tmp_path)
    assert {example.source: example.label.recorded for example in examples} == {"feedback": True, "shadow": True}
    hard = {example.id: example.label.hard for example in examples}
    assert hard[poem] < hard[hello] < hard[proof]


def test_no_key_decides_alone(logged, tmp_path):
    path, ids = logged
    add(path, *(feedback(decision_id, "up") for decision_id in ids))
    result = run(path, "--out", tmp_path, "--most-per-key", 1)
    assert "1 prompts" in result.stdout
    assert "left out: 2 of keys with more prompts" in result.stdout


def test_a_log_without_words_is_told_how_to_get_them(reflex, tmp_path):  # noqa: F811
    path = write_log(tmp_path / "decisions.jsonl", reflex, PROMPTS)
    add(path, feedback(lines_of(path)[0].id, "up"))
    result = run(path, "--out", tmp_path)
    assert result.exit_code == 2
    assert "decision_log.content: true" in result.stderr
    assert not (tmp_path / "train").exists()


@pytest.mark.parametrize(
    ("notes", "why"),
    [
        ([], "there is no verdict"),
        ([feedback("gone", "up")], "in none of these files"),
    ],
)
def test_what_cannot_be_learnt_from_is_said_in_a_sentence(logged, tmp_path, notes, why):
    path, _ = logged
    add(path, *notes)
    result = run(path, "--out", tmp_path)
    assert (result.exit_code, why in result.stderr) == (2, True), result.stderr
