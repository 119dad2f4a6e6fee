"""The stand-ins on a loopback port, and the real gateway application before them, in one event loop of their own."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar

import httpx
import uvicorn

from gateway.app import HotPath, create_app
from gateway.settings import Settings
from tests.conformance.rows import Row, all_rows
from tests.conformance.standins import Mind, Provider, Refused, provider_for

T = TypeVar("T")

PIECE = 3
"""Characters of content in one streamed delta, so that tags are cut."""


class World:
    """Everything that a trial needs.

    Attributes:
        providers: the stand-ins by the name of their row.
        bodies: what each of them was sent, the latest last.
        client: speaks to the gateway.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, rows: Sequence[Row]) -> None:
        self.providers: Mapping[str, Provider] = {row.name: provider_for(row.family, row.host) for row in rows}
        self.bodies: dict[str, list[dict[str, Any]]] = {row.name: [] for row in rows}
        self.client: httpx.AsyncClient
        self._loop = loop

    def run(self, trial: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine where the gateway runs, and wait for it."""
        return asyncio.run_coroutine_threadsafe(trial, self._loop).result(timeout=60)

    async def serve(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer for the provider that the path names: the stand-ins' ASGI application."""
        name = scope["path"].split("/")[1]
        body = json.loads(await _read(receive))
        self.bodies[name].append(body)
        try:
            message, mind = self.providers[name].serve(body)
        except Refused as refusal:
            error = {"error": {"message": str(refusal), "type": "invalid_request_error", "param": None, "code": None}}
            await _send(send, 400, "application/json", json.dumps(error).encode())
            return
        if body.get("stream"):
            await _send(send, 200, "text/event-stream", b"".join(_events(message, mind)))
        else:
            await _send(send, 200, "application/json", json.dumps(_whole(message, mind)).encode())


@contextmanager
def running_world(rows: Sequence[Row] | None = None, **settings: Any) -> Iterator[World]:
    """Run stand-ins and gateway until the block ends; `settings` are further sections of the gateway's."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="conformance")
    thread.start()
    world = World(loop, all_rows() if rows is None else rows)
    context = _open(world, all_rows() if rows is None else rows, settings)
    try:
        asyncio.run_coroutine_threadsafe(context.__aenter__(), loop).result(timeout=60)
        try:
            yield world
        finally:
            asyncio.run_coroutine_threadsafe(context.__aexit__(None, None, None), loop).result(timeout=60)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@asynccontextmanager
async def _open(world: World, rows: Sequence[Row], settings: Mapping[str, Any]) -> AsyncIterator[None]:
    # asyncio turns Nagle's algorithm off only where the protocol is named; with it, every answer waits 40 ms.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        server = uvicorn.Server(uvicorn.Config(world.serve, interface="asgi3", lifespan="off", log_level="error"))
        serving = asyncio.create_task(server.serve([listening]))
        app = create_app(Settings.model_validate({**_settings(rows, url), **settings}))
        transport = httpx.ASGITransport(HotPath(app))
        async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport) as client:
            world.client = client
            yield
        server.should_exit = True
        await serving


def _settings(rows: Sequence[Row], url: str) -> dict[str, Any]:
    first = rows[0].name
    return {
        "backends": {
            row.name: {
                "url": f"{url}/{row.name}/v1",
                "model": row.family,
                "family": row.family,
                "host": None if row.host == "*" else row.host,
                "context_window": 1_000_000,
            }
            for row in rows
        },
        "tiers": {"fast": first, "deep": first},
        "telemetry": {"log_level": "error"},
    }


def _whole(message: Mapping[str, Any], mind: Mind) -> dict[str, Any]:
    finish = "tool_calls" if message.get("tool_calls") else "stop"
    choice = {"index": 0, "message": message, "finish_reason": finish}
    return {"id": "c-1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice],
            "usage": _usage(mind)}  # fmt: skip


def _events(message: Mapping[str, Any], mind: Mind) -> Iterator[bytes]:
    """Cut a message into deltas as providers do: text in pieces, arguments in two, a signature after its thought."""
    yield _event([_delta({"role": "assistant", "content": ""})])
    for name in ("reasoning_content", "reasoning"):
        for piece in _pieces(message.get(name)):
            yield _event([_delta({name: piece})])
    for detail in message.get("reasoning_details") or ():
        yield _event([_delta({"reasoning_details": [detail]})])
    for block in message.get("thinking_blocks") or ():
        yield _event([_delta({"thinking_blocks": [{**block, "signature": ""}]})])
        yield _event([_delta({"thinking_blocks": [{**block, "thinking": ""}]})])
    for piece in _pieces(message.get("content")):
        yield _event([_delta({"content": piece})])
    for index, call in enumerate(message.get("tool_calls") or ()):
        function = call["function"]
        half = len(function["arguments"]) // 2
        opening = {**call, "index": index, "function": {**function, "arguments": function["arguments"][:half]}}
        yield _event([_delta({"tool_calls": [opening]})])
        rest = {"index": index, "function": {"arguments": function["arguments"][half:]}}
        yield _event([_delta({"tool_calls": [rest]})])
    yield _event([_delta({}) | {"finish_reason": "tool_calls" if message.get("tool_calls") else "stop"}])
    yield _event([], usage=_usage(mind))
    yield b"data: [DONE]\n\n"


def _pieces(text: str | None) -> Iterator[str]:
    for start in range(0, len(text or ""), PIECE):
        yield (text or "")[start : start + PIECE]


def _delta(delta: dict[str, Any]) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "finish_reason": None}


def _event(choices: list[dict[str, Any]], **fields: Any) -> bytes:
    event = {"id": "c-1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices, **fields}
    return b"data: " + json.dumps(event, ensure_ascii=False).encode() + b"\n\n"


def _usage(mind: Mind) -> dict[str, Any]:
    details = {"completion_tokens_details": {"reasoning_tokens": 40}} if mind.thinks else {}
    return {"prompt_tokens": 20, "completion_tokens": 60, "total_tokens": 80, **details}


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
