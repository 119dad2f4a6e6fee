"""Asks replicas if they are well, beside the traffic, so that a dead one costs no request."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus

import aiohttp
import structlog
from yarl import URL

from gateway.settings import HealthSettings
from gateway.upstream.replica import Replica

_log = structlog.get_logger("thalamus")


async def watch_health(
    backend: str,
    replica: Replica,
    base: URL,
    settings: HealthSettings,
    session: aiohttp.ClientSession,
    on_change: Callable[[], None],
) -> None:
    """Ask one replica for ever, until cancelled, and note in it what its answers say.

    Args:
        backend: its backend's name, for the log.
        replica: gets `healthy`.
        base: its base URL; the question goes to `settings.path` on the same host.
        settings: where, how often, how patiently.
        session: asks.
        on_change: called after `healthy` has changed.
    """
    url, failures = base.with_path(settings.path), 0
    while True:
        failures = 0 if await _is_well(url, settings.timeout_s, session) else failures + 1
        healthy = replica.healthy if 0 < failures < settings.failures else failures == 0
        if healthy is not replica.healthy:
            replica.healthy = healthy
            _log.warning("replica health", backend=backend, replica=replica.name, healthy=healthy)
            on_change()
        await asyncio.sleep(settings.every_s)


async def _is_well(url: URL, timeout_s: float, session: aiohttp.ClientSession) -> bool:
    try:
        async with (
            asyncio.timeout(timeout_s),
            session.get(url, allow_redirects=False, timeout=aiohttp.ClientTimeout(total=None)) as answer,
        ):
            return HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES
    except (aiohttp.ClientError, OSError, ValueError, TimeoutError):
        return False
