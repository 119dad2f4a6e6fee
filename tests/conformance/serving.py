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
from tests.conformance.standins import Mind, Provider, Refused, provider_for

PIECE = 3
"""Characters of content in one streamed delta, so that tags are cut."""


class Standins:
    """The providers of some rows, as an ASGI application.

    ``POST /{row}/…`` is a chat completion; ``GET /{row}`` gives what the row's provider was sent.

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


def _whole(message: Mapping[str, Any], mind: Mind) -> dict[str, Any]:
    finish = "tool_calls" if message.get("tool_calls") else "stop"
    choice = {"index": 0, "message": message, "finish_reason": finish}
    return {"id": "c-1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice],
            "usage": _usage(mind)}  # fmt: skip


def _events(message: Mapping[str, Any], mind: Mind) -> Iterator[bytes]:
    """Cut a message into deltas as providers do: text in pieces, arguments in two, a signature after its thought."""
    yield _event([_delta({"role": "assistant", "content": ""})])
    yield from _reasoning(message)
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


def _reasoning(message: Mapping[str, Any]) -> Iterator[bytes]:
    """Cut reasoning into deltas in which every field that carries it has the same piece, and then its signature."""
    texts = [name for name in ("reasoning_content", "reasoning") if message.get(name)]
    (blocks, key) = next(
        (
            (name, key)
            for name, key in (("reasoning_details", "text"), ("thinking_blocks", "thinking"))
            if message.get(name)
        ),
        ("", ""),
    )
    (block,) = message[blocks] if blocks else ({},)
    for piece in _pieces(message[texts[0]] if texts else block.get(key)):
        delta: dict[str, Any] = dict.fromkeys(texts, piece)
        if blocks:
            unsigned = {name: value for name, value in block.items() if name != "signature"}
            delta[blocks] = [{**unsigned, key: piece}]
        yield _event([_delta(delta)])
    if block.get("signature"):
        yield _event([_delta({blocks: [{**block, key: ""}]})])


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
