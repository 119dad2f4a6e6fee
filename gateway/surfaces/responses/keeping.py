"""Responses that are kept, so that callers can fetch them and go on from them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import structlog

from gateway.cache.key import owner_tag
from gateway.cache.store import Store, StoreUnavailable
from gateway.errors import InvalidField, PreviousResponseNotFound, ResponseNotFound, StateUnavailable
from gateway.surfaces.responses.items import Dictionary, is_response_id, response_of_item
from gateway.vault import Origin

TTL_S = 30 * 86_400
"""How long a response is kept: 30 days, as at OpenAI."""

TENANT_BYTES = 64 * 1024 * 1024
"""What one tenant's responses may take; its own oldest make room. In the process, it is all tenants' together."""

CANCEL_TTL_S = 3600.0

_ANSWERED = ("completed", "incomplete")
_log = structlog.get_logger("thalamus")


class Hidden(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the caller does not see of a reasoning item.

    Attributes:
        text: the reasoning, where it is not shown.
        id: the item's id at the backend that gave it in its own words.
        sealed: its encrypted content there.
    """

    text: str = ""
    id: str | None = None
    sealed: str | None = None


class Kept(msgspec.Struct, frozen=True):
    """One response and what it takes to go on from it.

    Attributes:
        response: the response object as the caller saw it.
        items: the caller's own items, in the form in which they are listed.
        ancestors: ids of the responses that this one went on from, the first one first.
        hidden: what the caller did not see, by the ids of output items.
        origin: whose own words the output is, None where it was made from a chat completion.
    """

    response: Dictionary
    items: list[Dictionary]
    ancestors: list[str] = []
    hidden: dict[str, Hidden] = {}
    origin: Origin | None = None

    @property
    def id(self) -> str:
        """The response's id."""
        return str(self.response["id"])

    @property
    def exchange(self) -> list[Said]:
        """What was said in this one response: by the caller, then by the model."""
        output = (Said(item, self.hidden.get(item["id"]), self.origin) for item in self.response["output"])
        return [*map(Said, self.items), *output]


@dataclass(frozen=True, slots=True)
class Said:
    """One item of a kept response: as the caller saw it, and what it did not see."""

    item: Dictionary
    hidden: Hidden | None = None
    origin: Origin | None = None


@dataclass(frozen=True, slots=True)
class Past:
    """What came before a request: the items of a chain of responses, and their ids."""

    said: Sequence[Said] = ()
    ids: Sequence[str] = ()


_kept = msgspec.json.Decoder(Kept)  # not msgpack: JSON has integers of any size, and callers send them


class ResponseStore:
    """Responses in the store, by tenant and id. A response holds its own turn only; a chain is read link by link."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def keep(self, tenant: str, kept: Kept) -> bool:
        """Keep a response; False if the store is away or has no room for it."""
        try:
            value = msgspec.json.encode(kept)
            done = await self._store.put(_key(tenant, kept.id), value, ttl_s=TTL_S, quota_bytes=TENANT_BYTES)
        except StoreUnavailable:
            done = False
        if not done:
            _log.warning("response not kept", response=kept.id)
        return done

    async def find(self, tenant: str, response_id: str) -> Kept:
        """Give a kept response.

        Raises:
            ResponseNotFound: the tenant has none of that id.
            StateUnavailable: the store is away.
        """
        kept = await self._get(tenant, response_id)
        if kept is None:
            raise ResponseNotFound(f"Response with id '{response_id[:64]}' not found.")
        return kept

    async def erase(self, tenant: str) -> int:
        """Forget a tenant's responses, and whatever else of its is in the same store; say how much that was.

        Raises:
            StoreUnavailable: not all could be erased; try again.
        """
        return await self._store.erase(owner_tag(tenant))

    async def forget(self, tenant: str, response_id: str) -> None:
        """Forget a response.

        Raises:
            StateUnavailable: the store is away.
        """
        try:
            await self._store.delete(_key(tenant, response_id))
        except StoreUnavailable:
            raise _away() from None

    async def past(self, tenant: str, response_id: str | None) -> Past:
        """Give all that was said up to and with a response; nothing for None.

        Raises:
            PreviousResponseNotFound: it, or a response before it, is not kept.
            InvalidField: it has not come to an answer.
            StateUnavailable: the store is away.
        """
        if response_id is None:
            return Past()
        last = await self._link(tenant, response_id)
        if last.response["status"] not in _ANSWERED:
            raise InvalidField(
                f"The response '{response_id}' is {last.response['status']}: nobody can go on from it.",
                param="previous_response_id",
            )
        before = await asyncio.gather(*(self._link(tenant, ancestor) for ancestor in last.ancestors))
        chain = [*before, last]
        return Past([said for link in chain for said in link.exchange], [link.id for link in chain])

    async def item(self, tenant: str, item_id: str, param: str) -> Said:
        """Give the item that a reference names.

        Raises:
            InvalidField: no kept response has it.
            StateUnavailable: the store is away.
        """
        response_id = response_of_item(item_id)
        kept = await self._get(tenant, response_id) if response_id else None
        for said in kept.exchange if kept else ():
            if said.item["id"] == item_id:
                return said
        raise InvalidField(f"Item with id '{item_id[:80]}' not found. Items are kept with 'store' only.", param=param)

    async def ask_to_cancel(self, tenant: str, response_id: str) -> None:
        """Leave word for the process that is working on a response."""
        try:
            await self._store.put(_cancel_key(tenant, response_id), b"1", ttl_s=CANCEL_TTL_S)
        except StoreUnavailable:
            raise _away() from None

    async def is_asked_to_cancel(self, tenant: str, response_id: str) -> bool:
        """Whether word was left; no, while the store is away."""
        try:
            return await self._store.get(_cancel_key(tenant, response_id)) is not None
        except StoreUnavailable:
            return False

    async def _link(self, tenant: str, response_id: str) -> Kept:
        kept = await self._get(tenant, response_id)
        if kept is None:
            raise PreviousResponseNotFound(
                f"Previous response with id '{response_id[:64]}' not found.", param="previous_response_id"
            )
        return kept

    async def _get(self, tenant: str, response_id: str) -> Kept | None:
        if not is_response_id(response_id):
            return None
        try:
            value = await self._store.get(_key(tenant, response_id))
        except StoreUnavailable:
            raise _away() from None
        return None if value is None else _kept.decode(value)


def _key(tenant: str, response_id: str) -> str:
    return f"tr1:{{{owner_tag(tenant)}}}:{response_id}"


def _cancel_key(tenant: str, response_id: str) -> str:
    return f"tr1:{{{owner_tag(tenant)}}}:{response_id}:cancel"


def _away() -> StateUnavailable:
    return StateUnavailable("The store of responses does not answer now.")
