"""``/healthz``, ``/readyz`` and ``/metrics``: for those who keep the gateway running."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse

from gateway import metrics
from gateway.rooms import Rooms

routes = APIRouter(tags=["Operations"])

_DRAINING: dict[int | str, dict[str, Any]] = {
    503: {"description": "Shutting down", "content": {"application/json": {}}},
}


@routes.head("/healthz", include_in_schema=False)  # several load balancers probe so
@routes.get("/healthz", summary="Is the process alive?")
async def healthz() -> dict[str, str]:
    """Answer as long as the event loop turns."""
    return {"status": "ok"}


@routes.head("/readyz", include_in_schema=False)
@routes.get("/readyz", summary="Should it get traffic?", responses=_DRAINING)
async def readyz(request: Request) -> JSONResponse:
    """Answer 200 while requests are welcome, 503 once the gateway is shutting down."""
    rooms: Rooms = request.app.state.rooms
    ready: bool = request.app.state.life.is_ready
    report: dict[str, Any] = {
        "status": "ready" if ready else "draining",
        "difficulty_model": rooms.engine.model.name,
        "backends": list(rooms.backends),
    }
    return JSONResponse(report, HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE)


@routes.get("/metrics", summary="Prometheus metrics", response_class=PlainTextResponse)
async def show_metrics(request: Request) -> Response:
    """Give all metrics in Prometheus' text format, or in OpenMetrics' to who prefers it."""
    rooms: Rooms = request.app.state.rooms
    rooms.show_load()
    await asyncio.gather(rooms.show_budgets(), rooms.gather_counts())
    if "application/openmetrics-text" in request.headers.get("accept", ""):
        return Response(rooms.metrics.render(as_openmetrics=True), headers={"content-type": metrics.OPENMETRICS_TYPE})
    return Response(rooms.metrics.render(), media_type=metrics.CONTENT_TYPE)
