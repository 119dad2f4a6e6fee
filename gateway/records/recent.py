"""The last decisions, kept in the process: to watch them live, to replay one, and to know what feedback is about.

Workers on one port ask each other for them (`gateway.process.crew`), and tell each other of new ones while anybody
watches.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import time
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec

from gateway.process.crew import Crew
from gateway.records.accounting import Attempt, Record, Writer
from gateway.records.decision_log import logged_of
from gateway.records.prices import Price
from gateway.replaying.expectation import costs, quality
from router.engine import Engine
from router.policy import DIALS
from router.replay import Logged, Replayed, decide_again, is_deep
from router.types import Decision, Target

MOST_SHOWN = 500
"""Decisions that can be looked at and replayed."""

MOST_REMEMBERED = 20_000
"""Decisions that feedback may be about; each costs about 200 bytes."""

WATCH_EVERY_S = 1.0
"""How often a worker that is being watched says so; the others tell it of decisions for three times as long."""

MOST_WAITING = 200
"""Decisions that a slow watcher is behind before it misses the oldest of them."""

EXCERPT_CHARS = 400
"""So much of the last user's text is shown, where content is logged."""


Shown = Mapping[str, Any]
"""A decision as it is shown: JSON-ready data."""


@dataclass(frozen=True, slots=True)
class Remembered:
    """What feedback has to know of a decision.

    Attributes:
        tier: who answered; "" for a backend in no tier.
        cache: what the cache did, as in `Record.cache`.
        kept_as: where the semantic cache found the answer: partition and name; None where it did not.
    """

    tenant: str
    tier: str
    kind: str = ""
    difficulty: float | None = None
    cache: str = ""
    kept_as: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """One decision: what it takes to decide it again, and to show it, which hardly any ever is."""

    logged: Logged
    show: Callable[[], Shown]

    @property
    def shown(self) -> Shown:
        """The decision as it is shown."""
        return self.show()


class Recent:
    """Keeps the last decisions and tells watchers of new ones. One event loop, no lock; nothing here waits."""

    def __init__(self, crew: Crew | None = None) -> None:
        self._crew = crew
        self._watched_elsewhere_until = 0.0
        self._seen: deque[Seen] = deque(maxlen=MOST_SHOWN)
        self._remembered: OrderedDict[str, Remembered] = OrderedDict()
        self.cache_counts: Counter[str] = Counter()
        self._watchers: set[asyncio.Queue[Shown]] = set()
        if crew is not None:
            crew.hear("watching", self._hear_of_a_watcher)
            crew.hear("decided", self._hear_of_a_decision)
            crew.hear("remembered", self._say_what_is_remembered)
            crew.hear("listed", self._say_what_is_listed)
            crew.hear("seen", self._say_what_was_seen)

    def writer(self, *, redact: Callable[[str], str] | None = None) -> Writer:
        """Give what takes finished records: with a redacted excerpt of their words or, by default, without any."""
        return partial(self._take, redact=redact)

    def _take(self, record: Record, *, redact: Callable[[str], str] | None) -> None:
        request, decision = record.request, record.decision
        if request is None or decision is None or record.endpoint == "route":
            return
        self.cache_counts[record.cache] += 1
        target = record.target or decision.targets[0]
        self._remembered[decision.id] = Remembered(
            record.tenant, target.tier or "", decision.kind or "", decision.difficulty, record.cache, record.kept_as
        )
        if len(self._remembered) > MOST_REMEMBERED:
            self._remembered.popitem(last=False)
        logged = logged_of(record, request, decision, content=False, conversation="")
        asked = request.conversation.last_asked if redact else ""
        excerpt = redact(asked[:EXCERPT_CHARS]) if redact and asked else None
        seen = Seen(
            logged, partial(_shown, logged, decision, tuple(record.attempts), record.gateway_s, record.saved, excerpt)
        )
        self._seen.append(seen)
        if self._watchers:
            self._show(seen.shown)
        if self._crew is not None and time.monotonic() < self._watched_elsewhere_until:
            self._crew.tell("decided", seen.shown)

    def _show(self, shown: Shown) -> None:
        for queue in self._watchers:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(shown)

    def find(self, decision_id: str) -> Remembered | None:
        """Give what this process remembers of a decision; None if it is unknown here or too long ago."""
        return self._remembered.get(decision_id)

    async def find_anywhere(self, decision_id: str) -> Remembered | None:
        """Give what any worker of this machine remembers of a decision."""
        if (here := self.find(decision_id)) is not None or self._crew is None:
            return here
        answers = await self._crew.ask("remembered", decision_id, most=1)
        return msgspec.convert(answers[0], Remembered) if answers else None

    async def seen(self, decision_id: str) -> Seen | None:
        """Give a decision that can still be looked at, whichever worker decided it."""
        here = self._find_seen(decision_id)
        if here is not None or self._crew is None:
            return here
        answers = await self._crew.ask("seen", decision_id, most=1)
        if not answers:
            return None
        shown: Shown = answers[0]["shown"]
        return Seen(msgspec.convert(answers[0]["logged"], Logged), lambda: shown)

    def listed(self) -> Sequence[Seen]:
        """Give this process's last decisions, oldest first."""
        return tuple(self._seen)

    async def newest(self, most: int) -> list[Shown]:
        """Give the last decisions of all workers, newest first."""
        found = self._newest(most)
        if self._crew is not None:
            found += [shown for answer in await self._crew.ask("listed", most) for shown in answer]
        return sorted(found, key=lambda shown: str(shown["at"]), reverse=True)[:most]

    def _newest(self, most: int) -> list[Shown]:
        return [one.shown for one in list(self._seen)[-most:]]

    @contextlib.asynccontextmanager
    async def watched(self) -> AsyncIterator[asyncio.Queue[Shown]]:
        """Give a queue of all workers' decisions from now on; one that nobody empties loses its oldest."""
        queue: asyncio.Queue[Shown] = asyncio.Queue(MOST_WAITING)
        self._watchers.add(queue)
        telling = asyncio.create_task(self._keep_telling_that_somebody_watches())
        try:
            yield queue
        finally:
            self._watchers.discard(queue)
            telling.cancel()
            await asyncio.wait((telling,))

    async def _keep_telling_that_somebody_watches(self) -> None:
        while self._crew is not None:
            self._crew.tell("watching", None)
            await asyncio.sleep(WATCH_EVERY_S)

    async def _hear_of_a_watcher(self, _: Any) -> None:
        self._watched_elsewhere_until = time.monotonic() + 3 * WATCH_EVERY_S

    async def _hear_of_a_decision(self, shown: Shown) -> None:
        self._show(shown)

    async def _say_what_is_remembered(self, decision_id: str) -> Remembered | None:
        return self.find(decision_id)

    async def _say_what_is_listed(self, most: int) -> list[Shown]:
        return self._newest(most)

    async def _say_what_was_seen(self, decision_id: str) -> dict[str, Any] | None:
        seen = self._find_seen(decision_id)
        return None if seen is None else {"shown": seen.shown, "logged": seen.logged}

    def _find_seen(self, decision_id: str) -> Seen | None:
        return next((one for one in reversed(self._seen) if one.logged.id == decision_id), None)


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
    return [_notch(dial, [at_dial(one, engine, dial) for one in seen], prices) for dial in dials_of(engine)]


def dials_of(engine: Engine) -> tuple[str, ...]:
    """Give the notches, and the operator's own dial where that is a share."""
    return tuple(dict.fromkeys((*DIALS, engine.policy.dial)))


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


def _shown(
    logged: Logged,
    decision: Decision,
    attempts: Sequence[Attempt],
    gateway_s: float,
    saved: float | None,
    said: str | None,
) -> Shown:
    served = logged.served
    target = served.target or logged.decided.target
    return {
        **decision.as_dict(),
        "at": logged.at.isoformat(timespec="milliseconds"),
        "endpoint": logged.endpoint,
        "tenant": logged.tenant,
        "key": logged.key,
        **told(target),
        "outcome": served.outcome,
        "status": served.status,
        "error": served.error,
        "attempts": [{"backend": one.backend, "result": one.result} for one in attempts],
        "cache": served.cache,
        "first_token_s": served.first_token_s,
        "total_s": round(served.total_s, 4),
        "gateway_ms": round(gateway_s * 1e3, 3),
        "tokens": None if served.tokens is None else dataclasses.asdict(served.tokens),
        "cost": served.cost,
        "saved": saved,
        "prompt": said,
    }


def told(target: Target) -> dict[str, str | None]:
    """Give a target as JSON-ready data."""
    return {"backend": target.backend, "effort": target.effort, "tier": target.tier}
