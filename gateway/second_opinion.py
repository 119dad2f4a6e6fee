"""A slow difficulty model beside the fast one: off the event loop, many requests at once, and never waited for long."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from classifiers.cascade import Batcher, BundleCascade
from classifiers.types import Conversation, Estimate
from router.engine import Engine
from router.guard import FellBack, GuardEvent, Overran
from router.signals import Signals, judged_again
from router.types import RouteRequest


class SecondOpinion:
    """Asks a cascade's second model where the first is unsure and nobody but difficulty settles the tier.

    Weakness: under a load that the second model cannot keep up with, its queue eats the budget and the first
    model's estimates are acted on; `thalamus_decision_overruns` counts that.
    """

    def __init__(
        self, cascade: BundleCascade, batcher: Batcher, *, budget_s: float, on_event: Callable[[GuardEvent], None]
    ) -> None:
        self._cascade = cascade
        self._batcher = batcher
        self._budget_s = budget_s
        self._on_event = on_event

    async def read(self, engine: Engine, request: RouteRequest) -> Signals | None:
        """Read a request's signals, with the second model's estimate where it may change the tier. Never raises."""
        signals = engine.read(request)
        if signals is None or request.tier is not None or request.effort is not None or signals.tool_needs.in_loop:
            return signals
        if not self._cascade.unsure(signals.estimate, engine.threshold(request)):
            return signals
        estimate = await self._judge(request.conversation)
        return signals if estimate is None else judged_again(signals, estimate, request)

    async def _judge(self, conversation: Conversation) -> Estimate | None:
        """Ask the second model; None if it fails or does not answer in time."""
        name, started = self._cascade.second.name, time.perf_counter()
        try:
            async with asyncio.timeout(self._budget_s):
                return await asyncio.wrap_future(self._batcher.submit(conversation))
        except TimeoutError:
            self._on_event(Overran(name, time.perf_counter() - started))
        except Exception as error:  # noqa: BLE001 - a request must not fail for want of a second opinion
            self._on_event(FellBack(name, type(error).__name__, ""))
        return None
