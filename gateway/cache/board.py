"""A board for short notes between processes: what one has found out and the others should know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Note:
    """One note, and for how many seconds it still holds."""

    value: str
    left_s: float


class Board(Protocol):
    """Notes by name."""

    async def read(self) -> Mapping[str, Note]:
        """Give all notes that hold.

        Raises:
            StoreUnavailable: no answer in time.
        """
        ...

    async def post(self, name: str, value: str, *, ttl_s: float) -> None:
        """Hang up a note, in place of one of the same name.

        Raises:
            StoreUnavailable: no answer in time.
        """
        ...
