"""Judges a bundle on sources that it was not trained on, beside baselines that need no training or little."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from classifiers.bundle import BUNDLES, conversation_from
from classifiers.cascade import BatchModel, open_model
from classifiers.dial_curve import DialCurve, write_curve
from classifiers.training import baselines, dataset
from classifiers.training.dataset import Example
from classifiers.training.dial import dial_curve
from classifiers.training.metrics import Curve, Reliability, apgr, auc, cpt, curve, reliability
from classifiers.training.train import is_everyday_chat
from classifiers.types import Conversation, Estimate

Floats = npt.NDArray[np.float64]

_LEAST: Final = 30
"""Examples below which a group's figure would be noise."""
_SPREAD: Final = 0.05
"""Difference of labels below which there is nothing to tell apart."""
_BATCH: Final = 256
_BANDS: Final = ((0, 200), (200, 800), (800, 3_000), (3_000, 10**9))
_TIMINGS: Final = {"128 tokens": 512, "512 tokens": 2_048, "32k tokens": 131_072}
_FILLER: Final = "A tank holds 40 litres and fills at 3 litres a minute while a leak loses 1 litre; when is it full? "


@dataclass(frozen=True, slots=True)
class Judged:
    """Held-out examples with what the model and each baseline say of them."""

    examples: list[Example]
    estimates: list[Estimate]
    scores: Mapping[str, Floats]
    """By scorer; ``model`` is the bundle's difficulty."""


def evaluate(
    data: Path, bundle: str | Path, *, report: Path | None = None, homemade: bool = True, show: bool = True
) -> dict[str, Any]:
    """Judge a bundle on the validation split under `data`, and give every figure by name.

    With `report`, writes ``README.md`` and its pictures into that folder.

    Raises:
        DataError: if the data cannot be read.
        BundleError: if the bundle cannot be opened.
    """
    model = open_model(bundle)
    made, pairs, slices = _homemade() if homemade else ([], [], {})
    examples = dataset.load(data, made)
    taught = [example for example in examples if example.split == "train"]
    judged = judge(model, [example for example in examples if example.split == "validation"], taught)
    figures: dict[str, Any] = {
        "bundle": model.name,
        "sources": by_source(judged),
        "length_bands": by_length(judged),
        "languages": by_language(judged),
        "chat_deep": chat_sent_deep(judged, model.thresholds["balanced"]),
        "slices": {name: _slice(model, records) for name, records in slices.items() if records},
        "translations": consistency(model, pairs),
        "calibration_error": round(calibration(judged).error, 4),
        "latency_us": latency(model),
        "size_mb": _size(bundle),
        "threshold": model.thresholds["balanced"],
    }
    if report is not None:
        from classifiers.training.report import write

        folders = _folders(bundle)
        write(report, figures, judged, folders)
        if len(folders) == 1:
            write_curve(folders[0], draw_dial(model.name, judged))
    if show:
        from classifiers.training.report import print_tables

        print_tables(figures)
    return figures


def judge(model: BatchModel, held: list[Example], taught: Sequence[Example]) -> Judged:
    """Score the held-out examples with the model and with every baseline."""
    conversations = [example.conversation for example in held]
    estimates = [
        estimate
        for at in range(0, len(held), _BATCH)
        for estimate in model.estimate_many(conversations[at : at + _BATCH])
    ]
    scores = {
        "model": np.array([estimate.difficulty for estimate in estimates]),
        "length": baselines.length(held),
        "k-means": baselines.clusters(taught, held),
        "random": baselines.chance(held),
    }
    if (rules := baselines.litellm_rules(held)) is not None:
        scores["LiteLLM"] = rules
    return Judged(held, estimates, scores)


def by_source(judged: Judged) -> dict[str, Any]:
    """Give AUCs, APGR and CPT of every scorer, for each source whose labels differ."""
    found = {}
    for source, rows in _groups(judged, lambda example: example.source).items():
        hard = np.array([judged.examples[at].label.hard for at in rows])
        if len(rows) < _LEAST or np.ptp(hard) < _SPREAD:  # one label for all: nothing to tell apart
            continue
        outcome = outcomes(judged, rows)
        claimed = judged.scores["model"][rows]
        found[source] = {
            "n": len(rows),
            "calibration_error": _rounded(reliability(claimed, hard).error),
            **{name: _figures(scores[rows], hard, outcome) for name, scores in judged.scores.items()},
        }
    return found


def outcomes(judged: Judged, rows: Sequence[int]) -> tuple[Floats, Floats] | None:
    """Give what the recorded fast and deep model got right, where both were recorded for all rows."""
    records = [judged.examples[at].record for at in rows]
    if any(record.get("fast_correct") is None or record.get("deep_correct") is None for record in records):
        return None
    return (
        np.array([float(record["fast_correct"]) for record in records]),
        np.array([float(record["deep_correct"]) for record in records]),
    )


def _figures(scores: Floats, hard: Floats, outcome: tuple[Floats, Floats] | None) -> dict[str, float]:
    if outcome is None:
        return {"auc_hard": _rounded(auc(scores, _graded(hard)))}
    fast, deep = outcome
    drawn = curve(scores, fast, deep)
    return {
        "auc_hard": _rounded(auc(scores, 1 - fast)),
        "auc_only_deep": _rounded(auc(scores, (1 - fast) * deep)),
        "apgr": _rounded(apgr(drawn)),
        "cpt50": _rounded(cpt(drawn, 0.5)),
        "cpt80": _rounded(cpt(drawn, 0.8)),
    }


def _graded(hard: Floats) -> Floats:
    """Stretch labels over [0, 1]: an argued level is an order, not a count of failures."""
    stretched: Floats = (hard - hard.min()) / np.ptp(hard)
    return stretched


def by_length(judged: Judged) -> dict[str, Any]:
    """Give the AUC of "fast wrong" by length of the question in characters."""
    chars = baselines.length(judged.examples)
    rows = {f"{low}-{high}" if high < _BANDS[-1][1] else f"{low} and more": (low, high) for low, high in _BANDS}
    groups = {name: np.flatnonzero((chars >= low) & (chars < high)) for name, (low, high) in rows.items()}
    return _ranked(judged, groups)


def by_language(judged: Judged) -> dict[str, Any]:
    """Give the AUC of "fast wrong" by language: across sources, so that levels and not only order count."""
    return _ranked(judged, _groups(judged, lambda example: example.language))


def _ranked(judged: Judged, groups: Mapping[str, Sequence[int] | npt.NDArray[np.intp]]) -> dict[str, Any]:
    hard = np.array([example.label.hard for example in judged.examples])
    return {
        name: {
            "n": len(rows),
            **{each: _rounded(auc(values[rows], hard[rows])) for each, values in judged.scores.items()},
        }
        for name, rows in groups.items()
        if len(rows) >= _LEAST and np.ptp(hard[rows]) >= _SPREAD
    }


def chat_sent_deep(judged: Judged, threshold: float) -> dict[str, Any]:
    """Give the share of everyday chat that goes deep at the default threshold, by language and by source."""
    shares: dict[str, list[bool]] = defaultdict(list)
    for example, estimate in zip(judged.examples, judged.estimates, strict=True):
        if is_everyday_chat(example):
            shares[example.language].append(estimate.difficulty >= threshold)
            shares[f"source {example.source}"].append(estimate.difficulty >= threshold)
    return {
        name: {"n": len(deep), "deep": _rounded(float(np.mean(deep)))}
        for name, deep in sorted(shares.items())
        if len(deep) >= _LEAST
    }


def consistency(model: BatchModel, pairs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Give how far difficulty moves between translations of one held-out question."""
    held = [pair for pair in pairs if pair["split"] == "validation"]
    moves = []
    for pair in held:
        texts = [Conversation.from_prompt(text) for text in pair["texts"].values()]
        levels = [estimate.difficulty for estimate in model.estimate_many(texts)]
        moves += [abs(one - other) for one, other in combinations(levels, 2)]
    if not moves:
        return {}
    return {
        "questions": len(held),
        "mean_difference": _rounded(float(np.mean(moves))),
        "p90_difference": _rounded(float(np.quantile(moves, 0.9))),
    }


def calibration(judged: Judged) -> Reliability:
    """Compare claimed with observed difficulty over all held-out examples, sources weighted as in training."""
    observed = [example.label.hard for example in judged.examples]
    return reliability(judged.scores["model"], observed, dataset.weights(judged.examples))


def draw_dial(name: str, judged: Judged) -> DialCurve:
    """Draw what each threshold comes to: over all sources, and over those whose outcomes were recorded."""
    observed = []
    for source, rows in _groups(judged, lambda example: example.source).items():
        if (outcome := outcomes(judged, rows)) is not None:
            observed.append((source, np.array(rows), *outcome))
    return dial_curve(name, judged, observed)


def curves(judged: Judged, source: str) -> dict[str, Curve] | None:
    """Give a source's cost-quality curve by scorer, None where outcomes of only one model were recorded."""
    rows = [at for at, example in enumerate(judged.examples) if example.source == source]
    outcome = outcomes(judged, rows)
    if outcome is None:
        return None
    return {name: curve(scores[rows], *outcome) for name, scores in judged.scores.items()}


def latency(model: BatchModel, runs: int = 200) -> dict[str, dict[str, int]]:
    """Time single estimates, in microseconds, by length of the prompt (four characters to a token)."""
    found = {}
    for name, size in _TIMINGS.items():
        filler = (_FILLER * (size // len(_FILLER) + 1))[:size]
        times = []
        for run in range(runs):
            # Never the same twice: an encoder knows again what it has read a moment ago.
            conversation = Conversation.from_prompt(f"{run} {filler}")
            start = time.perf_counter_ns()
            model.estimate(conversation)
            times.append((time.perf_counter_ns() - start) / 1000)
        found[name] = {"p50": round(float(np.quantile(times, 0.5))), "p99": round(float(np.quantile(times, 0.99)))}
    return found


def _slice(model: BatchModel, records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    estimates = model.estimate_many([conversation_from(record) for record in records])
    labels = np.array([record["difficulty_num"] for record in records])
    claimed = np.array([estimate.difficulty for estimate in estimates])
    return {
        "n": len(records),
        "mean_label": _rounded(float(labels.mean())),
        "mean_difficulty": _rounded(float(claimed.mean())),
        "auc": _rounded(auc(claimed, _graded(labels))) if np.ptp(labels) >= _SPREAD else None,
        "deep": _rounded(float((claimed >= model.thresholds["balanced"]).mean())),
    }


def _groups(judged: Judged, key: Callable[[Example], str]) -> dict[str, list[int]]:
    groups: dict[str, list[int]] = defaultdict(list)
    for at, example in enumerate(judged.examples):
        groups[key(example)].append(at)
    return dict(sorted(groups.items()))


def _homemade() -> tuple[list[Any], list[Any], dict[str, Any]]:
    from classifiers.training import homemade

    return list(homemade.generate()), list(homemade.pairs()), homemade.slices()


def _size(bundle: str | Path) -> float:
    return round(sum(path.stat().st_size for folder in _folders(bundle) for path in folder.iterdir()) / 1e6, 2)


def _folders(bundle: str | Path) -> list[Path]:
    return [BUNDLES / name if (BUNDLES / name).is_dir() else Path(name) for name in str(bundle).split("+")]


def _rounded(value: float) -> float:
    return round(value, 3)
