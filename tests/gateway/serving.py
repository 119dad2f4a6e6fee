"""The real gateway for tests: its own process, a free port, a configuration on disk, a log that is read.

```python
def test_it_answers(standin, serve):
    gateway = serve(settings_over(standin.url))
    assert gateway.client().get("/healthz").json() == {"status": "ok"}
```

The fixtures `standin`, `gateway` and `serve` are in `tests/conftest.py`. A gateway that ends with a traceback in its
log, or does not end when told to, fails the test that ran it.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.gateway.forking import ForkedProcess

ROOT = Path(__file__).parents[2]
COMMAND = Path(sys.executable).with_name("thalamus")

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 10.0

_ADDRESS = re.compile(r"^Thalamus\s+(http://\S+)/v1", re.MULTILINE)
_IDLE = re.compile(r"^thalamus_in_flight_requests 0(?:\.0)?$", re.MULTILINE)
_DEFECTS = re.compile(
    r"Traceback|\"event\":\"defect\"|was never awaited|exception was never retrieved|Unclosed |Exception ignored"
)


class ServingError(AssertionError):
    """The gateway did not start, did not stop, or wrote of a defect. The message ends with its log."""


def settings_over(standin_url: str, **changes: Any) -> dict[str, Any]:
    """Give a configuration with a fast and a deep backend, both on one stand-in, and every ability.

    `changes` replace whole top-level sections; `server` is merged, so that the port stays free to choose. Every target
    is called once, and what a backend did before is not held against it: tests that share a gateway shall not feel each
    other's failures. What retries and breakers do has tests of its own, which set these back.
    """
    url = f"{standin_url}/v1"
    shared = {
        "abilities": {"vision": True, "audio": True},
        "breaker": {"enabled": False, "most_cooldown_s": 0},
    }
    server = {"port": 0, "notice_s": 0, "drain_s": 2, **changes.pop("server", {})}
    return {
        "backends": {
            "swift": {"url": url, "model": "swift-1", **shared},
            "sage": {"url": url, "model": "sage-1", **shared},
        },
        "tiers": {"fast": "swift", "deep": "sage"},
        "attempts": {"patience_s": 0, "backoff_s": 0, "retries_per_s": 0, "retry_share": 0},
        "telemetry": {"log_format": "json"},
        "server": server,
        **changes,
    }


class RunningGateway:
    """One gateway process that serves.

    Attributes:
        url: its address without ``/v1``, such as ``http://127.0.0.1:41234``.
        config: the file that its settings came from; `rewrite` changes it.
    """

    def __init__(self, process: subprocess.Popen[bytes] | ForkedProcess, config: Path, log: Path) -> None:
        self.process = process
        self.config = config
        self.url = ""
        self._log = log

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self.url.rpartition(":")[2])

    def client(self, **options: Any) -> httpx.Client:
        """Give an HTTP client of it; close it, or let it go with the test."""
        return httpx.Client(**{"base_url": self.url, "timeout": 10.0, "trust_env": False, **options})

    def log(self) -> str:
        """Give all that it has written so far."""
        return self._log.read_text("utf-8", "replace")

    def events(self, name: str = "request") -> list[dict[str, Any]]:
        """Give its structured log lines of one kind, oldest first (needs ``log_format: json``)."""
        whole = self.log().rpartition("\n")[0]
        lines = [json.loads(line) for line in whole.splitlines() if line.startswith("{")]
        return [line for line in lines if line.get("event") == name]

    def records(self, count: int, timeout_s: float = 5.0) -> list[dict[str, Any]]:
        """Give the log lines of requests once there are `count`: each is written after its client has its answer.

        Raises:
            ServingError: there are fewer when the time is up.
        """
        deadline = time.monotonic() + timeout_s
        while len(found := self.events()) < count:
            if time.monotonic() > deadline:
                raise self._failed(f"logged {len(found)} requests, not {count}")
            time.sleep(0.02)
        return found

    def settled(self, timeout_s: float = 5.0) -> int:
        """Give how many records of requests there are once none is under way, so that the next is the caller's own.

        Raises:
            ServingError: something is still under way when the time is up.
        """
        deadline = time.monotonic() + timeout_s
        with self.client() as client:
            while not _IDLE.search(client.get("/metrics").text):
                if time.monotonic() > deadline:
                    raise self._failed(f"still served something after {timeout_s:g} s")
                time.sleep(0.02)
        return len(self.events())

    def rewrite(self, settings: Mapping[str, Any]) -> None:
        """Replace its configuration file in one step; it notices by itself."""
        written = self.config.with_suffix(".new")
        written.write_text(yaml.safe_dump(dict(settings), allow_unicode=True), encoding="utf-8")
        written.replace(self.config)

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> None:
        """End it as an orchestrator would, with SIGTERM; fine when it has ended already.

        Raises:
            ServingError: it does not end in time, or ends otherwise than by that signal.
        """
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
        try:
            status = self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise self._failed(f"did not end within {timeout_s:g} s of SIGTERM") from None
        if status not in (0, -signal.SIGTERM):
            raise self._failed(f"ended with status {status}")

    def kill(self) -> None:
        """End it at once, as a crash would."""
        self.process.kill()
        self.process.wait()

    def check_log(self) -> None:
        """Raise ServingError if its log tells of a defect: a traceback, something never awaited or never closed."""
        log = self.log()
        if found := _DEFECTS.search(log):
            line = log.rfind("\n", 0, found.start()) + 1
            raise ServingError(f"the gateway's log tells of a defect:\n{log[line : line + 4000]}")

    def wait_until_ready(self, timeout_s: float = START_TIMEOUT_S) -> None:
        """Wait until it has said where it listens and wants traffic.

        Raises:
            ServingError: it ended first, or the time is up.
        """
        deadline = time.monotonic() + timeout_s
        while not self._is_ready():
            if self.process.poll() is not None:
                raise self._failed(f"did not start: status {self.process.returncode}")
            if time.monotonic() > deadline:
                raise self._failed(f"was not ready within {timeout_s:g} s")
            time.sleep(0.02)

    def _is_ready(self) -> bool:
        found = _ADDRESS.search(self.log())
        if found is None:
            return False
        self.url = found.group(1)
        with contextlib.suppress(httpx.TransportError), self.client() as client:
            return client.get("/readyz").is_success
        return False

    def _failed(self, what: str) -> ServingError:
        return ServingError(f"the gateway {what}; its log ends:\n{self.log()[-4000:]}")


@contextlib.contextmanager
def running_gateway(
    settings: Mapping[str, Any], folder: Path, *, environment: Mapping[str, str] | None = None, fresh: bool = False
) -> Iterator[RunningGateway]:
    """Run ``thalamus serve`` on a free port with these settings until the block ends.

    Args:
        settings: what is written to ``thalamus.yaml``, such as `settings_over` gives.
        folder: where the file and the log go.
        environment: variables to set besides the caller's own, of which ``THALAMUS_*`` are left out.
        fresh: start the command in an interpreter of its own, instead of forking it from one that has imported all.
            Several workers are always fresh.

    Raises:
        ServingError: it does not start or stop, or its log tells of a defect.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config, log = folder / "thalamus.yaml", folder / "gateway.log"
    config.write_text(yaml.safe_dump(dict(settings), allow_unicode=True), encoding="utf-8")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("THALAMUS_")}
    variables = inherited | dict(environment or {})
    arguments = ["serve", "--config", str(config)]
    log.touch()
    process: subprocess.Popen[bytes] | ForkedProcess
    if fresh or settings.get("server", {}).get("workers", 1) > 1:
        with log.open("wb") as output:
            process = subprocess.Popen(
                [str(COMMAND), *arguments],
                cwd=folder,
                env=variables,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
    else:
        process = ForkedProcess(arguments, cwd=folder, env=variables, log=log)
    gateway = RunningGateway(process, config, log)
    try:
        gateway.wait_until_ready()
        yield gateway
        gateway.stop()
        gateway.check_log()
    except ServingError:
        raise
    except BaseException as error:  # the test failed: the log may say why
        error.add_note(f"the gateway's log ends:\n{gateway.log()[-4000:]}")
        raise
    finally:
        if process.poll() is None:
            gateway.kill()
