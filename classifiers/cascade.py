"""Runs the slow model only where the fast one is unsure, and gathers concurrent requests into one batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol

from classifiers.batching import Batches
from classifiers.bundle import BundleModel, load_bundle
from classifiers.types import Conversation, DifficultyModel, Estimate

_BATCH: Final = 16
_BAND: Final = 0.12
"""How near to a threshold an estimate must be for a second opinion to be able to change the tier."""


class BatchModel(DifficultyModel, Protocol):
    """A model that judges several conversations at less than their separate cost."""

    def estimate_many(self, conversations: Sequence[Conversation]) -> list[Estimate]:
        """Judge a batch, in order."""
        ...


class Batcher(Batches[Conversation, Estimate]):
    """Batches for a slow model."""

    def __init__(self, model: BatchModel, most: int = _BATCH) -> None:
        super().__init__(model.estimate_many, name=model.name, most=most)

    def swap(self, model: BatchModel) -> None:
        """Judge by another model from the next batch on, also what is already queued."""
        self._do = model.estimate_many


class BundleCascade:
    """Two models as one: `first` judges everything, `second` only what lies near a threshold.

    `estimate` runs `second` in the caller's thread. A server asks `at_once`, and where `unsure` says so hands the
    conversation to a `Batcher` over `second`, off its event loop.
    """

    def __init__(self, first: BatchModel, second: BatchModel, band: float = _BAND) -> None:
        self.first = first
        self.second = second
        self._band = band

    @property
    def name(self) -> str:
        """Both names."""
        return f"{self.first.name}+{self.second.name}"

    @property
    def thresholds(self) -> Mapping[str, float]:
        """The second model's: where the tier hangs on a threshold, it is the second that judges."""
        return self.second.thresholds

    @property
    def reference(self) -> Mapping[str, tuple[float, ...]]:
        """The first model's: it judges everything."""
        return getattr(self.first, "reference", {})

    @property
    def at_once(self) -> DifficultyModel:
        """The first model alone, by the cascade's thresholds: nobody waits for the second."""
        return _AtOnce(self)

    def unsure(self, estimate: Estimate, threshold: float) -> bool:
        """Tell whether a second opinion could change the tier."""
        return abs(estimate.difficulty - threshold) <= self._band

    def estimate(self, conversation: Conversation) -> Estimate:
        """Judge with the first model, and with the second too where the balanced notch hangs on it."""
        return self.estimate_many([conversation])[0]

    def estimate_many(self, conversations: Sequence[Conversation]) -> list[Estimate]:
        """Judge a batch with the first model, and in a second batch what it is unsure of."""
        estimates = self.first.estimate_many(conversations)
        threshold = self.thresholds["balanced"]
        doubtful = [at for at, estimate in enumerate(estimates) if self.unsure(estimate, threshold)]
        for at, estimate in zip(
            doubtful, self.second.estimate_many([conversations[at] for at in doubtful]), strict=True
        ):
            estimates[at] = estimate
        return estimates


class _AtOnce:
    """A cascade without its second model."""

    def __init__(self, cascade: BundleCascade) -> None:
        self.name = cascade.name
        self.thresholds = cascade.thresholds
        self.estimate = cascade.first.estimate


def open_model(name_or_path: str | Path) -> BundleModel | BundleCascade:
    """Open what a setting names: a bundle, or two joined by ``+``, of which the second judges what the first doubts.

    Raises:
        BundleError: as `load_bundle` does.
    """
    first, plus, second = str(name_or_path).partition("+")
    if not plus or Path(name_or_path).is_dir():
        return load_bundle(name_or_path)
    return BundleCascade(load_bundle(first), load_bundle(second))
