"""Several processes on one port: started, watched, started again, told to leave.

They accept from one socket, which stays with the supervisor: a worker that dies takes no connection with it but its
own, and between its end and its successor's start nobody is refused. (With SO_REUSEPORT, connections in a dead worker's
own queue would be lost.) Each is a fresh interpreter, not a fork of one in which numerical libraries run threads.

Each worker has a channel to the supervisor. Down it come its instructions, up it goes that it is ready; at its end each
knows that the other has gone, so that no worker outlives a supervisor that was killed. What workers say to each other
(`gateway.process.crew`) goes the same way, and is handed on unread.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import structlog

from gateway.process.crew import MOST_LINE_BYTES, MOST_WAITING_BYTES
from gateway.process.front import listen, print_banner
from gateway.records.logs import configure_logs
from gateway.settings import Settings, SettingsSource

METRICS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
STEADY_S = 10.0
"""A worker that has lived for so long is started again at once, when it dies."""

MOST_PAUSE_S = 30.0

_log = structlog.get_logger("thalamus")


def supervise(source: SettingsSource, settings: Settings) -> int:
    """Serve with `server.workers` processes until a signal ends it, and give the status to exit with.

    That is 0 if all workers ended well when they were told to, or else a failed worker's.

    Raises:
        SettingsError: the address is taken.
    """
    configure_logs(settings.telemetry)
    with listen(settings) as listener, _metrics_folder() as metrics:
        return asyncio.run(_Supervisor(source, settings, listener, metrics).run())


class _Supervisor:
    def __init__(self, source: SettingsSource, settings: Settings, listener: socket.socket, metrics: Path) -> None:
        self._source = source
        self._settings = settings
        self._listener = listener
        self._metrics = metrics
        self._secret = secrets.token_hex(32)
        self._workers: dict[int, asyncio.subprocess.Process] = {}
        self._ready: set[int] = set()
        self._channels: dict[int, asyncio.StreamWriter] = {}
        self._announced = False
        self._leaving = asyncio.Event()
        self._status = 0

    async def run(self) -> int:
        """Keep all workers running until told to end; then wait for them."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._leave, number)
        loop.add_signal_handler(signal.SIGHUP, self._pass_on, signal.SIGHUP)
        async with asyncio.TaskGroup() as keeping:
            for slot in range(self._settings.server.workers):
                keeping.create_task(self._keep(slot))
        return self._status

    def _leave(self, number: signal.Signals) -> None:
        self._leaving.set()
        self._pass_on(number)

    def _pass_on(self, number: signal.Signals) -> None:
        for worker in self._workers.values():
            with contextlib.suppress(ProcessLookupError):
                worker.send_signal(number)

    async def _keep(self, slot: int) -> None:
        """Start a worker, and another whenever it ends, until told to leave."""
        deaths = 0
        while not self._leaving.is_set():
            started = time.monotonic()
            status = await self._run_one(slot)
            lived_s = time.monotonic() - started
            if self._leaving.is_set() or not self._announced:
                # Who fails before everybody was ready once will fail again: the start has failed.
                self._status = self._status or _exit_status(status)
                if not self._leaving.is_set():
                    self._leave(signal.SIGTERM)
                return
            deaths = 0 if lived_s >= STEADY_S else deaths + 1
            _log.error("worker ended, another is started", worker=slot, status=status, lived_s=round(lived_s, 1))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(2.0 ** (deaths - 1), MOST_PAUSE_S) if deaths else 0):
                    await self._leaving.wait()

    async def _run_one(self, slot: int) -> int:
        """Run one worker to its end, clean up behind it, and give its status."""
        ours, theirs = socket.socketpair()
        with theirs:
            worker = await asyncio.create_subprocess_exec(
                sys.executable, "-P", "-m", "gateway.process.workers", str(theirs.fileno()),
                pass_fds=(theirs.fileno(), self._listener.fileno()),
                stdin=asyncio.subprocess.DEVNULL,
                env={**os.environ, METRICS_VARIABLE: str(self._metrics)},
                start_new_session=True,  # a Ctrl-C goes to the supervisor alone, which passes it on once
            )  # fmt: skip
        self._workers[slot] = worker
        try:
            reader, writer = await asyncio.open_connection(sock=ours, limit=MOST_LINE_BYTES)
            writer.write(self._instructions(slot))
            if await reader.readline():
                self._channels[slot] = writer
                self._note_ready(slot)
                await self._hand_on(slot, reader)
            status = await worker.wait()
            writer.close()
        finally:
            self._channels.pop(slot, None)
            self._ready.discard(slot)
            del self._workers[slot]
            _forget_gauges(self._metrics, slot)
        return status

    async def _hand_on(self, slot: int, reader: asyncio.StreamReader) -> None:
        """Hand what a worker says on to the others until it has gone; who takes too little misses some of it."""
        with contextlib.suppress(OSError, ValueError):  # it ended in the middle of a word
            while line := await reader.readline():
                for other, writer in self._channels.items():
                    if other != slot and writer.transport.get_write_buffer_size() <= MOST_WAITING_BYTES:
                        writer.write(line)

    def _instructions(self, slot: int) -> bytes:
        instructions = {
            "path": str(self._source.path) if self._source.path else None,
            "overrides": dict(self._source.overrides),
            "listener": self._listener.fileno(),
            "slot": slot,
            "of": self._settings.server.workers,
            "secret": self._secret,
        }
        return json.dumps(instructions).encode() + b"\n"

    def _note_ready(self, slot: int) -> None:
        self._ready.add(slot)
        if len(self._ready) == self._settings.server.workers and not self._announced:
            self._announced = True
            print_banner(self._settings, self._listener)


def _exit_status(status: int) -> int:
    """Give the status with which to tell of a worker's: shells say 128 and the number of the signal."""
    return status if status >= 0 else 128 - status


def _forget_gauges(folder: Path, slot: int) -> None:
    """Remove what a worker said of how things are; what it has counted stays, and its successor counts on."""
    for file in folder.glob(f"gauge_live*_{slot}.db"):
        file.unlink(missing_ok=True)


@contextlib.contextmanager
def _metrics_folder() -> Iterator[Path]:
    """Give the folder in which the workers keep their metrics: empty at first, and gone at the end if it is ours."""
    given = os.environ.get(METRICS_VARIABLE)
    folder = Path(given) if given else Path(tempfile.mkdtemp(prefix="thalamus-metrics-"))
    folder.mkdir(parents=True, exist_ok=True)
    for file in folder.glob("*.db"):
        file.unlink()
    try:
        yield folder
    finally:
        if not given:
            shutil.rmtree(folder, ignore_errors=True)


def work(channel: socket.socket) -> None:
    """Be a worker: take the instructions, serve, and leave when the supervisor has gone."""
    from gateway.metrics import share_metrics
    from gateway.process.crew import Crew
    from gateway.process.lifecycle import Worker
    from gateway.process.server import Server, run

    told: dict[str, Any] = json.loads(channel.makefile("rb").readline())
    crew = Crew(told["slot"], told["of"])
    worker = Worker(crew.slot, told["of"], bytes.fromhex(told["secret"]), crew)
    share_metrics(worker.slot)
    source = SettingsSource(Path(told["path"]) if told["path"] else None, told["overrides"])

    listening: list[asyncio.Task[None]] = []

    def say_ready(server: Server) -> None:
        listening.append(asyncio.create_task(crew.run(channel)))
        listening[0].add_done_callback(lambda ended: None if ended.cancelled() else server.leave())

    with socket.socket(fileno=told["listener"]) as listener:
        run(source, source.load(), listener, say_ready, worker)


def main() -> None:
    """Run the worker whose channel the command line names."""
    from gateway.settings import SettingsError

    try:
        with socket.socket(fileno=int(sys.argv[1])) as channel:
            work(channel)
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2)


if __name__ == "__main__":
    main()
