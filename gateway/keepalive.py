"""Signs of life on a connection whose answer is silent, so that nobody between here and the client gives it up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

COMMENT = b": keep-alive\n\n"
"""A comment in an event stream, which every client passes over."""


class KeepAlive:
    """Calls `say` whenever nothing has been sent for a while.

    No timer is set when something is sent: the owner only writes down when, in `sent_at`, and the one timer that runs
    looks at it and sleeps on.

    Attributes:
        sent_at: when anything was last sent (loop's clock); the owner's to set.
        saying: the sign being sent, which the owner waits for before it sends something itself.
    """

    __slots__ = ("_every_s", "_loop", "_say", "_timer", "saying", "sent_at")

    def __init__(self, every_s: float | None, say: Callable[[], Awaitable[None]]) -> None:
        """Begin to look; `every_s` None never says anything."""
        self._every_s = every_s
        self._say = say
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(every_s, self._look) if every_s is not None else None
        self.sent_at = self._loop.time()
        self.saying: asyncio.Task[None] | None = None

    async def stop(self) -> None:
        """Say nothing any more; what is being said is cut."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.saying is not None:
            saying, self.saying = self.saying, None
            saying.cancel()
            await asyncio.wait((saying,))
            if not saying.cancelled() and (error := saying.exception()) is not None:
                raise error

    def _look(self) -> None:
        if self._every_s is None:
            return
        due = self.sent_at + self._every_s
        if self._loop.time() >= due:
            self.saying = self._loop.create_task(self._say_and_go_on(self._every_s))
        else:
            self._timer = self._loop.call_at(due, self._look)

    async def _say_and_go_on(self, every_s: float) -> None:
        await self._say()
        self.sent_at = self._loop.time()
        self._timer = self._loop.call_later(every_s, self._look)
        self.saying = None
