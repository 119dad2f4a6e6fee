"""From a finished record to what is booked: amounts under a day, tenant, key, tier and model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from gateway.records.accounting import Outcome, Record
from gateway.records.prices import Usage

MICRO = 1_000_000
"""Dollars are booked in millionths: integers add up without error."""


class Place(NamedTuple):
    """Where an amount is booked. `model` is the backend's configured name; it and `tier` are "" where nobody served."""

    day: str
    tenant: str
    key: str
    tier: str
    model: str


@dataclass(slots=True)
class Amounts:
    """What is booked in one place; integers, dollars in millionths.

    Attributes:
        unpriced: calls whose price is not known, so that cost and savings leave them out.
        saved: against sending everything to the deep tier; negative where more was spent.
    """

    requests: int = 0
    failed: int = 0
    cached_answers: int = 0
    input: int = 0
    cached: int = 0
    output: int = 0
    reasoning: int = 0
    unpriced: int = 0
    cost: int = 0
    saved: int = 0

    def add(self, other: Amounts) -> None:
        """Add another's amounts."""
        for name in UNITS:
            setattr(self, name, getattr(self, name) + getattr(other, name))


UNITS = ("requests", "failed", "cached_answers", "input", "cached", "output", "reasoning", "unpriced", "cost", "saved")


class Entry(NamedTuple):
    """Amounts and their place."""

    place: Place
    amounts: Amounts


def entries_of(record: Record, now: datetime | None = None) -> Iterator[Entry]:
    """Give what a finished record books: itself where it was served, and each further call where that was made."""
    day = (now or datetime.now(UTC)).strftime("%Y-%m-%d")
    target = record.target
    tier = target.tier.value if target is not None and target.tier is not None else ""
    place = Place(day, record.tenant, record.key, tier, target.backend if target is not None else "")
    amounts = _used(record.usage, record.own_cost)
    amounts.requests = 1
    amounts.failed = int(record.outcome is not Outcome.DONE)
    amounts.cached_answers = int(record.is_kept)
    amounts.saved = round((record.saved or 0.0) * MICRO)
    yield Entry(place, amounts)
    for spending in record.besides:
        yield Entry(place._replace(tier="", model=spending.backend), _used(spending.usage, spending.cost))


def _used(usage: Usage | None, cost: float | None) -> Amounts:
    if usage is None:
        return Amounts()
    return Amounts(
        input=usage.input,
        cached=usage.cached,
        output=usage.output,
        reasoning=usage.reasoning,
        unpriced=int(cost is None),
        cost=round((cost or 0.0) * MICRO),
    )
