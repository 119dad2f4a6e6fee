"""The scenarios: each does one kind of harm, and says what was to be reached and what was measured."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager

import httpx

from gateway.standin import RunningStandin, running_standin
from tests.bench.subjects import free_port
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
    port = free_port()
    with running_standin() as other, own_process(port) as deep:
        other.behave(first_byte_ms=20)
        backends = {
            "sage": {"model": "sage", "url": f"http://127.0.0.1:{port}/v1"},
            "sprite": {"model": "sprite", "url": f"{other.url}/v1"},
            "swift": {"model": "swift", "url": f"{other.url}/v1"},
        }
        with world.gateway(backends, {"fast": "swift", "deep": "sage", "deep-mini": "sprite"}) as gateway:
            seen, half = Seen(), world.scale.seconds / 2
            await steady(gateway.url, rate=world.scale.rate, seconds=half, model="deep", seen=seen)
            asking = asyncio.create_task(
                steady(gateway.url, rate=world.scale.rate, seconds=half, model="deep", seen=seen)
            )
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
    with running_standin() as standin:
        standin.behave(thinking="always", thinking_style="silent", thinking_ms=scale.thinking_s * 1e3)
        backends = {"sage": {"model": "m", "url": f"{standin.url}/v1"}}
        server = {"keep_alive_s": scale.keep_alive_s}
        with world.gateway(backends, {"fast": "sage", "deep": "sage"}, server=server) as gateway:
            patience = httpx.Timeout(10, read=scale.silence_s)
            body = {"model": "auto", "messages": [{"role": "user", "content": "Hello there"}], "stream": True}
            async with httpx.AsyncClient(base_url=gateway.url, timeout=patience, trust_env=False) as client:
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
        before = len(hall.gateway.events())
        left = await leave_in_crowds(hall.gateway.url, hall.one, each=world.scale.leaving, crowd=50)
        faults = [*left.late, *await _books_of(hall.gateway, before + left.sent, dropped=left.sent)]
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
    with running_standin() as one, running_standin() as two, _deaf_port() as deaf:
        backends = {
            "narrow": {"model": "narrow", "url": f"{one.url}/v1", "max_concurrency": 1},
            "deaf": {"model": "deaf", "url": f"http://127.0.0.1:{deaf}/v1", "timeouts": {"connect": 60}},
            "swift": {"model": "swift", "replicas": [f"{one.url}/v1", f"{two.url}/v1"]},
        }
        attempts = {"hedge": {"share": 1.0, "least_s": 0.02}}
        with world.gateway(backends, {"fast": "swift", "deep": "deaf"}, attempts=attempts) as gateway:
            await steady(gateway.url, rate=50, seconds=1, model="fast")  # so that there is a p95
            before = len(gateway.records(50))
            for standin in (one, two):
                standin.reset()
                standin.behave(first_byte_ms=20_000)
            moments = await asyncio.gather(
                *(leave(gateway.url, "chat", "narrow", 0.7) for _ in range(count)),
                *(leave(gateway.url, "chat", "deaf", 0.7) for _ in range(count)),
                *(leave(gateway.url, "chat", "fast", 0.7) for _ in range(count)),
            )
            faults = await _books_of(gateway, before + 3 * count, dropped=3 * count)
            settled = time.time() - max(moments)
            open_calls, calls = await _calls_of(one, two)
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


async def _calls_of(*standins: RunningStandin) -> tuple[int, int]:
    """Count the calls that are open and all calls, once the open ones have had a second to end."""
    deadline = time.monotonic() + 1
    while True:
        calls = [call for standin in standins for call in await asyncio.to_thread(standin.requests)]
        still_open = sum(call["outcome"] == "open" for call in calls)
        if not still_open or time.monotonic() > deadline:
            return still_open, len(calls)
        await asyncio.sleep(0.05)


async def _books_of(gateway: RunningGateway, expected: int, dropped: int) -> list[str]:
    """Say what is wrong with the books after clients have left: one record each, and nothing still in flight."""
    records = await asyncio.to_thread(gateway.records, expected)
    faults = []
    if len(records) != expected:
        faults.append(f"{len(records)} records of {expected} requests")
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
        standin.behave(first_byte_ms=200)  # so that eight at once are 40 a second
        backends = {"swift": {"model": "m", "url": f"{standin.url}/v1", "max_concurrency": 8}}
        admission = {"queue": 24, "wait_s": LONGEST_WAIT_S}
        with world.gateway(backends, {"fast": "swift", "deep": "swift"}, keys=keys, admission=admission) as gateway:

            def asking(name: str, rate: float) -> Awaitable[Seen]:
                headers = {"authorization": f"Bearer sk-{name}-0123456789"}
                return steady(gateway.url, rate=rate, seconds=seconds, headers=headers, model="swift")

            flood, modest = await asyncio.gather(asking("flood", 200), asking("modest", 8))
    faults = []
    if set(flood.statuses) - {200, 429} or flood.without_retry_after:
        faults.append(f"the flood got {dict(flood.statuses)}, {flood.without_retry_after} without Retry-After")
    if modest.failures:
        faults.append(f"the modest key: {modest.failures[:2]}")
    if not flood.statuses[429] or flood.longest_queued_s > LONGEST_WAIT_S + 0.5:
        faults.append(f"waited up to {flood.longest_queued_s:.1f} s, {flood.statuses[429]} turned away")
    return Result(
        f"five times what a backend can do from one key for {seconds:g} s, 8 requests/s from another",
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
