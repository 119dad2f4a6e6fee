"""Runs the slow model only where the fast one is unsure, and gathers concurrent requests into one batch."""

from __future__ import annotations

import queue
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Final, Protocol, Self

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


class Batcher:
    """Owns one thread that runs a slow model; whatever has arrived while it was busy becomes its next batch.

    Nothing waits for company: a single request starts at once, and under load batches grow by themselves. Open it
    with ``with``; `close` waits for the batch under way and cancels what is still queued.
    """

    def __init__(self, model: BatchModel, most: int = _BATCH) -> None:
        self._model = model
        self._most = most
        self._waiting: queue.SimpleQueue[tuple[Conversation, Future[Estimate]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=f"batcher-{model.name}", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def submit(self, conversation: Conversation) -> Future[Estimate]:
        """Queue one conversation. In asyncio, await ``asyncio.wrap_future(batcher.submit(conversation))``."""
        future: Future[Estimate] = Future()
        self._waiting.put((conversation, future))
        return future

    def swap(self, model: BatchModel) -> None:
        """Judge by another model from the next batch on, also what is already queued."""
        self._model = model

    def close(self) -> None:
        """Stop the thread; estimates that have not been started are cancelled."""
        self._waiting.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (first := self._waiting.get()) is not None:
            batch, ending = self._gather(first)
            self._answer(batch)
            if ending:
                break
        self._cancel_rest()

    def _gather(
        self, first: tuple[Conversation, Future[Estimate]]
    ) -> tuple[list[tuple[Conversation, Future[Estimate]]], bool]:
        batch = [first]
        while len(batch) < self._most:
            try:
                following = self._waiting.get_nowait()
            except queue.Empty:
                break
            if following is None:
                return batch, True
            batch.append(following)
        return batch, False

    def _answer(self, batch: list[tuple[Conversation, Future[Estimate]]]) -> None:
        wanted = [(conversation, future) for conversation, future in batch if future.set_running_or_notify_cancel()]
        try:
            estimates = self._model.estimate_many([conversation for conversation, _ in wanted])
        except Exception as error:  # noqa: BLE001 - handed to each waiting caller, who sees it raised
            for _, future in wanted:
                future.set_exception(error)
            return
        for (_, future), estimate in zip(wanted, estimates, strict=True):
            future.set_result(estimate)

    def _cancel_rest(self) -> None:
        while True:
            try:
                left = self._waiting.get_nowait()
            except queue.Empty:
                return
            if left is not None:
                left[1].cancel()


class BundleCascade:
    """Two models as one: `first` judges everything, `second` only what lies near a threshold.

    `estimate` runs `second` in the caller's thread. A server calls `glance`, and where `unsure` says so hands the
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

    def glance(self, conversation: Conversation) -> Estimate:
        """Judge with the first model alone."""
        return self.first.estimate(conversation)

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


def open_model(name_or_path: str | Path) -> BundleModel | BundleCascade:
    """Open what a setting names: a bundle, or two joined by ``+``, of which the second judges what the first doubts.

    Raises:
        BundleError: as `load_bundle` does.
    """
    first, plus, second = str(name_or_path).partition("+")
    if not plus or Path(name_or_path).is_dir():
        return load_bundle(name_or_path)
    return BundleCascade(load_bundle(first), load_bundle(second))
