"""``DELETE /admin/tenants/{tenant}``: forget what is kept of a tenant."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse

from gateway.cache.store import StoreUnavailable
from gateway.endpoints.door import REFUSED, enter
from gateway.errors import StateUnavailable
from gateway.ledger import BookUnavailable

routes = APIRouter(prefix="/admin/tenants", tags=["Operations"])


@routes.delete("/{tenant}", summary="Forget a tenant", responses=REFUSED)
async def erase_tenant(
    request: Request,
    tenant: str,
    usage: Annotated[bool, Query(description="forget what it used and spent as well")] = False,
) -> JSONResponse:
    """Erase a tenant's kept answers, conversations, responses and reasoning; on request, its usage too.

    Nothing fails silently: an answer of 200 means that all of it is gone.
    """
    rooms = enter(request)
    erased: dict[str, int] = {}
    try:
        if rooms.cache is not None:
            erased["answers"] = await rooms.cache.erase(tenant)
        if rooms.semantic is not None:
            rooms.semantic.forget(tenant)
        erased["conversations"] = await rooms.sessions.erase(tenant)
        erased["responses"] = await rooms.responses.store.erase(tenant)
        if rooms.vault is not None:
            erased["reasoning"] = await rooms.vault.erase(tenant)
        if usage and rooms.ledger is not None:
            await rooms.ledger.flush()
            erased["usage"] = await rooms.ledger.book.erase(tenant)
    except (StoreUnavailable, BookUnavailable) as error:
        raise StateUnavailable(f"Not all could be erased: {error}. Try again.") from None
    return JSONResponse({"tenant": tenant, "erased": erased})
