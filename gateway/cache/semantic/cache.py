"""Finds the answer to a prompt that asks the same in other words: near enough, and of the same content."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

from gateway.cache.events import OnEvent, SimilarLookedUp, SimilarOffered, ignore
from gateway.cache.exact import ExactCache, Hit, Plan
from gateway.cache.key import VERSION, owner_of, owner_tag
from gateway.cache.semantic.content import differing
from gateway.cache.semantic.embedding import Embedder
from gateway.cache.semantic.index import NearestIndex, Neighbour
from gateway.cache.semantic.prompt import Prompt, read_prompt
from gateway.cache.settings import SemanticSettings
from gateway.cache.store import StoreUnavailable


@dataclass(frozen=True, slots=True)
class SimilarHit:
    """A kept answer to a similar prompt, and the cosine between the two; `entry` is the prompt's partition and name."""

    hit: Hit
    similarity: float
    entry: tuple[str, str]


class SemanticCache:
    """Names answers of the exact cache by what their prompts mean. Whatever fails is a miss."""

    def __init__(
        self,
        exact: ExactCache,
        index: NearestIndex,
        embedder: Embedder,
        settings: SemanticSettings,
        *,
        secret: bytes = b"",
        on_event: OnEvent = ignore,
    ) -> None:
        self._exact = exact
        self._index = index
        self._embedder = embedder
        self._settings = settings
        self._secret = secret
        self._on_event = on_event

    def read(
        self, tenant: str, endpoint: str, target: str, effort: str | None, fields: Mapping[str, Any]
    ) -> Prompt | None:
        """Read a request; None if it takes no part."""
        return read_prompt(tenant, endpoint, target, effort, fields, secret=self._secret)

    async def find(self, prompt: Prompt, plan: Plan) -> SimilarHit | None:
        """Give the answer to the nearest prompt whose content agrees, if there is one."""
        if not plan.read:
            return None
        found = await self._find(prompt, plan)
        if isinstance(found, SimilarLookedUp):
            self._on_event(found)
            return None
        self._on_event(SimilarLookedUp("hit"))
        return found

    async def add(self, prompt: Prompt, key: str, plan: Plan) -> None:
        """Let the answer kept under an exact key be found by its prompt's meaning. Never raises for want of a store."""
        self._on_event(SimilarOffered(await self._add(prompt, key, plan)))

    def forget(self, tenant: str) -> None:
        """Forget what this process holds of a tenant's prompts; what Redis holds goes with the tenant's answers."""
        self._index.forget(owner_tag(tenant))

    async def disown(self, entry: tuple[str, str]) -> None:
        """Give a kept answer to nobody but those who ask in its own words, for it was none to others."""
        await self._remove(*entry)

    async def _add(self, prompt: Prompt, key: str, plan: Plan) -> Literal["stored", "late", "unavailable"]:
        vector = await self._embedder.embed(prompt.text)
        if vector is None:
            return "late"
        name = f"{_digest_of(key)}:{'.'.join(prompt.prints)}"
        try:
            await self._index.add(prompt.partition, name, vector, ttl_s=plan.ttl_s)
        except StoreUnavailable:
            return "unavailable"
        return "stored"

    async def _find(self, prompt: Prompt, plan: Plan) -> SimilarHit | SimilarLookedUp:
        vector = await self._embedder.embed(prompt.text)
        if vector is None:
            return SimilarLookedUp("late")
        try:
            nearest = await self._index.nearest(prompt.partition, vector, self._settings.candidates)
        except StoreUnavailable:
            return SimilarLookedUp("unavailable")
        if not nearest:
            return SimilarLookedUp("none")
        near = [one for one in nearest if one.similarity >= self._settings.threshold]
        if not near:
            return SimilarLookedUp("far")
        alike = [one for one in near if differing(prompt.prints, _prints_of(one)) is None]
        if not alike:
            return SimilarLookedUp("unlike", differing(prompt.prints, _prints_of(near[0])))
        for one in alike:
            key = f"{VERSION}:{{{owner_of(prompt.partition)}}}:{one.name.partition(':')[0]}"
            seen = await self._exact.look(key, plan)
            if isinstance(seen, Hit):
                return SimilarHit(seen, one.similarity, (prompt.partition, one.name))
            if seen == "miss":
                await self._remove(prompt.partition, one.name)
        return SimilarLookedUp("gone")

    async def _remove(self, partition: str, name: str) -> None:
        with suppress(StoreUnavailable):
            await self._index.remove(partition, name)


def _digest_of(key: str) -> str:
    return key.rpartition(":")[2]


def _prints_of(neighbour: Neighbour) -> tuple[str, ...]:
    return tuple(neighbour.name.partition(":")[2].split("."))
