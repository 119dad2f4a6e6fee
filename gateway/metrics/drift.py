"""How far traffic has moved from what the difficulty model was trained on.

The population stability index of a signal compares the shares of its values, `e` in training and `a` in the last
requests: ``sum((a - e) * ln(a / e))``. It is 0 for equal shares; by the rule of thumb of credit scoring, below 0.1
nothing has changed and above 0.25 much has. Weakness: traffic is never quite like training data, so that what matters
is how the index moves, not where it stands.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence

from classifiers.traits import SIGNALS

LAST = 5000
"""Requests that are compared."""
FEWEST = 200
"""Requests before anything is said: fewer are noise."""
_FLOOR = 1e-4
"""Least share, so that a value that never came leaves the index finite."""


class Drift:
    """Keeps the places of the last requests in `SIGNALS`; one for each model."""

    def __init__(self, reference: Mapping[str, Sequence[float]], last: int = LAST, fewest: int = FEWEST) -> None:
        self._reference = reference
        self._fewest = fewest
        self._last: deque[tuple[int, ...]] = deque(maxlen=last)
        self._counts = [[0] * size for size in SIGNALS.values()]

    def note(self, place: tuple[int, ...]) -> None:
        """Take one judged request into account, by its place (see `classifiers.traits`), in constant time."""
        if len(self._last) == self._last.maxlen:
            self._move(self._last[0], -1)
        self._last.append(place)
        self._move(place, 1)

    def indices(self) -> dict[str, float]:
        """Give each signal's index; none while there are too few requests, or nothing to compare with."""
        seen = len(self._last)
        if seen < self._fewest:
            return {}
        return {
            signal: stability_index(self._reference[signal], [count / seen for count in counts])
            for signal, counts in zip(SIGNALS, self._counts, strict=True)
            if len(self._reference.get(signal, ())) == len(counts)
        }

    def _move(self, place: tuple[int, ...], by: int) -> None:
        for counts, at in zip(self._counts, place, strict=True):
            counts[at] += by


def stability_index(expected: Sequence[float], actual: Sequence[float]) -> float:
    """Compare two lists of shares, each summing to 1."""
    return sum(
        (a - e) * math.log(a / e)
        for e, a in ((max(e, _FLOOR), max(a, _FLOOR)) for e, a in zip(expected, actual, strict=True))
    )
