"""What tenants may spend and have spent, as their keys' limits of dollars say: for watching, not for deciding."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

from gateway.limits.limits import Limits
from gateway.limits.meters import MICRO, Meter

MOST_TENANTS = 200
"""Tenants that have series of their own: they come from keys, of which an operator may make any number."""

THIRTY_DAYS_S = 30 * 86_400.0


class Limited(Protocol):
    """A caller, as far as limits are concerned."""

    @property
    def name(self) -> str:
        """The key's name."""
        ...

    @property
    def tenant(self) -> str:
        """Whose key it is."""
        ...

    @property
    def meters(self) -> tuple[Meter, ...]:
        """What it is limited in."""
        ...


@dataclass(frozen=True, slots=True)
class Budget:
    """A tenant's dollars in any stretch of `window_s` seconds, and what is used of them now.

    Its own limit, where there is one; else those of its keys together.
    """

    tenant: str
    window_s: float
    dollars: float
    spent: float

    @property
    def per_30_days(self) -> float:
        """What it comes to in thirty days, if it is always spent."""
        return self.dollars * THIRTY_DAYS_S / self.window_s


async def read_budgets(callers: Iterable[Limited], limits: Limits) -> list[Budget]:
    """Read tenants' budgets; limits of a single tier are none. Without Redis it is this process's count."""
    found: dict[tuple[str, float], dict[str, Meter]] = {}
    for caller in callers:
        for meter in caller.meters:
            if meter.unit == "dollars" and meter.tier is None:
                windows = found.setdefault((caller.tenant, meter.window_s), {})
                windows[meter.name(caller.tenant, caller.name)] = meter
    shown = set(islice(dict.fromkeys(tenant for tenant, _ in found), MOST_TENANTS))
    reading = [_read(*place, windows, limits) for place, windows in found.items() if place[0] in shown]
    return list(await asyncio.gather(*reading))


async def _read(tenant: str, window_s: float, windows: Mapping[str, Meter], limits: Limits) -> Budget:
    """Read one tenant's windows of one length, all at once."""
    own = {name: meter for name, meter in windows.items() if meter.is_tenants} or windows
    used = await limits.used(own)
    return Budget(tenant, window_s, sum(meter.most for meter in own.values()) / MICRO, sum(used) / MICRO)
