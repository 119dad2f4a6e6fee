"""The door of ``/admin``: with the admin key, or, where none is set, from this machine only."""

from __future__ import annotations

import hmac
import ipaddress
from typing import Any

from fastapi import Request

from gateway.errors import AuthenticationFailed, PermissionRefused
from gateway.rooms import Rooms

_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip", "via")
"""A request that came through a proxy is from anywhere, though its connection is from this machine."""

REFUSED: dict[int | str, dict[str, Any]] = {
    401: {"description": "No admin key, or a wrong one", "content": {"application/json": {}}},
    403: {"description": "Not from this machine, and no admin key is set", "content": {"application/json": {}}},
}


def enter(request: Request) -> Rooms:
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


def is_open_here(request: Request) -> bool:
    """Whether this caller may enter without a key: none is set, and it is on this machine."""
    rooms: Rooms = request.app.state.rooms
    return rooms.settings.server.admin_key is None and _is_on_this_machine(request)


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
