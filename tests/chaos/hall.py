"""One gateway for scenarios that can share one: over two stand-ins, one of them behind a spoiling proxy as well."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from gateway.standin import RunningStandin, running_standin
from tests.chaos.proxy import Spoiler, running_proxy
from tests.chaos.world import World
from tests.gateway.serving import RunningGateway

_SOON = {"first_token": 0.5, "idle": 0.5}


@dataclass(frozen=True)
class Hall:
    """Its backends are `pair` (both stand-ins), `spoilt` (the first of them through the proxy) and `swift` (the first).

    `spoiler` is the proxy's: what it has struck.
    """

    gateway: RunningGateway
    one: RunningStandin
    two: RunningStandin
    spoiler: Spoiler


@contextmanager
def in_hall(world: World) -> Iterator[Hall]:
    """Give the world's hall, its stand-ins healthy and without memories; one of the scenario's own if it has none."""
    if world.hall is None:
        with opened_hall(world) as hall:
            yield hall
        return
    for standin in (world.hall.one, world.hall.two):
        standin.reset()
    yield world.hall


@contextmanager
def opened_hall(world: World) -> Iterator[Hall]:
    """Start all of it."""
    spoiler = Spoiler()
    with running_standin() as one, running_standin() as two, running_proxy(one.url, spoiler) as proxy:
        backends = {
            "pair": {"model": "pair", "replicas": [f"{one.url}/v1", f"{two.url}/v1"], "timeouts": _SOON},
            "spoilt": {"model": "spoilt", "replicas": [f"{proxy}/v1", f"{two.url}/v1"], "timeouts": _SOON},
            "swift": {"model": "swift", "url": f"{one.url}/v1"},
        }
        with world.gateway(backends, {"fast": "swift", "deep": "swift"}) as gateway:
            yield Hall(gateway, one, two, spoiler)
