"""Asks other machines, by notes on the board in Redis, what they remember of a decision.

Nothing is written for a decision until somebody asks about it: keeping all of them in Redis would cost every request a
write, and Redis a few hundred bytes for each. Who asks waits for about a second at most.

Weakness: while many ask at once for what nobody remembers, further questions are not put, and count as not remembered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import msgspec

from gateway.cache.board import Board, Note
from gateway.cache.key import owner_tag
from gateway.cache.store import StoreUnavailable
from gateway.records.recent import Remembered

LOOK_EVERY_S = 0.1
PATIENCE_S = 1.5
"""Twice the time between two looks at the board (`upstream.sharing`), and some."""

HOLDS_S = 5.0
MOST_AT_ONCE = 16
"""Questions that one process has on the board at once."""

_ASKS, _KNOWS = "asks ", "knows "
_answers = msgspec.json.Decoder(Remembered)


class Inquiries:
    """Questions of this process to others, and its answers to theirs.

    Args:
        find: gives what this process remembers of a decision.
    """

    def __init__(self, find: Callable[[str], Remembered | None]) -> None:
        self._find = find
        self._asking = 0

    async def ask(self, board: Board, tenant: str, decision_id: str) -> Remembered | None:
        """Ask all processes that share the board; None if none says in time that it remembers the decision."""
        if self._asking >= MOST_AT_ONCE:
            return None
        self._asking += 1
        name = f"{owner_tag(tenant)} {decision_id}"
        try:
            async with asyncio.timeout(PATIENCE_S):
                await board.post(_ASKS + name, "", ttl_s=HOLDS_S)
                while (note := (await board.read()).get(_KNOWS + name)) is None:  # noqa: ASYNC110  it is in Redis
                    await asyncio.sleep(LOOK_EVERY_S)
            return _answers.decode(note.value)
        except (TimeoutError, StoreUnavailable):
            return None
        finally:
            self._asking -= 1

    async def answer(self, board: Board, notes: Mapping[str, Note]) -> None:
        """Answer the questions among the notes that are about decisions remembered here.

        Raises:
            StoreUnavailable: no answer in time.
        """
        for asked in [name.removeprefix(_ASKS) for name in notes if name.startswith(_ASKS)]:
            owner, _, decision_id = asked.partition(" ")
            about = self._find(decision_id)
            if about is not None and owner_tag(about.tenant) == owner and _KNOWS + asked not in notes:
                await board.post(_KNOWS + asked, msgspec.json.encode(about).decode(), ttl_s=HOLDS_S)
