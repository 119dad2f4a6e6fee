"""A stream is held until it is useful, and watched so that only output counts as going on."""

import asyncio
import time
from collections.abc import AsyncGenerator
from typing import ClassVar

import pytest

from gateway.calls.relaying import Stream, Tally, Watch, hold_until_useful
from gateway.errors import UpstreamError, UpstreamTimeout
from gateway.records.accounting import Record
from gateway.records.prices import Usage
from gateway.settings import BreakerSettings, TimeoutSettings
from gateway.streaming import DONE, Relay
from gateway.upstream.breaker import Breaker
from gateway.upstream.replica import Lease, Replica

ROLE = b'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}\n\n'
HELLO = b'data: {"choices":[{"index":0,"delta":{"content":"Hello"}}]}\n\n'
EMPTY = b'data: {"choices":[{"index":0,"delta":{"content":""}}]}\n\n'
STOP = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
COMMENT = b": keep-alive\n\n"


class Answer:
    """Gives its chunks, each after so many seconds."""

    headers: ClassVar = {"content-type": "text/event-stream"}

    def __init__(self, *chunks: tuple[float, bytes]) -> None:
        self._chunks = chunks
        self._aborted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.closed = 0

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        for seconds, chunk in self._chunks:
            done, _ = await asyncio.wait((self._aborted,), timeout=seconds)
            if done:
                self._aborted.result()
            yield chunk

    def abort(self, error: UpstreamError) -> None:
        self._aborted.set_exception(error)

    async def close(self) -> None:
        self.closed += 1


def stream(answer: Answer, *, idle: float = 0.2, total: float = 60.0) -> Stream:
    relay, written = Relay("b", usage_asked=False), BreakerSettings()
    timeouts = TimeoutSettings(idle=idle, total=total)
    ends_at = asyncio.get_running_loop().time() + total
    watch = Watch("b", relay, answer, timeouts, ends_at)
    return Stream(
        relay=relay,
        answer=answer,
        lease=Lease(Replica("r", None, written, Breaker(written))),
        tally=Tally(),
        watch=watch,
        on_output=watch.start,
        started=time.perf_counter(),
        prompt_tokens=7,
    )


async def read(one: Stream) -> bytes:
    pieces = one.pieces()
    first = await hold_until_useful(pieces, one.relay)
    return b"".join([first, *[piece async for piece in pieces]])


@pytest.mark.parametrize(
    ("before", "first"),
    [
        ([ROLE, HELLO], ROLE + HELLO),
        ([COMMENT, ROLE, COMMENT, EMPTY, HELLO], ROLE + EMPTY + HELLO),
        ([ROLE + HELLO], ROLE + HELLO),
        ([ROLE, STOP, DONE], ROLE + STOP + DONE),
    ],
    ids=["a role", "comments and empty events", "all at once", "no output at all"],
)
async def test_a_stream_is_held_until_it_is_useful(before, first):
    one = stream(Answer(*[(0, chunk) for chunk in [*before, HELLO]]))
    pieces = one.pieces()
    assert await hold_until_useful(pieces, one.relay) == first
    await pieces.aclose()


async def test_output_keeps_a_stream_going_however_long_it_lasts():
    answer = Answer(*[(0.1, HELLO)] * 10, (0.1, STOP), (0, DONE))
    assert (await read(stream(answer))).count(b"Hello") == 10
    assert answer.closed == 1


@pytest.mark.parametrize("noise", [COMMENT, EMPTY, ROLE], ids=["comments", "empty events", "roles"])
async def test_noise_does_not(noise):
    one = stream(Answer((0, HELLO), *[(0.05, noise)] * 100))
    started = time.monotonic()
    with pytest.raises(UpstreamTimeout, match=r"said nothing for 0\.2 s"):
        await read(one)
    assert 0.2 <= time.monotonic() - started < 2


async def test_the_total_deadline_ends_a_stream_that_goes_on():
    with pytest.raises(UpstreamTimeout, match="in all"):
        await read(stream(Answer((0, HELLO), *[(0.02, HELLO)] * 200), total=0.3))


async def test_a_slow_client_is_not_the_backends_silence():
    one = stream(Answer((0, HELLO), (0, HELLO), (0, STOP), (0, DONE)))
    pieces = one.pieces()
    await hold_until_useful(pieces, one.relay)
    await asyncio.sleep(0.5)
    assert b"Hello" in b"".join([piece async for piece in pieces])


async def test_what_broke_off_is_recorded_as_far_as_it_came():
    one, record = stream(Answer((0, HELLO), (0, HELLO))), Record("chat")
    one.tally.adopt(record)
    with pytest.raises(UpstreamError, match="broke off"):
        await read(one)
    assert (record.usage, record.is_partial) == (Usage(7, 2), True)


async def test_what_was_not_adopted_changes_no_record():
    one, record = stream(Answer((0, HELLO), (0, STOP), (0, DONE))), Record("chat")
    await read(one)
    assert record.usage is None
    one.tally.adopt(record)
    assert not record.is_partial
