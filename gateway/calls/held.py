"""A chat request as the gateway itself asks it: for a whole answer, which it reads before anybody else does."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from gateway.calls.errand import Errand
from gateway.wire.body import Parsed
from gateway.wire.chat import ChatRequest

ErrandOf = Callable[[Parsed[ChatRequest], int | None], Errand]
"""Makes the errand for a chat request, with another cap on the answer's length than the caller's, or None."""


def held(chat: Parsed[ChatRequest], *, logprobs: bool = False) -> Parsed[ChatRequest]:
    """Give a request that asks for its answer in one piece, and if wanted for its tokens' log-probabilities."""
    fields = {name: value for name, value in chat.fields.items() if name not in ("stream", "stream_options")}
    if logprobs:
        fields["logprobs"] = msgspec.Raw(b"true")
    return Parsed(msgspec.structs.replace(chat.typed, stream=None, stream_options=None), fields)
