"""``/admin``: for the operator. With the admin key, or, where none is set, from this machine only."""

from __future__ import annotations

import hmac
import ipaddress
import time
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from gateway.errors import AuthenticationFailed, NotFound, PermissionRefused
from gateway.rooms import Rooms
from gateway.upstream.pool import Pool

routes = APIRouter(prefix="/admin", tags=["Operations"])

_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip", "via")
"""A request that came through a proxy is from anywhere, though its connection is from this machine."""

_REFUSED: dict[int | str, dict[str, Any]] = {
    401: {"description": "No admin key, or a wrong one", "content": {"application/json": {}}},
    403: {"description": "Not from this machine, and no admin key is set", "content": {"application/json": {}}},
}
_NAMED: dict[int | str, dict[str, Any]] = {
    **_REFUSED,
    404: {"description": "No such backend or replica", "content": {"application/json": {}}},
}


@routes.get("/backends", summary="How the backends are", responses=_REFUSED)
async def show_backends(request: Request) -> JSONResponse:
    """List every replica: whether it serves, what is in flight, how slow it has been."""
    rooms = _enter(request)
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
    rooms = _enter(request)
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


def _enter(request: Request) -> Rooms:
    """Let the operator in.

    Raises:
        AuthenticationFailed: an admin key is set, and this is not it.
        PermissionRefused: none is set, and the caller is not on this machine.
    """
    rooms: Rooms = request.app.state.rooms
    key = rooms.settings.server.admin_key
    if key is None:
        if not _is_on_this_machine(request):
            raise PermissionRefused("/admin answers this machine only; set server.admin_key to open it to others.")
        return rooms
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    expected = key.get_secret_value().encode()
    if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode("latin-1", "replace"), expected):
        raise AuthenticationFailed("This needs the admin key: 'Authorization: Bearer KEY'.")
    return rooms


def _is_on_this_machine(request: Request) -> bool:
    """Whether a request comes from this machine, itself and not as a proxy, and by a name that means it.

    The name is looked at because a web page may make a browser on this machine call an address that its own name
    server says is ours (DNS rebinding).
    """
    if any(header in request.headers for header in _FORWARDED) or request.client is None:
        return False
    return _is_loopback(request.client.host) and _is_loopback(request.url.hostname or "")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
