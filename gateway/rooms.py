"""All that one configuration builds: what an endpoint may reach while it serves a request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.admission import Admission
from gateway.auth import Keyring
from gateway.cache.board import Board
from gateway.cache.exact import ExactCache
from gateway.cache.semantic.cache import SemanticCache
from gateway.calls.attempts import Attempts
from gateway.keys import ManagedKeys
from gateway.ledger import Ledger
from gateway.limits import Limits
from gateway.limits.spending import read_budgets
from gateway.metrics import Metrics
from gateway.process.crew import Crew
from gateway.process.pulse import Pulse
from gateway.records.accounting import Accounts
from gateway.records.decision_log import DecisionLog
from gateway.records.inquiries import Inquiries
from gateway.records.recent import Recent
from gateway.second_opinion import SecondOpinion
from gateway.sessions import Sessions
from gateway.settings import Settings
from gateway.surfaces.responses.room import ResponsesRoom
from gateway.tracing.tracer import Tracer
from gateway.upstream.pool import Backend
from gateway.vault import Vault
from router.engine import Engine

if TYPE_CHECKING:
    from gateway.flights import Flights  # they need what an exchange answers with, and that needs rooms
    from gateway.shadow import Shadows


@dataclass(frozen=True, slots=True)
class Rooms:
    """Built by `gateway.building` from one configuration; a reload builds new ones and old requests keep theirs."""

    settings: Settings
    keyring: Keyring
    managed_keys: ManagedKeys
    engine: Engine
    second_opinion: SecondOpinion | None
    backends: Mapping[str, Backend]
    attempts: Attempts
    admission: Admission
    pulse: Pulse
    accounts: Accounts
    metrics: Metrics
    tracer: Tracer | None
    sessions: Sessions
    limits: Limits
    ledger: Ledger | None
    cache: ExactCache | None
    semantic: SemanticCache | None
    flights: Flights
    vault: Vault | None
    responses: ResponsesRoom
    recent: Recent
    shadows: Shadows
    decision_log: DecisionLog | None
    board: Board | None
    """Notes between processes, where there is a Redis."""
    inquiries: Inquiries
    crew: Crew | None
    """The line to the other workers on the port, where there are any."""

    async def disown(self, entry: tuple[str, str]) -> None:
        """Have the semantic cache give an answer to no other words any more, in all workers."""
        if self.semantic is not None:
            await self.semantic.disown(entry)
        if self.crew is not None and self.board is None:  # else the index is shared already
            self.crew.tell("disowned", entry)

    async def gather_counts(self) -> None:
        """Have the other workers write what they have counted, so that whoever looks here sees all of it."""
        if self.crew is not None:
            await self.crew.ask("counts", None)

    async def show_budgets(self) -> None:
        """Bring the metrics of tenants' budgets up to now."""
        self.metrics.show_budgets(await read_budgets(self.keyring.callers(), self.limits))

    def show_load(self) -> None:
        """Bring the metrics that say how things are up to now."""
        pools = [backend.pool for backend in self.backends.values()]
        self.metrics.show_load(pools, self.admission.gates, self.pulse.lag_s)
