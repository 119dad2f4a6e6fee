"""How a bundle judges its own training data: what traffic is compared with, to see it drift.

`thalamus train` writes it into the manifest. `python -m classifiers.training.reference --data FOLDER BUNDLE …` writes
it into bundles that were trained before there was such a thing.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from classifiers.bundle import MANIFEST, load_bundle
from classifiers.cascade import BatchModel
from classifiers.training import dataset
from classifiers.training.dataset import Example
from classifiers.training.homemade import generate
from classifiers.traits import SIGNALS, place

_SAMPLE: Final = 4000
"""Examples drawn by their weight: a share of one in a hundred is then known to a sixth of itself."""


def measure(model: BatchModel, examples: Sequence[Example]) -> dict[str, list[float]]:
    """Give, for each signal of `traits`, the shares of its bins. The training examples count by their weights."""
    train = [example for example in examples if example.split == "train"]
    weights = dataset.weights(train)
    drawn = np.random.default_rng(0).choice(len(train), size=_SAMPLE, p=weights / weights.sum())
    conversations = [train[at].conversation for at in drawn]
    places = []
    for start in range(0, _SAMPLE, 256):
        batch = conversations[start : start + 256]
        for conversation, estimate in zip(batch, model.estimate_many(batch), strict=True):
            places.append(place(conversation, estimate.difficulty, estimate.kind))
    found = [Counter(bins) for bins in zip(*places, strict=True)]
    return {
        signal: [round(counts[at] / _SAMPLE, 5) for at in range(size)]
        for (signal, size), counts in zip(SIGNALS.items(), found, strict=True)
    }


def write(folder: Path, examples: Sequence[Example]) -> None:
    """Measure a bundle, and write what was found into its manifest."""
    path = folder / MANIFEST
    manifest = json.loads(path.read_text(encoding="utf-8"))
    manifest["reference"] = measure(load_bundle(folder), examples)
    path.write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    """Write the references of bundles that have none."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("bundles", type=Path, nargs="+")
    options = parser.parse_args()
    examples = dataset.load(options.data, generate())
    for folder in options.bundles:
        write(folder, examples)


if __name__ == "__main__":
    main()
