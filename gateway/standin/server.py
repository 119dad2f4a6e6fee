"""Running the stand-in: in the foreground for `thalamus mock`, in a thread for tests."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.request import Request, urlopen

import msgspec
import uvicorn

from gateway.standin.app import Application, create_standin
from gateway.standin.behaviour import Behaviour
from gateway.standin.connection import LineProtocol

_START_SECONDS = 10
_CALL_SECONDS = 10


def serve(behaviour: Behaviour | None = None, *, host: str = "127.0.0.1", port: int = 9100) -> None:
    """Serve the stand-in until it is interrupted."""
    uvicorn.Server(_config(create_standin(behaviour), host=host, port=port)).run()


@dataclass(frozen=True, slots=True)
class RunningStandin:
    """A stand-in that runs in this process, with what tests ask of it."""

    url: str
    """The address without `/v1`, such as `http://127.0.0.1:41234`."""

    def behave(self, **switches: Any) -> None:
        """Change switches for the requests to come, such as `behave(faults=["status-503"], fault_limit=1)`."""
        self._call("/standin/behaviour", switches)

    def reset(self) -> None:
        """Return to the behaviour of the start and forget all requests."""
        self._call("/standin/reset", {})

    def requests(self) -> list[dict[str, Any]]:
        """Return the requests that came in, oldest first (see `journal.Entry.as_json`)."""
        found: list[dict[str, Any]] = self._call("/standin/requests")["requests"]
        return found

    def _call(self, path: str, body: Any = None) -> Any:
        data = None if body is None else msgspec.json.encode(body)
        with urlopen(Request(self.url + path, data=data), timeout=_CALL_SECONDS) as answer:  # noqa: S310 - our own URL
            return msgspec.json.decode(answer.read())


@contextmanager
def running_standin(behaviour: Behaviour | None = None) -> Iterator[RunningStandin]:
    """Run a stand-in in a thread on a free loopback port, until the block ends.

    Requests that still stall then are cut.

    Raises:
        RuntimeError: when it does not start within ten seconds.

    """
    with closing(socket.create_server(("127.0.0.1", 0), backlog=2048)) as listener:
        server = _Announcing(_config(create_standin(behaviour)))
        thread = threading.Thread(target=server.run, args=([listener],), name="standin", daemon=True)
        thread.start()
        if not server.ready.wait(_START_SECONDS):
            raise RuntimeError("the stand-in did not start")
        try:
            yield RunningStandin(f"http://127.0.0.1:{listener.getsockname()[1]}")
        finally:
            server.should_exit = True
            server.force_exit = True
            thread.join()


class _Announcing(uvicorn.Server):
    """A server that says when it serves."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then say so."""
        await super().startup(sockets)
        self.ready.set()


def _config(app: Application, *, host: str = "127.0.0.1", port: int = 0) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        http=LineProtocol,
        loop="uvloop",
        lifespan="off",
        ws="none",
        access_log=False,
        log_level="warning",
        server_header=False,
        date_header=False,
        timeout_keep_alive=300,
        timeout_graceful_shutdown=1,
        backlog=2048,
    )
