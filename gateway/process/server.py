"""Runs the application in one process: uvicorn, and the signals that end it."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import socket
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import structlog
import uvicorn
from fastapi import FastAPI

from gateway.app import HotPath, create_app
from gateway.process.front import listen, print_banner
from gateway.process.lifecycle import Lifecycle, Worker
from gateway.process.reload import Reloader
from gateway.records.logs import configure_logs
from gateway.settings import ServerSettings, Settings, SettingsSource
from gateway.surfaces.responses.background import Background

KEEPALIVE_S = 75
"""Idle client connections are kept this long: longer than the usual load balancer keeps its own (60 s)."""


GC_THRESHOLDS = (10_000, 100, 100)
"""Allocations between collections. Requests leave no rings behind (tests/gateway/test_garbage.py), so that young
objects die without any; what a library leaves is walked some thousand objects at a time, which takes milliseconds."""


LOOK_EVERY_S = 0.05
"""How often a process that is leaving looks whether it has finished."""

LINGER_S = 0.5
"""For how long connections without a request are kept once nobody new can connect."""

CUT_S = 3
"""How long requests that are cut may take to tell their callers."""

_log = structlog.get_logger("thalamus")


class Server(uvicorn.Server):
    """Uvicorn's server, with an end of our own: unready at once, gone when the last answer is.

    1. A signal: `/readyz` says 503. For `notice_s` requests are still served, and each connection closed behind its
       answer, since whoever balances the load learns of it late.
    2. The listener is closed. Open answers, and responses in the background, may go on for `drain_s`.
    3. Then, or at a second signal, what is left is cut: callers get an error in their API's shape, and every request
       has its record.
    """

    def __init__(self, config: uvicorn.Config, app: FastAPI, settings: ServerSettings) -> None:
        super().__init__(config)
        self._app = app
        self._settings = settings
        self._leaving: asyncio.Task[None] | None = None

    @property
    def _life(self) -> Lifecycle:
        life: Lifecycle = self._app.state.life
        return life

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take the signals that end a process; unlike uvicorn's own, do not die of them afterwards."""
        loop = asyncio.get_running_loop()
        for sig in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(sig, self.handle_exit, sig, None)
        yield

    def leave(self) -> None:
        """Do as at the first SIGTERM."""
        if self._leaving is None:
            self.handle_exit(signal.SIGTERM, None)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """Leave; at a second signal, without waiting for anything."""
        if self._leaving is not None:
            self._life.hurry.set()
            return
        self._life.is_leaving = True
        self._leaving = asyncio.get_running_loop().create_task(
            self._leave(0.0 if sig == signal.SIGINT else self._settings.notice_s)
        )

    async def _leave(self, notice_s: float) -> None:
        """Finish what is under way. uvicorn's loop runs on until then, and ends the rest."""
        if self.started:
            _log.info("leaving", requests=self._under_way(), notice_s=notice_s, drain_s=self._settings.drain_s)
            await self._wait(notice_s)
            for server in self.servers:
                server.close()
            await self._wait(min(notice_s, LINGER_S))  # who has just connected is about to ask
            for connection in list(self.server_state.connections):
                connection.shutdown()  # an idle one now, others behind their answers
            if not await self._finish(self._settings.drain_s):
                await self._cut()
        self.should_exit = True

    async def _wait(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._life.hurry.wait()

    async def _finish(self, seconds: float) -> bool:
        """Wait for what is under way; False if something still is when time is up, or hurry asked for."""
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + seconds
        while self.server_state.connections or self._under_way():
            if loop.time() >= ends_at or self._life.hurry.is_set():
                return False
            await asyncio.sleep(LOOK_EVERY_S)
        return True

    async def _cut(self) -> None:
        _log.warning("cutting", requests=self._under_way(), hurry=self._life.hurry.is_set())
        self._life.is_cut = True
        await self._background().finish(0)
        await asyncio.sleep(LOOK_EVERY_S)  # who follows what goes on in the background is told by it
        tasks = list(self.server_state.tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=CUT_S)

    def _under_way(self) -> int:
        return len(self.server_state.tasks) + len(self._background())

    def _background(self) -> Background:
        background: Background = self._app.state.rooms.responses.background
        return background


def serve(source: SettingsSource, settings: Settings) -> None:
    """Serve in this one process until a signal ends it. The file that the settings came from is watched for changes.

    Raises:
        SettingsError: the settings are wrong, the address is taken, or a backend cannot be made ready.
    """
    listener = listen(settings)
    run(source, settings, listener, lambda _: print_banner(settings, listener))


def run(
    source: SettingsSource,
    settings: Settings,
    listener: socket.socket,
    on_ready: Callable[[Server], None],
    worker: Worker | None = None,
) -> None:
    """Serve on a listener until a signal, or whoever `on_ready` hands the server to, ends it.

    Raises:
        SettingsError: the settings are wrong, or a backend cannot be made ready.
    """
    configure_logs(settings.telemetry)
    app = create_app(settings, worker)
    config = uvicorn.Config(
        HotPath(app),
        loop="uvloop",
        http="httptools",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEPALIVE_S,
        timeout_graceful_shutdown=1,  # what is still there by then was cut, and has been told so
    )
    server = Server(config, app, settings.server)
    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(_run(server, listener, on_ready, Reloader(app, source)))


async def _run(server: Server, listener: socket.socket, on_ready: Callable[[Server], None], reloader: Reloader) -> None:
    tasks: set[asyncio.Task[Any]] = {
        asyncio.create_task(_announce(server, on_ready)),
        asyncio.create_task(reloader.watch()),
    }

    def reload() -> None:
        tasks.add(asyncio.create_task(reloader.reload()))

    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reload)
    try:
        await server.serve(sockets=[listener])
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _calm_garbage_collector() -> None:
    """Spare what was built at the start from collection, and collect less often: a quarter of a request's CPU."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


async def _announce(server: Server, on_ready: Callable[[Server], None]) -> None:
    while not server.started:  # noqa: ASYNC110  uvicorn offers no event to wait for
        await asyncio.sleep(0.01)
    _calm_garbage_collector()
    on_ready(server)
