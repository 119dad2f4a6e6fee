"""The events of responses that go on with nobody listening, kept for a while for whoever comes back.

One process writes a log, in chunks that it rewrites until they are full; every process can follow it. The log is
bounded: of a very long response, the oldest chunks are dropped.
"""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_right
from collections.abc import AsyncGenerator, Awaitable, Callable

import msgspec
import structlog

from gateway.cache.key import owner_tag
from gateway.cache.store import Store, StoreUnavailable
from gateway.errors import InvalidField
from gateway.streaming import split_frames

TTL_S = 3600.0
"""How long a response's events are kept after the last one."""

MOST_BYTES = 8 * 1024 * 1024
"""Events kept of one response: about 40,000 of them."""

TENANT_BYTES = 64 * 1024 * 1024
"""What one tenant's events may take; its own oldest make room. In the process, it is all tenants' together."""

CHUNK_BYTES = 32 * 1024
WRITE_EVERY_S = 0.25
LOOK_EVERY_S = 0.25
"""How often a process looks for events that another writes."""

SILENCE_S = 15.0
"""A follower hears a comment this often while there are no events."""

COMMENT = b": keep-alive\n\n"

IsUnderWay = Callable[[], Awaitable[bool]]

_log = structlog.get_logger("thalamus")


class Index(msgspec.Struct, array_like=True):
    """What is kept of one log.

    Attributes:
        first: the number of the first chunk that is kept.
        starts: for each chunk that is kept, the number of its first event.
        count: events so far, those that are no longer kept included.
        ended: whether there will be no more.
    """

    first: int = 0
    starts: list[int] = msgspec.field(default_factory=lambda: [0])
    count: int = 0
    ended: bool = False


_read_index = msgspec.msgpack.Decoder(Index).decode
_read_chunk = msgspec.msgpack.Decoder(list[bytes]).decode
_encode = msgspec.msgpack.encode


class EventLog:
    """The events of one response under way: numbered from 0, in memory for followers here, in the store for others.

    A store that is away costs those who follow elsewhere, or come back later; nobody else.
    """

    def __init__(self, store: Store, prefix: str, *, most_bytes: int = MOST_BYTES) -> None:
        self._store = store
        self._prefix = prefix
        self._most_bytes = most_bytes
        self._index = Index()
        self._chunks: list[list[bytes]] = [[]]
        self._sizes = [0]
        self._unwritten = {0}
        self._dropped: list[int] = []
        self._news = asyncio.Event()
        self._write_at = 0.0

    @property
    def first(self) -> int:
        """The number of the first event that is kept."""
        return self._index.starts[0]

    def add(self, events: bytes) -> None:
        """Add whole events, and give each its number as its id; comments among them are no events."""
        frames = [frame for frame in split_frames(events)[0] if not frame.startswith(b":")]
        if not frames:
            return
        for frame in frames:
            if self._sizes[-1] >= CHUNK_BYTES:
                self._begin_chunk()
            numbered = b"id: %d\n%s" % (self._index.count, frame)
            self._chunks[-1].append(numbered)
            self._sizes[-1] += len(numbered)
            self._index.count += 1
        self._unwritten.add(self._index.first + len(self._chunks) - 1)
        self._tell()

    async def write(self, *, now: bool = False) -> None:
        """Write what is new to the store, if it is time to."""
        if now or time.monotonic() >= self._write_at:
            await self._write()

    async def end(self) -> None:
        """Say that there will be no more events."""
        self._index.ended = True
        self._tell()
        await self._write()

    async def follow(self, after: int) -> AsyncGenerator[bytes, None]:
        """Yield the events after a number, and then those that come, until the log has ended.

        Raises:
            InvalidField: what is to come next is no longer kept.
        """
        following = after + 1
        while True:
            news, index = self._news, self._index
            if following < index.starts[0]:
                raise gone()
            if following < index.count:
                place = bisect_right(index.starts, following) - 1
                frames = self._chunks[place][following - index.starts[place] :]
                following += len(frames)
                yield b"".join(frames)
            elif index.ended:
                return
            else:
                try:
                    async with asyncio.timeout(SILENCE_S):
                        await news.wait()
                except TimeoutError:
                    yield COMMENT

    def _begin_chunk(self) -> None:
        self._chunks.append([])
        self._sizes.append(0)
        self._index.starts.append(self._index.count)
        while len(self._chunks) > 2 and sum(self._sizes) + CHUNK_BYTES > self._most_bytes:
            del self._chunks[0], self._sizes[0], self._index.starts[0]
            self._dropped.append(self._index.first)
            self._unwritten.discard(self._index.first)
            self._index.first += 1

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    async def _write(self) -> None:
        try:
            for number in sorted(self._unwritten):
                frames = self._chunks[number - self._index.first]
                await self._put(_chunk_key(self._prefix, number), _encode(frames))
                self._unwritten.discard(number)
            await self._put(self._prefix, _encode(self._index))
            while self._dropped:
                await self._store.delete(_chunk_key(self._prefix, self._dropped.pop()))
        except StoreUnavailable as error:
            _log.warning("events not kept", why=error.outcome)
        self._write_at = time.monotonic() + WRITE_EVERY_S

    async def _put(self, key: str, value: bytes) -> None:
        await self._store.put(key, value, ttl_s=TTL_S, quota_bytes=TENANT_BYTES)


class EventStore:
    """Logs of events in the store, by tenant and response."""

    def __init__(self, store: Store, *, look_every_s: float = LOOK_EVERY_S, silence_s: float = SILENCE_S) -> None:
        self._store = store
        self._look_every_s = look_every_s
        self._silence_s = silence_s

    def begin(self, tenant: str, response_id: str) -> EventLog:
        """Begin a response's log."""
        return EventLog(self._store, _prefix(tenant, response_id))

    async def first(self, tenant: str, response_id: str) -> int | None:
        """Give the number of the first of a response's events that is kept; None if none is."""
        index = await self._find(_prefix(tenant, response_id))
        return None if index is None else index.starts[0]

    async def follow(
        self, tenant: str, response_id: str, after: int, is_under_way: IsUnderWay
    ) -> AsyncGenerator[bytes, None]:
        """Yield the events after a number, and then those that another process writes, until its log has ended.

        Args:
            tenant: whose.
            response_id: of which response.
            after: the number of the last event that is known; -1 for none.
            is_under_way: whether anybody still works on the response, asked when nothing comes.

        Raises:
            InvalidField: what is to come next is no longer kept.
        """
        prefix, following, silent_s = _prefix(tenant, response_id), after + 1, 0.0
        while True:
            index = await self._find(prefix)
            if index is None or following < index.starts[0]:
                raise gone()
            if following < index.count:
                frames = await self._read(prefix, index, following)
                following += len(frames)
                silent_s = 0.0
                yield b"".join(frames)
                continue
            if index.ended:
                return
            await asyncio.sleep(self._look_every_s)
            silent_s += self._look_every_s
            if silent_s >= self._silence_s:
                if not await is_under_way():
                    return
                silent_s = 0.0
                yield COMMENT

    async def forget(self, tenant: str, response_id: str) -> None:
        """Forget a response's events; what a store that is away still has expires."""
        prefix = _prefix(tenant, response_id)
        index = await self._find(prefix)
        if index is None:
            return
        try:
            await self._store.delete(prefix)
            for number in range(index.first, index.first + len(index.starts)):
                await self._store.delete(_chunk_key(prefix, number))
        except StoreUnavailable:
            return

    async def _find(self, prefix: str) -> Index | None:
        try:
            value = await self._store.get(prefix)
        except StoreUnavailable:
            return None
        return None if value is None else _read_index(value)

    async def _read(self, prefix: str, index: Index, following: int) -> list[bytes]:
        """Give the events from a number to the end of its chunk."""
        place = bisect_right(index.starts, following) - 1
        try:
            value = await self._store.get(_chunk_key(prefix, index.first + place))
        except StoreUnavailable:
            value = None
        frames = [] if value is None else _read_chunk(value)[following - index.starts[place] :]
        if not frames:
            raise gone()
        return frames


def gone() -> InvalidField:
    """Say that events are asked for which are no longer kept."""
    return InvalidField(
        "The events after this one are no longer kept. Fetch the response as a whole.", param="starting_after"
    )


def _prefix(tenant: str, response_id: str) -> str:
    """Name a log. Events have an owner of their own, so that they do not push a tenant's responses out."""
    owner = owner_tag(f"\0events\0{tenant}")
    return f"tr1:{{{owner}}}:{response_id}:events"


def _chunk_key(prefix: str, number: int) -> str:
    return f"{prefix}:{number}"
