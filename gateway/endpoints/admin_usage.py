"""``GET /admin/usage``: what was used and spent."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse

from gateway.endpoints.door import REFUSED, enter
from gateway.errors import InvalidField, NotFound, StateUnavailable
from gateway.ledger import BookUnavailable, as_csv, summarise
from gateway.ledger.commands import read_days

routes = APIRouter(prefix="/admin/usage", tags=["Operations"])

_ANSWERS: dict[int | str, dict[str, Any]] = {
    **REFUSED,
    200: {"description": "The report", "content": {"application/json": {}, "text/csv": {}}},
    400: {"description": "No such day or dimension", "content": {"application/json": {}}},
}


@routes.get("", summary="What was used and spent", responses=_ANSWERS)
async def show_usage(
    request: Request,
    first: Annotated[str | None, Query(alias="from", description="first day, as 2026-11-01; 30 days ago")] = None,
    last: Annotated[str | None, Query(alias="to", description="last day; today. Days are UTC's")] = None,
    by: Annotated[str, Query(description="of day, tenant, key, tier, model")] = "tenant,key,model",
    tenant: str | None = None,
    key: str | None = None,
    form: Annotated[Literal["json", "csv"], Query(alias="format")] = "json",
) -> Response:
    """Add up requests, tokens, dollars and savings by day, tenant, key, tier or model."""
    ledger = enter(request).ledger
    if ledger is None:
        raise NotFound("Nothing is booked here: ledger.place is off.")
    try:
        days = read_days(first, last)
        await ledger.flush()
        report = summarise(await ledger.book.read(*days), [one for one in by.split(",") if one], tenant=tenant, key=key)
    except ValueError as error:
        raise InvalidField(f"Invalid request: {error}.") from None
    except BookUnavailable as error:
        raise StateUnavailable(f"The usage cannot be read now: {error}.") from None
    if form == "csv":
        return Response(as_csv(report), media_type="text/csv")
    return JSONResponse({"from": days[0], "to": days[1], **asdict(report)})
