"""What a trained model has to beat: length, chance, the level of the nearest cluster, another gateway's rules."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
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


# LiteLLM's complexity router as it comes: its keyword rules, no model, its four tiers. In a process of its own, since
# the import costs seconds and over 100 MB. Tiers order first, as it routes by them; its score orders inside a tier.
_LITELLM_RULES: Final = """
import json, sys
import litellm
from litellm.router_strategy.complexity_router.complexity_router import ComplexityRouter
tiers = ("SIMPLE", "MEDIUM", "COMPLEX", "REASONING")
rules = ComplexityRouter("auto", litellm.Router(), {"tiers": {tier: tier.lower() for tier in tiers}})
for line in sys.stdin:
    prompt, system = json.loads(line)
    tier, score, _ = rules.classify(prompt, system or None)
    print(json.dumps(10 * tiers.index(getattr(tier, "value", tier)) + score))
"""


def litellm_rules(examples: Sequence[Example]) -> Floats | None:
    """Score by LiteLLM's complexity router, or give None where LiteLLM is not installed."""
    if find_spec("litellm") is None:
        return None
    readings = [read(example.conversation) for example in examples]
    lines = "".join(f"{json.dumps([reading.question, reading.system])}\n" for reading in readings)
    found = subprocess.run(  # noqa: S603 - our own script in our own interpreter
        [sys.executable, "-c", _LITELLM_RULES],
        input=lines.encode(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True"},  # else it looks for its price map on the network
        check=True,
    )
    return np.array([float(line) for line in found.stdout.split()])
