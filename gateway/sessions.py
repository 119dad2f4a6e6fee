"""What is remembered between the requests of one conversation: a tier, a backend and a difficulty, never content."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import msgspec
import structlog

from classifiers.types import Conversation
from gateway.cache.key import owner_tag
from gateway.cache.store import Store, StoreUnavailable
from router.conversation import fingerprint
from router.types import Session

SESSION_HEADER = "x-thalamus-session"
IDENTITY_FIELDS = ("prompt_cache_key", "conversation", "previous_response_id")
"""Request fields by which clients name a conversation, the most telling first."""

_log = structlog.get_logger("thalamus")
_sessions = msgspec.msgpack.Decoder(Session)


class Sessions:
    """Conversations by tenant and identity, in the store, for a limited time. A store that is away is a new talk."""

    def __init__(self, store: Store, ttl_s: float) -> None:
        self._store = store
        self._ttl_s = ttl_s

    async def find(self, key: str) -> Session | None:
        """Give what is remembered of a conversation, if anything."""
        try:
            kept = await self._store.get(key)
            return None if kept is None else _sessions.decode(kept)
        except (StoreUnavailable, msgspec.DecodeError):
            return None

    async def remember(self, key: str, session: Session) -> None:
        """Keep what the next request should know."""
        try:
            await self._store.put(key, msgspec.msgpack.encode(session), ttl_s=self._ttl_s)
        except StoreUnavailable:
            _log.debug("session not kept", why="the store is away")

    async def erase(self, tenant: str) -> int:
        """Forget a tenant's conversations, and whatever else of its is in the same store; say how much that was.

        Raises:
            StoreUnavailable: not all could be erased; try again.
        """
        return await self._store.erase(owner_tag(tenant))


def session_key(tenant: str, named: Mapping[str, object], header: str | None, conversation: Conversation) -> str:
    """Name a conversation: by the header, else by what the client calls it, else by how it began and for whom."""
    identity = header
    if not identity:
        identity = next((str(named[field]) for field in IDENTITY_FIELDS if named.get(field)), None)
    if not identity:
        identity = f"{named.get('user') or ''}\0{fingerprint(conversation)}"
    digest = hashlib.blake2b(identity.encode(errors="replace"), digest_size=16).hexdigest()
    return f"ts1:{{{owner_tag(tenant)}}}:{digest}"
