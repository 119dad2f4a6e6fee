"""One server of a backend, with all that is known of how it fares, and the right to make one call to it."""

from __future__ import annotations

import math
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal
from weakref import ref

from gateway.errors import UpstreamError, UpstreamRateLimited, UpstreamRefused
from gateway.queueing import Held
from gateway.settings import BreakerSettings
from gateway.upstream.base import NO_CONTEXT, Answer, Upstream
from gateway.upstream.breaker import Breaker

Condition = Literal["serving", "draining", "unhealthy", "cooling", "broken"]
CONDITIONS: tuple[Condition, ...] = ("serving", "draining", "unhealthy", "cooling", "broken")

_DECAY_S = 10.0
"""Time constant with which a slow answer is forgiven."""


class Slowness:
    """Seconds to an answer's first useful byte, as a peak-sensitive moving average.

    It jumps to whatever is slower than it and comes down by time (Finagle's peak EWMA), so that one stall is enough to
    turn traffic away. Weakness: long prompts are slow to begin as well, and are held against the replica all the same.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seconds = 0.0
        self._seen_at = clock()

    def add(self, seconds: float) -> None:
        """Take one observation."""
        now = self._clock()
        if seconds >= self._seconds:
            self._seconds = seconds
        else:
            kept = math.exp((self._seen_at - now) / _DECAY_S)
            self._seconds = self._seconds * kept + seconds * (1 - kept)
        self._seen_at = now

    def now(self) -> float:
        """Give the average, in seconds; what was slow long ago counts less."""
        return self._seconds * math.exp((self._seen_at - self._clock()) / _DECAY_S)


@dataclass(slots=True, eq=False)
class Replica:
    """One server.

    Attributes:
        name: from the configuration, so that it may be a label.
        weight: its share of the load against the others'.
        limit: calls in flight at once; None is boundless.
        tokens: of the calls in flight, estimated.
        cools_until: left alone until then (monotonic clock), after a 429.
        healthy: what the last health checks said.
        draining: the operator wants no more calls there.
    """

    name: str
    upstream: Upstream
    settings: BreakerSettings
    breaker: Breaker
    weight: float = 1.0
    limit: int | None = None
    in_flight: int = 0
    tokens: int = 0
    slowness: Slowness = field(default_factory=Slowness)
    cools_until: float = 0.0
    healthy: bool = True
    draining: bool = False

    def condition(self, now: float) -> Condition:
        """Say whether calls may be made, and if not, what is against it."""
        if self.draining:
            return "draining"
        if not self.healthy:
            return "unhealthy"
        if self.cools_until > now:
            return "cooling"
        return "serving" if self.breaker.admits() else "broken"

    def is_full(self) -> bool:
        """Whether as many calls are in flight as there may be."""
        return self.limit is not None and self.in_flight >= self.limit

    def cool(self, error: UpstreamError) -> None:
        """Leave it alone for as long as its 429 asks, within bounds."""
        settings = self.settings
        asked = error.retry_after_s if error.retry_after_s is not None else settings.cooldown_s
        self.cools_until = max(self.cools_until, time.monotonic() + min(asked, settings.most_cooldown_s))


class Lease:
    """The right to one call to one replica, counted in its load until it is released.

    Whoever holds it reports how the call went, by `succeeded` or `failed`, and releases it in any case. A call that
    began well and then broke off is reported as both; the same failure counts once. An answer that was opened with it
    releases it when it is closed.
    """

    __slots__ = ("_failure", "_on_release", "_probe", "_reported", "_started", "_tokens", "replica")

    def __init__(self, replica: Replica, tokens: int = 0, on_release: Callable[[], None] | None = None) -> None:
        self.replica = replica
        self._tokens: int | None = tokens
        self._on_release = on_release
        self._probe = replica.breaker.begin()
        self._reported = False
        self._failure: ref[UpstreamError] | None = None
        self._started = time.monotonic()
        replica.in_flight += 1
        replica.tokens += tokens

    async def open(self, path: str, body: bytes, context: Mapping[str, str] = NO_CONTEXT) -> Answer:
        """Make the call. When it fails, or is cancelled, the lease is released.

        Raises:
            UpstreamError: anything but a 200.
        """
        try:
            return _LeasedAnswer(await self.replica.upstream.open(path, body, context), self)
        except BaseException as error:
            if isinstance(error, UpstreamError):
                self.failed(error)
            self.release()
            raise

    def succeeded(self) -> None:
        """Report that the answer has begun to be useful. How long that took is noted."""
        if not self._reported:
            self._reported = True
            self.replica.slowness.add(time.monotonic() - self._started)
            self.replica.breaker.succeeded(probe=self._probe)

    def failed(self, error: UpstreamError) -> None:
        """Report how the call failed; who refuses a request, or has enough of us for now, is alive all the same."""
        if self._failure is not None and self._failure() is error:
            return
        self._failure, replica = ref(error), self.replica  # the error's traceback holds whoever holds the lease
        if error.retry_after_s is not None or isinstance(error, UpstreamRateLimited):
            replica.cool(error)
        if isinstance(error, (UpstreamRateLimited, UpstreamRefused)):
            if not self._reported:
                replica.breaker.succeeded(probe=self._probe)
        else:
            replica.breaker.failed(probe=self._probe and not self._reported)
        self._reported = True

    def release_with_it(self, held: Held) -> None:
        """Release something else together with the lease; at once if that is over."""
        if self._tokens is None:
            held.release()
            return
        before = self._on_release

        def release_both() -> None:
            held.release()
            if before is not None:
                before()

        self._on_release = release_both

    def release(self) -> None:
        """Take the call out of the replica's load; further times do nothing."""
        tokens, self._tokens = self._tokens, None
        if tokens is None:
            return
        self.replica.in_flight -= 1
        self.replica.tokens -= tokens
        if not self._reported:
            self.replica.breaker.abandoned(probe=self._probe)
        if self._on_release is not None:
            self._on_release()


class _LeasedAnswer:
    """An answer that holds a lease until it is closed."""

    __slots__ = ("_answer", "_lease")

    def __init__(self, answer: Answer, lease: Lease) -> None:
        self._answer = answer
        self._lease = lease

    @property
    def headers(self) -> Mapping[str, str]:
        return self._answer.headers

    def chunks(self) -> AsyncGenerator[bytes, None]:
        return self._answer.chunks()

    def abort(self, error: UpstreamError) -> None:
        self._answer.abort(error)

    async def close(self) -> None:
        self._lease.release()
        await self._answer.close()
