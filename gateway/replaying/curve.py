"""What every threshold would cost and be worth, with the logged policy and the new one among them."""

from __future__ import annotations

import statistics
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from gateway.records.prices import Price
from gateway.replaying.expectation import costs, quality
from router.engine import Engine
from router.replay import Logged, Replayed, at_threshold, is_deep, judged_by, replay

STEPS = 20
"""Thresholds on the curve, besides the two ends: every twentieth of the requests."""

MOST_REQUESTS = 4_000
"""Requests, in whole conversations, that the curve is computed from at most."""

_HASHES = 1 << 32


@dataclass(frozen=True, slots=True)
class Point:
    """One policy: share of deep calls, dollars per 1,000 requests, probability of a right answer.

    `threshold` is None for the policies as they are; cost and quality are None where nothing is known of them.
    """

    threshold: float | None
    deep_share: float
    cost_per_1000: float | None
    quality: float | None


@dataclass(frozen=True, slots=True)
class Curve:
    """The points from always deep to never, and where the two policies stand, from a sample of `requests`."""

    requests: int
    points: tuple[Point, ...]
    before: Point
    after: Point


class Sample:
    """Keeps whole conversations, chosen by a hash of their name, and about `most` / 2 to `most` requests of many."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.kept: list[Logged] = []
        self._bound = _HASHES

    def watch(self, lines: Iterable[Logged]) -> Iterator[Logged]:
        """Pass lines on, keeping some."""
        for logged in lines:
            if _hash(logged) < self._bound:
                self.kept.append(logged)
            while len(self.kept) > self._most and self._bound > 1:
                self._bound //= 2
                self.kept = [each for each in self.kept if _hash(each) < self._bound]
            yield logged


def draw_curve(sample: Sequence[Logged], engine: Engine, prices: Mapping[str, Price]) -> Curve:
    """Decide a sample by the new policy at every threshold; what must be judged anew is judged once."""
    sample = [judged_by(logged, engine.model) or logged for logged in sample]
    now = list(replay(sample, engine))
    return Curve(
        requests=len(sample),
        points=tuple(
            _point(replay(sample, at_threshold(engine, threshold)), prices, threshold) for threshold in _steps(now)
        ),
        before=_point_then(now, prices),
        after=_point(now, prices, None),
    )


def _steps(replayed: Sequence[Replayed]) -> list[float]:
    """Give thresholds that part the sample evenly, from all deep to none."""
    difficulties = [each.estimate.difficulty for each in replayed if each.estimate is not None]
    between = statistics.quantiles(difficulties, n=STEPS) if len(difficulties) > 1 else difficulties
    return sorted({0.0, 1.0, *(min(max(step, 0.0), 1.0) for step in between)})


def _point(replayed: Iterable[Replayed], prices: Mapping[str, Price], threshold: float | None) -> Point:
    deep: list[bool] = []
    spent: list[float] = []
    right: list[float] = []
    for each in replayed:
        deep.append(each.target is not None and is_deep(each.target.tier))
        if (cost := costs(each, prices)) is not None:
            spent.append(cost[1])
        if (probability := quality(each.target, each)) is not None:
            right.append(probability)
    return Point(threshold, statistics.fmean(deep), _per_1000(spent), _mean(right))


def _point_then(replayed: Sequence[Replayed], prices: Mapping[str, Price]) -> Point:
    spent = [cost[0] for each in replayed if (cost := costs(each, prices)) is not None]
    right = [known for each in replayed if (known := quality(each.logged.decided.target, each)) is not None]
    deep = statistics.fmean(is_deep(each.logged.decided.target.tier) for each in replayed)
    return Point(None, deep, _per_1000(spent), _mean(right))


def _per_1000(spent: Sequence[float]) -> float | None:
    return 1_000 * statistics.fmean(spent) if spent else None


def _mean(values: Sequence[float]) -> float | None:
    return statistics.fmean(values) if values else None


def _hash(logged: Logged) -> int:
    """Hash a conversation's name, or for a request without one its own: the same conversation, the same hash."""
    return zlib.crc32(f"{logged.tenant}\0{logged.conversation or logged.id}".encode())
