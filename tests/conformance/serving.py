"""The strict stand-ins as a server: one address for all of them, with the row's name as the path's first part."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import uvicorn

from tests.conformance.rows import Row
from tests.conformance.standins import Provider, Refused, provider_for
from tests.conformance.wires import wire_for


class Standins:
    """The providers of some rows, as an ASGI application.

    ``POST /{row}/…`` is a request in the API that the path names; ``GET /{row}`` gives what the provider was sent.

    Attributes:
        providers: the stand-ins by the name of their row.
        bodies: what each of them was sent, the latest last.
    """

    def __init__(self, rows: Sequence[Row]) -> None:
        self.providers: Mapping[str, Provider] = {row.name: provider_for(row.family, row.host) for row in rows}
        self.bodies: dict[str, list[dict[str, Any]]] = {row.name: [] for row in rows}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer for the provider that the path names."""
        name = scope["path"].split("/")[1]
        if scope["method"] == "GET":
            await _send(send, 200, "application/json", json.dumps(self.bodies[name]).encode())
            return
        body = json.loads(await _read(receive))
        self.bodies[name].append(body)
        wire = wire_for(scope["path"])
        try:
            message, mind = self.providers[name].serve(wire.read(body))
        except Refused as refusal:
            error = {"error": {"message": str(refusal), "type": "invalid_request_error", "param": None, "code": None}}
            await _send(send, 400, "application/json", json.dumps(error).encode())
            return
        if wire.streams(body, scope["path"]):
            await _send(send, 200, "text/event-stream", b"".join(wire.events(message, mind)))
        else:
            await _send(send, 200, "application/json", json.dumps(wire.whole(message, mind)).encode())


@asynccontextmanager
async def serving(standins: Standins) -> AsyncIterator[str]:
    """Serve on a free loopback port until the block ends; gives the address."""
    # asyncio turns Nagle's algorithm off only where the protocol is named; with it, every answer waits 40 ms.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        server = uvicorn.Server(uvicorn.Config(standins, interface="asgi3", lifespan="off", log_level="error"))
        task = asyncio.create_task(server.serve([listening]))
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            await task


@contextmanager
def event_loop() -> Iterator[asyncio.AbstractEventLoop]:
    """Run an event loop in a thread of its own until the block ends."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="conformance")
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@contextmanager
def running_standins(rows: Sequence[Row]) -> Iterator[str]:
    """Serve the stand-ins of some rows beside the caller until the block ends; gives the address."""
    with event_loop() as loop:
        context = serving(Standins(rows))
        url = asyncio.run_coroutine_threadsafe(context.__aenter__(), loop).result(timeout=60)
        try:
            yield url
        finally:
            asyncio.run_coroutine_threadsafe(context.__aexit__(None, None, None), loop).result(timeout=60)


async def _read(receive: Any) -> bytes:
    body, more = b"", True
    while more:
        event = await receive()
        body, more = body + event.get("body", b""), event.get("more_body", False)
    return body


async def _send(send: Any, status: int, kind: str, body: bytes) -> None:
    headers = [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
