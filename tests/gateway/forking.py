"""Gateways forked from one process that has imported everything: a start without the second that imports take.

What is forked runs the very command, with its own folder, environment and log; the only threads there are at a fork are
BLAS', which ends them for it. What an interpreter reads at its own
start (``PYTHON…``, ``LANG``) and what forks must not share (several workers) is for `subprocess`, and so is whoever
asks how long a start takes.
"""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

_FORKSERVER = multiprocessing.get_context("forkserver")
_FORKSERVER.set_forkserver_preload(
    ["gateway.cli", "gateway.process.server", "gateway.settings", "fastapi.applications"]
)


class ForkedProcess:
    """One forked gateway, with the part of `subprocess.Popen` that tests use.

    Attributes:
        returncode: its status once it has ended and somebody has asked, negative for a signal.
    """

    def __init__(self, arguments: Sequence[str], *, cwd: Path, env: Mapping[str, str], log: Path) -> None:
        self._process = _FORKSERVER.Process(target=_run, args=(list(arguments), cwd, dict(env), log))
        self._process.start()
        self.returncode: int | None = None

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process.pid is not None
        return self._process.pid

    def poll(self) -> int | None:
        """Give its status, None while it runs."""
        if self.returncode is None:
            self.returncode = self._process.exitcode
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end and give its status.

        Raises:
            subprocess.TimeoutExpired: it still runs.
        """
        self._process.join(timeout)
        status = self.poll()
        if status is None:
            raise subprocess.TimeoutExpired("thalamus", timeout or 0.0)
        return status

    def send_signal(self, number: int) -> None:
        """Send it a signal; nothing happens when it has ended."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)


def _run(arguments: list[str], cwd: Path, env: dict[str, str], log: Path) -> None:
    """Be ``thalamus`` with these arguments, in the forked process."""
    from gateway.cli import app

    with log.open("ab") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    try:
        app(arguments)
    finally:
        gc.collect()  # what was never awaited or never closed says so here: a fork ends without an interpreter's end
