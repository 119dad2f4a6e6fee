"""Adds up what is counted between two looks at the metrics.

Prometheus' own objects take a lock at every count and, with several workers, write to a file: twenty counts of one
request cost 60 µs there. Added up first they cost a third, and are written when somebody looks, or every second.
Weakness: a worker that is killed takes the last second's counts with it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from typing import Any

from gateway.metrics.catalogue import Metric

Series = tuple[Metric, tuple[str, ...]]


class _Tally:
    """Observations of one histogram's series: how many in each bucket, the last without a bound, and their sum."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0


class Batch:
    """Counts and observations that are not written yet. Used by the event loop's thread alone.

    Args:
        child: gives Prometheus' object for a series.
    """

    def __init__(self, child: Callable[..., Any]) -> None:
        self._child = child
        self._sums: dict[Series, float] = {}
        self._tallies: dict[Series, _Tally] = {}

    def count(self, metric: Metric, *labels: str, by: float = 1.0) -> None:
        """Add to a counter."""
        sums, series = self._sums, (metric, labels)
        sums[series] = sums.get(series, 0.0) + by

    def observe(self, metric: Metric, *labels: str, value: float) -> None:
        """Take a value into a histogram."""
        series = metric, labels
        tally = self._tallies.get(series)
        if tally is None:
            tally = self._tallies[series] = _Tally(metric.buckets)
        tally.counts[bisect_left(tally.bounds, value)] += 1
        tally.total += value

    def write(self) -> None:
        """Give everything to Prometheus' objects."""
        sums, self._sums = self._sums, {}
        for (metric, labels), amount in sums.items():
            self._child(metric, *labels).inc(amount)
        tallies, self._tallies = self._tallies, {}
        for (metric, labels), tally in tallies.items():
            histogram = self._child(metric, *labels)
            # Its public way in takes one value at a time. A test compares the two.
            histogram._sum.inc(tally.total)  # noqa: SLF001
            for bucket, count in zip(histogram._buckets, tally.counts, strict=True):  # noqa: SLF001
                if count:
                    bucket.inc(count)
