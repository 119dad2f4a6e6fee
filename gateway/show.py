"""How much of a model's reasoning a caller gets to see."""

from __future__ import annotations

from enum import StrEnum


class Show(StrEnum):
    """What a client gets to see of the reasoning. The tokens that it took are in the usage whatever is shown."""

    PASS = "pass"  # noqa: S105 - not a password
    HIDE = "hide"
    COUNT = "count"
    """Its length alone, as `reasoning_summary`."""


_FROM_CLOSED_TO_OPEN = (Show.HIDE, Show.COUNT, Show.PASS)


def narrowest(*shows: Show | None) -> Show:
    """Give the one that shows least; None says nothing, and without any word the reasoning is passed."""
    said = [show for show in shows if show is not None]
    return min(said, key=_FROM_CLOSED_TO_OPEN.index, default=Show.PASS)
