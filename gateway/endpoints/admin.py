"""``/admin/backends``: how the backends are, and draining them."""

from __future__ import annotations

import time
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from gateway.endpoints.door import REFUSED, enter
from gateway.errors import NotFound
from gateway.rooms import Rooms
from gateway.upstream.pool import Pool

routes = APIRouter(prefix="/admin", tags=["Operations"])

_NAMED: dict[int | str, dict[str, Any]] = {
    **REFUSED,
    404: {"description": "No such backend or replica", "content": {"application/json": {}}},
}


@routes.get("/backends", summary="How the backends are", responses=REFUSED)
async def show_backends(request: Request) -> JSONResponse:
    """List every replica: whether it serves, what is in flight, how slow it has been."""
    rooms = enter(request)
    return JSONResponse({"backends": [_describe(backend.pool) for backend in rooms.backends.values()]})


@routes.post("/backends/{name:path}/drain", summary="Send no more calls to a backend or replica", responses=_NAMED)
async def drain(request: Request, name: str) -> JSONResponse:
    """Send no new calls to `BACKEND`, or to `BACKEND/REPLICA`; those under way go on to their end."""
    return _set_draining(request, name, draining=True)


@routes.post("/backends/{name:path}/undrain", summary="Send calls again", responses=_NAMED)
async def undrain(request: Request, name: str) -> JSONResponse:
    """Take back what `drain` said."""
    return _set_draining(request, name, draining=False)


def _set_draining(request: Request, name: str, *, draining: bool) -> JSONResponse:
    rooms = enter(request)
    pool, replica = _find(rooms, name)
    if not pool.drain(replica, draining=draining):
        known = ", ".join(one.name for one in pool.replicas)
        raise NotFound(f"Backend '{pool.backend}' has no replica '{replica}'. It has: {known}.")
    told = "this process" if rooms.board is None else "all processes"
    return JSONResponse({**_describe(pool), "told": told})


def _find(rooms: Rooms, name: str) -> tuple[Pool, str | None]:
    """Read `BACKEND` or `BACKEND/REPLICA`; a backend's own name may hold slashes.

    Raises:
        NotFound: there is no such backend.
    """
    if (backend := rooms.backends.get(name)) is not None:
        return backend.pool, None
    backend_name, _, replica = name.rpartition("/")
    if (backend := rooms.backends.get(backend_name)) is not None:
        return backend.pool, replica
    raise NotFound(f"There is no backend '{name[:200]}'. There are: {', '.join(rooms.backends)}.")


def _describe(pool: Pool) -> dict[str, Any]:
    now = time.monotonic()
    replicas = [
        {
            "name": replica.name,
            "condition": replica.condition(now),
            "breaker": replica.breaker.state,
            "in_flight": replica.in_flight,
            "limit": replica.limit,
            "tokens_in_flight": replica.tokens,
            "slowness_s": round(replica.slowness.now(), 3),
            "weight": replica.weight,
        }
        for replica in pool.replicas
    ]
    return {"name": pool.backend, "waiting": len(pool.queue), "replicas": replicas}
