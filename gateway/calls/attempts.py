"""Whom to ask, in which order, how often and how long, until somebody has begun to answer.

One round asks every target of the decision in its order, and of each target every replica that may be called; once
all have failed there is a pause, and the next round begins. What ends it: a first useful byte, a refusal that nobody
else would take back, the number of calls, the pauses' sum, the request's deadline, or an empty purse of retries.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Generic, Protocol, TypeVar

from gateway.admission import Gate, Slot
from gateway.calls.budgets import Beginnings, RetryBudget
from gateway.errors import (
    UpstreamBusy,
    UpstreamContentRefused,
    UpstreamContextExceeded,
    UpstreamError,
    UpstreamMisconfigured,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from gateway.queueing import SentAway
from gateway.records.accounting import Attempt, Record
from gateway.settings import AttemptsSettings
from gateway.upstream.pool import AllTried, Asking, Backend, Pool
from gateway.upstream.replica import Lease, Replica
from router.types import Target, Tier


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One call to be made. Whoever gets it releases the lease."""

    target: Target
    lease: Lease
    ends_at: float
    """When the request's deadline is (loop's clock)."""


class Given(Protocol):
    """What a call gave."""

    @property
    def step(self) -> Step:
        """The call."""
        ...

    async def discard(self) -> None:
        """Close what was opened: it lost a race."""
        ...


G = TypeVar("G", bound=Given)
Ask = Callable[[Step], Awaitable[G]]
Running = dict[asyncio.Task[G | UpstreamError | None], Step]


@dataclass(frozen=True, slots=True)
class AttemptEvent:
    """Something about attempts worth counting: `hedge` (sent, won, lost), `retry` (sent, refused by the purse)."""

    what: str
    backend: str
    result: str


class Attempts:
    """What all requests share: the settings and the purses."""

    def __init__(self, settings: AttemptsSettings, on_event: Callable[[AttemptEvent], None]) -> None:
        self.settings = settings
        self.retries = RetryBudget(settings.retry_share, settings.retries_per_s)
        self.hedge = settings.hedge
        self.hedges = RetryBudget(settings.hedge.share if settings.hedge else 0.0, 0.0)
        self.on_event = on_event
        self._beginnings: dict[tuple[str, bool], Beginnings] = {}

    def ends_at(self, record: Record) -> float:
        """Say when a request's deadline is (loop's clock)."""
        return asyncio.get_running_loop().time() - record.since_start() + self.settings.deadline_s

    def beginnings(self, backend: str, *, stream: bool) -> Beginnings:
        """Give what is known of how long a backend takes to begin streams, or whole answers."""
        found = self._beginnings.get((backend, stream))
        if found is None:
            quantile = self.hedge.quantile if self.hedge else 0.95
            found = self._beginnings[backend, stream] = Beginnings(quantile)
        return found


class Course(Generic[G]):
    """One request's way through its targets.

    Args:
        attempts: settings and purses.
        targets: in the decision's order.
        backends: by name.
        asking: what is looked for in every pool, for a target.
        record: gets one `Attempt` for each call and each target that could not be called.
        gates: of tiers that take only so many requests at once.
    """

    def __init__(
        self,
        attempts: Attempts,
        targets: Sequence[Target],
        backends: Callable[[str], Backend],
        asking: Callable[[Target, Pool], Asking],
        record: Record,
        gates: Mapping[Tier, Gate] | None = None,
    ) -> None:
        self._attempts = attempts
        self.settings = attempts.settings
        self._targets = list(targets)
        self._backends = backends
        self._asking = asking
        self._record = record
        self._gates = gates
        self._entered: tuple[Tier, Slot] | None = None
        self._loop = asyncio.get_running_loop()
        self.ends_at = attempts.ends_at(record)
        self._tried: set[Replica] = set()
        self._banned: set[Replica] = set()
        self._asked: set[str] = set()
        self._calls = 0
        self._round = 1
        self._paused_s = 0.0
        self._failure: UpstreamError | None = None
        self._skipped: set[str] = set()
        attempts.retries.request()

    async def run(self, ask: Ask[G]) -> G:
        """Ask until somebody has begun to answer.

        Raises:
            UpstreamError: nobody has; the failure that tells most.
        """
        try:
            while (step := await self._next_step()) is not None:
                began = self._loop.time()
                try:
                    given = await self._call(step, ask)
                except UpstreamError as error:
                    self._record.upstream_s += self._loop.time() - began  # a call that goes well counts for itself
                    if not self._goes_on_after(step, error):
                        self._failure = None
                        raise
                else:
                    self._note_success(given.step)
                    return given
        finally:
            self._leave()
        raise self._take_failure() or UpstreamTimeout("The request's deadline has passed.", backend="")

    def go_on(self, broken: Step, error: UpstreamError, can: Callable[[Target], bool]) -> None:
        """Note that an answer broke off after it had begun; from now on only those are asked who can go on with it."""
        self._note_call(broken, error)
        self._targets = [target for target in self._targets if can(target)]
        for target in self._targets or [broken.target]:
            result = "asked" if self._targets else "nobody"
            self._attempts.on_event(AttemptEvent("continue", target.backend, result))
            break

    def _take_failure(self) -> UpstreamError | None:
        """Give the failure and forget it: its traceback holds the course."""
        failure, self._failure = self._failure, None
        return failure

    def _note_success(self, step: Step) -> None:
        self._failure = None
        self._record.attempts.append(Attempt(step.target.backend, None, replica=step.lease.replica.name))
        if self._entered is not None:
            step.lease.release_with_it(self._entered[1])
            self._entered = None

    async def _enter(self, target: Target, asking: Asking) -> None:
        """Take a place in the target's tier, where there are only so many, and leave the one before.

        Raises:
            SentAway: there is none, and no place to wait for one.
        """
        if not self._gates or (self._entered is not None and self._entered[0] is target.tier):
            return
        self._leave()
        if target.tier is not None and (gate := self._gates.get(target.tier)) is not None:
            self._entered = target.tier, await gate.enter(asking.visitor)

    def _leave(self) -> None:
        entered, self._entered = self._entered, None
        if entered is not None:
            entered[1].release()

    async def _next_step(self) -> Step | None:
        """Find whom to ask next, after a pause if need be; None if there is nobody, or no more time."""
        while self._targets and self._calls < self.settings.most and self._loop.time() < self.ends_at:
            for target in self._targets:
                if (lease := await self._lease(target)) is not None:
                    self._calls += 1
                    self._asked.add(target.backend)
                    self._record.target = target  # until another one is asked, or answers
                    return Step(target, lease, self.ends_at)
            if not await self._pause():
                return None
            self._round += 1
            self._tried = set(self._banned)
        return None

    async def _lease(self, target: Target) -> Lease | None:
        """Get the right to call a target; None if it cannot be called, or not again in this round."""
        pool = self._backends(target.backend).pool
        again = target.backend in self._asked
        asking = self._asking(target, pool)
        if self._tried or self._round > 1:
            asking = replace(asking, tried=self._tried, despite_failures=self._round > 1)
        if again and not pool.is_worth_asking(asking):
            return None
        if again and not self._attempts.retries.spend():
            self._attempts.on_event(AttemptEvent("retry", target.backend, "refused"))
            return None
        try:
            await self._enter(target, asking)
            return await pool.lease(asking)
        except AllTried:
            return None
        except UpstreamUnavailable as error:
            self._skip(target, error)
        except SentAway as sent_away:
            self._skip(target, _busy(target.backend, sent_away))
        return None

    def _skip(self, target: Target, error: UpstreamError) -> None:
        """Pass a target by that cannot be called, and tell so once."""
        if self._failure is None or isinstance(self._failure, UpstreamUnavailable):
            self._failure = error
        if target.backend not in self._skipped:
            self._skipped.add(target.backend)
            self._record.attempts.append(Attempt(target.backend, error.code))

    def _goes_on_after(self, step: Step, error: UpstreamError) -> bool:
        """Learn from a failed call whom not to ask; False where nobody else would do better."""
        target, replica = step.target, step.lease.replica
        self._note_call(step, error)
        if not error.retryable:
            return False
        if isinstance(error, UpstreamMisconfigured):
            self._banned.add(replica)
        elif isinstance(error, (UpstreamContextExceeded, UpstreamContentRefused)):
            refused = self._backends(target.backend)
            self._targets = [one for one in self._targets if _may_take(self._backends(one.backend), refused, error)]
        return True

    def _note_call(self, step: Step, error: UpstreamError) -> None:
        replica = step.lease.replica
        self._record.attempts.append(Attempt(step.target.backend, error.code, replica=replica.name))
        self._failure = error
        self._tried.add(replica)

    async def _pause(self) -> bool:
        """Wait before everybody is asked again; False if that is not worth it, or would take too long."""
        if not self._targets or (self._round > 1 and not self._tried - self._banned and not self._coolest()):
            return False
        settings = self.settings
        drawn = random.uniform(0, min(settings.backoff_s * 2 ** (self._round - 1), settings.most_backoff_s))
        pause = max(drawn if self._calls else 0.0, self._coolest())
        if self._paused_s + pause > settings.patience_s or self._loop.time() + pause >= self.ends_at:
            return False
        self._paused_s += pause
        self._record.queued_s += pause
        with self._record.trace.begin("pause"):
            await asyncio.sleep(pause)
        return True

    def _coolest(self) -> float:
        """Seconds until the first replica may be called that is only to be left alone for a while; 0 if one may now."""
        waits = [self._backends(target.backend).pool.cools_for_s() for target in self._targets]
        return min(waits, default=0.0)

    async def _call(self, step: Step, ask: Ask[G]) -> G:
        hedge = self._attempts.hedge
        if hedge is None or step.target.tier not in hedge.tiers:
            return await ask(step)
        beginnings = self._attempts.beginnings(step.target.backend, stream=self._record.stream)
        self._attempts.hedges.request()
        started, usual = self._loop.time(), beginnings.value()
        if usual is None:
            given = await ask(step)
        else:
            given = await self._race(step, ask, max(usual, hedge.least_s))
        beginnings.add(self._loop.time() - started)
        return given

    async def _race(self, step: Step, ask: Ask[G], patience_s: float) -> G:
        """Ask; if no answer has begun after a while, ask somebody else as well, and keep what begins first."""
        running: Running[G] = {asyncio.create_task(_outcome(ask, step)): step}
        began = hedged = self._loop.time()
        try:
            await asyncio.wait(running, timeout=patience_s)
            first = next(iter(running))
            if not first.done() and (other := self._second(step)) is not None:
                hedged = self._loop.time()
                running[asyncio.create_task(_outcome(ask, other))] = other
            given = await self._first_of(running, step)
            if isinstance(given, UpstreamError):
                raise given.again()
            if given.step is not step:
                self._record.upstream_s += hedged - began  # for the first alone
            return given
        finally:
            await _throw_away(running)

    def _second(self, step: Step) -> Step | None:
        """Find somebody to ask besides: another replica, or else the tier's next target; free at once, or nobody."""
        same_tier = [target for target in self._targets if target.tier is step.target.tier]
        for target in same_tier:
            pool = self._backends(target.backend).pool
            asking = replace(self._asking(target, pool), tried={*self._tried, step.lease.replica}, affinity=None)
            if not pool.is_worth_asking(asking):
                continue
            if not self._attempts.hedges.spend():
                self._attempts.on_event(AttemptEvent("hedge", target.backend, "refused"))
                return None
            lease = pool.try_lease(asking)
            if lease is not None:
                self._calls += 1
                self._attempts.on_event(AttemptEvent("hedge", target.backend, "sent"))
                return Step(target, lease, self.ends_at)
        return None

    async def _first_of(self, running: Running[G], first: Step) -> G | UpstreamError:
        """Wait for the first call that goes well; when all fail, give the first call's failure."""
        pending, failures = set(running), dict[Step, UpstreamError]()
        while pending:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for call in done:
                step, outcome = running[call], call.result()
                if isinstance(outcome, UpstreamError):
                    failures[step] = outcome
                    if step is not first:
                        self._goes_on_after(step, outcome)  # whatever it is: the first call may yet be answered
                elif outcome is not None:
                    del running[call]
                    if step is not first:
                        self._attempts.on_event(AttemptEvent("hedge", step.target.backend, "won"))
                        self._record.attempts.append(
                            Attempt(first.target.backend, "hedged", replica=first.lease.replica.name)
                        )
                    return outcome
        return failures[first]


async def _outcome(ask: Ask[G], step: Step) -> G | UpstreamError | None:
    """Make one of two calls and give its end as a value; None if it was cut.

    A task keeps the error that it ends in, and with its traceback the frames that hold the task: a ring of references,
    which would keep all of the request until the garbage collector comes.
    """
    try:
        return await ask(step)
    except UpstreamError as error:
        return error.again()
    except asyncio.CancelledError:
        return None  # nobody but this race cancels it


def _busy(backend: str, sent_away: SentAway) -> UpstreamBusy:
    error = UpstreamBusy(f"Backend '{backend}' takes no more calls at once ({sent_away.why}).", backend=backend)
    error.headers["retry-after"] = str(round(sent_away.retry_after_s))
    return error


def _may_take(backend: Backend, refused: Backend, error: UpstreamError) -> bool:
    """Whether a backend may take what another one refused."""
    if backend is refused:
        return False
    if isinstance(error, UpstreamContextExceeded):
        return backend.settings.context_window > refused.settings.context_window
    same_provider = backend.dialect.host == refused.dialect.host and backend.dialect.family == refused.dialect.family
    return not same_provider or backend.settings.model != refused.settings.model


async def _throw_away(running: Running[G]) -> None:
    """Cancel what is still running, wait for its end, and close what it has opened all the same."""
    if not running:
        return
    for call in running:
        call.cancel()
    ended, _ = await asyncio.wait(running)
    for call in ended:
        if call.cancelled() or call.exception() is not None:
            continue
        outcome = call.result()
        if outcome is not None and not isinstance(outcome, UpstreamError):
            await outcome.discard()
