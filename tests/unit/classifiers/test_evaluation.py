"""The report is written from held-out data, beside its baselines, and the commands say plainly what is wrong."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from classifiers.bundle import load_bundle
from classifiers.training import baselines, evaluate, train, vocabulary
from classifiers.training.dataset import Example
from classifiers.training.labels import Label
from classifiers.types import Conversation
from gateway.cli import app
from tests.unit.classifiers.test_training import write_data

OUTCOMES = [
    # A fast model fails exactly where "integer" stands, and a deep one does not.
    {"prompt": f"the integer equation {'x ' * (at % 7)}number {at}", "fast_correct": 0, "deep_correct": 1}
    if at % 2
    else {"prompt": f"a nice story about cat {'and dog ' * (at % 5)}number {at}", "fast_correct": 1, "deep_correct": 1}
    for at in range(120)
]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A data folder and a bundle trained on it; word places come from a seed."""
    folder = tmp_path_factory.mktemp("evaluation")
    data = write_data(folder / "data")
    lines = [json.dumps({**record, "id": at, "domain": "made"}) for at, record in enumerate(OUTCOMES)]
    (data / "train" / "outcomes.jsonl").write_text("\n".join(lines[:60]))
    (data / "validation" / "outcomes_held.jsonl").write_text("\n".join(lines[60:]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vocabulary, "load_encoder", _Encoder)
        train.train(data, folder / "tiny-v1", cache=folder / "cache", homemade=False, show=False)
    return data, folder / "tiny-v1"


class _Encoder:
    class _tokenizer:  # noqa: N801 - the encoder's own name
        _pieces = ("▁integer", "▁story")
        _scores = (-1.0, -2.0)

    def encode(self, terms: list[str]):
        import numpy as np

        return np.random.default_rng(0).normal(size=(len(terms), 512)).astype(np.float32)


def test_a_model_that_learnt_is_reported_above_chance_with_pictures(tiny: tuple[Path, Path], tmp_path: Path):
    data, bundle = tiny
    figures = evaluate.evaluate(data, bundle, report=tmp_path, homemade=False, show=False)
    held = figures["sources"]["outcomes_held"]
    assert held["n"] == 60
    assert held["model"]["auc_hard"] > 0.95
    assert held["model"]["apgr"] > 0.7
    assert held["random"]["auc_hard"] == pytest.approx(0.5, abs=0.2)
    assert set(held) >= {"model", "length", "k-means", "random", "LiteLLM", "calibration_error"}
    page = (tmp_path / "tiny-v1.md").read_text()
    assert "| outcomes_held | 60 | APGR |" in page
    card = (bundle / "MODEL_CARD.md").read_text()
    assert "| outcomes_held: APGR |" in card
    assert "tiny-v1-reliability.png)" in card
    assert load_bundle(bundle).name == "tiny-v1"  # a card that was written on is no broken bundle
    for picture in ("tiny-v1-reliability.png", "tiny-v1-outcomes_held.png"):
        assert (tmp_path / picture).read_bytes().startswith(b"\x89PNG")
        assert picture in page


def test_litellms_rules_score_as_its_own_bake_off_says():
    proof, egg = (
        "Prove there are infinitely many primes ≡ 3 mod 4",
        "Explain, step by step, think through how to boil an egg: python api",
    )
    label = Label(hard=0.5, hard_deep=0.5, recorded=False, kind=None, log_tokens=0.0)
    examples = [
        Example("made", "", "made/", "en", "validation", Conversation.from_prompt(prompt), label, {})
        for prompt in (proof, egg)
    ]
    scores = baselines.litellm_rules(examples)
    assert scores is not None
    assert scores[0] < 10 < 30 <= scores[1]  # SIMPLE for the proof, REASONING for the egg


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["evaluate", "--data", "{empty}"], "found no train/*.jsonl.gz"),
        (["evaluate", "--data", "{data}", "--bundle", "nobody-v9"], "there is no bundle 'nobody-v9'"),
        (["train", "--data", "{empty}", "--out", "{out}"], "found no train/*.jsonl.gz"),
    ],
)
def test_a_command_that_cannot_go_on_says_what_to_do(
    tiny: tuple[Path, Path], tmp_path: Path, arguments: list[str], told: str
):
    places = {"empty": str(tmp_path), "data": str(tiny[0]), "out": str(tmp_path / "out")}
    done = CliRunner().invoke(app, [each.format(**places) for each in arguments])
    assert done.exit_code == 2
    assert told in done.stderr.replace("\n", " ")


def test_evaluate_prints_its_figures_as_json(tiny: tuple[Path, Path]):
    data, bundle = tiny
    arguments = ["evaluate", "--data", str(data), "--bundle", str(bundle), "--no-homemade", "--json"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["bundle"] == "tiny-v1"
