"""Nearest prompts: the interface, and an index in this process."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np

from classifiers.sentences import SIZE
from gateway.cache.key import owner_of
from gateway.cache.semantic.embedding import Vector

if TYPE_CHECKING:
    from usearch.index import Index


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A prompt that is near, by what it was added under, and the cosine between the two."""

    name: str
    similarity: float


class NearestIndex(Protocol):
    """Prompts by partition, `…{owner}…`: only prompts of one partition are ever compared.

    Every method may raise `StoreUnavailable`.
    """

    async def add(self, partition: str, name: str, vector: Vector, *, ttl_s: float) -> None:
        """Add a prompt for `ttl_s` seconds; the oldest of a full partition makes room."""

    async def nearest(self, partition: str, vector: Vector, count: int) -> list[Neighbour]:
        """Give the nearest prompts of a partition, nearest first."""

    async def remove(self, partition: str, name: str) -> None:
        """Take a prompt out."""

    def forget(self, owner: str) -> None:
        """Forget what this process holds of an owner; what Redis holds is erased with the owner's answers."""


@dataclass(slots=True)
class _Partition:
    index: Index
    names: dict[int, tuple[str, float]] = field(default_factory=dict)
    """Name and end by number, oldest first."""
    numbers: dict[str, int] = field(default_factory=dict)
    next: int = 0

    def drop(self, number: int) -> None:
        name, _ = self.names.pop(number)
        del self.numbers[name]
        self.index.remove(number)


class ProcessIndex:
    """An index in this process: one graph for each partition (usearch), bounded in all and for each partition."""

    def __init__(self, *, most: int, most_of_one: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._most_of_one = min(most, most_of_one)
        self._clock = clock
        self._partitions: OrderedDict[str, _Partition] = OrderedDict()
        self._size = 0

    def __len__(self) -> int:
        return self._size

    async def add(self, partition: str, name: str, vector: Vector, *, ttl_s: float) -> None:
        """Add a prompt; the partition that was not used for longest makes room for it."""
        self.put(partition, name, vector, ttl_s=ttl_s)

    async def nearest(self, partition: str, vector: Vector, count: int) -> list[Neighbour]:
        """Give the nearest prompts whose time is not over."""
        return self.search(partition, vector, count)

    async def remove(self, partition: str, name: str) -> None:
        """Take a prompt out."""
        self.drop(partition, name)

    def put(self, partition: str, name: str, vector: Vector, *, ttl_s: float) -> None:
        """Add a prompt at once."""
        found = self._partitions.get(partition)
        if found is None:
            from usearch.index import Index  # an extra: only who switches the semantic cache on needs it

            found = self._partitions[partition] = _Partition(Index(ndim=SIZE, metric="cos", dtype="f16"))
        self._partitions.move_to_end(partition)
        self.drop(partition, name)
        self._partitions.setdefault(partition, found)
        found.next += 1
        found.index.add(found.next, np.asarray(vector, dtype=np.float32))
        found.names[found.next] = name, self._clock() + ttl_s
        found.numbers[name] = found.next
        self._size += 1
        while len(found.names) > self._most_of_one:
            found.drop(next(iter(found.names)))
            self._size -= 1
        while self._size > self._most:
            self.clear(next(iter(self._partitions)))

    def search(self, partition: str, vector: Vector, count: int) -> list[Neighbour]:
        """Give the nearest prompts at once."""
        found = self._partitions.get(partition)
        if found is None:
            return []
        self._partitions.move_to_end(partition)
        now = self._clock()
        for number in [number for number, (_, ends) in found.names.items() if ends <= now]:
            found.drop(number)
            self._size -= 1
        if not found.names:
            del self._partitions[partition]
            return []
        matches = found.index.search(np.asarray(vector, dtype=np.float32), min(count, len(found.names)))
        return [
            Neighbour(found.names[int(number)][0], 1.0 - float(distance))
            for number, distance in zip(matches.keys, matches.distances, strict=True)
        ]

    def drop(self, partition: str, name: str) -> None:
        """Take a prompt out at once."""
        found = self._partitions.get(partition)
        if found is None or name not in found.numbers:
            return
        found.drop(found.numbers[name])
        self._size -= 1
        if not found.names:
            del self._partitions[partition]

    def clear(self, partition: str) -> None:
        """Forget a whole partition."""
        found = self._partitions.pop(partition, None)
        self._size -= len(found.names) if found else 0

    def count(self, partition: str) -> int:
        """Say how many prompts a partition has."""
        found = self._partitions.get(partition)
        return len(found.names) if found else 0

    def forget(self, owner: str) -> None:
        """Forget an owner's partitions."""
        for partition in [partition for partition in self._partitions if owner_of(partition) == owner]:
            self.clear(partition)
