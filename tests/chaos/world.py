"""Where scenarios run, how much of each, and what they say in the end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.gateway.serving import RunningGateway, running_gateway

if TYPE_CHECKING:
    from tests.chaos.hall import Hall


@dataclass(frozen=True)
class Scale:
    """How long and how much. The short form runs with the tests, the long one gives the figures of the report."""

    seconds: float = 2.0
    rate: float = 50.0
    leaving: int = 4
    """Clients on every surface in every phase: times 15."""
    thinking_s: float = 1.5
    silence_s: float = 0.6
    keep_alive_s: float = 0.2
    fleet: int = 2
    """Gateways that serve together, and are replaced."""
    restarts: int = 1
    redis_s: float = 1.0
    direct_redis: bool = False
    """Whether a second gateway speaks to Redis without the proxy that slows it down."""
    idle: int = 300
    idle_every_s: float = 1.0
    """How often each stream has an event: less often than keep-alives are due, so that those are not measured."""
    idle_s: float = 2.1
    lateness: float = 0.99
    """The quantile of events that must not be late: in the short form, other tests run on the same cores."""

    def latest(self, events: int) -> int:
        """Give the place, among events by lateness, of the one that counts."""
        return min(events - 1, int(self.lateness * events))


SHORT = Scale()
LONG = Scale(
    seconds=60.0,
    leaving=67,
    thinking_s=300.0,
    silence_s=30.0,
    keep_alive_s=10.0,
    restarts=10,
    redis_s=20.0,
    direct_redis=True,
    idle=2000,
    idle_every_s=5.0,
    idle_s=30.0,
    lateness=1.0,
)


@dataclass(frozen=True)
class Result:
    """One line of the report. `faults` says why it was not reached."""

    name: str
    goal: str
    measured: str
    faults: tuple[str, ...] = ()


@dataclass(frozen=True)
class World:
    """Where a scenario runs: a folder, its scale, and what it shares with others."""

    folder: Path
    scale: Scale
    hall: Hall | None = None
    """A gateway that scenarios share, where they are run together."""

    @contextmanager
    def gateway(
        self, backends: Mapping[str, Any], tiers: Mapping[str, Any], **sections: Any
    ) -> Iterator[RunningGateway]:
        """Run a gateway with every default but what is given."""
        settings = {
            "backends": dict(backends),
            "tiers": dict(tiers),
            "telemetry": {"log_format": "json"},
            **sections,
            "server": {"port": 0, "notice_s": 0, "drain_s": 2, **sections.get("server", {})},
        }
        fresh = self.scale is LONG  # what is measured is started as users start it
        with running_gateway(settings, self.folder, fresh=fresh) as running:
            yield running
