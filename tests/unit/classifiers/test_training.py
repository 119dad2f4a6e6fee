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


@pytest.mark.usefixtures("without_encoder")
def test_logs_of_ones_own_without_templates_or_validation_are_enough(tmp_path: Path):
    (tmp_path / "data" / "train").mkdir(parents=True)
    lines = [
        {"messages": [{"role": "user", "content": f"prove the integer equation {at}"}], "fast_correct": 0}
        if at % 2
        else {"messages": [{"role": "user", "content": f"tell me a story about cat {at}"}], "fast_correct": 1}
        for at in range(60)
    ]
    (tmp_path / "data" / "train" / "mine.jsonl").write_text("\n".join(map(json.dumps, lines)))
    train.train(tmp_path / "data", tmp_path / "mine-v1", cache=tmp_path / "cache", homemade=False, show=False)
    model = load_bundle(tmp_path / "mine-v1")
    hard = model.estimate(Conversation.from_prompt("prove the integer equation"))
    assert hard.difficulty > model.estimate(Conversation.from_prompt("tell me a story about cat")).difficulty + 0.1


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


def test_calibration_recovers_a_known_curve_and_keeps_every_order():
    raw = np.linspace(-4, 4, 4000)
    found = calibrate.isotonic(raw, 1 / (1 + np.exp(-(2 * raw - 1))), np.ones(4000))
    for score, probability in ((0.5, 0.5), (-2.0, 0.0067), (2.0, 0.953)):
        assert found.of_one(score) == pytest.approx(probability, abs=0.03)
    rising = found(np.linspace(-9, 9, 500).astype(np.float32))
    assert (np.diff(rising) >= 0).all()
    assert (np.diff(rising[120:380]) > 0).all()


def test_one_score_is_calibrated_as_an_array_of_them_is():
    found = calibrate.isotonic(np.array([0.0, 1.0, 2.0]), np.array([0.1, 0.9, 0.5]), np.ones(3))
    for score in (-20.0, -0.3, 0.0, 0.7, 1.0, 3.5, 20.0):
        assert found.of_one(score) == pytest.approx(float(found(np.array([score], np.float32))[0]), abs=1e-6)


def test_a_plateau_still_tells_more_from_less():
    found = calibrate.isotonic(np.linspace(-1, 1, 500), np.full(500, 0.4), np.ones(500))
    assert found.of_one(0.5) > found.of_one(0.4) > found.of_one(-0.5)


def test_vocabulary_is_sorted_by_hash_for_the_lookup(without_encoder: None):
    found: Vocabulary = vocabulary.build(["one two three"] * 4)
    assert (np.diff(found.hashes.astype(np.int64)) > 0).all()
