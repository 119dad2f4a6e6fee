"""Every bundle loads, refuses to be tampered with, and says the same wherever it runs."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from classifiers.bundle import BUNDLES, BundleError, BundleModel, list_bundles, load_bundle
from classifiers.heuristic import HeuristicModel
from classifiers.types import Conversation, Kind, Turn

ODD_TEXTS = ["", " ", "\x00", "\ud83d", "😀" * 50, "a" * 200_000, "\\", "１２３", "﷽", "```"]


@pytest.fixture(scope="module")
def reflex() -> BundleModel:
    return load_bundle("reflex-v1")


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    return Path(shutil.copytree(BUNDLES / "reflex-v1", tmp_path / "reflex-v1"))


@pytest.mark.parametrize("name", list_bundles())
def test_a_bundle_loads_in_the_c_locale_and_without_any_training_package(name: str):
    program = (
        "import sys; from classifiers.bundle import load_bundle; from classifiers.types import Conversation\n"
        f"model = load_bundle({name!r}); model.estimate(Conversation.from_prompt('\\u8bc1\\u660e'))\n"
        "assert not {'sklearn', 'onnx', 'matplotlib', 'scipy'} & set(sys.modules)"
    )
    environment = {**os.environ, "LANG": "C", "LC_ALL": "C"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("file", ["graph.onnx", "term_evidence.npy", "term_hashes.npy", "golden.jsonl"])
def test_a_changed_file_is_refused_by_name(copied: Path, file: str):
    with (copied / file).open("ab") as tampered:
        tampered.write(b" ")
    with pytest.raises(BundleError, match=f"{file}: its hash is"):
        load_bundle(copied)


def test_a_missing_file_is_refused_by_name(copied: Path):
    (copied / "graph.onnx").unlink()
    with pytest.raises(BundleError, match=r"graph\.onnx: cannot be read"):
        load_bundle(copied)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"format": 99}, "format 99"),
        ({"features_version": 0}, "features version 0"),
        ({"structure": ["words"]}, "train it again"),
        ({"thresholds": None}, "not a readable manifest"),
    ],
)
def test_a_manifest_of_another_make_is_refused_with_what_to_do(copied: Path, change: dict[str, object], told: str):
    path = copied / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(BundleError, match=told):
        load_bundle(copied)


def test_a_bundle_whose_golden_estimates_do_not_come_out_is_refused(copied: Path):
    path = copied / "manifest.json"
    written = json.loads(path.read_text())
    written["calibration"]["fast"]["raw"] = [value + 1 for value in written["calibration"]["fast"]["raw"]]
    path.write_text(json.dumps(written))
    with pytest.raises(BundleError, match="golden example"):
        load_bundle(copied)


def test_an_unknown_bundle_is_refused_with_those_that_there_are():
    with pytest.raises(BundleError, match="reflex-v1"):
        load_bundle("no-such-bundle")


@pytest.mark.parametrize("text", ODD_TEXTS, ids=[f"odd {at}" for at in range(len(ODD_TEXTS))])
def test_no_text_is_too_odd_to_judge(reflex: BundleModel, text: str):
    for model in (reflex, HeuristicModel()):
        estimate = model.estimate(Conversation.from_prompt(text))
        assert 0 <= estimate.difficulty <= 1
        assert estimate.p_fast == pytest.approx(1 - estimate.difficulty)
        assert estimate.thinking_tokens >= 0


def test_a_conversation_without_turns_is_judged(reflex: BundleModel):
    assert reflex.estimate(Conversation(())).difficulty <= 1


@pytest.mark.parametrize(
    ("prompt", "deep"),
    [
        ("How do I boil an egg?", False),
        ("番茄炒蛋怎么做才好吃？", False),
        ("Comment faire une bonne omelette ?", False),
        ("What is the capital of France?", False),
        ("think through how to boil an egg: python api", False),
        ("Prove that there are infinitely many primes congruent to 3 modulo 4.", True),
        ("证明：存在无穷多个模 4 余 3 的素数。", True),
        ("Beweise, dass es unendlich viele Primzahlen gibt, die kongruent zu 3 modulo 4 sind.", True),
        ("设正整数 $a,b,c$ 满足 $a^2+b^2=c^2$，且 $c-b=9$，求满足 $a<2000$ 的三元组的个数。", True),
    ],
)
def test_reflex_sends_the_hard_deep_and_the_everyday_fast(reflex: BundleModel, prompt: str, deep: bool):
    estimate = reflex.estimate(Conversation.from_prompt(prompt))
    assert (estimate.difficulty >= reflex.thresholds["balanced"]) is deep


def test_a_batch_says_what_single_estimates_say(reflex: BundleModel):
    conversations = [Conversation.from_prompt(text) for text in ("hi", "Prove Fermat's little theorem.", "写一首诗")]
    together = reflex.estimate_many(conversations)
    for one, other in zip(together, map(reflex.estimate, conversations), strict=True):
        assert one.difficulty == pytest.approx(other.difficulty, abs=1e-5)
        assert one.kind is other.kind


def test_a_turn_that_only_refers_is_judged_by_what_it_refers_to(reflex: BundleModel):
    hard = "Prove that there are infinitely many primes congruent to 3 modulo 4."
    turns = (Turn("user", hard), Turn("assistant", "Shall I?"), Turn("user", "继续"))
    bare = reflex.estimate(Conversation.from_prompt("继续")).difficulty
    assert reflex.estimate(Conversation(turns)).difficulty > bare + 0.2


def test_the_dials_thresholds_fall_from_cheap_to_max(reflex: BundleModel):
    assert list(reflex.thresholds) == ["cheap", "balanced", "quality", "max"]
    assert sorted(reflex.thresholds.values(), reverse=True) == list(reflex.thresholds.values())


def test_the_heuristic_tells_code_from_chat():
    model = HeuristicModel()
    assert model.estimate(Conversation.from_prompt("fix this function:\n```\ndef f(): pass\n```")).kind is Kind.CODING
    assert model.estimate(Conversation.from_prompt("good evening")).kind is Kind.CHAT
