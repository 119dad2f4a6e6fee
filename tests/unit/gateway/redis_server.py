"""A real Redis for tests: started on a free port in a temporary folder, and killed, frozen or restarted at will."""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import redis as redis_py

_START_TIMEOUT_S = 10.0


_CACHE = Path(__file__).parents[3] / ".cache"
REDIS_8 = _CACHE / "redis8" / "redis-server"
REDISEARCH = _CACHE / "redisearch" / "redisearch.so"
FURTHER_RULES = (("+vadd", "+vcard", "+vrem", "+vsim"), ("+ft.create", "+ft.search"), ("+cluster|slots",))
"""What docs/caching.md adds to the user's rules for vector sets, for RediSearch and in a cluster."""


def redis_8() -> str:
    """Give the command of Redis 8, or skip the test where `make .cache/redis8/redis-server` could not fetch it."""
    if not REDIS_8.exists():
        pytest.skip("REDIS 8 IS NOT HERE: make .cache/redis8/redis-server fetches it")
    return str(REDIS_8)


def redisearch() -> tuple[str, ...]:
    """Give the options that load RediSearch into Redis 8, or skip the test where the Makefile could not fetch it."""
    if not REDISEARCH.exists():
        pytest.skip("REDISEARCH IS NOT HERE: make .cache/redisearch/redisearch.so fetches it")
    return ("--loadmodule", str(REDISEARCH))


class RedisServer:
    """One server process. `stop` and `start` may be called any number of times; the port stays."""

    def __init__(self, folder: Path, *, binary: str = "redis-server", options: Sequence[str] = ()) -> None:
        self.port = free_port()
        self.folder = folder
        self._binary = binary
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its address for the user that docs/caching.md describes, who may do no more than that."""
        return f"redis://thalamus:password@127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start the server and wait until it answers."""
        config = self.folder / "redis.conf"
        config.touch()  # a Sentinel writes what it learns there
        command = [self._binary, str(config), "--port", str(self.port), "--bind", "127.0.0.1"]
        command += ["--dir", str(self.folder), "--daemonize", "no", *self._options]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        self._wait_until_it_answers()

    def kill(self) -> None:
        """End the server at once, as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """Stop the process without closing anything: connections stand and nothing answers."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen process go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def client(self) -> redis_py.Redis:
        """Give a plain client, to look at the server from outside; close it after use."""
        return redis_py.Redis(host="127.0.0.1", port=self.port, socket_timeout=5)

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + _START_TIMEOUT_S
        while time.monotonic() < deadline:
            with contextlib.suppress(redis_py.RedisError), self.client() as client:
                client.execute_command("PING")
                if "--sentinel" not in self._options:
                    _describe_user(client)
                return
            time.sleep(0.02)
        raise RuntimeError(f"{self._binary} did not answer:\n{(self.folder / 'log').read_text()[-2000:]}")


def documented_rules() -> list[str]:
    """Give what docs/caching.md lets the gateway's user do, without what modules bring."""
    docs = (Path(__file__).parents[3] / "docs/caching.md").read_text(encoding="utf-8")
    line = next(line for line in docs.splitlines() if line.startswith("ACL SETUSER thalamus "))
    return line.split()[3:]


def _describe_user(client: redis_py.Redis) -> None:
    client.execute_command("ACL SETUSER", "thalamus", "reset", *documented_rules(), "~test:*")
    for rules in FURTHER_RULES:
        with contextlib.suppress(redis_py.ResponseError):  # this server has no such commands
            client.execute_command("ACL SETUSER", "thalamus", *rules)


@contextlib.contextmanager
def running_redis(*, binary: str = "redis-server", options: Sequence[str] = ()) -> Iterator[RedisServer]:
    """Start a server for the length of a `with`; without the program the test is skipped."""
    if shutil.which(binary) is None:
        pytest.skip(f"{binary} is not installed")
    with tempfile.TemporaryDirectory(prefix="thalamus-redis-") as folder:
        server = RedisServer(Path(folder), binary=binary, options=options)
        try:
            server.start()
            yield server
        finally:
            server.kill()


def join_cluster(servers: Sequence[RedisServer]) -> None:
    """Make one cluster of servers that were started for one, and wait until it is."""
    bounds = [16384 * number // len(servers) for number in range(len(servers) + 1)]
    for number, server in enumerate(servers):
        with server.client() as client:
            client.execute_command("CLUSTER ADDSLOTSRANGE", bounds[number], bounds[number + 1] - 1)
            client.execute_command("CLUSTER SET-CONFIG-EPOCH", number + 1)
            client.execute_command("CLUSTER MEET", "127.0.0.1", servers[0].port)
    deadline = time.monotonic() + 20
    for server in servers:
        with server.client() as client:
            while "cluster_state:ok" not in str(client.execute_command("CLUSTER INFO")).replace("': '", ":"):
                assert time.monotonic() < deadline, "the cluster did not form"
                time.sleep(0.05)


def free_port() -> int:
    """Give a port that nobody listens on now, low enough for a cluster's bus port above it."""
    for _ in range(100):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        if port < 55_000:
            return port
    raise RuntimeError("no free port below 55000")
