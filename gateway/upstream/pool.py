"""A configured backend at work: its dialect, its replicas, and which of them takes the next call."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.errors import UpstreamUnavailable
from gateway.queueing import Queue, Visitor
from gateway.reasoning import ReasoningOptions
from gateway.settings import BackendSettings
from gateway.upstream.choosing import Choosing, choose, untried, usable
from gateway.upstream.dialects import Dialect, Thinking, compile_thinking
from gateway.upstream.dialects.written import WrittenContinuation
from gateway.upstream.replica import Condition, Lease, Replica
from gateway.wire.body import Parsed
from gateway.wire.chat import ChatRequest
from router.types import Effort


@dataclass(frozen=True, slots=True)
class Asking:
    """One call that looks for a replica.

    Attributes:
        visitor: who asks, for the fairness of waiting.
        affinity: whose requests shall stay with one replica, None if that does not matter.
        tokens: estimate of what the call will keep the replica busy with.
        tried: replicas that the request was sent to already, and that are not asked again.
        despite_failures: whether to call even those that are known to fail, because there is nobody else.
    """

    visitor: Visitor = field(default_factory=Visitor)
    affinity: str | None = None
    tokens: int = 0
    tried: Collection[Replica] = ()
    despite_failures: bool = False


class AllTried(Exception):
    """Every replica that may be called has been."""


class Pool:
    """The replicas of one backend.

    Args:
        backend: its name.
        replicas: at least one.
        choosing: how one is chosen.
        queue: where calls wait while all replicas are full.
    """

    def __init__(self, backend: str, replicas: tuple[Replica, ...], choosing: Choosing, queue: Queue) -> None:
        self.backend = backend
        self.replicas = replicas
        self.queue = queue
        self.watchers: list[asyncio.Task[None]] = []
        """Ask the replicas if they are well; whoever opened the pool owns them."""
        self.is_bounded = any(replica.limit is not None for replica in replicas)
        self._choosing = choosing

    async def lease(self, asking: Asking) -> Lease:
        """Choose a replica, waiting in line while all of them are full.

        Raises:
            UpstreamUnavailable: no replica may be called now; Retry-After says when, where that is known.
            AllTried: those that may be called have been tried by this request.
            SentAway: all are full, and so is the line, or the wait took too long.
        """
        if not self.is_bounded:
            lease = self._take(asking)
            if lease is None:
                raise AssertionError("without bounds nobody is full")
            return lease
        if not len(self.queue) and (lease := self._take(asking)) is not None:
            return lease
        return await self.queue.wait(asking.visitor, lambda: self._take(asking))

    def try_lease(self, asking: Asking) -> Lease | None:
        """Choose a replica if one is free this moment and nobody waits for it."""
        if len(self.queue):
            return None
        try:
            return self._take(asking)
        except (UpstreamUnavailable, AllTried):
            return None

    def is_worth_asking(self, asking: Asking) -> bool:
        """Whether there is a replica that may be called and has not been tried by this request."""
        candidates = usable(self.replicas, time.monotonic(), despite_failures=asking.despite_failures)
        return bool(untried(candidates, asking.tried))

    def cools_for_s(self) -> float:
        """Seconds until a replica may be called that is to be left alone only for a while; infinite if all are drained.

        Those that fail count as ready now: somebody has to find out.
        """
        now = time.monotonic()
        waits = [max(0.0, one.cools_until - now) for one in self.replicas if not one.draining]
        return min(waits, default=math.inf)

    def has_room_to_spare(self) -> bool:
        """Whether nobody waits, and one more call would leave a place at some replica for the next."""
        candidates = usable(self.replicas, time.monotonic())
        return not len(self.queue) and any(one.limit is None or one.in_flight + 1 < one.limit for one in candidates)

    def expected_wait_s(self) -> float:
        """Guess how long a newcomer would have to wait for a replica."""
        return self.queue.expected_wait_s()

    def would_turn_away(self) -> bool:
        """Whether a newcomer would find no place even to wait."""
        return len(self.queue) >= self.queue.size

    def drain(self, replica: str | None, *, draining: bool) -> bool:
        """Send no more calls to a replica, or to all, or send them again; False if there is none of that name.

        Calls under way go on to their end.
        """
        chosen = [one for one in self.replicas if replica in (None, one.name)]
        for one in chosen:
            one.draining = draining
        self.queue.wake()
        return bool(chosen)

    def retire(self) -> None:
        """Stop asking if the replicas are well: a reload has replaced them, and only calls under way are left there."""
        for watcher in self.watchers:
            watcher.cancel()

    def take_over(self, old: Pool) -> None:
        """Keep what the operator said of replicas that were there before a reload."""
        drained = {replica.name for replica in old.replicas if replica.draining}
        for replica in self.replicas:
            replica.draining = replica.name in drained

    def _take(self, asking: Asking) -> Lease | None:
        """Take a free replica; None if all are full."""
        replicas, now = self.replicas, time.monotonic()
        if len(replicas) == 1 and not asking.tried and replicas[0].condition(now) == "serving":
            return None if replicas[0].is_full() else self._lease(replicas[0], asking)
        candidates = usable(replicas, now, despite_failures=asking.despite_failures)
        if not candidates:
            raise self._unavailable(now)
        fresh = untried(candidates, asking.tried)
        if not fresh:
            raise AllTried
        replica = choose(fresh, self._choosing, asking.affinity)
        return None if replica is None else self._lease(replica, asking)

    def _lease(self, replica: Replica, asking: Asking) -> Lease:
        if not self.is_bounded:
            return Lease(replica, asking.tokens)
        key = asking.visitor.key
        self.queue.hold(key)
        return Lease(replica, asking.tokens, lambda: self.queue.let_go(key))

    def _unavailable(self, now: float) -> UpstreamUnavailable:
        conditions: set[Condition] = {replica.condition(now) for replica in self.replicas}
        error = UpstreamUnavailable(
            f"Backend '{self.backend}' is not called now: {', '.join(sorted(conditions))}.", backend=self.backend
        )
        if waits := [replica.cools_until - now for replica in self.replicas if replica.cools_until > now]:
            error.headers["retry-after"] = str(max(1, round(min(waits))))
        return error


@dataclass(frozen=True, slots=True)
class Backend:
    """One backend, ready to be called."""

    name: str
    settings: BackendSettings
    pool: Pool
    dialect: Dialect
    reasoning: ReasoningOptions
    continuation: WrittenContinuation | None = None
    """How it is told to go on with an answer that broke off; None if it cannot be."""

    @property
    def speaks_responses(self) -> bool:
        """Whether requests for responses are passed on as they are."""
        settings = self.settings
        wanted = settings.responses == "native" or (settings.responses == "auto" and self.dialect.responses)
        return wanted and settings.transport == "http"

    def compile_thinking(
        self, effort: Effort | None, chat: Parsed[ChatRequest], changed: Mapping[str, Any]
    ) -> Thinking:
        """Turn an effort into the fields that this backend wants; `changed` are fields that we set already."""
        return compile_thinking(self.dialect, effort, {**chat.decode(self.dialect.watched), **changed})
