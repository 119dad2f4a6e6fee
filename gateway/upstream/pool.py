"""A configured backend at work: its way of being called, its dialect, and how many calls it takes at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.reasoning import ReasoningOptions
from gateway.settings import BackendSettings
from gateway.upstream.base import Answer, Upstream
from gateway.upstream.dialects import Dialect, Thinking, compile_thinking
from gateway.wire.body import Parsed
from gateway.wire.chat import ChatRequest
from router.types import Effort


@dataclass(frozen=True, slots=True)
class Backend:
    """One backend, ready to be called."""

    name: str
    settings: BackendSettings
    upstream: Upstream
    dialect: Dialect
    reasoning: ReasoningOptions
    slots: asyncio.Semaphore | None

    @property
    def speaks_responses(self) -> bool:
        """Whether requests for responses are passed on as they are."""
        settings = self.settings
        wanted = settings.responses == "native" or (settings.responses == "auto" and self.dialect.responses)
        return wanted and settings.transport == "http"

    def compile_thinking(
        self, effort: Effort | None, chat: Parsed[ChatRequest], changed: Mapping[str, Any]
    ) -> Thinking:
        """Turn an effort into the fields that this backend wants; `changed` are fields that we set already."""
        return compile_thinking(self.dialect, effort, {**chat.decode(self.dialect.watched), **changed})

    async def open(self, path: str, body: bytes) -> Answer:
        """Call the backend, waiting for a free slot first where their number is limited.

        Raises:
            UpstreamError: anything but a 200.
        """
        if self.slots is None:
            return await self.upstream.open(path, body)
        await self.slots.acquire()
        try:
            return _SlottedAnswer(await self.upstream.open(path, body), self.slots)
        except BaseException:  # cancelled or failed: the slot goes back either way
            self.slots.release()
            raise


class _SlottedAnswer:
    """An answer that holds a slot until it is closed."""

    def __init__(self, answer: Answer, slots: asyncio.Semaphore) -> None:
        self._answer = answer
        self._slots: asyncio.Semaphore | None = slots

    @property
    def headers(self) -> Mapping[str, str]:
        return self._answer.headers

    async def read(self) -> bytes:
        return await self._answer.read()

    def chunks(self) -> AsyncGenerator[bytes, None]:
        return self._answer.chunks()

    async def close(self) -> None:
        slots, self._slots = self._slots, None
        if slots is not None:
            slots.release()
        await self._answer.close()
