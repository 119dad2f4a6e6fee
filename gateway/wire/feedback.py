"""What a caller says of an answer."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

MOST_NOTE_CHARS = 2_000


class FeedbackRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """`better` compares the tiers' answers to the same request, `rating` judges this one alone; give one of the two."""

    decision_id: Annotated[str, Meta(min_length=1, max_length=128)]
    better: Literal["fast", "deep", "same"] | None = None
    rating: Literal["up", "down"] | None = None
    note: Annotated[str, Meta(max_length=MOST_NOTE_CHARS)] | None = None
