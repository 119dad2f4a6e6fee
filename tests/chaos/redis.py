"""Redis is killed, frozen, slowed and filled under load, with everything that uses it switched on."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

from gateway.standin import running_standin
from tests.chaos.load import CHAT, Seen, steady
from tests.chaos.proxy import Delay, running_delay
from tests.chaos.world import Result, World
from tests.gateway.serving import RunningGateway
from tests.unit.gateway.redis_server import RedisServer, running_redis

MOST_ADDED_S = 0.025
MOST_RECOVERY_S = 5.0
_TOKEN = "tha-chaos"
_KEY = {"authorization": f"Bearer {_TOKEN}"}
_HISTORY = [
    {"role": "user", "content": "What is the plan?"},
    {"role": "assistant", "content": "First this, then that."},
]
"""So that conversations are recognised and the vault is asked; without it the semantic cache takes part."""


@dataclass
class _Scene:
    """A gateway and the Redis that it uses. `asked`: questions so far, since an answer kept in peace is no measure."""

    gateway: RunningGateway
    server: RedisServer
    delay: Delay
    asked: int = 0


async def redis_trouble(world: World) -> Result:
    """Four kinds of trouble, one after the other, on gateways that the kinds share.

    In the long form there are two gateways, and while the Redis of one is in trouble the other is asked as much:
    whatever else the machine does, it does to both.
    """
    with running_standin() as standin, ExitStack() as stack:
        standin.behave(first_byte_ms=10)
        behind = direct = stack.enter_context(_scene(world, "behind", standin.url, slow=True))
        if world.scale.direct_redis:
            direct = stack.enter_context(_scene(world, "direct", standin.url, slow=False))
        told, faults = [], []
        before = None if world.scale.direct_redis else await _load(world, behind)
        for kind, scene, harm, mend in (
            ("killed", direct, direct.server.kill, direct.server.start),
            ("frozen", direct, direct.server.freeze, direct.server.thaw),
            ("full", direct, lambda: _fill(direct.server, 1), lambda: _fill(direct.server, 0)),
            ("slowed by 200 ms", behind, lambda: behind.delay.set(0.2), lambda: behind.delay.set(0.0)),
        ):
            await asyncio.to_thread(harm)
            try:
                well = direct if scene is behind else behind
                peace, trouble = (
                    await asyncio.gather(_load(world, well), _load(world, scene))
                    if before is None
                    else (before, await _load(world, scene))
                )
            finally:
                await asyncio.to_thread(mend)
            one, wrong = _judge(peace, trouble, await _until_used(scene.gateway))
            told.append(f"{kind}: {one}")
            faults += [f"{kind}: {fault}" for fault in wrong]
    return Result(
        f"Redis is killed, frozen (SIGSTOP), filled (`noeviction`) and slowed by 200 ms for {world.scale.redis_s:g} s "
        f"each under {world.scale.rate:g} requests/s, with a semantic cache, limits, conversations, "
        "vault, keys and usage in it" + (", beside a gateway whose Redis is well" if world.scale.direct_redis else ""),
        "0 failed, ≤ 25 ms added at p99, recovery ≤ 5 s",
        "; ".join(told),
        tuple(faults),
    )


@contextmanager
def _scene(world: World, name: str, backend: str, *, slow: bool) -> Iterator[_Scene]:
    with running_redis() as server, running_delay(server.port) as delay:
        port = delay.port if slow else server.port
        sections: dict[str, Any] = {
            "redis": {"url": f"redis://127.0.0.1:{port}/0", "first_level_ttl_s": 0},
            "cache": {"mode": "semantic", "store": "all"},
            "key_store": {"place": "redis"},
            "keys": [{"name": "chaos", "sha256": hashlib.sha256(_TOKEN.encode()).hexdigest()}],
            "limits": [{"tier": tier, "window_s": 3600, "calls": 10**6} for tier in ("fast", "deep")],
        }
        model = {"model": "m", "url": f"{backend}/v1", "family": "glm-4.5", "host": "vllm"}
        own = World(world.folder / name, world.scale)
        with own.gateway({"swift": model}, {"fast": "swift", "deep": "swift"}, **sections) as gateway:
            yield _Scene(gateway, server, delay)


def _judge(peace: Seen, trouble: Seen, recovery_s: float) -> tuple[str, list[str]]:
    """Say what trouble changed against peace, and when Redis was used again."""
    # The short form sends too few requests, beside too many other tests, for a p99 that is not chance.
    share = 0.99 if len(trouble.seconds) >= 1000 else 0.5
    added_s = trouble.quantile(share) - peace.quantile(share)
    faults = [*peace.failures[:2], *trouble.failures[:2]]
    if added_s > MOST_ADDED_S:
        faults.append(f"{added_s * 1e3:.0f} ms added at p{share * 100:.0f}")
    if recovery_s > MOST_RECOVERY_S:
        faults.append(f"recovered after {recovery_s:.1f} s")
    measured = (
        f"{len(trouble.failures)} of {trouble.sent} failed, p{share * 100:.0f} {peace.quantile(share) * 1e3:.0f} → "
        f"{trouble.quantile(share) * 1e3:.0f} ms, used again after {recovery_s:.1f} s"
    )
    return measured, faults


async def _load(world: World, scene: _Scene) -> Seen:
    """Ask at the scale's rate, half in the middle of a conversation and half at its beginning."""
    rate, seconds, seen = world.scale.rate / 2, world.scale.redis_s, Seen()
    share = int(rate * seconds)
    await asyncio.gather(
        *(
            steady(scene.gateway.url, rate=rate, seconds=seconds, history=history, first=first, seen=seen, headers=_KEY)
            for history, first in ((_HISTORY, scene.asked), ((), scene.asked + share))
        )
    )
    scene.asked += 2 * share
    return seen


async def _until_used(gateway: RunningGateway) -> float:
    """Wait until an answer comes out of Redis again, and give the seconds that took; many if it never does."""
    started = time.monotonic()
    body = {"model": "auto", "messages": [{"role": "user", "content": f"Remember {started}."}]}
    async with aiohttp.ClientSession(gateway.url, headers=_KEY) as session:
        while time.monotonic() < started + 2 * MOST_RECOVERY_S:
            async with session.post(CHAT, json=body) as answer:
                await answer.read()
                if answer.headers["x-thalamus-cache"] == "hit-exact":
                    break
            await asyncio.sleep(0.05)
    return time.monotonic() - started


def _fill(server: RedisServer, most_bytes: int) -> None:
    with server.client() as client:
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", most_bytes)
