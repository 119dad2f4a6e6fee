"""Gateways are replaced under load."""

from __future__ import annotations

import asyncio
import signal
from contextlib import ExitStack

from gateway.standin import running_standin
from tests.chaos.balancer import running_balancer
from tests.chaos.load import steady
from tests.chaos.world import Result, World
from tests.gateway.serving import RunningGateway


async def rolling_restart(world: World) -> Result:
    """The gateways behind a balancer are replaced, one after the other, while requests and streams go on."""
    server = {"notice_s": 1.5, "drain_s": 30}
    count, restarts, stop, codes = world.scale.fleet, world.scale.restarts, asyncio.Event(), []
    with running_standin() as standin, ExitStack() as stack:
        standin.behave(token_ms=100)
        backends = {"swift": {"model": "m", "url": f"{standin.url}/v1"}}

        def start(name: str) -> RunningGateway:
            own = World(world.folder / name, world.scale)
            return stack.enter_context(own.gateway(backends, {"fast": "swift", "deep": "swift"}, server=server))

        async with running_balancer() as (balancer, url):
            # A few are started together, which is quicker; many would not all have room.
            names = [str(number) for number in range(count + restarts)]
            waiting = list(await asyncio.gather(*(asyncio.to_thread(start, name) for name in names[:4])))
            fleet, waiting = waiting[:count], waiting[count:]
            balancer.members = [one.url for one in fleet]
            await asyncio.sleep(0.6)
            asking = asyncio.create_task(steady(url, rate=world.scale.rate, until=stop))
            for turn in range(restarts):
                fresh = waiting.pop(0) if waiting else await asyncio.to_thread(start, names[turn + count])
                fleet.append(fresh)
                old = fleet.pop(0)
                balancer.members = [*balancer.members, fresh.url]
                await asyncio.sleep(0.6)
                old.signal(signal.SIGTERM)
                codes.append(await asyncio.to_thread(old.process.wait, 40))
                balancer.members = [one.url for one in fleet]
            stop.set()
            seen = await asking
    faults = seen.failures[:3] + ([f"exit codes {codes}"] if any(codes) else [])
    if len(balancer.served) != restarts + count:
        faults.append(f"only {len(balancer.served)} gateways served")
    return Result(
        f"{count} gateway(s) behind a balancer that asks /readyz twice a second, replaced {restarts} times, under "
        f"{world.scale.rate:g} requests/s, half of them streams of {seen.quantile(0.9):.1f} s",
        "0 failed, 0 broken streams, exit 0",
        f"{len(seen.failures)} of {seen.sent} failed; exit codes {sorted(set(codes))}",
        tuple(faults),
    )
