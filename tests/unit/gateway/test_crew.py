"""What workers on one port say to each other, over real sockets."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from gateway.process.crew import READY, Crew


async def test_a_word_that_breaks_whoever_hears_it_costs_its_answer_and_nothing_else():
    ours, theirs = socket.socketpair()
    crew = Crew(0, of=2)

    async def break_down(_: Any) -> Any:
        raise KeyError("missing")

    async def answer(body: Any) -> Any:
        return body + 1

    crew.hear("broken", break_down)
    crew.hear("sound", answer)
    listening = asyncio.create_task(crew.run(ours))
    reader, writer = await asyncio.open_connection(sock=theirs)
    assert await reader.readline() == READY
    for kind, number in (("broken", 7), ("sound", 8)):
        writer.write(f'{{"kind":"{kind}","sender":1,"number":{number},"body":1}}\n'.encode())
    told = [await reader.readline() for _ in range(2)]
    assert [b'"body":null' in told[0], b'"body":2' in told[1]] == [True, True]
    writer.close()
    await asyncio.wait_for(listening, 5)


async def test_a_supervisor_that_has_gone_before_a_worker_is_ready_ends_its_listening():
    ours, theirs = socket.socketpair()
    theirs.close()
    await asyncio.wait_for(Crew(0, of=2).run(ours), 5)
