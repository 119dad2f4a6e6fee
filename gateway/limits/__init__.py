"""Whether a caller may, now: rates, concurrency, budgets and quotas of tiers. See docs/limits.md."""

from gateway.limits.limits import BudgetSpent, Demand, Limits, RateReached, TierExhausted, TooLarge, Used
from gateway.limits.meters import Meter, meters_of
from gateway.limits.reservation import Reservation, Standing

__all__ = [
    "BudgetSpent",
    "Demand",
    "Limits",
    "Meter",
    "RateReached",
    "Reservation",
    "Standing",
    "TierExhausted",
    "TooLarge",
    "Used",
    "meters_of",
]
