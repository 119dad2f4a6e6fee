"""One gateway for scenarios that can share one: over two stand-ins, one of them behind a spoiling proxy as well."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from gateway.standin import RunningStandin, running_standin
from tests.bench.subjects import free_port
from tests.chaos.proxy import Spoiler, running_proxy
from tests.chaos.world import World
from tests.gateway.serving import RunningGateway

_SOON = {"first_token": 0.5, "idle": 0.5}


@dataclass(frozen=True)
class Hall:
    """Its backends and tiers:

    | name | is |
    |---|---|
    | `pair` | both stand-ins |
    | `spoilt` | both, the first of them through the proxy; `spoiler` says what that has struck |
    | `swift`, `narrow` | the first, the latter with one call at a time |
    | `deaf` | a port to which connections are made for ever |
    | `fast` | both, and hedged |
    | `deep`, its mini | `sage` at `deep_port`, where nobody is until a scenario starts somebody; `sprite`, the first |
    """

    gateway: RunningGateway
    one: RunningStandin
    two: RunningStandin
    spoiler: Spoiler
    deep_port: int


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
    spoiler, deep_port = Spoiler(), free_port()
    with (
        running_standin() as one,
        running_standin() as two,
        running_proxy(one.url, spoiler) as proxy,
        _deaf_port() as deaf,
    ):
        replicas = [f"{one.url}/v1", f"{two.url}/v1"]
        backends = {
            "pair": {"model": "pair", "replicas": replicas, "timeouts": _SOON},
            "spoilt": {"model": "spoilt", "replicas": [f"{proxy}/v1", f"{two.url}/v1"], "timeouts": _SOON},
            "swift": {"model": "swift", "url": f"{one.url}/v1"},
            "narrow": {"model": "narrow", "url": f"{one.url}/v1", "max_concurrency": 1},
            "deaf": {"model": "deaf", "url": f"http://127.0.0.1:{deaf}/v1", "timeouts": {"connect": 60}},
            "hasty": {"model": "hasty", "replicas": replicas},
            "sage": {"model": "sage", "url": f"http://127.0.0.1:{deep_port}/v1"},
            "sprite": {"model": "sprite", "url": f"{one.url}/v1"},
        }
        sections = {
            "attempts": {"hedge": {"share": 1.0, "least_s": 0.02}},
            "server": {"keep_alive_s": world.scale.keep_alive_s},
        }
        tiers = {"fast": "hasty", "deep": "sage", "deep-mini": "sprite"}
        with world.gateway(backends, tiers, **sections) as gateway:
            yield Hall(gateway, one, two, spoiler, deep_port)


@contextmanager
def _deaf_port() -> Iterator[int]:
    """Give a port to which connections are made for ever: it is listened on, and its backlog is full."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(2):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]
