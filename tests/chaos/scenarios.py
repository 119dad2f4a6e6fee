"""The scenarios: each does one kind of harm, and says what was to be reached and what was measured."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager

import httpx

from gateway.standin import RunningStandin, running_standin
from tests.chaos.hall import in_hall
from tests.chaos.idle import idle_streams
from tests.chaos.leaving import leave, leave_in_crowds
from tests.chaos.load import Seen, steady
from tests.chaos.redis import redis_trouble
from tests.chaos.restarts import rolling_restart
from tests.chaos.world import Result, World
from tests.gateway.serving import COMMAND, RunningGateway

Scenario = Callable[[World], Awaitable[Result]]
LONGEST_WAIT_S = 2.0


async def thirty_percent(world: World) -> Result:
    """30 % of the calls fail before the first token, half the answers being streams."""
    with in_hall(world) as hall:
        for seed, standin in enumerate((hall.one, hall.two)):
            faults = ["status-500", "status-503", "reset-before-headers", "stall-before-headers",
                      "stall-before-first-token"]  # fmt: skip
            standin.behave(faults=faults, fault_rate=0.3, fault_seed=seed, retry_after=None)
        seen = await steady(hall.gateway.url, rate=world.scale.rate, seconds=world.scale.seconds, model="pair")
        spoilt = sum(one["fault"] is not None for standin in (hall.one, hall.two) for one in standin.requests())
    return Result(
        "30 % of all calls answer 5xx, reset or stall before the first token, two replicas, "
        f"{world.scale.rate:g} requests/s for {world.scale.seconds:g} s",
        "0 failed",
        f"{len(seen.failures)} of {seen.sent} failed ({spoilt} of the last 2,000 calls spoilt; "
        f"p50 {seen.quantile(0.5) * 1e3:.0f} ms, p99 {seen.quantile(0.99):.1f} s)",
        tuple(seen.failures[:3]) if spoilt else ("nothing was spoilt",),
    )


async def broken_network(world: World) -> Result:
    """Between the gateway and one of two replicas, connections are spoilt in six ways."""
    with in_hall(world) as hall:
        seen = await steady(hall.gateway.url, rate=world.scale.rate, seconds=world.scale.seconds, model="spoilt")
        spoiler = hall.spoiler
    return Result(
        "30 % of the requests through a TCP proxy before one of two replicas meet a reset, silence, a half-closed "
        f"socket, garbage, a cut head or a slow drip, {world.scale.rate:g} requests/s for {world.scale.seconds:g} s",
        "0 failed",
        f"{len(seen.failures)} of {seen.sent} failed (struck: {dict(sorted(spoiler.struck.items()))})",
        tuple(seen.failures[:3]) if spoiler.struck else ("nothing was spoilt",),
    )


@contextmanager
def own_process(port: int, *switches: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a stand-in that can be killed."""
    command = [str(COMMAND), "mock", "--port", str(port), *(f"--switch={switch}" for switch in switches)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                httpx.get(f"http://127.0.0.1:{port}/health", trust_env=False).raise_for_status()
                break
            except httpx.TransportError:
                assert time.monotonic() < deadline, "the stand-in did not start"
                time.sleep(0.05)
        yield process
    finally:
        process.kill()
        process.wait()


async def killed_deep(world: World) -> Result:
    """The only deep backend is killed under load; a mini is there."""
    seen, half = Seen(), world.scale.seconds / 2
    with in_hall(world) as hall, own_process(hall.deep_port) as deep:
        hall.one.behave(first_byte_ms=20)
        url, rate = hall.gateway.url, world.scale.rate
        await steady(url, rate=rate, seconds=half, model="deep", seen=seen)
        asking = asyncio.create_task(steady(url, rate=rate, seconds=half, model="deep", seen=seen))
        await asyncio.sleep(half / 4)
        deep.send_signal(signal.SIGKILL)
        await asking
    told = seen.told["sprite", "fallback"]
    unexplained = sum(seen.told.values()) - told - seen.told["sage", "client"]
    faults = seen.failures[:3] + ([f"answers: {dict(seen.told)}"] if unexplained or not told else [])
    return Result(
        f"the only deep backend is killed (SIGKILL) under {world.scale.rate:g} requests/s, a mini being there",
        "0 failed, the decision says why",
        f"{len(seen.failures)} of {seen.sent} failed; {seen.told['sage', 'client']} answers came from it, "
        f"{told} from the mini, saying `fallback`",
        tuple(faults),
    )


async def silent_thinking(world: World) -> Result:
    """A model thinks in silence for longer than the client bears silence."""
    scale = world.scale
    with in_hall(world) as hall:
        hall.one.behave(thinking="always", thinking_style="silent", thinking_ms=scale.thinking_s * 1e3)
        patience = httpx.Timeout(10, read=scale.silence_s)
        body = {"model": "swift", "messages": [{"role": "user", "content": "Hello there"}], "stream": True}
        async with httpx.AsyncClient(base_url=hall.gateway.url, timeout=patience, trust_env=False) as client:
            started = time.monotonic()
            answer = await client.post("/v1/chat/completions", json=body)
            took = time.monotonic() - started
    complete = answer.text.rstrip().endswith("data: [DONE]") and "Hello" in answer.text
    signs = answer.text.count(": keep-alive")
    return Result(
        f"{scale.thinking_s:g} s of silent thinking, a client that gives up after {scale.silence_s:g} s of silence",
        "completes",
        f"{'completed' if complete else 'did not complete'} after {took:.0f} s with {signs} signs of life",
        () if complete and took >= scale.thinking_s else (answer.text[-200:],),
    )


async def leaving_clients(world: World) -> Result:
    """Clients leave before the head, before the first token and in mid-stream, on five surfaces."""
    with in_hall(world) as hall:
        before = hall.gateway.settled()
        left = await leave_in_crowds(hall.gateway.url, hall.one, each=world.scale.leaving, crowd=50)
        faults = [*left.late, *await _books_of(hall.gateway, before, dropped=left.sent)]
    soon = left.within(1.0)
    if soon < left.sent:
        faults.append(f"the latest ended after {max(left.delays, default=9):.2f} s")
    return Result(
        "clients leave before the head, before the first token and in mid-stream; chat, plain, completions, responses, "
        "messages",
        "backend cancelled ≤ 1 s, recorded once",
        f"{soon} of {left.sent} within 1 s (latest {max(left.delays, default=0) * 1e3:.0f} ms), each with one record",
        tuple(faults),
    )


async def leaving_elsewhere(world: World) -> Result:
    """Clients leave while their requests wait in line, connect to nobody, and are hedged."""
    count = world.scale.leaving * 3
    with in_hall(world) as hall:
        gateway, standins = hall.gateway, (hall.one, hall.two)
        before = gateway.settled()
        asked = await steady(gateway.url, rate=50, seconds=1, model="fast")  # so that there is a p95
        before = len(await asyncio.to_thread(gateway.records, before + asked.sent))
        for standin in standins:
            standin.reset()
            standin.behave(first_byte_ms=20_000)
        holding = asyncio.create_task(leave(gateway.url, "chat", "narrow", 1.7))
        await asyncio.sleep(0.2)  # it has the only place, and the others of its model leave while they wait for it
        models = ["narrow"] * (count - 1) + ["deaf"] * count + ["fast"] * count
        moments = await asyncio.gather(holding, *(leave(gateway.url, "chat", model, 0.7) for model in models))
        faults = await _books_of(gateway, before, dropped=3 * count)
        settled = time.time() - max(moments)
        open_calls, calls = await _calls_of(*standins)
    # One call of those that wait in line, and two of each that is hedged; on a slow machine some leave before that.
    if not 1 + count < calls <= 1 + 2 * count or open_calls:
        faults.append(f"{open_calls} of {calls} calls are open, up to {1 + 2 * count} were to be made")
    if settled > 1.5:
        faults.append(f"settled after {settled:.1f} s")
    return Result(
        "clients leave while they wait in line, while the connection is being made, and with a hedge in flight",
        "everything let go ≤ 1 s, recorded once",
        f"{3 * count} left; {calls} calls had been made, {open_calls} are open; all recorded {settled:.2f} s later",
        tuple(faults),
    )


async def _calls_of(*standins: RunningStandin) -> tuple[int, int]:
    """Count the calls that are open and all calls, once the open ones have had a second to end."""
    deadline = time.monotonic() + 1
    while True:
        calls = [call for standin in standins for call in await asyncio.to_thread(standin.requests)]
        still_open = sum(call["outcome"] == "open" for call in calls)
        if not still_open or time.monotonic() > deadline:
            return still_open, len(calls)
        await asyncio.sleep(0.05)


async def _books_of(gateway: RunningGateway, before: int, dropped: int) -> list[str]:
    """Say what is wrong with the books after clients have left: one record each, and nothing still in flight.

    Args:
        gateway: whose books.
        before: records that there were already.
        dropped: clients that have left since, and nobody else has asked.
    """
    records = (await asyncio.to_thread(gateway.records, before + dropped))[before:]
    faults = []
    if len(records) != dropped:
        faults.append(f"{len(records)} records of {dropped} requests")
    lost = sum(record["outcome"] == "dropped" for record in records)
    if lost != dropped:
        faults.append(f"{lost} are recorded as dropped")
    async with httpx.AsyncClient(base_url=gateway.url, trust_env=False) as client:
        metrics = await client.get("/metrics")
    for line in metrics.text.splitlines():
        name, _, value = line.rpartition(" ")
        if (
            ("in_flight" in name or name == "thalamus_oldest_request_age_seconds")
            and not line.startswith("#")
            and float(value)
        ):
            faults.append(f"still counted: {line}")
    return faults


async def overload(world: World) -> Result:
    """One key floods a tier with five times what it can do, while another asks modestly."""
    seconds = world.scale.seconds
    keys = [{"name": name, "key": f"sk-{name}-0123456789"} for name in ("flood", "modest")]
    with running_standin() as standin:
        standin.behave(first_byte_ms=400)  # so that eight at once are 20 a second
        backends = {"swift": {"model": "m", "url": f"{standin.url}/v1", "max_concurrency": 8}}
        admission = {"queue": 24, "wait_s": LONGEST_WAIT_S}
        with world.gateway(backends, {"fast": "swift", "deep": "swift"}, keys=keys, admission=admission) as gateway:

            def asking(name: str, rate: float) -> Awaitable[Seen]:
                headers = {"authorization": f"Bearer sk-{name}-0123456789"}
                return steady(gateway.url, rate=rate, seconds=seconds, headers=headers, model="swift")

            flood, modest = await asyncio.gather(asking("flood", 100), asking("modest", 4))
    faults = []
    if set(flood.statuses) - {200, 429} or flood.without_retry_after:
        faults.append(f"the flood got {dict(flood.statuses)}, {flood.without_retry_after} without Retry-After")
    if modest.failures:
        faults.append(f"the modest key: {modest.failures[:2]}")
    if not flood.statuses[429] or flood.longest_queued_s > LONGEST_WAIT_S + 0.5:
        faults.append(f"waited up to {flood.longest_queued_s:.1f} s, {flood.statuses[429]} turned away")
    return Result(
        f"five times what a backend can do from one key for {seconds:g} s, 4 requests/s from another",
        "429 with Retry-After, the other key unharmed",
        f"the flood: {flood.statuses[200]} served (p99 {flood.quantile(0.99):.1f} s), {flood.statuses[429]} got 429; "
        f"the other: {len(modest.failures)} of {modest.sent} failed (p99 {modest.quantile(0.99):.1f} s)",
        tuple(faults),
    )


SCENARIOS: Mapping[str, Scenario] = {
    scenario.__name__: scenario
    for scenario in (
        thirty_percent,
        broken_network,
        killed_deep,
        silent_thinking,
        leaving_clients,
        leaving_elsewhere,
        overload,
        rolling_restart,
        redis_trouble,
        idle_streams,
    )
}
