"""The last decisions, kept in the process: to watch them live, to replay one, and to know what feedback is about."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, Literal

from gateway.accounting import Record, Writer
from gateway.decision_log import logged_of
from gateway.prices import Price
from gateway.replaying.expectation import costs, quality
from router.engine import Engine
from router.policy import DIALS
from router.replay import Logged, Replayed, decide_again, is_deep
from router.types import Decision, Target

MOST_SHOWN = 500
"""Decisions that can be looked at and replayed."""

MOST_REMEMBERED = 20_000
"""Decisions that feedback may be about; each costs about 200 bytes."""

MOST_WAITING = 200
"""Decisions that a slow watcher is behind before it misses the oldest of them."""

EXCERPT_CHARS = 400
"""So much of the last user's text is shown, where content is logged."""

Verdict = Literal["fast", "deep", "same", "up", "down"]


@dataclass(frozen=True, slots=True)
class Remembered:
    """What feedback has to know of a decision."""

    tenant: str
    tier: str


@dataclass(frozen=True, slots=True)
class Seen:
    """One decision, what came of it, and what it takes to decide it again."""

    decision: Decision
    outcome: Mapping[str, Any]
    logged: Logged

    @property
    def shown(self) -> dict[str, Any]:
        """Give it as JSON-ready data: the whole explanation, and who served. Made only when somebody looks."""
        return {**self.decision.as_dict(), **self.outcome}


class Recent:
    """Keeps the last decisions and tells watchers of new ones. One event loop, no lock; nothing here waits."""

    def __init__(self) -> None:
        self._seen: deque[Seen] = deque(maxlen=MOST_SHOWN)
        self._remembered: OrderedDict[str, Remembered] = OrderedDict()
        self.cache_counts: Counter[str] = Counter()
        self._watchers: set[asyncio.Queue[Seen]] = set()

    def writer(self, *, redact: Callable[[str], str] | None = None) -> Writer:
        """Give what takes finished records: with a redacted excerpt of their words or, by default, without any."""
        return partial(self._take, redact=redact)

    def _take(self, record: Record, *, redact: Callable[[str], str] | None) -> None:
        request, decision = record.request, record.decision
        if request is None or decision is None or record.endpoint == "route":
            return
        self.cache_counts[record.cache] += 1
        target = record.target or decision.targets[0]
        self._remembered[decision.id] = Remembered(record.tenant, target.tier or "")
        if len(self._remembered) > MOST_REMEMBERED:
            self._remembered.popitem(last=False)
        logged = logged_of(record, request, decision, content=False, conversation="")
        said = [turn.text for turn in request.conversation.turns if turn.role == "user"] if redact else []
        excerpt = redact(said[-1][:EXCERPT_CHARS]) if redact and said else None
        seen = Seen(decision, _outcome(record, target, logged, excerpt), logged)
        self._seen.append(seen)
        for queue in self._watchers:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(seen)

    def find(self, decision_id: str) -> Remembered | None:
        """Give what is remembered of a decision; None if it is unknown here or too long ago."""
        return self._remembered.get(decision_id)

    def seen(self, decision_id: str) -> Seen | None:
        """Give a decision that can still be looked at."""
        return next((one for one in reversed(self._seen) if one.logged.id == decision_id), None)

    def listed(self) -> Sequence[Seen]:
        """Give the last decisions, oldest first."""
        return tuple(self._seen)

    @contextlib.contextmanager
    def watched(self) -> Iterator[asyncio.Queue[Seen]]:
        """Give a queue of the decisions from now on; one that nobody empties loses its oldest."""
        queue: asyncio.Queue[Seen] = asyncio.Queue(MOST_WAITING)
        self._watchers.add(queue)
        try:
            yield queue
        finally:
            self._watchers.discard(queue)


@dataclass(frozen=True, slots=True)
class NotchFigures:
    """What the last requests come to at one notch; figures are None where nothing is known."""

    dial: str
    deep_share: float
    cost_dollars: float | None
    quality: float | None


def at_dial(seen: Seen, engine: Engine, dial: str) -> Replayed:
    """Decide one again as if its caller had chosen another notch."""
    logged = seen.logged
    return decide_again(dataclasses.replace(logged, request=dataclasses.replace(logged.request, dial=dial)), engine)


def notches(seen: Sequence[Seen], engine: Engine, prices: Mapping[str, Price]) -> list[NotchFigures]:
    """Decide the last requests at every notch. Takes about 50 µs a request and notch."""
    return [_notch(dial, [at_dial(one, engine, dial) for one in seen], prices) for dial in DIALS]


def _notch(dial: str, replayed: Sequence[Replayed], prices: Mapping[str, Price]) -> NotchFigures:
    decided = [each for each in replayed if each.target is not None]
    spent = [cost[1] for each in decided if (cost := costs(each, prices)) is not None]
    right = [value for each in decided if (value := quality(each.target, each)) is not None]
    deep = sum(is_deep(each.target.tier) for each in decided if each.target is not None)
    return NotchFigures(
        dial=dial,
        deep_share=deep / len(decided) if decided else 0.0,
        cost_dollars=sum(spent) if spent else None,
        quality=sum(right) / len(right) if right else None,
    )


def _outcome(record: Record, target: Target, logged: Logged, said: str | None) -> dict[str, Any]:
    served = logged.served
    return {
        "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "endpoint": logged.endpoint,
        "tenant": logged.tenant,
        "key": logged.key,
        **told(target),
        "outcome": served.outcome,
        "status": served.status,
        "error": served.error,
        "attempts": [{"backend": one.backend, "result": one.result} for one in record.attempts],
        "cache": served.cache,
        "first_token_s": served.first_token_s,
        "total_s": round(served.total_s, 4),
        "gateway_ms": round(record.gateway_s * 1e3, 3),
        "tokens": None if served.tokens is None else dataclasses.asdict(served.tokens),
        "cost": served.cost,
        "saved": record.saved,
        "prompt": said,
    }


def told(target: Target) -> dict[str, str | None]:
    """Give a target as JSON-ready data."""
    return {"backend": target.backend, "effort": target.effort, "tier": target.tier}
