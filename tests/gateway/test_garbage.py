"""A request that is over leaves nothing for the garbage collector: a ring of references keeps it in memory, whole.

Rings are freed some ten thousand objects at a time, and for as long everybody waits: a tenth of a second at p99 of a
gateway whose Redis was full.
"""

import asyncio
import gc
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from gateway.app import HotPath, create_app
from gateway.settings import Settings
from gateway.standin import RunningStandin, running_standin
from tests.gateway.serving import settings_over
from tests.unit.gateway.redis_server import RedisServer, running_redis

CHAT, MESSAGES, RESPONSES = "/v1/chat/completions", "/v1/messages", "/v1/responses"
REQUESTS = 8
OURS = ("classifiers", "gateway", "router")


class Asker:
    """Sends requests to a gateway in this process, past any client that would leave rings of its own."""

    def __init__(self, app: Callable[..., Awaitable[None]]) -> None:
        self._app = app
        self._asked = 0

    async def __call__(
        self, path: str = CHAT, *, leave_after: int | None = None, headers: Mapping[str, str] = {}, **fields: Any
    ) -> int:
        """Ask something new and give the status.

        With `leave_after`, leave once so many pieces have come; with 0, while nothing has.
        """
        self._asked += 1
        question = [{"role": "user", "content": f"Say number {self._asked} and nothing else."}]
        body = {"model": "auto", "max_tokens": 1000, "messages": question, **fields}
        if path == RESPONSES:
            body = {"model": "auto", "input": question, **fields}
        return await self.send(path, json.dumps(body).encode(), leave_after, headers)

    async def send(
        self, path: str, body: bytes, leave_after: int | None = None, headers: Mapping[str, str] = {}
    ) -> int:
        """Send these bytes and give the status."""
        pieces, left, status = 0, asyncio.Event(), 0
        unread = [{"type": "http.request", "body": body, "more_body": False}]
        if leave_after == 0:
            asyncio.get_running_loop().call_later(0.05, left.set)

        async def receive() -> dict[str, object]:
            if unread:
                return unread.pop()
            await left.wait()
            return {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            nonlocal pieces, status
            if message["type"] == "http.response.start":
                status = message["status"]
            pieces += 1
            if pieces == leave_after:
                left.set()

        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": [
                (b"content-type", b"application/json"),
                *((name.encode(), value.encode()) for name, value in headers.items()),
            ],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 1),
        }
        await self._app(scope, receive, send)
        return status


@contextmanager
def collecting() -> Iterator[Counter[str]]:
    """Give what of ours only the collector found, by type, once the block is over."""
    found: Counter[str] = Counter()
    gc.collect()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        yield found
        gc.collect()
        types = (type(one) for one in gc.garbage)
        found.update(kind.__qualname__ for kind in types if kind.__module__.partition(".")[0] in OURS)
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.collect()


async def left_behind(
    settings: Mapping[str, Any],
    ask: Callable[[Asker], Awaitable[int]],
    status: int,
    *,
    first: Callable[[Asker], Awaitable[None]] | None = None,
) -> Counter[str]:
    app = create_app(Settings.model_validate(settings))
    async with app.router.lifespan_context(app):
        asker = Asker(HotPath(app))
        if first is not None:
            await first(asker)
        for _ in range(2):
            assert await ask(asker) == status  # what is made once, such as connections and their readings
        await asyncio.sleep(0.1)
        with collecting() as found:
            for _ in range(REQUESTS):
                assert await ask(asker) == status
            await asyncio.sleep(0.2)  # what a request does once its client has the answer
    return found


def everything(url: str, **changes: Any) -> dict[str, Any]:
    """Give settings with all that requests pass through."""
    sections: dict[str, Any] = {
        "cache": {"mode": "exact", "store": "all"},
        "limits": [{"tier": tier, "window_s": 3600, "calls": 10**6} for tier in ("fast", "deep")],
        **changes,
    }
    settings = settings_over(url, **sections)
    for backend in settings["backends"].values():
        backend |= {"family": "glm-4.5", "host": "vllm"}
    return settings


REQUEST_KINDS: dict[str, tuple[Callable[[Asker], Awaitable[int]], int]] = {
    "plain": (lambda ask: ask(), 200),
    "stream": (lambda ask: ask(stream=True), 200),
    "messages": (lambda ask: ask(MESSAGES), 200),
    "messages-stream": (lambda ask: ask(MESSAGES, stream=True), 200),
    "responses": (lambda ask: ask(RESPONSES), 200),
    "responses-stream": (lambda ask: ask(RESPONSES, stream=True), 200),
    "kept": (lambda ask: ask(messages=[{"role": "user", "content": "Hello"}]), 200),
    "kept-stream": (lambda ask: ask(stream=True, messages=[{"role": "user", "content": "Hello"}]), 200),
    "unreadable": (lambda ask: ask.send(CHAT, b'{"model": "auto", '), 400),
    "invalid": (lambda ask: ask(temperature="hot"), 400),
    "unknown-model": (lambda ask: ask(model="nobody"), 404),
    "leaving": (lambda ask: ask(stream=True, leave_after=3), 200),
}


@pytest.mark.parametrize("kind", REQUEST_KINDS)
async def test_a_request_leaves_no_ring(kind: str, standin: RunningStandin):
    ask, status = REQUEST_KINDS[kind]
    assert await left_behind(everything(standin.url), ask, status) == {}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("share", [False, True])
async def test_a_client_that_leaves_before_the_answer_leaves_no_ring(
    stream: bool, share: bool, standin: RunningStandin
):
    standin.behave(first_byte_ms=5000)
    settings = everything(standin.url, cache={"mode": "exact", "store": "all", "share_in_flight": share})
    assert await left_behind(settings, lambda ask: ask(stream=stream, leave_after=0), 0) == {}


@pytest.mark.parametrize("share", [False, True])
@pytest.mark.parametrize(
    ("fault", "stream", "status"),
    [
        ("status-400", False, 400),
        ("status-400", True, 400),
        ("status-429", False, 429),
        ("status-500", False, 502),
        ("status-500", True, 502),
        ("reset-before-headers", False, 502),
        ("not-json", False, 502),
        ("close-mid-stream", False, 502),
        ("close-mid-stream", True, 200),
        ("reset-mid-stream", True, 200),
        ("error-event", True, 200),
    ],
)
async def test_a_call_that_failed_leaves_no_ring(
    fault: str, stream: bool, status: int, share: bool, standin: RunningStandin
):
    standin.behave(faults=[fault], fault_rate=1.0)
    settings = everything(standin.url, cache={"mode": "exact", "store": "all", "share_in_flight": share})
    assert await left_behind(settings, lambda ask: ask(stream=stream), status) == {}


async def test_a_call_that_another_backend_took_leaves_no_ring(standin: RunningStandin):
    standin.behave(faults=["status-500", "close-before-headers"], fault_rate=0.3, fault_seed=1)
    patient = {"patience_s": 5, "backoff_s": 0, "retries_per_s": 1000}
    assert await left_behind(everything(standin.url, attempts=patient), lambda ask: ask(), 200) == {}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("slow", "second", "status"),
    [
        ({"first_byte_ms": 2000}, {}, 200),
        ({"first_byte_ms": 100}, {"first_byte_ms": 2000}, 200),
        ({"first_byte_ms": 100}, {"faults": ["status-500"]}, 200),
        ({"first_byte_ms": 100, "faults": ["status-500"]}, {"faults": ["status-503"]}, 502),
        ({"first_byte_ms": 100}, {"faults": ["status-400"]}, 200),
    ],
    ids=["the hedge wins", "the first wins", "the hedge fails", "both fail", "the hedge is refused"],
)
async def test_two_calls_side_by_side_leave_no_ring(
    slow: dict[str, Any], second: dict[str, Any], status: int, stream: bool, standin: RunningStandin
):
    with running_standin() as other:
        hedged = {"patience_s": 0, "retries_per_s": 0, "retry_share": 0, "hedge": {"least_s": 0.02, "share": 1.0}}
        settings = everything(standin.url, attempts=hedged, tiers={"fast": ["swift", "sage"], "deep": "sage"})
        settings["backends"]["sage"]["url"] = f"{other.url}/v1"

        async def get_to_know(asker: Asker) -> None:
            for _ in range(21):  # until it is known how long an answer usually takes to begin
                assert await asker(model="fast", stream=stream) == 200
            standin.behave(**slow)
            other.behave(**second)

        async def ask(asker: Asker) -> int:
            return await asker(model="fast", stream=stream)

        assert await left_behind(settings, ask, status, first=get_to_know) == {}
        assert len(other.requests()) == REQUESTS + 2, "every request was hedged"


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with running_redis() as server:
        yield server


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("trouble", ["well", "full", "frozen"])
async def test_a_redis_in_trouble_leaves_no_ring(
    trouble: str, stream: bool, standin: RunningStandin, redis: RedisServer
):
    settings = everything(standin.url, redis={"url": redis.url, "first_level_ttl_s": 0})
    with redis.client() as client:
        client.flushall()
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", int(trouble == "full"))
    if trouble == "frozen":
        redis.freeze()
    try:
        assert await left_behind(settings, lambda ask: ask(stream=stream), 200) == {}
    finally:
        redis.thaw()
