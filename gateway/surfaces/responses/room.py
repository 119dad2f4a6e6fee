"""What the Responses API has of its own in a running gateway."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.surfaces.responses.background import Background
from gateway.surfaces.responses.events import EventStore
from gateway.surfaces.responses.keeping import ResponseStore
from gateway.surfaces.responses.sealing import Seal


@dataclass(frozen=True, slots=True)
class ResponsesRoom:
    """Built by `gateway.building`, part of its rooms."""

    store: ResponseStore
    events: EventStore
    background: Background
    seal: Seal
