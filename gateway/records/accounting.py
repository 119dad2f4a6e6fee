"""One record per request, written once, in `finally`: done, failed or dropped."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from gateway.limits.limits import Used
from gateway.limits.reservation import Reservation, Standing
from gateway.records.prices import Price, Usage
from gateway.tracing import NO_SPAN, UNTRACED, Span, Trace
from router.types import Decision, RouteRequest, Target

Room = Literal["auth", "read", "parse", "decide", "limits", "vault", "cache", "queue", "open", "relay", "account"]
"""Where a request's time goes: `read` is its body's arrival, `queue` waiting in line, `relay` takes in slow clients."""


class Outcome(StrEnum):
    """How a request ended. `dropped`: the client left first."""

    DONE = "done"
    FAILED = "failed"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at one backend; `error` is the closed error code, None when it answered.

    `check` is what a cascade found in the answer (see `gateway.calls.cascade.Finding`), None where nothing was checked.
    """

    backend: str
    error: str | None
    check: str | None = None
    replica: str = ""
    """Which of the backend's servers was called; "" where none was."""

    @property
    def result(self) -> str:
        """What became of it, in one word."""
        return self.error or self.check or "ok"


@dataclass(slots=True)
class Spending:
    """What one call took whose answer was not given: a fast answer that failed its check, or a self-check."""

    backend: str
    usage: Usage
    cost: float | None = None


@dataclass(slots=True)
class Record:
    """All that is known of one request; filled in as it goes, frozen by nobody, written once."""

    endpoint: str
    started: float = field(default_factory=time.perf_counter)
    trace: Trace = UNTRACED
    """Where spans of it go; it records nothing where tracing is off."""
    tenant: str = ""
    key: str = ""
    trace_id: str = ""
    """The trace that the request belongs to, 32 hexadecimal digits; "" where it has none."""
    stream: bool = False
    request: RouteRequest | None = None
    conversation: str = ""
    """The conversation's name in the store: opaque, and never content."""
    decision: Decision | None = None
    cache: str = "bypass"
    """What the cache did: ``hit-exact``, ``hit-semantic``, ``hit-shared`` (another's call), ``miss`` or ``bypass``."""
    kept_as: tuple[str, str] | None = None
    """Where the semantic cache found the answer that was given: partition and name."""
    target: Target | None = None
    attempts: list[Attempt] = field(default_factory=list)
    thinking: str = ""
    """Effort asked and applied, as the header says it."""
    usage: Usage | None = None
    """Tokens of the call whose answer was given."""
    is_partial: bool = False
    """Whether that answer broke off, or its client left; its tokens may be an estimate then."""
    is_empty: bool = False
    """Whether it was cut before it said anything: thinking had used up `max_tokens`."""
    besides: list[Spending] = field(default_factory=list)
    """Further calls that were paid for."""
    own_cost: float | None = None
    """Dollars of the call whose answer was given; None when its price is unknown."""
    cost: float | None = None
    """Dollars of all calls as far as prices are known; None when none is."""
    saved: float | None = None
    """Dollars saved against always-deep; None when a price is unknown."""
    reservation: Reservation | None = None
    """What is set aside of the caller's limits, until the request has ended."""
    standing: tuple[Standing, ...] = ()
    """How the caller stands with its limits, for the answer's headers."""
    outcome: Outcome = Outcome.FAILED
    status: int = 0
    error: str | None = None
    decision_s: float = 0.0
    upstream_s: float = 0.0
    """Seconds spent waiting for backends: their share of the total."""
    queued_s: float = 0.0
    """Seconds spent waiting in line, and in pauses between two tries."""
    queue_place: Callable[[], int] | None = None
    """Looks up the place in the line while the request waits in one."""
    _waits_since: float = 0.0
    _wait: Span = NO_SPAN
    gateway_s: float = 0.0
    """Seconds until the answer's first byte that were spent neither waiting for backends nor in line."""
    rooms_s: dict[Room, float] = field(default_factory=dict)
    """The gateway's own seconds in each room, as far as the request came."""
    _entered: float = 0.0
    _waited: float = 0.0
    first_token_s: float | None = None
    thinking_s: float | None = None
    """Seconds from a stream's first reasoning to its first answer; None where it showed no reasoning before it."""
    total_s: float = 0.0

    def leave(self, room: Room) -> None:
        """Say that all since the last such word, but for waiting for backends and in line, was that room's."""
        now, waited = time.perf_counter(), self.upstream_s + self.queued_s
        spent = now - (self._entered or self.started) - (waited - self._waited)
        self.rooms_s[room] = self.rooms_s.get(room, 0.0) + max(spent, 0.0)
        self._entered, self._waited = now, waited

    def note_waiting(self, place: Callable[[], int] | None) -> None:
        """Note that the request waits in line, and how to look up its place; None that it does so no longer."""
        now = time.perf_counter()
        if place is None:
            self.queued_s += now - self._waits_since
            self._wait.end()
        else:
            self._wait = self.trace.begin("queue")
        self._waits_since, self.queue_place = now, place

    def used(self) -> Used:
        """Say what the finished request took of its caller's limits. A kept answer takes nothing of a tier's."""
        usages = [spending.usage for spending in self.besides]
        if self.usage is not None:
            usages.append(self.usage)
        is_served = self.target is not None and bool(usages or self.outcome is Outcome.DONE)
        tier = self.target.tier if self.target is not None and is_served and not self.is_kept else None
        return Used(sum(usage.input + usage.output for usage in usages), self.cost or 0.0, tier)

    @property
    def is_kept(self) -> bool:
        """Whether the answer came out of the cache."""
        return self.cache.startswith("hit")

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
        self._settle(record)
        for write in self.writers:
            write(record)

    def _settle(self, record: Record) -> None:
        for spending in record.besides:
            spending.cost = self._cost(spending.backend, spending.usage)
        if record.usage is not None and record.target is not None:
            record.own_cost = self._cost(record.target.backend, record.usage)
        costs = [record.own_cost, *(spending.cost for spending in record.besides)]
        known = [cost for cost in costs if cost is not None]
        if known:
            record.cost = sum(known)
        if record.usage is not None and record.cost is not None and len(known) == len(costs):
            record.saved = self._saved(record, record.usage, record.cost)

    def _cost(self, backend: str, usage: Usage) -> float | None:
        price = self.prices.get(backend)
        return None if price is None else price.cost(usage)

    def _saved(self, record: Record, usage: Usage, cost: float) -> float | None:
        """Compare with the same request answered by the deep tier, thinking as long as the model expects.

        A request that went deep saves nothing, and loses what was spent before it. The expected thinking is an
        estimate and so is the saving.
        """
        deep = self.prices.get(self.deep)
        decision = record.decision
        if deep is None or decision is None or record.target is None:
            return None
        if record.target.tier == "deep":
            return (record.own_cost or 0.0) - cost
        thinking = decision.estimate.thinking_tokens if decision.estimate else 0
        always_deep = Usage(usage.input, usage.output + thinking, usage.cached)
        return deep.cost(always_deep) - cost
