"""An answer as it arrives, for any number of followers, each at its own pace and from the beginning."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping

from gateway.errors import ThalamusError


class Broadcast:
    """Pieces of one answer. A follower who comes late gets what was there before at once.

    Attributes:
        headers: of the answer; None until there is one.
        pieces: all that has arrived.
        is_over: whether nothing more will come.
        error: why it ended, where it did not end well.
    """

    def __init__(self) -> None:
        self.headers: Mapping[str, str] | None = None
        self.pieces: list[bytes] = []
        self.is_over = False
        self.error: ThalamusError | None = None
        self._changed = asyncio.Event()

    def open(self, headers: Mapping[str, str]) -> None:
        """Tell that there is an answer."""
        self.headers = headers
        self._notify()

    def add(self, piece: bytes) -> None:
        """Tell a piece of it."""
        self.pieces.append(piece)
        self._notify()

    def end(self, error: ThalamusError | None = None) -> None:
        """Tell that there is no more; the first word counts."""
        if not self.is_over:
            self.is_over, self.error = True, error and error.again()
            self._notify()

    async def opened(self) -> Mapping[str, str]:
        """Wait for the answer's beginning. Raises what prevented it."""
        while self.headers is None:
            self._raise_error()
            await self._changed.wait()
        return self.headers

    async def whole(self) -> bytes:
        """Wait for all of it. Raises what broke it off."""
        while not self.is_over:
            await self._changed.wait()
        self._raise_error()
        return b"".join(self.pieces)

    async def follow(self) -> AsyncGenerator[bytes, None]:
        """Yield every piece as it arrives. Raises what broke the answer off."""
        place = 0
        while True:
            while place < len(self.pieces):
                place += 1
                yield self.pieces[place - 1]
            if self.is_over:
                break
            await self._changed.wait()
        self._raise_error()

    def _raise_error(self) -> None:
        if self.error is not None:
            raise self.error.again()

    def _notify(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
