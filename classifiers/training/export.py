"""Writes a bundle: graph, word table, manifest with hashes, thresholds and golden examples."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from classifiers.bundle import FORMAT, GOLDEN, GRAPH, MANIFEST, BundleModel, Calibration, Manifest, conversation_from
from classifiers.features import FEATURES_VERSION, STRUCTURE
from classifiers.onnx import Graph
from classifiers.sentences import SentenceEncoder
from classifiers.terms import EVIDENCE_FILE, HASHES_FILE, TermTable
from classifiers.training.card import CARD
from classifiers.training.fit import CEILINGS, CLIP, HEADS, KINDS, SOUGHT, Heads
from classifiers.training.vocabulary import Vocabulary

_OPSET: Final = 17
_IR: Final = 8


@dataclass(frozen=True, slots=True)
class Trained:
    """Everything that goes into a bundle."""

    name: str
    heads: Heads
    vocabulary: Vocabulary
    encoder: Mapping[str, str] | None
    fast: Calibration
    deep: Calibration
    thresholds: Mapping[str, float]


def write(trained: Trained, folder: Path, golden: Sequence[Mapping[str, Any]], card: str) -> None:
    """Write the bundle into `folder` in one step: a reader sees the old one or the new one, never a mixture."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".new-") as scratch:
        fresh = Path(scratch) / folder.name
        fresh.mkdir()
        (fresh / GRAPH).write_bytes(build_graph(trained.heads).SerializeToString())
        table = term_table(trained)
        np.save(fresh / HASHES_FILE, table.hashes)
        np.save(fresh / EVIDENCE_FILE, table.evidence)
        (fresh / CARD).write_text(card, encoding="utf-8")
        _write_golden(trained, fresh, golden)
        _write_manifest(trained, fresh)
        if folder.exists():
            folder.rename(Path(scratch) / "old")
        fresh.rename(folder)


def term_table(trained: Trained) -> TermTable:
    """Give the table that serving looks terms up in."""
    weights = trained.vocabulary.weights[:, None]
    return TermTable(
        trained.vocabulary.hashes, np.hstack([weights, weights * trained.heads.evidence]).astype(np.float16)
    )


def build_graph(heads: Heads) -> Any:
    """Build the ONNX graph of the heads.

    ``dense``, ``lexical`` and where there is an encoder ``sentence`` go in; ``hard``, ``hard_deep``, ``tokens`` (each
    of shape ``(N,)``) and ``kind`` (probabilities, ``(N, len(KINDS))``) come out.
    """
    from onnx import TensorProto, checker, helper

    drawing = _Drawing()
    drawing.node("Sub", ["dense", drawing.constant("mean", heads.mean)], "centred")
    drawing.node("Div", ["centred", drawing.constant("deviation", heads.deviation)], "unclipped")
    drawing.node("Clip", ["unclipped", drawing.constant("low", -CLIP), drawing.constant("high", CLIP)], "scaled")
    weights = drawing.constant("dense_weights", heads.dense_weights)
    drawing.node("Gemm", ["scaled", weights, drawing.constant("bias", heads.bias)], "structural")
    last = drawing.node("Add", ["structural", "lexical"], "scores")
    wide = {"dense": heads.dense_weights.shape[0], "lexical": len(HEADS)}
    if heads.sentence_weights is not None:
        wide["sentence"] = heads.sentence_weights.shape[0]
        drawing.node("MatMul", ["sentence", drawing.constant("sentence_weights", heads.sentence_weights)], "meant")
        last = drawing.node("Add", ["scores", "meant"], "all_scores")
    drawing.split(last, len(HEADS) - len(KINDS))
    drawing.node("MatMul", ["scaled", drawing.constant("slopes", heads.slopes)], "by_kind")
    drawing.node("Min", ["by_kind", drawing.constant("ceilings", CEILINGS)], "bounded")
    drawing.node("Mul", ["kind", "bounded"], "weighed")
    drawing.node("ReduceSum", ["weighed", drawing.constant("over_kinds", [1], np.int64)], "inside", keepdims=0)
    for head in SOUGHT:
        drawing.node("Add", [f"level_{head}", "inside"], head)
    drawing.node("Identity", ["level_tokens"], "tokens")
    graph = helper.make_graph(
        drawing.nodes,
        "difficulty",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", size]) for name, size in wide.items()],
        [
            *(
                helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch"])
                for name in ("hard", "hard_deep", "tokens")
            ),
            helper.make_tensor_value_info("kind", TensorProto.FLOAT, ["batch", len(KINDS)]),
        ],
        drawing.constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR)
    checker.check_model(model)
    return model


class _Drawing:
    """Collects nodes and constants of a graph."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, name: str, value: Any, dtype: Any = np.float32) -> str:
        from onnx import numpy_helper

        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype=dtype), name))
        return name

    def node(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        from onnx import helper

        self.nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def split(self, scores: str, single: int) -> None:
        """Cut the scores into ``level_<head>``, one vector for each of the first heads, and ``kind``, a softmax."""
        for at, name in enumerate(HEADS[:single]):
            self.node("Gather", [scores, self.constant(f"at_{name}", at, np.int64)], f"level_{name}", axis=1)
        kinds = self.constant("at_kinds", np.arange(single, len(HEADS)), np.int64)
        self.node("Gather", [scores, kinds], "kind_scores", axis=1)
        self.node("Softmax", ["kind_scores"], "kind", axis=1)


def _write_golden(trained: Trained, folder: Path, golden: Sequence[Mapping[str, Any]]) -> None:
    encoder = None if trained.encoder is None else SentenceEncoder(trained.encoder)
    model = BundleModel(_manifest(trained, {}), TermTable.open(folder), Graph(folder / GRAPH), encoder)
    lines = []
    for example in golden:
        estimate = model.estimate(conversation_from(example))
        expected = {
            "difficulty": round(estimate.difficulty, 5),
            "p_deep": round(estimate.p_deep, 5),
            "kind": estimate.kind.value,
        }
        lines.append(json.dumps({**example, "estimate": expected}))  # escaped: one example is no valid UTF-8
    (folder / GOLDEN).write_text("\n".join(lines) + "\n", encoding="utf-8")


def _write_manifest(trained: Trained, folder: Path) -> None:
    serving = [path for path in sorted(folder.iterdir()) if path.name != CARD]  # the card may be written on
    hashes = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in serving}
    manifest = _manifest(trained, hashes)
    written = {
        "format": FORMAT,
        "name": manifest.name,
        "features_version": manifest.features_version,
        "structure": manifest.structure,
        "kinds": [kind.value for kind in manifest.kinds],
        "encoder": manifest.encoder,
        "thresholds": manifest.thresholds,
        "calibration": {"fast": _curve(manifest.fast), "deep": _curve(manifest.deep)},
        "files": hashes,
    }
    (folder / MANIFEST).write_text(json.dumps(written, indent=2) + "\n", encoding="utf-8")


def _manifest(trained: Trained, hashes: Mapping[str, str]) -> Manifest:
    return Manifest(
        name=trained.name,
        features_version=FEATURES_VERSION,
        structure=STRUCTURE,
        kinds=KINDS,
        encoder=trained.encoder,
        files=hashes,
        thresholds=trained.thresholds,
        fast=trained.fast,
        deep=trained.deep,
    )


def _curve(calibration: Calibration) -> dict[str, list[float]]:
    return {
        "raw": [round(value, 6) for value in calibration.raw],
        "probability": [round(value, 6) for value in calibration.probability],
    }
