"""One record per request, written once, in `finally`: done, failed or dropped."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from gateway.prices import Price, Usage
from router.types import Decision, RouteRequest, Target


class Outcome(StrEnum):
    """How a request ended. `dropped`: the client left first."""

    DONE = "done"
    FAILED = "failed"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at one backend; `error` is the closed error code, None when it answered."""

    backend: str
    error: str | None


@dataclass(slots=True)
class Record:
    """All that is known of one request; filled in as it goes, frozen by nobody, written once."""

    endpoint: str
    started: float = field(default_factory=time.perf_counter)
    tenant: str = ""
    key: str = ""
    stream: bool = False
    request: RouteRequest | None = None
    decision: Decision | None = None
    cache: str = "bypass"
    """What the cache did: ``hit-exact``, ``miss`` or ``bypass``."""
    target: Target | None = None
    attempts: list[Attempt] = field(default_factory=list)
    thinking: str = ""
    """Effort asked and applied, as the header says it."""
    usage: Usage | None = None
    cost: float | None = None
    saved: float | None = None
    """Dollars saved against always-deep; None when a price is unknown."""
    outcome: Outcome = Outcome.FAILED
    status: int = 0
    error: str | None = None
    decision_s: float = 0.0
    upstream_s: float = 0.0
    """Seconds spent waiting for backends: their share of the total."""
    gateway_s: float = 0.0
    """Seconds until the answer's first byte that were not spent waiting for backends."""
    first_token_s: float | None = None
    total_s: float = 0.0

    def since_start(self) -> float:
        """Seconds since the request came in."""
        return time.perf_counter() - self.started


Writer = Callable[[Record], None]
"""Something that takes a finished record: metrics, the log, a ledger."""


@dataclass(frozen=True, slots=True)
class Accounts:
    """Closes records: settles what they cost and hands them to every writer."""

    prices: dict[str, Price]
    deep: str
    """The backend that always-deep would have used."""
    writers: tuple[Writer, ...]

    def close(self, record: Record) -> None:
        """Finish a record. Called exactly once per request."""
        record.total_s = record.since_start()
        if record.usage is not None and record.target is not None:
            price = self.prices.get(record.target.backend)
            if price is not None:
                record.cost = price.cost(record.usage)
                record.saved = self._saved(record, record.usage, record.cost)
        for write in self.writers:
            write(record)

    def _saved(self, record: Record, usage: Usage, cost: float) -> float | None:
        """Compare with the same request answered by the deep tier, thinking as long as the model expects.

        A request that went deep saves nothing. The expected thinking is an estimate and so is the saving.
        """
        deep = self.prices.get(self.deep)
        decision = record.decision
        if deep is None or decision is None or record.target is None:
            return None
        if record.target.tier == "deep":
            return 0.0
        thinking = decision.estimate.thinking_tokens if decision.estimate else 0
        always_deep = Usage(usage.input, usage.output + thinking, usage.cached)
        return deep.cost(always_deep) - cost
