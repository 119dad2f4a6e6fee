"""Opens a bundle, a folder with one trained model, and refuses one that is not what its manifest says."""

from __future__ import annotations

import hashlib
import json
import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from classifiers.features import FEATURES_VERSION, STRUCTURE, extract
from classifiers.onnx import Graph, as_float32
from classifiers.sentences import EncoderUnavailable, SentenceEncoder
from classifiers.terms import TermTable
from classifiers.text import read
from classifiers.types import Conversation, Estimate, Kind, Role, Turn

BUNDLES: Final = Path(__file__).parent / "bundles"
"""Where the bundles that come with the project lie."""

DEFAULT_BUNDLE: Final = "reflex-v1"
"""The one that serves where nothing else is said."""

MANIFEST: Final = "manifest.json"
GOLDEN: Final = "golden.jsonl"
GRAPH: Final = "graph.onnx"
FORMAT: Final = 1

_TOLERANCE: Final = 2e-3
"""How far a golden estimate may move between machines: float32 sums differ in their last digits."""


_ROLES: Final[Mapping[str, Role]] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
    "function": "tool",
}


class BundleError(Exception):
    """A bundle cannot be used; the message names the folder, what is wrong and what to do."""


@dataclass(frozen=True)
class Calibration:
    """A rising curve from raw score to probability, linear between its knots."""

    raw: tuple[float, ...]
    probability: tuple[float, ...]

    def __call__(self, raw: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Map raw scores to probabilities, element by element."""
        return np.interp(raw, self.raw, self.probability)

    def of_one(self, raw: float) -> float:
        """Map one raw score: a tenth of what an array of one costs."""
        at = bisect_right(self.raw, raw)
        if at == 0:
            return self.probability[0]
        if at == len(self.raw):
            return self.probability[-1]
        share = (raw - self.raw[at - 1]) / (self.raw[at] - self.raw[at - 1])
        return self.probability[at - 1] + share * (self.probability[at] - self.probability[at - 1])


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a bundle says of itself."""

    name: str
    features_version: int
    structure: tuple[str, ...]
    kinds: tuple[Kind, ...]
    encoder: Mapping[str, str] | None
    """SHA-256 of the sentence encoder's files, where the bundle reads sentences too (`cortex`)."""
    files: Mapping[str, str]
    """SHA-256 of every other file, in hex, by name."""
    thresholds: Mapping[str, float]
    fast: Calibration
    """From the graph's `hard` to the probability that a fast model falls short."""
    deep: Calibration
    """From the graph's `hard_deep` to the probability that a deep model falls short."""
    reference: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    """Shares of each signal's bins over the training data, see `classifiers.training.reference`."""


class BundleModel:
    """One trained model: structure and terms, and with an encoder whole sentences, through one small graph."""

    def __init__(
        self, manifest: Manifest, terms: TermTable, graph: Graph, encoder: SentenceEncoder | None = None
    ) -> None:
        self._manifest = manifest
        self._terms = terms
        self._graph = graph
        self._encoder = encoder

    @property
    def name(self) -> str:
        """The bundle's name and version."""
        return self._manifest.name

    @property
    def thresholds(self) -> Mapping[str, float]:
        """Difficulty from which each notch of the dial goes deep."""
        return self._manifest.thresholds

    @property
    def reference(self) -> Mapping[str, tuple[float, ...]]:
        """How it judged its training data, as shares by signal; empty where that was not measured."""
        return self._manifest.reference

    @property
    def reads_sentences(self) -> bool:
        """Whether an encoder is part of it: then an estimate takes milliseconds, too long for an event loop."""
        return self._encoder is not None

    @property
    def encoder(self) -> SentenceEncoder | None:
        """The sentence encoder, where there is one: others may want what it embeds."""
        return self._encoder

    def estimate(self, conversation: Conversation) -> Estimate:
        """Judge one conversation. Never raises, for any text."""
        return self._read_outputs(self._graph.run(graph_inputs([conversation], self._terms, self._encoder)), 0)

    def estimate_many(self, conversations: Sequence[Conversation]) -> list[Estimate]:
        """Judge a batch in one run of the graph: several times faster a prompt than one by one."""
        if not conversations:
            return []
        outputs = self._graph.run(graph_inputs(conversations, self._terms, self._encoder))
        return [self._read_outputs(outputs, at) for at in range(len(conversations))]

    def _read_outputs(self, outputs: Mapping[str, npt.NDArray[np.float32]], at: int) -> Estimate:
        raw = float(outputs["hard"][at])
        difficulty = self._manifest.fast.of_one(raw)
        kinds = outputs["kind"][at]
        best = int(kinds.argmax())
        return Estimate(
            difficulty=difficulty,
            p_fast=1.0 - difficulty,
            p_deep=1.0 - self._manifest.deep.of_one(float(outputs["hard_deep"][at])),
            kind=self._manifest.kinds[best],
            kind_confidence=float(kinds[best]),
            thinking_tokens=max(round(math.expm1(float(outputs["tokens"][at]))), 0),
            raw=raw,
            model=self.name,
        )


def graph_inputs(
    conversations: Iterable[Conversation], terms: TermTable, encoder: SentenceEncoder | None
) -> dict[str, npt.NDArray[np.float32]]:
    """Give the graph's inputs.

    ``dense`` is structure, shape ``(N, len(STRUCTURE))``; ``lexical`` what the terms say, ``(N, outputs)``; and
    ``sentence``, where there is an encoder, the ask's embedding.
    """
    dense, asked, sentence = model_features(conversations, encoder)
    inputs = {"dense": dense, "lexical": as_float32([terms.read(each) for each in asked])}
    return inputs if sentence is None else {**inputs, "sentence": sentence}


def model_features(
    conversations: Iterable[Conversation], encoder: SentenceEncoder | None
) -> tuple[npt.NDArray[np.float32], list[npt.NDArray[np.uint32]], npt.NDArray[np.float32] | None]:
    """Read conversations as far as no weights are needed: structure, terms of the ask, and its embedding."""
    readings = [read(conversation) for conversation in conversations]
    features = [extract(reading) for reading in readings]
    sentence = None if encoder is None else encoder.encode([reading.ask for reading in readings])
    return as_float32([each.dense for each in features]), [each.ask_terms for each in features], sentence


def list_bundles(folder: Path = BUNDLES) -> list[str]:
    """Give the names of the bundles in a folder, sorted."""
    return sorted(path.parent.name for path in folder.glob(f"*/{MANIFEST}"))


def load_bundle(name_or_path: str | Path) -> BundleModel:
    """Open a bundle by the name of one that comes with the project, or by the path of any other.

    Raises:
        BundleError: if it is not there, is of another format or feature version, or a file's hash or a golden
            estimate is not what was recorded when it was trained.
    """
    folder = _find(name_or_path)
    manifest = _read_manifest(folder)
    _check_hashes(folder, manifest)
    encoder = _open_encoder(folder, manifest)
    model = BundleModel(manifest, TermTable.open(folder), Graph(folder / GRAPH), encoder)
    _check_golden(folder, model)
    return model


def _find(name_or_path: str | Path) -> Path:
    for folder in (BUNDLES / name_or_path, Path(name_or_path)):
        if (folder / MANIFEST).is_file():
            return folder
    known = ", ".join(list_bundles()) or "none"
    raise BundleError(f"there is no bundle {str(name_or_path)!r}: give a folder with a {MANIFEST}, or one of: {known}")


def _read_manifest(folder: Path) -> Manifest:
    path = folder / MANIFEST
    try:
        written = json.loads(path.read_text(encoding="utf-8"))
        if written["format"] != FORMAT:
            raise BundleError(f"{path}: format {written['format']}, this version reads {FORMAT}; train it again")
        manifest = _manifest(written)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BundleError(f"{path}: not a readable manifest ({error!r}); train the bundle again") from error
    if manifest.features_version != FEATURES_VERSION or manifest.structure != STRUCTURE:
        raise BundleError(
            f"{path}: trained on features version {manifest.features_version}, "
            f"this version computes {FEATURES_VERSION}; train it again"
        )
    return manifest


def _manifest(written: Mapping[str, Any]) -> Manifest:
    return Manifest(
        name=written["name"],
        features_version=written["features_version"],
        structure=tuple(written["structure"]),
        kinds=tuple(Kind(kind) for kind in written["kinds"]),
        encoder=written["encoder"],
        files=dict(written["files"]),
        thresholds={notch: float(value) for notch, value in written["thresholds"].items()},
        fast=_calibration(written["calibration"]["fast"]),
        deep=_calibration(written["calibration"]["deep"]),
        reference={signal: tuple(shares) for signal, shares in written.get("reference", {}).items()},
    )


def _calibration(written: Mapping[str, Sequence[float]]) -> Calibration:
    return Calibration(tuple(map(float, written["raw"])), tuple(map(float, written["probability"])))


def _open_encoder(folder: Path, manifest: Manifest) -> SentenceEncoder | None:
    if manifest.encoder is None:
        return None
    try:
        return SentenceEncoder(manifest.encoder)
    except EncoderUnavailable as error:
        raise BundleError(f"{folder}: {error}") from error


def _check_hashes(folder: Path, manifest: Manifest) -> None:
    for name, recorded in manifest.files.items():
        try:
            with (folder / name).open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise BundleError(f"{folder / name}: cannot be read ({error.strerror}); fetch the bundle again") from error
        if found != recorded:
            raise BundleError(
                f"{folder / name}: its hash is {found[:12]}…, the manifest says {recorded[:12]}…; fetch it again"
            )


def _check_golden(folder: Path, model: BundleModel) -> None:
    examples = [json.loads(line) for line in (folder / GOLDEN).read_text(encoding="utf-8").splitlines()]
    estimates = model.estimate_many([conversation_from(example) for example in examples])
    for example, estimate in zip(examples, estimates, strict=True):
        expected = example["estimate"]
        moved = max(abs(getattr(estimate, name) - expected[name]) for name in ("difficulty", "p_deep"))
        if moved > _TOLERANCE or estimate.kind != expected["kind"]:
            raise BundleError(
                f"{folder}: golden example {example['id']!r} gives difficulty {estimate.difficulty:.3f} and kind "
                f"{estimate.kind.value}, recorded were {expected['difficulty']:.3f} and {expected['kind']}; "
                "this code and this bundle do not belong together: train it again"
            )


def conversation_from(record: Mapping[str, Any]) -> Conversation:
    """Read a conversation from ``{"prompt": …}`` or ``{"messages": […]}`` (texts only), with an optional ``tools``.

    Raises:
        KeyError, TypeError: if it has neither, or a message is not an object with role and content.
    """
    if "messages" not in record:
        turns: tuple[Turn, ...] = (Turn("user", str(record["prompt"])),)
    else:
        turns = tuple(_turn(message) for message in record["messages"])
    tools = record.get("tools") or 0
    return Conversation(turns, len(tools) if isinstance(tools, list) else int(tools))


def _turn(message: Mapping[str, Any]) -> Turn:
    role = message["role"]
    content = message.get("content")
    if isinstance(content, list):
        content = "\n".join(part.get("text", "") for part in content if part.get("type") == "text")
    return Turn(_ROLES.get(str(role), "user"), str(content or ""))
