"""One call for identical requests: who comes first leads, the others follow, in this process and in others.

The call runs in a task of its own, so that the leader's client may leave: it goes on as long as anybody follows, and is
cancelled when nobody does. Where the leading process dies, one of the followers' processes leads in its place.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING

import msgspec
import structlog

from gateway.cache.store import StoreUnavailable
from gateway.errors import InternalError, ThalamusError, UpstreamFailed
from gateway.exchange import Reply, StreamReply
from gateway.flights.broadcast import Broadcast

if TYPE_CHECKING:
    from gateway.flights.redis_log import RedisLog

WRITE_EVERY_S = 0.05
READ_EVERY_S = 0.02
LOOK_EVERY_S = 0.25
_MOST_MISSES = 50
"""Reads in a row that Redis may leave unanswered before a follower goes on by itself: a second or more."""

_HEADERS, _PIECE, _END, _FAILED = b"h", b"p", b"e", b"f"

Lead = Callable[[], Awaitable[Reply | StreamReply]]

_log = structlog.get_logger("thalamus")


class _LeaderLost(Exception):
    """The leading process died, failed, or cannot be heard any more."""


class Flight:
    """One answer under way, as this process has it.

    Attributes:
        followers: clients of this process who wait for it.
        is_led_here: whether this process makes the call.
        has_ended: whether the call has ended, well or not, or was cancelled.
        on_landing: called when it has, if somebody must know.
    """

    def __init__(self, name: str, lead: Lead, log: RedisLog | None, token: str) -> None:
        self.name = name
        self.broadcast = Broadcast()
        self.followers = 0
        self.is_led_here = False
        self._lead = lead
        self._log = log
        self._token = token
        self._is_followed_elsewhere = False
        self._written = 0
        self.has_ended = False
        self.on_landing: Callable[[], None] | None = None

    async def fly(self) -> None:
        """Lead, or follow whoever leads, until the answer is whole."""
        try:
            if self._log is None:
                await self._lead_here()
            else:
                await self._lead_or_follow(self._log)
        except ThalamusError as error:
            self.broadcast.end(error)
        except asyncio.CancelledError:
            # The edge of the task, and cancelled by `Flights` alone. Raised, the task would keep it, and with its
            # traceback the frames that hold the task.
            self.broadcast.end(UpstreamFailed("The call was cancelled.", backend=""))
        except Exception:  # noqa: BLE001
            # The edge of the task: whoever follows must be told, and the log must have the traceback.
            _log.exception("defect", endpoint="flight")
            self.broadcast.end(InternalError())
        finally:
            self.has_ended = True
            if self.on_landing is not None:
                self.on_landing()

    @property
    def is_wanted(self) -> bool:
        """Whether anybody waits for it, here or elsewhere."""
        return self.followers > 0 or self._is_followed_elsewhere

    async def _lead_or_follow(self, log: RedisLog) -> None:
        while True:
            try:
                leader = await log.lead(self.name, self._token)
            except StoreUnavailable:
                await self._lead_here()
                return
            if leader == self._token:
                await self._lead_for_others(log)
                return
            try:
                await self._follow(log, leader)
            except _LeaderLost:
                if self.broadcast.headers is not None:  # what was sent cannot be taken back, nor gone on with
                    raise UpstreamFailed("The worker that fetched the answer was lost.", backend="") from None
            else:
                return

    async def _lead_here(self) -> None:
        self.is_led_here = True
        reply = await self._lead()
        self.broadcast.open(reply.headers)
        if isinstance(reply, StreamReply):
            async with aclosing(reply.rest) as rest:
                if reply.first:
                    self.broadcast.add(reply.first)
                async for piece in rest:
                    self.broadcast.add(piece)
        else:
            self.broadcast.add(reply.body)
        self.broadcast.end()
        if reply.after is not None:
            await reply.after()

    async def _lead_for_others(self, log: RedisLog) -> None:
        is_over = asyncio.Event()
        writing = asyncio.create_task(self._write(log, is_over))
        try:
            await self._lead_here()
        except ThalamusError as error:
            self.broadcast.end(error)
        finally:
            if not self.broadcast.is_over:
                self.broadcast.end(UpstreamFailed("The call was cancelled.", backend=""))
            is_over.set()
            await writing
            with suppress(StoreUnavailable):
                await log.write(self.name, self._token, self._unwritten(), lets_go=True)

    async def _write(self, log: RedisLog, is_over: asyncio.Event) -> None:
        """Tell others what arrives, and that one lives; stop when another leads."""
        while not is_over.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(is_over.wait(), WRITE_EVERY_S)
            items = self._unwritten()
            try:
                leads, self._is_followed_elsewhere = await log.write(self.name, self._token, items)
            except StoreUnavailable:
                self._written -= len(items)  # it may be there twice then: followers go by number
                continue
            if not leads:
                self._is_followed_elsewhere = False
                return

    def _unwritten(self) -> list[bytes]:
        """Give what others have not been told, each with its number, so that what is told twice is known."""
        broadcast = self.broadcast
        if broadcast.headers is None and not broadcast.is_over:
            return []
        items = [_HEADERS + msgspec.json.encode(dict(broadcast.headers or {}))]
        items += [_PIECE + piece for piece in broadcast.pieces]
        if broadcast.is_over:
            items.append(_END if broadcast.error is None else _FAILED)
        fresh = [b"%d " % number + item for number, item in enumerate(items) if number >= self._written]
        self._written = len(items)
        return fresh

    async def _follow(self, log: RedisLog, leader: str) -> None:
        place, heard, misses = 0, 0, 0
        headers: Mapping[str, str] = {}
        while True:
            try:
                leads, items = await log.read(self.name, leader, place)
            except StoreUnavailable:
                misses += 1
                if misses >= _MOST_MISSES:
                    raise _LeaderLost from None
                await asyncio.sleep(READ_EVERY_S)
                continue
            place, misses = place + len(items), 0
            for item in items:
                number, _, told = item.partition(b" ")
                if int(number) < heard:
                    continue
                heard += 1
                kind, content = told[:1], told[1:]
                if kind == _HEADERS:
                    headers = msgspec.json.decode(content, type=dict[str, str])
                elif kind == _PIECE:
                    if self.broadcast.headers is None:
                        self.broadcast.open(headers)
                    self.broadcast.add(content)
                elif kind == _FAILED:
                    raise _LeaderLost
                else:
                    if self.broadcast.headers is None:
                        self.broadcast.open(headers)
                    self.broadcast.end()
                    return
            if not leads and not items:
                raise _LeaderLost
            await asyncio.sleep(READ_EVERY_S)


class Flights:
    """All flights of this process, and the tasks that make them."""

    def __init__(self, log: RedisLog | None = None) -> None:
        self._log = log
        self._flights: dict[str, tuple[Flight, asyncio.Task[None]]] = {}
        self._landing: set[asyncio.Task[None]] = set()
        self._worker = f"{os.getpid()}-{secrets.token_hex(4)}"
        self._number = 0

    @property
    def are_shared(self) -> bool:
        """Whether other processes take part."""
        return self._log is not None

    def enter(self, name: str, lead: Lead) -> tuple[Flight, bool]:
        """Join a flight, or begin one; give it, and whether it was begun. Whoever enters must leave."""
        found = self._flights.get(name)
        if found is not None and found[0].broadcast.error is None:
            found[0].followers += 1
            return found[0], False
        self._number += 1
        flight = Flight(name, lead, self._log, f"{self._worker}-{self._number}")
        flight.followers = 1
        task = asyncio.create_task(flight.fly())
        self._flights[name] = flight, task
        task.add_done_callback(lambda _: self._forget(name, flight))
        return flight, True

    async def leave(self, flight: Flight) -> None:
        """Leave a flight. If nobody is left it is cancelled, unless its answer is whole; the call has ended then."""
        flight.followers -= 1
        found = self._flights.get(flight.name)
        if flight.followers or flight.broadcast.is_over or found is None or found[0] is not flight:
            return
        if flight.is_wanted:  # by others: looked at again, until they are gone or have their answer
            landing = asyncio.create_task(self._cancel_when_unwanted(flight, found[1]))
            self._landing.add(landing)
            landing.add_done_callback(self._landing.discard)
            return
        await self._cancel(flight, found[1])

    async def finish(self) -> None:
        """Wait for the flights under way: they are being followed by nobody, or kept for later."""
        tasks = [task for _, task in self._flights.values()]
        for task in (*tasks, *self._landing):
            task.cancel()
        await asyncio.gather(*tasks, *self._landing, return_exceptions=True)

    async def _cancel_when_unwanted(self, flight: Flight, task: asyncio.Task[None]) -> None:
        while flight.is_wanted:
            done, _ = await asyncio.wait((task,), timeout=LOOK_EVERY_S)
            if done:
                return
        if not flight.broadcast.is_over:
            await self._cancel(flight, task)

    async def _cancel(self, flight: Flight, task: asyncio.Task[None]) -> None:
        self._forget(flight.name, flight)  # whoever comes now begins another
        task.cancel()
        await asyncio.wait((task,))

    def _forget(self, name: str, flight: Flight) -> None:
        if (found := self._flights.get(name)) is not None and found[0] is flight:
            del self._flights[name]
