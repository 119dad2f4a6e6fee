"""Sums a replay up: who would serve, what it would cost and be worth, how long it would take, and what changes."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from gateway.records.prices import Price
from gateway.replaying.curve import Curve
from gateway.replaying.expectation import ASSUMPTIONS, costs, qualities
from router.replay import Replayed, is_deep, is_of
from router.types import Target

NOBODY = "nobody"
"""Stands for the tier of a request that would be refused."""

BY_NAME = "by name"
"""Stands for the tier of a backend that is in none."""


@dataclass(slots=True)
class Count:
    """How often something was so, then and now."""

    before: int = 0
    after: int = 0


@dataclass(frozen=True, slots=True)
class Shift:
    """One figure, then and now, over the `requests` that have it on both sides; None where there are none."""

    before: float | None
    after: float | None
    requests: int


@dataclass(slots=True)
class KindCount:
    """Requests of one kind: how many, how many of them deep then and now, how many with another target."""

    requests: int = 0
    deep_before: int = 0
    deep_after: int = 0
    changed: int = 0


@dataclass(slots=True)
class Move:
    """Requests that move in the same way, by kind and by the reason that moves them now."""

    requests: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Latency:
    """How long a tier took in the log: medians in seconds; None without a stream to tell the first token."""

    requests: int
    total_s: float
    first_token_s: float | None


@dataclass(frozen=True, slots=True)
class Change:
    """One request that gets another target."""

    id: str
    kind: str | None
    before: Target
    after: Target | None
    reason_before: str
    reason_after: str


@dataclass(frozen=True, slots=True)
class Report:
    """What a replay comes to.

    Attributes:
        bundle: the model whose thresholds, and where the log has words judgement, count now.
        judged_anew: requests that it judged from the logged words.
        judged_by_others: requests that another model judged and whose words are not in the log.
        refused: requests that nobody would serve, by reason.
        cost: dollars for all requests.
        quality: mean probability of a right answer.
        latency: mean seconds to the answer's end.
        unreadable: lines that were passed over.
        curve: what other thresholds would come to.
    """

    bundle: str
    requests: int
    changed: int
    judged_anew: int
    judged_by_others: int
    refused: Mapping[str, int]
    tiers: Mapping[str, Count]
    kinds: Mapping[str, KindCount]
    reasons: Mapping[str, Count]
    moves: Mapping[str, Move]
    cost: Shift
    quality: Shift
    latency: Shift
    tier_latency: Mapping[str, Latency]
    changes: tuple[Change, ...]
    unreadable: int = 0
    curve: Curve | None = None
    assumptions: str = ASSUMPTIONS


def summarise(replayed: Iterable[Replayed], *, bundle: str, prices: Mapping[str, Price]) -> Report:
    """Sum a replay up in one pass."""
    tally = _Tally(bundle, prices)
    for each in replayed:
        tally.add(each)
    return tally.report()


class _Tally:
    """What is counted while a replay goes by."""

    def __init__(self, bundle: str, prices: Mapping[str, Price]) -> None:
        self._bundle = bundle
        self._prices = prices
        self._requests = self._judged_anew = self._judged_by_others = 0
        self._refused: Counter[str] = Counter()
        self._tiers: defaultdict[str, Count] = defaultdict(Count)
        self._reasons: defaultdict[str, Count] = defaultdict(Count)
        self._kinds: defaultdict[str, KindCount] = defaultdict(KindCount)
        self._moves: defaultdict[str, Move] = defaultdict(Move)
        self._costs: list[tuple[float, float]] = []
        self._qualities: list[tuple[float, float]] = []
        self._changes: list[Change] = []
        self._took: defaultdict[str, list[float]] = defaultdict(list)
        self._began: defaultdict[str, list[float]] = defaultdict(list)
        self._waits: list[tuple[float, str | None]] = []
        """Seconds then, and for a request that changes the tier whose median counts now."""

    def add(self, replayed: Replayed) -> None:
        self._requests += 1
        self._count_judges(replayed)
        self._count_tiers(replayed)
        if (cost := costs(replayed, self._prices)) is not None:
            self._costs.append(cost)
        if (quality := qualities(replayed)) is not None:
            self._qualities.append(quality)
        self._time(replayed)
        if replayed.changed:
            self._note_change(replayed)

    def report(self) -> Report:
        tier_latency = {
            tier: Latency(len(took), statistics.median(took), _median(self._began[tier]))
            for tier, took in sorted(self._took.items())
        }
        return Report(
            bundle=self._bundle,
            requests=self._requests,
            changed=len(self._changes),
            judged_anew=self._judged_anew,
            judged_by_others=self._judged_by_others,
            refused=dict(self._refused),
            tiers=dict(sorted(self._tiers.items())),
            kinds=dict(sorted(self._kinds.items())),
            reasons=dict(sorted(self._reasons.items())),
            moves=dict(sorted(self._moves.items(), key=lambda item: -item[1].requests)),
            cost=_shift(self._costs, sum),
            quality=_shift(self._qualities, statistics.fmean),
            latency=_shift(self._expected_waits(tier_latency), statistics.fmean),
            tier_latency=tier_latency,
            changes=tuple(self._changes),
        )

    def _count_judges(self, replayed: Replayed) -> None:
        facts = replayed.logged.facts
        if replayed.judged_anew:
            self._judged_anew += 1
        elif facts is not None and not is_of(facts.estimate.model, self._bundle):
            self._judged_by_others += 1
        if replayed.refusal is not None:
            self._refused[replayed.refusal] += 1

    def _count_tiers(self, replayed: Replayed) -> None:
        before, after = replayed.logged.decided, replayed.decision
        self._tiers[tier_of(before.target)].before += 1
        self._tiers[tier_of(replayed.target)].after += 1
        self._reasons[before.reason.value].before += 1
        self._reasons[_reason(replayed)].after += 1
        if replayed.kind is not None:
            kind = self._kinds[replayed.kind.value]
            kind.requests += 1
            kind.deep_before += is_deep(before.target.tier)
            kind.deep_after += after is not None and is_deep(after.tier)
            kind.changed += replayed.changed

    def _time(self, replayed: Replayed) -> None:
        """Take the time of a whole answer from a backend; failures and answers from the cache say nothing."""
        served = replayed.logged.served
        if served.outcome != "done" or served.target is None or served.from_cache:
            return
        tier = tier_of(served.target)
        self._took[tier].append(served.total_s)
        if served.first_token_s is not None:
            self._began[tier].append(served.first_token_s)
        if replayed.target is not None:
            self._waits.append((served.total_s, tier_of(replayed.target) if replayed.changed else None))

    def _expected_waits(self, tiers: Mapping[str, Latency]) -> list[tuple[float, float]]:
        return [
            (then, then if now is None else tiers[now].total_s)
            for then, now in self._waits
            if now is None or now in tiers
        ]

    def _note_change(self, replayed: Replayed) -> None:
        before, after = replayed.logged.decided.target, replayed.target
        kind = replayed.kind and replayed.kind.value
        move = self._moves[_move(before, after)]
        move.requests += 1
        move.kinds[kind or BY_NAME] += 1
        move.reasons[_reason(replayed)] += 1
        reason_before = replayed.logged.decided.reason.value
        self._changes.append(Change(replayed.logged.id, kind, before, after, reason_before, _reason(replayed)))


def tier_of(target: Target | None) -> str:
    """Name the tier of a target, or what stands for one."""
    if target is None:
        return NOBODY
    return target.tier.value if target.tier else BY_NAME


def _reason(replayed: Replayed) -> str:
    return replayed.decision.reason.value if replayed.decision else f"refused: {replayed.refusal}"


def _move(before: Target, after: Target | None) -> str:
    """Say in few words how a request moves."""
    was, is_now = tier_of(before), tier_of(after)
    if was != is_now:
        return f"{was} → {is_now}"
    same_backend = after is not None and before.backend == after.backend
    return f"{was}, other {'effort' if same_backend else 'backend'}"


def _shift(pairs: list[tuple[float, float]], total: Callable[[Iterable[float]], float]) -> Shift:
    if not pairs:
        return Shift(None, None, 0)
    return Shift(total([then for then, _ in pairs]), total([now for _, now in pairs]), len(pairs))


def _median(values: list[float]) -> float | None:
    return statistics.median(values) if values else None
