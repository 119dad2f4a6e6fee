"""How hard to think, and whether the caller left room for it."""

from __future__ import annotations

from dataclasses import dataclass

from router.signals import Signals
from router.types import Effort, Reason

_BY_DIFFICULTY = ((0.35, Effort.LOW), (0.65, Effort.MEDIUM), (1.01, Effort.HIGH))
"""Upper bounds of difficulty and the effort they ask of the deep tier."""

_BY_TOKENS = ((1_000, Effort.LOW), (5_000, Effort.MEDIUM), (1 << 60, Effort.HIGH))
"""Upper bounds of the expected thinking, in tokens, and the effort that allows it."""

LEAST_THINKING = 1024
"""Tokens below which thinking is cut off before it has begun."""

_EXPECTED = ((Effort.LOW, LEAST_THINKING), (Effort.MEDIUM, 4_096), (Effort.MAX, 8_192))
_UNTOLD = 4_096
"""Tokens of thinking by effort, where only a backend's name was asked for and nothing is estimated."""

MOST_THINKING = 16_384
"""As far as a caller's cap is raised for thinking; more would be the caller's to ask for."""


@dataclass(frozen=True, slots=True)
class Cap:
    """What becomes of the caller's `max_tokens`: raised, or too small to think in at all."""

    raised: int | None = None
    take_fast: bool = False


def choose_effort(signals: Signals, *, at_least: Effort = Effort.LOW) -> Effort:
    """Choose how hard the deep tier thinks: the harder of what difficulty and expected length ask."""
    by_difficulty = next(effort for bound, effort in _BY_DIFFICULTY if signals.difficulty < bound)
    by_tokens = next(effort for bound, effort in _BY_TOKENS if signals.estimate.thinking_tokens < bound)
    return max(by_difficulty, by_tokens, at_least, key=lambda effort: effort.rank)


def expected_thinking(effort: Effort | None) -> int:
    """Say how many tokens thinking takes at an effort where the question was not looked at."""
    if effort is None:
        return _UNTOLD
    return next(tokens for most, tokens in _EXPECTED if effort.rank <= most.rank)


def fit_max_tokens(max_tokens: int | None, expected: float, *, chosen: Reason) -> Cap:
    """See to it that thinking does not eat the whole answer of whoever thinks.

    Nearly every provider counts thinking into `max_tokens`, so that a small cap on a thinking model gives an empty
    answer. Where difficulty alone chose to think, a cap too small for it takes the fast tier instead; where the
    caller asked for thinking, the cap is raised by what thinking is expected to take.
    """
    if max_tokens is None:
        return Cap()
    thinking = int(min(max(expected, LEAST_THINKING), MOST_THINKING))
    if max_tokens >= 2 * thinking:
        return Cap()
    if chosen is Reason.DIFFICULTY and max_tokens < LEAST_THINKING:
        return Cap(take_fast=True)
    return Cap(raised=max_tokens + thinking)
