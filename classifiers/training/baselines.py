"""What a trained model has to beat: length, chance, the level of the nearest cluster."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from classifiers.sentences import SentenceEncoder
from classifiers.text import read
from classifiers.training.dataset import Example

Floats = npt.NDArray[np.float64]

_CLUSTERS: Final = 64
_SAMPLE: Final = 4000


def length(examples: Sequence[Example]) -> Floats:
    """Score by the characters of the last user turn."""
    return np.array([read(example.conversation).question_chars for example in examples], dtype=float)


def chance(examples: Sequence[Example]) -> Floats:
    """Score at random, from a fixed seed."""
    return np.random.default_rng(0).random(len(examples))


def clusters(taught: Sequence[Example], examples: Sequence[Example]) -> Floats:
    """Score by the mean difficulty of the nearest of 64 clusters of training prompts in the encoder's space."""
    from sklearn.cluster import KMeans

    encoder = SentenceEncoder()
    chosen = np.random.default_rng(0).permutation(len(taught))[:_SAMPLE]
    sample = [taught[at] for at in chosen]
    places = encoder.encode([read(example.conversation).ask for example in sample])
    model = KMeans(min(_CLUSTERS, len(sample)), n_init=1, random_state=0).fit(places)
    hard = np.array([example.label.hard for example in sample])
    levels = np.array([hard[model.labels_ == cluster].mean() for cluster in range(model.n_clusters)])
    nearest = model.predict(encoder.encode([read(example.conversation).ask for example in examples]))
    scores: Floats = levels[nearest]
    return scores
