"""The exact cache: what may be kept, what may be given, and one answer for the same request of the same tenant."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from gateway.cache.answer import Answer, AnswerCodec, AnswerTooLarge, Kept, Unreadable
from gateway.cache.events import AnswerLookedUp, AnswerOffered, LookupOutcome, OnEvent, StoreOutcome, ignore
from gateway.cache.key import owner_tag
from gateway.cache.settings import CacheSettings, decode_key
from gateway.cache.store import MemoryStore, Store, StoreUnavailable

_FINISHED = "stop"
_TRUNCATED = "length"
_CALLS = frozenset({"tool_calls", "function_call"})
_EMBEDDINGS = "/v1/embeddings"


@dataclass(frozen=True, slots=True)
class Plan:
    """What the cache may do for one request.

    Attributes:
        read: a kept answer may be given.
        write: the answer may be kept.
        ttl_s: for how long.
        max_age_s: the oldest answer that the caller takes; None takes any.
    """

    read: bool
    write: bool
    ttl_s: float
    max_age_s: float | None = None


@dataclass(frozen=True, slots=True)
class Hit:
    """A kept answer and its age in seconds, for the `age` header."""

    answer: Answer
    age_s: float


class _Message(msgspec.Struct):
    tool_calls: list[msgspec.Raw] | None = None
    function_call: dict[str, Any] | None = None


class _Choice(msgspec.Struct):
    finish_reason: str | None = None
    message: _Message | None = None

    @property
    def calls_tools(self) -> bool:
        return self.finish_reason in _CALLS or bool(
            self.message and (self.message.tool_calls or self.message.function_call)
        )


class _Plain(msgspec.Struct):
    """What is read of an answer before it is kept: `choices` of completions, `data` of embeddings."""

    choices: list[_Choice] | None = None
    data: list[msgspec.Raw] | None = None
    error: Any = None


_read_plain = msgspec.json.Decoder(_Plain).decode


class ExactCache:
    """Gives and keeps whole answers by key. A store that fails, or holds what cannot be read, is a miss."""

    def __init__(
        self,
        store: Store,
        settings: CacheSettings,
        *,
        on_event: OnEvent = ignore,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._settings = settings
        self._on_event = on_event
        self._clock = clock
        key = settings.encryption_key
        self._codec = AnswerCodec(
            max_bytes=settings.max_value_bytes,
            compress=settings.compress,
            encryption_key=decode_key(key) if key is not None else None,
        )

    def held(self) -> dict[str, int] | None:
        """Say how much is kept; None where it is kept outside this process."""
        store = self._store
        return {"bytes": store.size, "entries": len(store)} if isinstance(store, MemoryStore) else None

    def plan(
        self,
        endpoint: str,
        fields: Mapping[str, Any],
        *,
        cache_control: str | None = None,
        opted_in: bool | None = None,
        ttl_s: float | None = None,
    ) -> Plan:
        """Decide what may be done for a request.

        Args:
            endpoint: its path.
            fields: its decoded fields; `temperature` and `seed` are looked at.
            cache_control: the request's header, which can only narrow what is done.
            opted_in: what its header, key or route says; None leaves it to the settings.
            ttl_s: the route's time to live; None takes the settings'.
        """
        takes_part = self._takes_part(endpoint, fields, opted_in)
        plan = Plan(takes_part, takes_part, self._settings.ttl_s if ttl_s is None else ttl_s)
        return narrow(plan, cache_control) if cache_control else plan

    async def lookup(self, key: str, plan: Plan) -> Hit | None:
        """Give the kept answer, None if there is none that may be given."""
        if not plan.read:
            return None
        found = await self._find(key, plan)
        self._on_event(AnswerLookedUp("hit" if isinstance(found, Hit) else found))
        return found if isinstance(found, Hit) else None

    async def look(self, key: str, plan: Plan) -> Hit | LookupOutcome:
        """Give the kept answer, or why there is none to give. Another cache's look: it is counted there."""
        return await self._find(key, plan)

    async def offer(self, key: str, answer: Answer, plan: Plan) -> StoreOutcome:
        """Keep an answer if it may be kept, and say what was done."""
        if not plan.write:
            return "bypassed"
        fault = fault_of(answer, self._settings)
        offered = AnswerOffered(fault) if fault is not None else await self._keep(key, answer, plan)
        self._on_event(offered)
        return offered.outcome

    async def erase(self, tenant: str) -> int:
        """Forget all answers of a tenant and say how many there were.

        Raises:
            StoreUnavailable: not all could be erased; try again.
        """
        return await self._store.erase(owner_tag(tenant))

    def _takes_part(self, endpoint: str, fields: Mapping[str, Any], opted_in: bool | None) -> bool:
        if self._settings.mode == "off":
            return False
        if opted_in is not None:
            return opted_in
        if self._settings.store == "deterministic":
            return endpoint == _EMBEDDINGS or fields.get("temperature") == 0 or fields.get("seed") is not None
        return self._settings.store == "all"

    async def _find(self, key: str, plan: Plan) -> Hit | LookupOutcome:
        try:
            value = await self._store.get(key)
            kept = self._codec.decode(key, value) if value is not None else None
        except StoreUnavailable:
            return "unavailable"
        except Unreadable:
            return "unreadable"
        if kept is None:
            return "miss"
        now = self._clock()
        age_s = max(0.0, now - kept.stored_at)
        if now >= kept.expires_at or (plan.max_age_s is not None and age_s > plan.max_age_s):
            return "stale"
        return Hit(kept.answer, age_s)

    async def _keep(self, key: str, answer: Answer, plan: Plan) -> AnswerOffered:
        now = self._clock()
        try:
            value = self._codec.encode(key, Kept(answer, now, now + plan.ttl_s))
            quota = self._settings.tenant_quota_bytes
            kept = await self._store.put(key, value, ttl_s=plan.ttl_s, quota_bytes=quota)
        except AnswerTooLarge:
            return AnswerOffered("too-large")
        except StoreUnavailable:
            return AnswerOffered("unavailable")
        return AnswerOffered("stored", len(value)) if kept else AnswerOffered("quota")


def narrow(plan: Plan, cache_control: str) -> Plan:
    """Apply a request's `Cache-Control` (RFC 9111, 5.2.1).

    `no-store` neither reads nor writes; `no-cache` asks the backend and keeps its answer; `max-age=N` takes answers
    of up to N seconds, and one that is no number takes none. Other directives are ignored.
    """
    for directive in cache_control.lower().split(","):
        name, _, value = directive.strip().partition("=")
        if name == "no-store":
            plan = replace(plan, read=False, write=False)
        elif name == "no-cache":
            plan = replace(plan, read=False)
        elif name == "max-age":
            seconds = value.strip('"')
            plan = replace(plan, max_age_s=float(seconds)) if seconds.isdecimal() else replace(plan, read=False)
    return plan


def fault_of(answer: Answer, settings: CacheSettings) -> StoreOutcome | None:
    """Say why an answer may not be kept; None if it may. What is not known to be whole may not."""
    if answer.status != 200:
        return "status"
    try:
        plain = _read_plain(answer.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return "incomplete"
    if plain.error is not None or not (plain.choices or plain.data):
        return "incomplete"
    faults = (_fault_of_choice(choice, settings) for choice in plain.choices or ())
    return next((fault for fault in faults if fault is not None), None)


def _fault_of_choice(choice: _Choice, settings: CacheSettings) -> StoreOutcome | None:
    if choice.finish_reason == _TRUNCATED:
        return None if settings.store_truncated else "truncated"
    if choice.calls_tools:
        return None if settings.store_tool_calls else "tool-calls"
    if choice.finish_reason == "content_filter":
        return "filtered"
    return None if choice.finish_reason == _FINISHED else "incomplete"
