"""Which replica serves: filter → score → pick. Pure, but for the draw between equals.

Affinity is rendezvous hashing with bounded load (Mirrokni, Thorup and Zadimoghaddam 2016): every key ranks the replicas
in an order of its own, which does not change when another replica comes or goes, and takes the first that has not more
than its share of the calls in flight. Weakness: it knows nothing of what a replica's KV cache really holds.
"""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from gateway.upstream.replica import Replica

TOKENS_PER_CALL = 4096
"""So many tokens in flight weigh as much as one more call."""

By = Literal["least-loaded", "latency", "weighted"]
_SPACE = 2**64


@dataclass(frozen=True, slots=True)
class Choosing:
    """How to choose; see `BalanceSettings`."""

    by: By = "least-loaded"
    overload: float = 1.25


def usable(replicas: Sequence[Replica], now: float, *, despite_failures: bool = False) -> list[Replica]:
    """Filter: those that may be called. In despair also those that fail, but never the drained or the cooling."""
    if despite_failures:
        return [r for r in replicas if not r.draining and r.cools_until <= now]
    return [r for r in replicas if r.condition(now) == "serving"]


def choose(candidates: Sequence[Replica], choosing: Choosing, affinity: str | None) -> Replica | None:
    """Score and pick among those that may be called; None if all of them are full.

    Args:
        candidates: as `usable` gives them.
        choosing: how.
        affinity: whose requests shall stay together; None lets load alone decide.
    """
    free = [replica for replica in candidates if not replica.is_full()]
    if len(free) <= 1:
        return free[0] if free else None
    if affinity is not None:
        kept = _keep_together(free, affinity, choosing.overload)
        if kept is not None:
            return kept
    return _SCORES[choosing.by](free)


def _keep_together(free: Sequence[Replica], affinity: str, overload: float) -> Replica | None:
    """Give the key's first choice among those with no more than their share; None only if weights forbid it."""
    calls = 1 + sum(replica.in_flight for replica in free)
    weights = sum(replica.weight for replica in free)
    for replica in sorted(free, key=lambda replica: _rank(replica, affinity)):
        if replica.in_flight < math.ceil(overload * calls * replica.weight / weights):
            return replica
    return None


def _rank(replica: Replica, affinity: str) -> float:
    """Draw from an exponential distribution of the replica's weight: lowest wins, with odds as the weights are."""
    digest = hashlib.blake2b(f"{affinity}\0{replica.name}".encode(errors="replace"), digest_size=8).digest()
    uniform = (int.from_bytes(digest, "big") + 1) / (_SPACE + 1)
    return -math.log(uniform) / replica.weight


def load(replica: Replica) -> float:
    """Give the calls and tokens in flight once this call is there too, per weight."""
    return (replica.in_flight + 1 + replica.tokens / TOKENS_PER_CALL) / replica.weight


def _by_load(free: Sequence[Replica]) -> Replica:
    return _lowest(free, load)


def _by_latency(free: Sequence[Replica]) -> Replica:
    """One that nobody has called for a while has forgotten its slowness and is tried again."""
    return _lowest(free, lambda replica: (replica.slowness.now() + 1e-3) * load(replica))


def _by_weight(free: Sequence[Replica]) -> Replica:
    return random.choices(free, [replica.weight for replica in free])[0]


_SCORES: Mapping[By, Callable[[Sequence[Replica]], Replica]] = {
    "least-loaded": _by_load,
    "latency": _by_latency,
    "weighted": _by_weight,
}


def _lowest(free: Sequence[Replica], score: Callable[[Replica], float]) -> Replica:
    """Give one of those with the lowest score, drawn, so that idle replicas share what little there is."""
    scores = [score(replica) for replica in free]
    best = min(scores)
    return random.choice([replica for replica, scored in zip(free, scores, strict=True) if scored == best])


def untried(candidates: Sequence[Replica], tried: Collection[Replica]) -> list[Replica]:
    """Give those that this request has not been sent to yet."""
    return [replica for replica in candidates if replica not in tried] if tried else list(candidates)
