"""The yardstick: the least that a Python gateway can be. FastAPI in front, aiohttp behind, nothing in between.

No routing, no key, no metrics, no errors: what this costs, every FastAPI gateway pays.
Run as `python -m tests.bench.bare_relay PORT UPSTREAM_URL`.
"""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import StreamingResponse


def create_relay(upstream: str) -> FastAPI:
    """Return an app that passes chat completions on to `upstream`."""

    @asynccontextmanager
    async def with_client(app: FastAPI) -> AsyncIterator[None]:
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as app.state.client:
            yield

    app = FastAPI(lifespan=with_client)

    @app.post("/v1/chat/completions")
    async def relay(request: Request) -> Response:
        url, body = f"{upstream}/v1/chat/completions", await request.body()
        answer = await request.app.state.client.post(url, data=body, headers={"content-type": "application/json"})
        content_type = answer.headers["content-type"]
        if content_type.startswith("text/event-stream"):
            return StreamingResponse(answer.content.iter_any(), media_type=content_type)
        return Response(await answer.read(), answer.status, media_type=content_type)

    return app


if __name__ == "__main__":
    port, upstream = sys.argv[1:]
    config = {"loop": "uvloop", "http": "httptools", "access_log": False, "log_level": "warning"}
    uvicorn.run(create_relay(upstream), port=int(port), **config)
