"""What is to be fetched for a client, whoever answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec

from gateway.upstream.pool import Backend
from gateway.vault import Listener, Mended
from router.types import Target


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A request as one backend gets it."""

    body: bytes
    thinking: str
    """Effort asked and applied, for the response header."""
    mended: Mended | None = None
    """What was done to the history's reasoning, where anything could be."""
    listener: Listener | None = None
    """Hears the answer for the vault, where its reasoning may be wanted again."""


@dataclass(frozen=True, slots=True)
class Errand:
    """What is to be fetched, whoever answers.

    Attributes:
        path: of the endpoint below the backend's base URL, such as ``chat/completions``.
        fields: the client's request, field by field, for the cache.
        prepare: writes the request for one backend.
        stream: whether the answer is streamed.
        usage_asked: whether the client wants the usage in its stream.
        choices: how many answers it wants; 0 where answers have no reasoning to normalise.
        inspect: reads a whole answer before it is kept or sent, and gives what is.
        resume: writes the request to go on with an answer that broke off after some text (and about so many tokens),
            for one backend; None where that backend, or any at all, cannot.
    """

    path: str
    fields: Mapping[str, msgspec.Raw]
    prepare: Callable[[Backend, Target], Outgoing]
    stream: bool = False
    usage_asked: bool = False
    choices: int = 0
    inspect: Callable[[bytes], bytes] | None = None
    resume: Callable[[Backend, Target, str, int], Outgoing | None] | None = None
