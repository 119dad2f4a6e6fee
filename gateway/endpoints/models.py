"""``GET /v1/models``: the names that a client may ask for."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Request

from gateway.errors import UnknownModel
from gateway.exchange import identify
from gateway.rooms import Rooms
from gateway.wire.openapi import describe

routes = APIRouter(tags=["OpenAI"])


@routes.get("/v1/models", **describe(None, "List the models"))
async def list_models(request: Request) -> dict[str, Any]:
    """List `auto`, the tiers, the backends and the aliases that the caller's key may use."""
    return {"object": "list", "data": _models(request)}


@routes.get("/v1/models/{model:path}", **describe(None, "Describe one model"))
async def show_model(request: Request, model: str) -> dict[str, Any]:
    """Describe one name."""
    for found in _models(request):
        if found["id"] == model:
            return found
    raise UnknownModel(f"The model '{model[:128]}' does not exist here.", param="model")


def _models(request: Request) -> list[dict[str, Any]]:
    rooms: Rooms = request.app.state.rooms
    caller = identify(request)
    created = request.app.state.started
    return [
        {"id": name, "object": "model", "created": created, "owned_by": "thalamus", "thalamus": _role(name, rooms)}
        for name in rooms.engine.names
        if caller.models is None or name in caller.models
    ]


def _role(name: str, rooms: Rooms) -> dict[str, Any]:
    """Say what a name stands for."""
    if name in rooms.backends:
        settings = rooms.backends[name].settings
        role = {"is": "backend", "context_window": settings.context_window, "model": settings.model}
        price = rooms.accounts.prices.get(name)
        return role if price is None else {**role, "price": asdict(price)}
    if name in rooms.engine.policy.aliases:
        return {"is": "alias", "of": rooms.engine.policy.aliases[name]}
    return {"is": "router" if name == "auto" else "tier"}
