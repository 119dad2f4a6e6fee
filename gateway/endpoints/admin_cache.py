"""``GET /admin/cache``: how the cache is set and what it has done in this process."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from gateway.endpoints.door import REFUSED, enter

routes = APIRouter(prefix="/admin/cache", tags=["Operations"])


@routes.get("", summary="What the cache does", responses=REFUSED)
async def show_cache(request: Request) -> JSONResponse:
    """Give the settings, requests by outcome since the start, and the bytes held, where that is in the process."""
    rooms = enter(request)
    settings = rooms.settings.cache
    return JSONResponse(
        {
            "mode": settings.mode,
            "place": "process" if rooms.board is None else "redis",
            "max_bytes": settings.max_bytes,
            "ttl_s": settings.ttl_s,
            "held": None if rooms.cache is None else rooms.cache.held(),
            "counts": dict(rooms.recent.cache_counts),
        }
    )
