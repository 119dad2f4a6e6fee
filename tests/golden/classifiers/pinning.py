"""Computes what is pinned: the features of each conversation, and what every bundle and the engine make of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from classifiers.bundle import BundleModel, conversation_from, list_bundles, load_bundle
from classifiers.features import FEATURES_VERSION, STRUCTURE, extract
from classifiers.text import read
from classifiers.training.golden import GOLDEN
from router.types import Needs, RouteRequest
from tests.golden.conversations.judging import two_tier_engine

HERE = Path(__file__).parent
FEATURES = HERE / "features.jsonl"
DECISIONS = HERE / "decisions.jsonl"


def features() -> Iterator[dict[str, Any]]:
    """Structure by name (zeros left out), and the hashes of the ask's first terms."""
    for example in GOLDEN:
        found = extract(read(conversation_from(example)))
        named = zip(STRUCTURE, found.dense.tolist(), strict=True)
        yield {
            "id": example["id"],
            "version": FEATURES_VERSION,
            "structure": {name: round(value, 4) for name, value in named if value},
            "terms": found.ask_terms[:8].tolist(),
            "term_count": len(found.ask_terms),
        }


def decisions() -> Iterator[dict[str, Any]]:
    """What each shipped bundle says, and where the default dial sends it."""
    for name in list_bundles():
        model = load_bundle(name)
        yield from (_decision(model, example) for example in GOLDEN)


def _decision(model: BundleModel, example: Mapping[str, Any]) -> dict[str, Any]:
    conversation = conversation_from(example)
    decision = two_tier_engine(model).decide(RouteRequest("auto", conversation, Needs(prompt_tokens=200)))
    estimate = decision.estimate
    assert estimate is not None
    return {
        "bundle": model.name,
        "id": example["id"],
        "difficulty": round(estimate.difficulty, 3),
        "p_deep": round(estimate.p_deep, 3),
        "kind": estimate.kind.value,
        "tier": decision.tier.value if decision.tier else None,
        "effort": decision.effort.value if decision.effort else None,
        "reason": decision.reason.value,
    }
