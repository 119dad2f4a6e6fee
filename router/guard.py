"""The safety net under the difficulty model: whatever it does, there is an estimate, and what went wrong is counted."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from classifiers.types import Conversation, DifficultyModel, Estimate


@dataclass(frozen=True, slots=True)
class FellBack:
    """The model raised, and the fallback judged instead.

    `where` is the file and line that raised. The exception's message is left out, because it may quote the prompt.
    """

    model: str
    error: str
    where: str


@dataclass(frozen=True, slots=True)
class Overran:
    """The model judged, but took longer than a decision may."""

    model: str
    seconds: float


GuardEvent = FellBack | Overran


class GuardedModel:
    """A difficulty model that never raises and whose slowness shows.

    Weakness: a model asked in this thread cannot be interrupted, so that an estimate that came late is counted and
    still used. A fallback's difficulty is held against the model's own thresholds, for which it is not calibrated.
    """

    def __init__(
        self,
        model: DifficultyModel,
        fallback: DifficultyModel,
        *,
        budget_s: float,
        on_event: Callable[[GuardEvent], None],
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._model = model
        self._fallback = fallback
        self._budget_s = budget_s
        self._on_event = on_event
        self._clock = clock

    @property
    def name(self) -> str:
        """The guarded model's."""
        return self._model.name

    @property
    def thresholds(self) -> Mapping[str, float]:
        """The guarded model's."""
        return self._model.thresholds

    def estimate(self, conversation: Conversation) -> Estimate:
        """Judge one conversation. Never raises, as long as the fallback does not."""
        started = self._clock()
        try:
            estimate = self._model.estimate(conversation)
        except Exception as error:  # noqa: BLE001 - a request must not fail for want of an estimate
            self._on_event(FellBack(self.name, type(error).__name__, _where(error)))
            return self._fallback.estimate(conversation)
        seconds = self._clock() - started
        if seconds > self._budget_s:
            self._on_event(Overran(self.name, seconds))
        return estimate


def _where(error: BaseException) -> str:
    """Give the file and line in which an exception was raised."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "" if trace is None else f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
