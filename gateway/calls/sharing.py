"""A request's seat in a flight: it leads or follows, leaves when its client does, and is accounted for once.

Who leads pays: the call's tokens and dollars are in its record. When its client leaves and others stay, the call goes
on and has a record of its own (endpoint ``shared``), in the leader's name. Followers took nothing: ``hit-shared``.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass, replace

from gateway.exchange import Call, Reply, StreamReply
from gateway.flights import Flight, Flights
from gateway.records.accounting import Outcome, Record
from gateway.tracing.context import TRACEPARENT, read_context

SHARED = "hit-shared"
_CALLS_OWN = (
    "target", "attempts", "thinking", "usage", "is_partial", "is_empty", "besides", "upstream_s", "queued_s",
    "first_token_s", "thinking_s", "cache",
)  # fmt: skip

Lead = Callable[[Call], Awaitable[Reply | StreamReply]]
Headers = Callable[[Mapping[str, str]], dict[str, str]]


async def share(flights: Flights, name: str, call: Call, lead: Lead, headers: Headers) -> Reply | StreamReply:
    """Give the answer of a flight.

    Args:
        flights: of this process.
        name: what identical requests have in common; the tenant is in it.
        call: the request being served.
        lead: makes the call, for whoever is first.
        headers: makes a follower's headers of the answer's.

    Raises:
        ThalamusError: what the call ended with.
    """
    record = replace(
        call.record, attempts=[], besides=[], rooms_s={}, reservation=None, trace=call.record.trace.fork("shared call")
    )
    flight, is_first = flights.enter(name, lambda: _lead(lead, replace(call, record=record)))
    seat = _Seat(flights, flight, call, record if is_first else None, headers)
    if call.record.stream:
        pieces = seat.pieces()
        first = await anext(pieces, b"")  # begun here, so that closing it leaves the flight
        return StreamReply(first, pieces, seat.told or {})
    return await seat.whole()


async def _lead(lead: Lead, call: Call) -> Reply | StreamReply:
    """Make the call, and tell followers in all processes which trace it belongs to."""
    reply = await lead(call)
    if (context := call.record.trace.context()) is not None:
        reply.headers = {**reply.headers, TRACEPARENT: context.written()}
    return reply


@dataclass(slots=True)
class _Seat:
    """One request in a flight. `led` is the call's record, for the request that began the flight."""

    flights: Flights
    flight: Flight
    call: Call
    led: Record | None
    headers: Headers
    told: dict[str, str] | None = None

    async def whole(self) -> Reply:
        try:
            await self._board()
            body = await self.flight.broadcast.whole()
        finally:
            await self._leave()
        return Reply(body, self.told or {})

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        try:
            await self._board()
            async for piece in self.flight.broadcast.follow():
                if self.call.record.first_token_s is None:
                    self.call.record.first_token_s = self.call.record.since_start()
                yield piece
        finally:
            await self._leave()

    async def _board(self) -> None:
        """Wait for the answer's beginning, and take its headers."""
        started = time.perf_counter()
        record = self.call.record
        with record.trace.begin("shared wait") as span:
            told = dict(await self.flight.broadcast.opened())
            span.note({"thalamus.leads": self._pays()})
        context = read_context(told)
        told.pop(TRACEPARENT, None)
        if self._pays():
            self._adopt()
            record.leave("open")
            self.told = told
            return
        if context is not None:
            record.trace.link(context)
        record.cache = SHARED
        record.upstream_s += time.perf_counter() - started
        record.leave("open")
        if record.decision is not None:
            record.target = record.decision.targets[0]
        self.told = {**told, **self.headers(told)}

    async def _leave(self) -> None:
        """Leave; what the call took is counted here, or by the call itself if it goes on for others."""
        await self.flights.leave(self.flight)
        if self.led is None or not self._pays():
            return
        if self.flight.has_ended or self.flight.broadcast.is_over:
            self._adopt()
            self.call.record.trace.absorb(self.led.trace)
            return
        self.led.endpoint = "shared"
        self.led.reservation, self.call.record.reservation = self.call.record.reservation, None
        self.flight.on_landing = self._account

    def _pays(self) -> bool:
        return self.led is not None and self.flight.is_led_here

    def _adopt(self) -> None:
        if self.led is not None:
            for name in _CALLS_OWN:
                setattr(self.call.record, name, getattr(self.led, name))

    def _account(self) -> None:
        """Close the record of a call that its own client did not wait for."""
        record, rooms = self.led, self.call.rooms
        if record is None:
            return
        if self.flight.broadcast.error is None:
            record.outcome = Outcome.DONE
        else:
            record.error = getattr(self.flight.broadcast.error, "code", "internal_error")
        rooms.accounts.close(record)
        if record.reservation is not None:
            rooms.limits.settle(record.reservation, record.used())
