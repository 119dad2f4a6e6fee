"""``GET /admin/dial``: what each notch of the dial costs and is worth, on validation data and on the last requests."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Any

import msgspec
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from classifiers.dial_curve import CurvePoint, read_curve
from gateway.endpoints.door import REFUSED, enter
from gateway.records.prices import Price, Usage
from gateway.records.recent import dials_of, notches
from gateway.rooms import Rooms
from router.types import Tier

routes = APIRouter(prefix="/admin/dial", tags=["Operations"])

MOST_REPLAYED = 200
"""Of the last requests, so many are decided at every notch."""

ANSWER_TOKENS = 300
"""Assumed length of an answer without its thinking, for the curve's dollars; the validation data hold none."""


@routes.get("", summary="What the dial costs and is worth", responses=REFUSED)
async def show_dial(request: Request) -> JSONResponse:
    """Give the bundle's cost-quality curve, where the notches stand on it, and the last requests at every notch."""
    rooms = enter(request)
    seen = rooms.recent.listed()[-MOST_REPLAYED:]
    own = await asyncio.to_thread(notches, seen, rooms.engine, rooms.accounts.prices) if seen else []
    curve = await asyncio.to_thread(read_curve, rooms.settings.routing.bundle)
    prices = _prices(rooms)
    sources = [] if curve is None else curve.sources
    thresholds = {dial: rooms.engine.threshold_at(dial) for dial in dials_of(rooms.engine)}
    return JSONResponse(
        {
            "bundle": rooms.engine.model.name,
            "dial": rooms.engine.policy.dial,
            "thresholds": thresholds,
            "answer_tokens": ANSWER_TOKENS,
            "priced": prices is not None,
            "curves": [
                {
                    "name": source.name,
                    "basis": source.basis,
                    "examples": source.examples,
                    "points": [_with_cost(point, prices) for point in source.points],
                }
                for source in sources
            ],
            "recent": {"requests": len(seen), "notches": [asdict(notch) for notch in own]},
        }
    )


def _prices(rooms: Rooms) -> tuple[Price, Price] | None:
    """Give the prices of the tiers' first backends; None where one is unknown."""
    tiers, known = rooms.engine.policy.tiers, rooms.accounts.prices
    fast, deep = (known.get(tiers[tier][0].backend) for tier in (Tier.FAST, Tier.DEEP))
    return None if fast is None or deep is None else (fast, deep)


def _with_cost(point: CurvePoint, prices: tuple[Price, Price] | None) -> dict[str, Any]:
    """Add the dollars per 1,000 requests at the tiers' prices, answers being `ANSWER_TOKENS` long."""
    cost = None
    if prices is not None:
        fast, deep = prices
        answer = ANSWER_TOKENS * point.deep_share
        dollars = deep.cost(
            Usage(round(1000 * point.deep_prompt_tokens), round(1000 * (answer + point.thinking_tokens)))
        )
        dollars += fast.cost(
            Usage(
                round(1000 * (point.prompt_tokens - point.deep_prompt_tokens)), round(1000 * (ANSWER_TOKENS - answer))
            )
        )
        cost = round(dollars, 6)
    return {**msgspec.to_builtins(point), "dollars_per_1000": cost}
