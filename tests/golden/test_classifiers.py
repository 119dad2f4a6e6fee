"""Features and decisions stay as pinned; ``python -m tests.golden.classifiers`` writes them again."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.golden.classifiers.pinning import DECISIONS, FEATURES, decisions, features


def pinned(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_every_feature_of_every_golden_conversation_is_as_pinned():
    found = list(features())
    assert [row["id"] for row in found] == [row["id"] for row in pinned(FEATURES)]
    for now, before in zip(found, pinned(FEATURES), strict=True):
        assert now["structure"] == pytest.approx(before["structure"], abs=1e-3), now["id"]
        assert {**now, "structure": None} == {**before, "structure": None}


def test_every_bundle_decides_as_pinned():
    found = list(decisions())
    assert len(found) == len(pinned(DECISIONS))
    for now, before in zip(found, pinned(DECISIONS), strict=True):
        judged = {name: now.pop(name) for name in ("difficulty", "p_deep")}
        assert judged == pytest.approx({name: before.pop(name) for name in judged}, abs=2e-3), now
        assert now == before
