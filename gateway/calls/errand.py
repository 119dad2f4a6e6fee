"""What is to be fetched for a client, whoever answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec

from gateway.reasoning import FrameRewriter, ReasoningOptions, rewrite_answer, show_answer, shown
from gateway.show import Show
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
    native: bool = False
    """Whether it is a request for a response, which the backend answers in that API's own words."""


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
        show: how much of the reasoning the client sees.
        both_names: whether it gets `reasoning` beside `reasoning_content`.
        may_be_native: whether some backend may answer in the words of the caller's own API; such an answer cannot be
            shared with callers of another.
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
    show: Show = Show.PASS
    both_names: bool = False
    may_be_native: bool = False
    inspect: Callable[[bytes], bytes] | None = None
    resume: Callable[[Backend, Target, str, int], Outgoing | None] | None = None

    def normal(self, backend: Backend, body: bytes) -> bytes:
        """Give a whole answer with its reasoning under one name, as it is kept for whoever asks next."""
        return rewrite_answer(body, backend.reasoning) if self.choices else body

    def shown(self, backend: Backend, body: bytes) -> bytes:
        """Give a whole answer in its normal form with as much of the reasoning as the client sees."""
        return show_answer(body, self._options(backend)) if self.choices else body

    def rewriter(self, backend: Backend) -> FrameRewriter | None:
        """Give what does both to the frames of a stream."""
        return FrameRewriter(self._options(backend), choices=self.choices) if self.choices else None

    def _options(self, backend: Backend) -> ReasoningOptions:
        return shown(backend.reasoning, self.show, both_names=self.both_names)
