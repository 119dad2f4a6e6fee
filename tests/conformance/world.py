"""The stand-ins on a loopback port, and the real gateway application before them, in one event loop of their own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar

import httpx

from gateway.app import HotPath, create_app
from gateway.settings import Settings
from tests.conformance.rows import Row, all_rows
from tests.conformance.serving import Standins, event_loop, serving

T = TypeVar("T")


class World(Standins):
    """Everything that a trial needs.

    Attributes:
        client: speaks to the gateway.
        url: the stand-ins' address, for those who go past the gateway.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, rows: Sequence[Row]) -> None:
        super().__init__(rows)
        self.client: httpx.AsyncClient
        self.url: str
        self._loop = loop

    def run(self, trial: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine where the gateway runs, and wait for it."""
        return asyncio.run_coroutine_threadsafe(trial, self._loop).result(timeout=60)


@contextmanager
def running_world(rows: Sequence[Row] | None = None, **settings: Any) -> Iterator[World]:
    """Run stand-ins and gateway until the block ends; `settings` are further sections of the gateway's."""
    rows = all_rows() if rows is None else rows
    with event_loop() as loop:
        world = World(loop, rows)
        context = _open(world, rows, settings)
        asyncio.run_coroutine_threadsafe(context.__aenter__(), loop).result(timeout=60)
        try:
            yield world
        finally:
            asyncio.run_coroutine_threadsafe(context.__aexit__(None, None, None), loop).result(timeout=60)


@asynccontextmanager
async def _open(world: World, rows: Sequence[Row], settings: Mapping[str, Any]) -> AsyncIterator[None]:
    async with serving(world) as url:
        app = create_app(Settings.model_validate({**_settings(rows, url), **settings}))
        transport = httpx.ASGITransport(HotPath(app))
        async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport) as client:
            world.client, world.url = client, url
            yield


def backends(rows: Sequence[Row], url: str, *, by_litellm: bool = False) -> dict[str, dict[str, Any]]:
    """Give the settings of a backend for each row, named like its row; the family is guessed from the model's id.

    Args:
        rows: the rows.
        url: the stand-ins' address.
        by_litellm: whether Anthropic is reached as it is in earnest: in its own API, which litellm speaks for us and
            takes seconds to start. Else its stand-in is sent what litellm would be given.
    """
    return {row.name: _backend(row, url, by_litellm=by_litellm) for row in rows}


def _backend(row: Row, url: str, *, by_litellm: bool) -> dict[str, Any]:
    base = {"host": None if row.host == "*" else row.host, "context_window": 1_000_000}
    if by_litellm and row.host == "anthropic":
        return {
            **base,
            "transport": "litellm",
            "model": f"anthropic/{row.model}",
            "url": f"{url}/{row.name}",
            "key": "k",
        }
    # The stand-ins here speak chat completions; the one of the Responses API is tests/gateway/native_standin.py.
    return {**base, "model": row.model, "url": f"{url}/{row.name}/v1", "responses": "translate"}


def _settings(rows: Sequence[Row], url: str) -> dict[str, Any]:
    first = rows[0].name
    return {
        "backends": backends(rows, url, by_litellm=True),
        "tiers": {"fast": first, "deep": first},
        "telemetry": {"log_level": "error"},
    }
