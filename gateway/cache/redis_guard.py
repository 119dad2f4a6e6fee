"""Redis behind a deadline and a breaker: it answers in time, or the caller is told at once that it did not."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

from redis import exceptions
from redis.asyncio import RedisCluster
from redis.asyncio.cluster import ClusterNode

from gateway.cache.breaker import Breaker
from gateway.cache.events import BreakerChanged, BreakerState, CallOutcome, OnEvent, RedisCalled, ignore
from gateway.cache.redis_url import CONNECT_TIMEOUT_S, RedisClient, connected, read_redis_url
from gateway.cache.settings import RedisSettings
from gateway.cache.store import StoreUnavailable
from gateway.cancelled import was_cancelled

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
    has_answered: bool = True


@dataclass(frozen=True, slots=True)
class _Failed:
    outcome: CallOutcome
    cause: BaseException | None = None

    @property
    def has_answered(self) -> bool:
        """A refusal is an answer: the server is there."""
        return self.outcome == "refused"


class GuardedRedis:
    """Runs commands. A caller waits for the deadline at most, and not at all while an earlier call's end is in doubt.

    After one missed deadline or failure nobody is let through until Redis has answered a ping, which a task of the
    guard's own sends at once: however many calls a request makes, it waits for a sick Redis once. A healthy one has
    answered within a round trip. Failures in a row, pings among them, open the breaker; from then on there is one ping
    every `breaker_reset_s`, whether or not there are requests.

    Of a cluster the node that failed is asked, since others would answer in its place; until it does, or another has
    taken its place, nobody is let through to any node.

    A command is a task of its own that no deadline cancels: a caller who has waited long enough, or has left, goes
    on without it. Cancelling would tear a connection down at every deadline, and a reply left unread on a
    connection is how one caller gets another's data. redis-py's own read timeout, as long as the deadline, ends it.

    The breaker judges by how commands end, not by how long callers wait: a burst that has to queue for connections,
    or a new connection that takes longer than the deadline, says nothing against Redis.
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
        self._reset_s = settings.breaker_reset_s
        self._on_event = on_event
        self._clock = clock
        self._breaker = Breaker(settings.breaker_failures, on_event=on_event)
        self._connections = settings.max_connections
        self._places = asyncio.Semaphore(settings.max_connections)
        self._running: set[asyncio.Task[Any]] = set()
        self._asking: asyncio.Task[None] | None = None
        """Asks until Redis answers, as long as that is in doubt."""
        self._sick: set[str] = set()
        """Nodes of a cluster that failed, by name, until they have answered."""

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
            StoreUnavailable: no answer within the deadline, a failure, or Redis is in doubt.
        """
        if self._asking is not None:
            self._on_event(RedisCalled(operation, "open", 0.0))
            raise StoreUnavailable("open")
        started = self._clock()
        task = asyncio.create_task(self._queue(command, started + self._deadline_s))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        await asyncio.wait({task}, timeout=self._deadline_s)
        ended = task.result() if task.done() else _Failed("timeout")
        self._on_event(RedisCalled(operation, ended.outcome, self._clock() - started))
        if not ended.has_answered:
            self._doubt()
        if isinstance(ended, _Failed):
            raise StoreUnavailable(ended.outcome) from ended.cause
        return ended.value

    async def warm_up(self) -> None:
        """Begin to connect, so that the first requests need not. Waits for the deadline at most."""
        async with asyncio.TaskGroup() as connecting:
            for _ in range(self._connections):
                connecting.create_task(self._connect())

    async def finish(self) -> None:
        """Wait for the commands that callers have left behind, and cancel those that hang; ask no more."""
        await self._stop_asking()
        if self._running:
            await asyncio.wait(self._running, timeout=CONNECT_TIMEOUT_S)
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        await self._stop_asking()  # a command that failed may have begun it again

    async def _stop_asking(self) -> None:
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)

    async def _connect(self) -> None:
        with contextlib.suppress(StoreUnavailable):
            await self.run("ping", _ping)

    async def _queue(self, command: Callable[[RedisClient], Awaitable[T]], give_up_at: float) -> _Answered[T] | _Failed:
        """Wait for a connection that is free, and use it unless the caller has gone in the meantime."""
        async with self._places:
            if self._clock() >= give_up_at:
                return _Failed("timeout")
            ended = await self._perform(command)
        if ended.has_answered:
            self._breaker.succeeded()
        else:
            self._breaker.failed()
            if self._sick:  # its caller may have gone, and another node answered, before it was known which one it is
                self._doubt()
        return ended

    async def _perform(self, command: Callable[[RedisClient], Awaitable[T]]) -> _Answered[T] | _Failed:
        try:
            return _Answered(await command(self._client))
        except REDIS_FAILURES as error:
            # Without its traceback: frames of redis-py and of this task hold the error that holds them.
            failed = _Failed(outcome_of(error), error.with_traceback(None))
            node = getattr(error, "connection", None)
            if isinstance(node, ClusterNode) and not failed.has_answered:
                self._sick.add(node.name)
            return failed

    def _doubt(self) -> None:
        """Let nobody through until Redis has answered."""
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask_until_answered())

    async def _ask_until_answered(self) -> None:
        try:
            while not (await self._ask() or was_cancelled()):
                if self._breaker.state == "open":
                    await asyncio.sleep(self._reset_s)
        finally:
            self._asking = None

    async def _ask(self) -> bool:
        """Ask Redis whether it is there, or of a cluster the nodes that failed. It has a connection for that."""
        self._breaker.begin_probe()
        started, sick = self._clock(), set(self._sick)
        ended = await self._perform(partial(_ping_sick, sick) if sick else _ping)
        self._on_event(RedisCalled("probe", ended.outcome, self._clock() - started))
        if ended.has_answered:
            self._sick -= sick
        else:
            self._breaker.failed()
        has_answered = ended.has_answered and not self._sick  # one may have failed since
        self._breaker.end_probe(answered=has_answered)
        return has_answered


async def _ping_sick(sick: Collection[str], client: RedisClient) -> object:
    """Ask a cluster's nodes that failed, as far as it still has them."""
    if not isinstance(client, RedisCluster):
        return await _ping(client)
    await _ping(client)  # after a failure, this reads anew who is in the cluster
    nodes = [node for name in sick if (node := client.get_node(node_name=name)) is not None]
    return await client.execute_command("PING", target_nodes=nodes) if nodes else None


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
