"""``/``: the console, a page for people; its data come from the endpoints that everybody else uses."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, JSONResponse

from gateway.endpoints.door import is_open_here
from gateway.errors import NotFound
from gateway.rooms import Rooms

routes = APIRouter(include_in_schema=False)

FOLDER = Path(__file__).parents[1] / "console"
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".txt": "text/plain"}
_FILES = {path.relative_to(FOLDER).as_posix(): path for path in FOLDER.rglob("*") if path.suffix in _TYPES}
"""All that is served, listed once: no path that a caller writes ever reaches the disk."""


@routes.get("/")
async def show_page() -> FileResponse:
    """Give the page."""
    headers = {"content-security-policy": _POLICY, "cache-control": "no-cache"}
    return FileResponse(FOLDER / "index.html", media_type="text/html", headers=headers)


@routes.get("/console/about")
async def about(request: Request) -> JSONResponse:
    """Say what a page needs to know before anybody has shown a key."""
    rooms: Rooms = request.app.state.rooms
    return JSONResponse(
        {
            "version": request.app.version,
            "bundle": rooms.engine.model.name,
            "dial": rooms.engine.policy.dial,
            "needs_key": rooms.keyring.asks,
            "keeps_books": rooms.ledger is not None,
            "admin_open": is_open_here(request),
        }
    )


@routes.get("/console/{path:path}")
async def show_file(path: str) -> FileResponse:
    """Give one of the page's files."""
    if path not in _FILES:
        raise NotFound("There is no such file of the console.")
    file = _FILES[path]
    return FileResponse(file, media_type=_TYPES[file.suffix], headers={"cache-control": "no-cache"})
