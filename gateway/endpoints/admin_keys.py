"""``/admin/keys``: make, list, rotate and revoke keys while the gateway runs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Body, Request
from fastapi.responses import JSONResponse
from pydantic import Field, ValidationError

from gateway.endpoints.door import REFUSED, enter
from gateway.errors import InvalidField, NotFound, StateUnavailable
from gateway.keys import KeyRecord, KeyRefused, KeyStoreUnavailable, ManagedKeys, issue, revoke, rotate
from gateway.keys.store import Change
from gateway.settings import Frozen, KeyBounds

routes = APIRouter(prefix="/admin/keys", tags=["Operations"])
T = TypeVar("T")

_NAMED: dict[int | str, dict[str, Any]] = {
    **REFUSED,
    400: {"description": "The change cannot be made", "content": {"application/json": {}}},
    404: {"description": "No such key", "content": {"application/json": {}}},
}


class Rotation(Frozen):
    """How a key is rotated."""

    overlap_s: Annotated[float, Field(ge=0, le=90 * 86_400)] = Field(
        86_400.0, description="how long the old token goes on"
    )


@routes.get("", summary="List the keys", responses=REFUSED)
async def list_keys(request: Request) -> JSONResponse:
    """List all keys, the revoked ones too; of their tokens only the last four characters."""
    managed = enter(request).managed_keys
    await managed.refresh()
    return JSONResponse({"keys": [record.shown() for record in managed.records]})


@routes.post("", summary="Make a key", responses=_NAMED, status_code=201)
async def create_key(request: Request, body: Annotated[dict[str, Any], Body()]) -> JSONResponse:
    """Make a key. The answer holds its token, which is nowhere else and cannot be shown again."""
    managed = enter(request).managed_keys
    bounds = _read(KeyBounds, body)
    record, token = await _change(managed, lambda records: _with_token(issue(records, bounds)))
    return JSONResponse({"key": token, **record.shown()}, 201)


@routes.post("/{which}/rotate", summary="Give a key a new token", responses=_NAMED)
async def rotate_key(
    request: Request, which: str, body: Annotated[dict[str, Any] | None, Body()] = None
) -> JSONResponse:
    """Give a key, by id or name, a new token; the old one goes on for `overlap_s` seconds."""
    managed = enter(request).managed_keys
    overlap = timedelta(seconds=_read(Rotation, body or {}).overlap_s)
    record, token = await _change(managed, lambda records: _with_token(rotate(records, which, overlap)))
    return JSONResponse({"key": token, **record.shown()})


@routes.delete("/{which}", summary="Revoke a key", responses=_NAMED)
async def revoke_key(request: Request, which: str) -> JSONResponse:
    """Close a key, by id or name, for good: here at once, in other processes within `key_store.refresh_s`."""
    managed = enter(request).managed_keys
    record = await _change(managed, lambda records: revoke(records, which))
    return JSONResponse(record.shown())


def _with_token(made: tuple[list[KeyRecord], KeyRecord, str]) -> tuple[list[KeyRecord], tuple[KeyRecord, str]]:
    records, record, token = made
    return records, (record, token)


async def _change(managed: ManagedKeys, make: Change[T]) -> T:
    try:
        given = await managed.store.change(make)
    except KeyRefused as error:
        message = f"{str(error)[:1].upper()}{str(error)[1:]}."
        raise (NotFound if "there is no key" in message.lower() else InvalidField)(message) from None
    except KeyStoreUnavailable as error:
        raise StateUnavailable(f"The keys cannot be changed now: {error}.") from None
    await managed.refresh()
    return given


M = TypeVar("M", bound=Frozen)


def _read(shape: Callable[..., M], body: dict[str, Any]) -> M:
    """Read a body with the settings' own checks.

    Raises:
        InvalidField: something in it is wrong; the first such place is named.
    """
    try:
        return shape(**body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        param = ".".join(str(step) for step in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        raise InvalidField(f"Invalid request. '{param}': {message}.", param=param) from None
