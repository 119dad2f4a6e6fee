"""Keeps keepsakes by tenant and message for a limited time, and finds them again: in the process or in Redis."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence

import msgspec

from gateway.cache.answer import Answer, AnswerCodec, AnswerTooLarge, Kept, Unreadable
from gateway.cache.key import owner_tag
from gateway.cache.store import Store, StoreUnavailable
from gateway.reasoning import ReasoningOptions
from gateway.upstream.dialects import Dialect
from gateway.vault.identity import name_messages
from gateway.vault.keepsake import Keepsake, Origin
from gateway.vault.listening import Listener
from gateway.vault.mending import carries
from gateway.wire.body import Parsed
from gateway.wire.chat import ChatRequest

_CONTENT_TYPE = "application/x-thalamus-reasoning"
_NEVER_SOUGHT = frozenset({"none", "drop", "strip"})
_WITH_TOOLS_ONLY = frozenset({"drop", "strip", "keep", "keep-if-tools", "encrypted"})
"""Rules under which reasoning counts only in tool loops; elsewhere nobody will ask for it."""

_read_keepsake = msgspec.json.Decoder(Keepsake).decode


NOTHING: Mapping[int, Keepsake] = {}


class Vault:
    """Reasoning by tenant and message. A store that is away costs the reasoning, never the request."""

    def __init__(
        self,
        store: Store,
        *,
        ttl_s: float,
        max_bytes: int,
        tenant_quota_bytes: int | None,
        encryption_key: bytes | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Keep in a store.

        Args:
            store: where.
            ttl_s: seconds for which reasoning is kept.
            max_bytes: the largest keepsake.
            tenant_quota_bytes: what one tenant may fill; its own oldest reasoning makes room.
            encryption_key: seals what is stored, as the cache's answers are.
            clock: Unix seconds.
        """
        self._store = store
        self._ttl_s = ttl_s
        self._quota = tenant_quota_bytes
        self._clock = clock
        self._codec = AnswerCodec(max_bytes=max_bytes, encryption_key=encryption_key)

    async def recall(
        self, tenant: str, chat: Parsed[ChatRequest], dialects: Sequence[Dialect], *, own_items: bool = False
    ) -> Mapping[int, Keepsake]:
        """Give the keepsakes of a history by position, as far as any of these dialects could want them.

        Args:
            tenant: whose history it is.
            chat: the request.
            dialects: of the backends that may answer.
            own_items: whether one of them takes its own reasoning items back, as they go with tool calls.
        """
        messages = chat.typed.messages
        wanted = own_items and any(message.tool_calls for message in messages)
        if len(messages) == 1 or not (wanted or any(_may_ask(dialect, chat) for dialect in dialects)):
            return NOTHING
        named = list(name_messages(messages, chat.typed.user or ""))
        if not named:
            return NOTHING
        found = await asyncio.gather(*(self._find(_key(tenant, name)) for _, name in named))
        return {position: kept for (position, _), kept in zip(named, found, strict=True) if kept}

    def listen(
        self, chat: Parsed[ChatRequest], dialect: Dialect, model: str, options: ReasoningOptions
    ) -> Listener | None:
        """Give somebody who hears the answer; None where nobody will ask for its reasoning."""
        rule = dialect.replay
        if rule == "none" or (rule in _WITH_TOOLS_ONLY and not chat.typed.tools):
            return None
        return Listener(Origin.of(dialect, model), options, chat.typed.messages, chat.typed.user or "")

    async def keep(self, tenant: str, listener: Listener) -> None:
        """Keep what a listener heard."""
        for name, keepsake in listener.keepsakes():
            await self._put(_key(tenant, name), keepsake)

    async def erase(self, tenant: str) -> int:
        """Forget all reasoning of a tenant and say how many messages' it was.

        Raises:
            StoreUnavailable: not all could be erased; try again.
        """
        return await self._store.erase(_owner(tenant))

    async def _find(self, key: str) -> Keepsake | None:
        try:
            value = await self._store.get(key)
            kept = self._codec.decode(key, value) if value is not None else None
            if kept is None or self._clock() >= kept.expires_at:
                return None
            return _read_keepsake(kept.answer.body)
        except (StoreUnavailable, Unreadable, msgspec.DecodeError):
            return None

    async def _put(self, key: str, keepsake: Keepsake) -> None:
        now = self._clock()
        answer = Answer(200, _CONTENT_TYPE, msgspec.json.encode(keepsake))
        try:
            value = self._codec.encode(key, Kept(answer, now, now + self._ttl_s))
            await self._store.put(key, value, ttl_s=self._ttl_s, quota_bytes=self._quota)
        except (AnswerTooLarge, StoreUnavailable):
            return  # expected: the conversation goes on as it would without a vault


def _may_ask(dialect: Dialect, chat: Parsed[ChatRequest]) -> bool:
    """Whether what is kept of a history can matter to a backend."""
    rule = dialect.replay
    if rule == "keep-if-tools":
        return any(message.tool_calls for message in chat.typed.messages)
    if rule in ("keep", "encrypted"):  # it only matters who wrote what the client sends
        return carries(chat.fields["messages"])
    return rule not in _NEVER_SOUGHT


def _key(tenant: str, name: str) -> str:
    return f"tv1:{{{_owner(tenant)}}}:{name}"


def _owner(tenant: str) -> str:
    """Give the vault's own tag of a tenant, so that answers and reasoning do not push each other out.

    No tenant's name holds a NUL, so that no other tenant's tag can be the same.
    """
    return owner_tag(f"\0vault\0{tenant}")
