"""The one command that makes a bundle: read, featurise, fit, calibrate, write. Finished stages are kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from classifiers import features, sentences, text
from classifiers.bundle import Calibration, model_features
from classifiers.features import FEATURES_VERSION
from classifiers.sentences import SentenceEncoder, file_hashes
from classifiers.terms import TermTable
from classifiers.training import calibrate, dataset, export, reference, vocabulary
from classifiers.training import fit as fitting
from classifiers.training.card import card
from classifiers.training.dataset import Example
from classifiers.training.fit import HEADS, KINDS, Floats, Heads, Inputs, Targets
from classifiers.training.golden import GOLDEN
from classifiers.training.progress import Stages
from classifiers.training.vocabulary import Vocabulary
from classifiers.types import Kind

CHAT_KINDS: Final = (Kind.CHAT, Kind.WRITING, Kind.KNOWLEDGE)
EVERYDAY: Final = 0.1
"""Difficulty label up to which a chat prompt counts as everyday."""

_FOLDS: Final = 3
_FEW_TEMPLATES: Final = 30


def train(
    data: Path,
    out: Path,
    *,
    cache: Path = Path(".cache/training"),
    cortex: bool = False,
    homemade: bool = True,
    show: bool = True,
) -> dict[str, Any]:
    """Train a bundle on the sources under `data` and write it to the folder `out`; its name becomes the bundle's.

    Stages that `cache` holds for the same data and code version are not computed again. Gives a summary: examples,
    thresholds, calibration error on the validation sources.

    Raises:
        DataError: if the data cannot be read.
    """
    with Stages(cache, show=show) as stages:
        examples = stages.do("read", lambda: dataset.load(data, _homemade() if homemade else ()))
        stages.key = f"{dataset.fingerprint(examples)}-{FEATURES_VERSION}"
        reading = (vocabulary, features, text)
        taught = [example for example in examples if example.split == "train"]
        held = [example for example in examples if example.split == "validation"]
        words = stages.kept("vocabulary", lambda: vocabulary.build(_last_turns(taught)), vocabulary)
        inputs = stages.kept("features", lambda: read_inputs(examples, words, None), *reading)
        if cortex:
            sentence = stages.kept("sentences", lambda: _encode(examples), text, sentences)
            inputs = Inputs(inputs.dense, inputs.terms, sentence)
        rows = np.array([example.split == "train" for example in examples])
        targets, weights = targets_of(taught), dataset.weights(taught)
        learnt = inputs.take(np.flatnonzero(rows))
        suffix = "-cortex" if cortex else ""
        heads = stages.kept(
            f"fit{suffix}", lambda: fitting.fit(learnt, targets, weights, words), *reading, fitting, dataset
        )
        crossed = stages.kept(
            f"cross-fit{suffix}", lambda: _cross_fit(learnt, targets, weights, words, heads), *reading, fitting, dataset
        )
        unseen = heads.score(inputs.take(np.flatnonzero(~rows)))
        fitted = _calibrated(crossed, targets, weights, unseen, held)
        trained = export.Trained(
            name=out.name,
            heads=heads,
            vocabulary=words,
            encoder=file_hashes() if cortex else None,
            fast=fitted.fast,
            deep=fitted.deep,
            thresholds=fitted.thresholds,
        )
        summary = {"bundle": out.name, "trained_on": len(taught), "thresholds": fitted.thresholds, **fitted.errors}
        stages.do("write", lambda: export.write(trained, out, GOLDEN, card(out.name, summary, cortex=cortex)))
        stages.do("reference", lambda: reference.write(out, examples))
    return summary


def read_inputs(examples: Sequence[Example], words: Vocabulary, encoder: SentenceEncoder | None) -> Inputs:
    """Compute the inputs of the fit with the very code that serves."""
    from scipy import sparse

    table = TermTable(words.hashes, np.zeros((len(words.hashes), 1), dtype=np.float16))
    dense, asked, sentences = model_features([example.conversation for example in examples], encoder)
    rows = [table.rows(terms) for terms in asked]
    values = [_unit(words.weights[found]) for found in rows]
    ends = np.cumsum([0, *map(len, rows)])
    terms = sparse.csr_matrix(
        (np.concatenate(values), np.concatenate(rows), ends), shape=(len(rows), len(words.hashes)), dtype=np.float32
    )
    return Inputs(dense, terms, sentences)


def targets_of(examples: Sequence[Example]) -> Targets:
    """Collect the labels."""
    labels = [example.label for example in examples]
    _, template = np.unique([example.domain for example in examples], return_inverse=True)
    return Targets(
        hard=np.array([each.hard for each in labels]),
        hard_deep=np.array([each.hard_deep for each in labels]),
        tokens=np.array([each.log_tokens for each in labels]),
        kind=np.array([-1 if each.kind is None else KINDS.index(each.kind) for each in labels]),
        template=template.astype(np.int64),
    )


def sets_thresholds(example: Example) -> bool:
    """Tell whether the dial's thresholds are chosen on an example: chat that people wrote.

    chat_self_instruct is not used: it was written to test ability (with a Sudoku, proofs, contest problems), and what
    of it is everyday chat also stands in alpaca_eval. Its share is reported all the same.
    """
    written_here = example.source.startswith("homemade_")
    return is_everyday_chat(example) and example.source != "chat_self_instruct" and not written_here


def is_everyday_chat(example: Example) -> bool:
    """Tell whether an example is chat that nobody would want to wait for."""
    chatty = example.source.startswith(("chat_", "alpaca", "homemade_chat", "homemade_writing"))
    return chatty and example.label.hard <= EVERYDAY and example.label.kind in CHAT_KINDS


def _homemade() -> Any:
    from classifiers.training import homemade

    return homemade.generate()


def _last_turns(examples: Sequence[Example]) -> list[str]:
    return [example.conversation.turns[-1].text for example in examples if example.conversation.turns]


def _encode(examples: Sequence[Example]) -> npt.NDArray[np.float32]:
    return model_features([example.conversation for example in examples], SentenceEncoder())[2]  # type: ignore[return-value]


def _unit(weights: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    scaled: npt.NDArray[np.float32] = weights / np.float32(max(float(np.sqrt(np.square(weights).sum())), 1.0))
    return scaled


def _cross_fit(inputs: Inputs, targets: Targets, weights: Floats, words: Vocabulary, whole: Heads) -> Floats:
    """Score every training example by heads that never saw its task template, as new traffic is scored.

    With few templates, as in logs of one's own, rows are parted instead: a fold must not hold all there is of a sort.
    """
    few = len(np.unique(targets.template)) < _FEW_TEMPLATES
    parted = np.arange(len(targets.template)) if few else targets.template
    folds = parted * 7919 % _FOLDS
    scores = np.zeros((len(folds), len(HEADS)))
    for fold in range(_FOLDS):
        learn, held = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        if not len(held):
            continue
        part = targets.take(learn)
        heads = fitting.fit(inputs.take(learn), part, weights[learn], words, whole)
        scores[held] = heads.score(inputs.take(held))
    return scores


@dataclass(frozen=True, slots=True)
class _Calibrated:
    fast: Calibration
    deep: Calibration
    thresholds: dict[str, float]
    errors: dict[str, float]


def _calibrated(
    crossed: Floats, targets: Targets, weights: Floats, unseen: Floats, held: Sequence[Example]
) -> _Calibrated:
    """Calibrate on what was held out: templates inside train by cross-fitting, and the validation sources."""
    from classifiers.training.metrics import reliability

    held_weights = dataset.weights(list(held)) if held else np.zeros(0)
    truth = targets_of(held) if held else None
    hard = np.concatenate([targets.hard, truth.hard]) if truth else targets.hard
    hard_deep = np.concatenate([targets.hard_deep, truth.hard_deep]) if truth else targets.hard_deep
    scores = np.vstack([crossed, unseen])
    # New sources count as much as new templates of known ones.
    mass = np.concatenate([weights / weights.sum(), held_weights / max(held_weights.sum(), 1.0)])
    fast = calibrate.isotonic(scores[:, 0], hard, mass)
    deep = calibrate.isotonic(scores[:, 1], hard_deep, mass)
    chat = np.array([sets_thresholds(example) for example in held], dtype=bool)
    claimed = np.asarray(fast(unseen[:, 0].astype(np.float32)))
    notches = (
        calibrate.thresholds(claimed[chat], np.array([example.source for example in held])[chat])
        if chat.any()
        else dict(calibrate.UNINFORMED)
    )
    all_claimed = np.asarray(fast(scores[:, 0].astype(np.float32)))
    errors = {"calibration_error": round(reliability(all_claimed, hard, mass).error, 4)}
    return _Calibrated(fast, deep, notches, errors)
