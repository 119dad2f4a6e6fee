"""The servers that are measured, and the processes they run in."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

import psutil
import yaml

HOST = "127.0.0.1"
CHAT = "/v1/chat/completions"
KEY = "sk-bench-0123456789abcdef"
ROOT = Path(__file__).parents[2]

LOAD_CORE = 0
"""The generator and the upstream share this core; whatever is measured has the other to itself."""
SUBJECT_CORE = 1

_START_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Subject:
    """One server to measure: how it is started and how it is spoken to."""

    name: str
    command: tuple[str, ...]
    port: int
    model: str
    environment: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    cache_headers: Mapping[str, str] = field(default_factory=dict)
    """What makes it answer from its cache; empty for a server that has none."""


@dataclass(frozen=True, slots=True)
class Running:
    """A subject that serves. `start_seconds` is from the process's start to its first answered chat request."""

    subject: Subject
    process: psutil.Process
    start_seconds: float

    def cpu_seconds(self) -> float:
        """Return the CPU time that the process and its children have used, user and system."""
        used = [process.cpu_times() for process in self._family()]
        return sum(times.user + times.system for times in used)

    def resident_bytes(self) -> int:
        """Return the memory that the process and its children hold."""
        return sum(process.memory_info().rss for process in self._family())

    def _family(self) -> list[psutil.Process]:
        return [self.process, *self.process.children(recursive=True)]


class StartError(Exception):
    """A subject did not begin to serve; the message ends with what it wrote last."""


def upstream(port: int) -> Subject:
    """Return the stand-in, which is also the subject `raw`."""
    command = (sys.executable, "-m", "tests.bench.upstream", str(port))
    return Subject("raw", command, port, "bench-fast")


def bare_relay(port: int, upstream_port: int) -> Subject:
    """Return the yardstick: FastAPI and aiohttp without anything between them."""
    command = (sys.executable, "-m", "tests.bench.bare_relay", str(port), f"http://{HOST}:{upstream_port}")
    return Subject("bare-relay", command, port, "bench-fast")


def thalamus(port: int, upstream_port: int, folder: Path, **sections: Any) -> Subject:
    """Return the gateway with routing between two backends, a key to check, metrics and request logs.

    `sections` of the settings are added, or take the place of those that are there.
    """
    # In a folder of its own: the gateway watches the configuration's folder, and logs are written to `folder`.
    config = folder / "settings" / "thalamus.yaml"
    config.parent.mkdir()
    url = f"http://{HOST}:{upstream_port}/v1"
    settings = {
        "backends": {
            "bench-fast": {"url": url, "model": "bench-fast", "key": "sk-upstream"},
            "bench-deep": {"url": url, "model": "bench-deep", "key": "sk-upstream"},
        },
        "tiers": {"fast": "bench-fast", "deep": "bench-deep"},
        "keys": [{"name": "bench", "key": KEY}],
        "telemetry": {"log_format": "json"},
        "cache": {"mode": "exact", "store": "opt-in"},
        "ledger": {"path": str(folder / "usage.db")},
        **sections,
    }
    config.write_text(yaml.safe_dump(settings), encoding="utf-8")
    command = (str(Path(sys.executable).parent / "thalamus"), "serve", "--config", str(config), "--port", str(port))
    return Subject(
        "thalamus",
        command,
        port,
        "auto",
        headers={"authorization": f"Bearer {KEY}"},
        cache_headers={"x-thalamus-cache": "on"},
    )


def litellm(port: int, upstream_port: int, folder: Path, python: Path) -> Subject:
    """Return LiteLLM's proxy with one model and a master key; it does not route by difficulty."""
    config = folder / "litellm.yaml"
    parameters = {
        "model": "openai/bench-fast",
        "api_base": f"http://{HOST}:{upstream_port}/v1",
        "api_key": "sk-upstream",
    }
    settings = {
        "model_list": [{"model_name": "bench-fast", "litellm_params": parameters}],
        "general_settings": {"master_key": KEY},
    }
    config.write_text(yaml.safe_dump(settings), encoding="utf-8")
    command = (str(python.parent / "litellm"), "--config", str(config), "--host", HOST, "--port", str(port))
    # Its price map comes with the package; without this it would be fetched from the internet at every start.
    environment = {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    return Subject("litellm", command, port, "bench-fast", environment, {"authorization": f"Bearer {KEY}"})


def find_litellm() -> Path | None:
    """Return the Python of an environment with LiteLLM's proxy: `THALAMUS_BENCH_LITELLM`, or `.cache/bench-litellm`."""
    named = os.environ.get("THALAMUS_BENCH_LITELLM")
    python = Path(named) if named else ROOT / ".cache" / "bench-litellm" / "bin" / "python"
    return python if (python.parent / "litellm").exists() else None


def free_port() -> int:
    """Return a loopback port that nobody listens on."""
    with socket.create_server((HOST, 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def stay_on(core: int, process: int = 0) -> None:
    """Keep a process (0 is this one) on one core, where the system can do that and has more than one."""
    if hasattr(os, "sched_setaffinity") and (os.cpu_count() or 1) > 1:
        os.sched_setaffinity(process, {core})


@contextmanager
def started(subject: Subject, core: int, folder: Path) -> Iterator[Running]:
    """Start a subject on a core, wait until it answers, and end it with the block.

    Raises:
        StartError: when it ends or stays silent.

    """
    log = folder / f"{subject.name}.log"
    began = time.perf_counter()
    with log.open("wb") as output:
        child = subprocess.Popen(
            subject.command,
            cwd=ROOT,
            env={**os.environ, **subject.environment},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            stay_on(core, child.pid)
            _wait_until_serving(subject, child, began, log)
            yield Running(subject, psutil.Process(child.pid), time.perf_counter() - began)
        finally:
            child.terminate()
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


@contextmanager
def gateway_over_upstream(**sections: Any) -> Iterator[tuple[Subject, Running]]:
    """Run the static upstream and, on a core of its own, a gateway over it; give both. This process keeps to the other.

    Args:
        sections: replace the gateway's settings, as in `thalamus`.

    Raises:
        StartError: when one ends or stays silent.
    """
    stay_on(LOAD_CORE)
    with tempfile.TemporaryDirectory(prefix="thalamus-bench-") as kept:
        folder, source = Path(kept), upstream(free_port())
        with (
            started(source, LOAD_CORE, folder),
            started(thalamus(free_port(), source.port, folder, **sections), SUBJECT_CORE, folder) as gateway,
        ):
            yield source, gateway


def _wait_until_serving(subject: Subject, child: subprocess.Popen[bytes], began: float, log: Path) -> None:
    while not _answers(subject):
        if child.poll() is not None or time.perf_counter() - began > _START_SECONDS:
            told = log.read_text("utf-8", "replace")[-2000:]
            raise StartError(f"{subject.name} does not serve: {' '.join(subject.command)}\n{told}")
        time.sleep(0.01)


def _answers(subject: Subject) -> bool:
    body = json.dumps({"model": subject.model, "messages": [{"role": "user", "content": "Hello!"}]}).encode()
    headers = {"content-type": "application/json", **subject.headers}
    request = Request(f"http://{HOST}:{subject.port}{CHAT}", data=body, headers=headers)
    try:
        with urlopen(request, timeout=30) as answer:
            answer.read()
    except (URLError, ConnectionError):
        # Not listening yet, or not ready yet.
        return False
    return True
