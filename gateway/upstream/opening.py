"""Opens backends: an upstream and a state for each replica, and whoever watches their health."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import structlog
from yarl import URL

from gateway.queueing import Queue, QueueEvent
from gateway.reasoning import ReasoningOptions
from gateway.settings import AdmissionSettings, BackendSettings
from gateway.upstream.base import Upstream
from gateway.upstream.breaker import Breaker
from gateway.upstream.choosing import Choosing
from gateway.upstream.dialects import Dialects
from gateway.upstream.dialects.written import WrittenContinuation
from gateway.upstream.health import watch_health
from gateway.upstream.http import Connections, HttpUpstream
from gateway.upstream.local import EmbeddedUpstream
from gateway.upstream.pool import Backend, Pool
from gateway.upstream.recognise import recognise
from gateway.upstream.replica import Replica

EMBEDDED_REPLICA = "embedded"


@asynccontextmanager
async def opened_backend(
    name: str,
    settings: BackendSettings,
    dialects: Dialects,
    connections: Connections,
    admission: AdmissionSettings,
    on_queue: Callable[[QueueEvent], None],
) -> AsyncIterator[Backend]:
    """Make a backend ready, watch its health if that is wanted, and let go of everything at the end.

    Raises:
        SettingsError: something that it needs is not installed, or its provider is not known.
    """
    async with AsyncExitStack() as closing:
        replicas = await _open_replicas(name, settings, connections, closing)
        dialect, host = recognise(settings, dialects)
        balance = settings.balance
        queue = Queue(f"backend:{name}", admission.queue, admission.wait_s, on_queue)
        pool = Pool(name, replicas, Choosing(balance.by, balance.overload), queue)
        if settings.health is not None:
            await closing.enter_async_context(_watching(settings, pool, connections))
        yield Backend(
            name, settings, pool, dialect, ReasoningOptions.of_dialect(dialect), _continuation(settings, dialects, host)
        )


def _continuation(settings: BackendSettings, dialects: Dialects, host: str | None) -> WrittenContinuation | None:
    """Say how the backend goes on with an answer: as its host does, if it is spoken to directly and the URL fits."""
    if settings.transport != "http" or host is None or host not in dialects.hosts:
        return None
    continuation = dialects.hosts[host].continuation
    fits = continuation is not None and all(continuation.url in str(one.url) for one in settings.addresses())
    return continuation if fits else None


async def _open_replicas(
    name: str, settings: BackendSettings, connections: Connections, closing: AsyncExitStack
) -> tuple[Replica, ...]:
    """Open an upstream for every address, or the model in the box, which has none."""
    wanted = [
        (address.shown_name, settings.at(address), address.weight, address.max_concurrency or settings.max_concurrency)
        for address in settings.addresses()
    ] or [(EMBEDDED_REPLICA, settings, 1.0, settings.max_concurrency)]
    replicas = []
    for replica, own, weight, limit in wanted:
        upstream = _upstream(name, own, connections)
        await upstream.start()
        closing.push_async_callback(upstream.close)
        breaker = Breaker(settings.breaker)
        replicas.append(Replica(replica, upstream, settings.breaker, breaker, weight=weight, limit=limit))
    return tuple(replicas)


def _upstream(name: str, settings: BackendSettings, connections: Connections) -> Upstream:
    if settings.transport == "embedded":
        return EmbeddedUpstream(name, settings, connections)
    if settings.transport == "litellm":
        from gateway.upstream.litellm import LitellmUpstream  # costs seconds and over 100 MB

        return LitellmUpstream(name, settings)
    return HttpUpstream(name, settings, connections)


@asynccontextmanager
async def _watching(settings: BackendSettings, pool: Pool, connections: Connections) -> AsyncIterator[None]:
    """Own the tasks that ask the replicas if they are well."""
    health = settings.health
    tasks = pool.watchers = [
        asyncio.create_task(
            watch_health(pool.backend, replica, URL(str(address.url)), health, connections.pooled, pool.queue.wake)
        )
        for replica, address in zip(pool.replicas, settings.addresses(), strict=False)
        if health is not None
    ]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for ended in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(ended, Exception):
                structlog.get_logger("thalamus").error("health check ended", exc_info=ended)
