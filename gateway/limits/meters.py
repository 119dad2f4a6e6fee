"""What is metered: one meter per unit of each limit, and the window that it is counted in."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from gateway.cache.key import owner_tag
from gateway.settings import LimitSettings
from router.types import Tier

Unit = Literal["calls", "tokens", "dollars", "concurrent"]

MICRO = 1_000_000
"""Dollars are counted in millionths: windows hold integers."""

PARTS = 128
"""Parts of a window. What was used leaves it part by part, at most one part (0.8 % of the window) late."""


@dataclass(frozen=True, slots=True)
class Meter:
    """One unit of one limit.

    Attributes:
        most: how much may be used in any window; of dollars, millionths.
        window_s: 0 for `concurrent`, which has no window.
        tier: whose use is counted; None counts the key's every request.
        is_tenants: whether all keys of the tenant share it.
    """

    unit: Unit
    most: int
    window_s: float
    tier: Tier | None = None
    is_tenants: bool = False

    @property
    def width_ms(self) -> int:
        """Length of one part of the window."""
        return max(1, math.ceil(self.window_s * 1000 / PARTS))

    @property
    def window_ms(self) -> int:
        """Length of the window."""
        return round(self.window_s * 1000)

    @property
    def admits_the_last(self) -> bool:
        """Whether a request that goes beyond the limit is still admitted if anything was left.

        So it is with quotas of tiers, where a mini takes over next; a rate or a budget is not to be exceeded.
        """
        return self.tier is not None

    @property
    def described(self) -> str:
        """The limit in words, for the caller."""
        if self.unit == "concurrent":
            return f"{self.most} requests at once"
        amount = f"${self.most / MICRO:g}" if self.unit == "dollars" else f"{self.most} {_WORDS[self.unit]}"
        return f"{amount} in {_duration(self.window_s)}"

    def name(self, tenant: str, key: str) -> str:
        """Name the meter's window of one caller; the tenant's tag in it makes it Redis' hash tag."""
        whose = "*" if self.is_tenants else f"={key}"
        return f"tl2:{{{owner_tag(tenant)}}}:{whose}:{self.tier or '*'}:{self.unit}:{self.window_s:g}"


_WORDS = {"calls": "requests", "tokens": "tokens"}


def meters_of(general: Iterable[LimitSettings], own: Iterable[LimitSettings]) -> tuple[Meter, ...]:
    """Give a key's meters: its own, and the general ones that none of its own replaces."""
    meters = {_place(meter): meter for limit in (*general, *own) for meter in _meters(limit)}
    return tuple(meters.values())


def _place(meter: Meter) -> tuple[object, ...]:
    return meter.unit, meter.window_s, meter.tier, meter.is_tenants


def _meters(limit: LimitSettings) -> Iterator[Meter]:
    window_s = limit.window_s or 0.0
    is_tenants = limit.per == "tenant"
    if limit.calls is not None:
        yield Meter("calls", limit.calls, window_s, limit.tier, is_tenants)
    if limit.tokens is not None:
        yield Meter("tokens", limit.tokens, window_s, limit.tier, is_tenants)
    if limit.dollars is not None:
        yield Meter("dollars", round(limit.dollars * MICRO), window_s, limit.tier, is_tenants)
    if limit.concurrent is not None:
        yield Meter("concurrent", limit.concurrent, 0.0, limit.tier, is_tenants)


def _duration(seconds: float) -> str:
    for length, word in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= length and seconds % length == 0:
            count = round(seconds / length)
            return f"a {word}" if count == 1 and word != "hour" else f"{count} {word}s" if count > 1 else "an hour"
    return f"{seconds:g} s"
