"""Redis behind a deadline and a breaker: it answers in time, or the caller is told at once that it did not."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from redis import exceptions

from gateway.cache.breaker import Breaker
from gateway.cache.events import BreakerChanged, BreakerState, CallOutcome, OnEvent, RedisCalled, ignore
from gateway.cache.redis_url import CONNECT_TIMEOUT_S, RedisClient, connected, read_redis_url
from gateway.cache.settings import RedisSettings
from gateway.cache.store import StoreUnavailable

T = TypeVar("T")

REDIS_FAILURES = (exceptions.RedisError, exceptions.RedisClusterException, OSError, TimeoutError)
"""Everything that redis-py raises on account of the server or the network; the rest are defects of ours."""

_TIMEOUTS = (exceptions.TimeoutError, TimeoutError)
_DENIALS = (
    exceptions.AuthenticationError,
    exceptions.AuthenticationWrongNumberOfArgsError,
    exceptions.AuthorizationError,
    exceptions.ExternalAuthProviderError,
    exceptions.NoPermissionError,
)
_ABSENCES = (
    exceptions.AskError,
    exceptions.ConnectionError,
    exceptions.ClusterError,
    exceptions.RedisClusterException,
    exceptions.TryAgainError,
    exceptions.InvalidResponse,
    OSError,
)


def outcome_of(error: BaseException) -> CallOutcome:
    """Say which outcome a failure is; `refused` is the rest: the server is well and says no, when full for instance."""
    if isinstance(error, _TIMEOUTS):
        return "timeout"
    if isinstance(error, _DENIALS):
        return "denied"
    return "unreachable" if isinstance(error, _ABSENCES) else "refused"


@dataclass(frozen=True, slots=True)
class _Answered(Generic[T]):
    value: T
    outcome: CallOutcome = "ok"


@dataclass(frozen=True, slots=True)
class _Failed:
    outcome: CallOutcome
    cause: BaseException | None = None


class GuardedRedis:
    """Runs commands. A caller waits for the deadline at most, and with an open breaker not at all.

    A command is a task of its own that no deadline cancels: a caller who has waited long enough, or has left, goes
    on without it. Cancelling would tear a connection down at every deadline, and a reply left unread on a
    connection is how one caller gets another's data. redis-py's own read timeout, as long as the deadline, ends it.

    The breaker judges by how commands end, not by how long callers wait: a burst that has to queue for connections,
    or a new connection that takes longer than the deadline, says nothing against Redis. The probe of an open
    breaker runs beside the requests.
    """

    def __init__(
        self,
        client: RedisClient,
        settings: RedisSettings,
        *,
        on_event: OnEvent = ignore,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._deadline_s = settings.deadline_ms / 1000
        self._on_event = on_event
        self._clock = clock
        self._breaker = Breaker(settings.breaker_failures, settings.breaker_reset_s, on_event=on_event, clock=clock)
        self._connections = settings.max_connections
        self._places = asyncio.Semaphore(settings.max_connections)
        self._running: set[asyncio.Task[Any]] = set()

    @property
    def state(self) -> BreakerState:
        """The breaker's state."""
        return self._breaker.state

    async def run(self, operation: str, command: Callable[[RedisClient], Awaitable[T]]) -> T:
        """Run a command and give its answer.

        Args:
            operation: the name under which it is counted, from a closed set.
            command: takes the client and awaits its answer.

        Raises:
            StoreUnavailable: no answer within the deadline, a failure, or an open breaker.
        """
        if self._breaker.state != "closed":
            if self._breaker.takes_probe():
                self._start(self._probe())
            self._on_event(RedisCalled(operation, "open", 0.0))
            raise StoreUnavailable("open")
        started = self._clock()
        task = self._start(self._queue(command, started + self._deadline_s))
        await asyncio.wait({task}, timeout=self._deadline_s)
        ended = task.result() if task.done() else _Failed("timeout")
        self._on_event(RedisCalled(operation, ended.outcome, self._clock() - started))
        if isinstance(ended, _Failed):
            raise StoreUnavailable(ended.outcome) from ended.cause
        return ended.value

    async def warm_up(self) -> None:
        """Begin to connect, so that the first requests need not. Waits for the deadline at most."""
        async with asyncio.TaskGroup() as connecting:
            for _ in range(self._connections):
                connecting.create_task(self._connect())

    async def finish(self) -> None:
        """Wait for the commands that callers have left behind, and cancel those that hang."""
        if self._running:
            await asyncio.wait(self._running, timeout=CONNECT_TIMEOUT_S)
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    def _start(self, performing: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(performing)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    async def _connect(self) -> None:
        with contextlib.suppress(StoreUnavailable):
            await self.run("ping", _ping)

    async def _queue(self, command: Callable[[RedisClient], Awaitable[T]], give_up_at: float) -> _Answered[T] | _Failed:
        """Wait for a connection that is free, and use it unless the caller has gone in the meantime."""
        async with self._places:
            if self._clock() >= give_up_at:
                return _Failed("timeout")
            return await self._perform(command)

    async def _perform(self, command: Callable[[RedisClient], Awaitable[T]]) -> _Answered[T] | _Failed:
        """Run a command and tell the breaker. A refusal is an answer: the server is there."""
        ended: _Answered[T] | _Failed
        try:
            ended = _Answered(await command(self._client))
        except REDIS_FAILURES as error:
            ended = _Failed(outcome_of(error), error)
        if ended.outcome in {"ok", "refused"}:
            self._breaker.succeeded()
        else:
            self._breaker.failed()
        return ended

    async def _probe(self) -> None:
        started = self._clock()
        ended = await self._perform(_ping)
        self._on_event(RedisCalled("probe", ended.outcome, self._clock() - started))


async def _ping(client: RedisClient) -> object:
    return await client.execute_command("PING")


@contextlib.asynccontextmanager
async def open_redis(settings: RedisSettings, *, on_event: OnEvent = ignore) -> AsyncIterator[GuardedRedis]:
    """Give Redis behind its guard, and close it. A Redis that is away is no obstacle.

    Raises:
        ValueError: the settings have no URL.
    """
    if settings.url is None:
        raise ValueError("redis.url is not set")
    address = read_redis_url(settings.url.get_secret_value())
    read_timeout_s = settings.deadline_ms / 1000
    # One connection more than there are places for commands: the probe's.
    async with connected(
        address, read_timeout_s=read_timeout_s, max_connections=settings.max_connections + 1
    ) as client:
        redis = GuardedRedis(client, settings, on_event=on_event)
        on_event(BreakerChanged("closed"))  # told at the start too, or nothing would show that there is one
        await redis.warm_up()
        try:
            yield redis
        finally:
            await redis.finish()
