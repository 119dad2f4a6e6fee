"""The training command, end to end on a tiny made data set: deterministic, resumable, clear about bad data."""

import json
from pathlib import Path

import numpy as np
import pytest

from classifiers.bundle import load_bundle
from classifiers.training import calibrate, dataset, train, vocabulary
from classifiers.training.labels import label, linked
from classifiers.training.vocabulary import Vocabulary
from classifiers.types import Conversation


def write_data(folder: Path) -> Path:
    for split in dataset.SPLITS:
        (folder / split).mkdir(parents=True)
        for source, prompt, difficulty in (
            ("chat_made", "tell me a nice story about cat number {}", "everyday"),
            ("maths_made", "prove that the integer equation x^{} + y = 3 has no solution", "level 5"),
        ):
            start = 0 if split == "train" else 100
            lines = [
                {"id": at, "prompt": prompt.format(at), "difficulty": difficulty, "domain": str(at % 3), "kind": kind}
                for at in range(start, start + 40)
                for kind in ["maths" if source == "maths_made" else "chat"]
            ]
            (folder / split / f"{source}.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return folder


@pytest.fixture
def without_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Word places from a seed: the encoder's weights are too slow to open for a unit test."""

    class Encoder:
        class _tokenizer:  # noqa: N801 - the encoder's own name
            _pieces = ("▁prove", "▁story")
            _scores = (-1.0, -2.0)

        def encode(self, terms: list[str]) -> np.ndarray:
            return np.random.default_rng(0).normal(size=(len(terms), 512)).astype(np.float32)

    monkeypatch.setattr(vocabulary, "load_encoder", Encoder)


@pytest.mark.usefixtures("without_encoder")
def test_training_makes_a_bundle_that_loads_and_tells_hard_from_easy(tmp_path: Path):
    data = write_data(tmp_path / "data")
    kwargs = {"cache": tmp_path / "cache", "homemade": False, "show": False}
    summary = train.train(data, tmp_path / "tiny-v1", **kwargs)
    model = load_bundle(tmp_path / "tiny-v1")
    easy, hard = model.estimate_many(
        [Conversation.from_prompt("tell me a nice story"), Conversation.from_prompt("prove that the integer equation")]
    )
    assert hard.difficulty > easy.difficulty + 0.1
    assert (hard.kind.value, easy.kind.value) == ("maths", "chat")
    assert summary["trained_on"] == 80

    again = train.train(data, tmp_path / "again" / "tiny-v1", **{**kwargs, "cache": tmp_path / "other"})
    assert again == summary
    for file in ("graph.onnx", "term_evidence.npy", "manifest.json"):
        assert (tmp_path / "tiny-v1" / file).read_bytes() == (tmp_path / "again" / "tiny-v1" / file).read_bytes()


def test_an_empty_folder_is_refused_with_what_belongs_there(tmp_path: Path):
    with pytest.raises(dataset.DataError, match=r"docs/data\.md"):
        dataset.load(tmp_path)


def test_a_broken_line_is_named(tmp_path: Path):
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "logs.jsonl").write_text('{"prompt": "hi", "difficulty_num": 0.1}\n{oops\n')
    with pytest.raises(dataset.DataError, match=r"logs\.jsonl:2"):
        dataset.load(tmp_path)


@pytest.mark.parametrize(
    ("record", "hard"),
    [
        ({"difficulty": "everyday"}, 0.03),
        ({"difficulty": "level 5"}, 0.45),
        ({"difficulty_num": 0.7}, 0.7),
        ({"fast_correct": 1, "deep_correct": 1}, 0.25),
        ({"fast_correct": 0, "models": {"a": 0, "b": 0, "o1-mini": 1}}, 2.0 * 3 / 4 / 2 + 0.125),
    ],
)
def test_labels_say_how_often_fast_models_fall_short(record: dict[str, object], hard: float):
    found = label("mine", record)
    assert found is not None
    assert found.hard == pytest.approx(hard)


def test_a_record_without_label_teaches_nothing():
    assert label("mine", {"prompt": "hi"}) is None


def test_linking_keeps_the_order_and_reaches_the_accuracy():
    moved = linked([0.2, 0.5, 0.9], 0.9)
    assert moved == sorted(moved)
    assert np.mean(moved) == pytest.approx(0.1, abs=1e-6)


def test_templates_and_sources_of_many_rows_do_not_decide_alone(tmp_path: Path):
    (tmp_path / "train").mkdir()
    for source, rows in (("small", 100), ("large", 900)):
        lines = [json.dumps({"prompt": f"{source} {at}", "difficulty_num": 0.5}) for at in range(rows)]
        (tmp_path / "train" / f"{source}.jsonl").write_text("\n".join(lines))
    examples = dataset.load(tmp_path)
    weights = dataset.weights(examples)
    small = weights[[example.source == "small" for example in examples]].sum()
    assert weights.sum() / small == pytest.approx(4.0)


def test_platt_recovers_a_known_curve():
    raw = np.linspace(-4, 4, 400)
    found = calibrate.platt(raw, 1 / (1 + np.exp(-(2 * raw - 1))), np.ones(400))
    assert float(found(np.array([0.5], dtype=np.float32))[0]) == pytest.approx(0.5, abs=0.02)


def test_vocabulary_is_sorted_by_hash_for_the_lookup(without_encoder: None):
    found: Vocabulary = vocabulary.build(["one two three"] * 4)
    assert (np.diff(found.hashes.astype(np.int64)) > 0).all()
