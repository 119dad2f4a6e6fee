"""What tenants may spend and have spent, as their keys' limits of dollars say: for watching, not for deciding."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.limits.limits import Limits
from gateway.limits.meters import MICRO, Meter

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
    """Read every tenant's budgets; limits of a single tier are none. Without Redis it is this process's count."""
    windows: dict[tuple[str, float], dict[str, tuple[Limited, Meter]]] = {}
    for caller in callers:
        for meter in caller.meters:
            if meter.unit == "dollars" and meter.tier is None:
                name = meter.name(caller.tenant, caller.name)
                windows.setdefault((caller.tenant, meter.window_s), {})[name] = caller, meter
    reading = [_read(*place, list(metered.values()), limits) for place, metered in windows.items()]
    return list(await asyncio.gather(*reading))


async def _read(tenant: str, window_s: float, metered: Sequence[tuple[Limited, Meter]], limits: Limits) -> Budget:
    """Read one tenant's windows of one length."""
    own = [(caller, meter) for caller, meter in metered if meter.is_tenants] or metered
    used = [(await limits.used((meter,), tenant, caller.name))[0] for caller, meter in own]
    return Budget(tenant, window_s, sum(meter.most for _, meter in own) / MICRO, sum(used) / MICRO)
