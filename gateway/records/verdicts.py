"""What a verdict on an answer says about routing: whether the fast tier was enough, and so whether the tier was right.

A verdict compares the tiers' answers (``fast``, ``deep`` or ``same`` is better) or judges the given one alone (``up``,
``down``). Weakness: a deep answer judged alone says nothing of what the fast tier would have said.
"""

from __future__ import annotations

from typing import Literal

from router.replay import is_deep
from router.types import Tier

Verdict = Literal["fast", "deep", "same", "up", "down"]
Source = Literal["feedback", "shadow"]
Finding = Literal["fast-was-enough", "deep-was-needed"]
Outcome = Literal["right", "should-be-deep", "should-be-fast"]


def finding_of(verdict: str, tier: str) -> Finding | None:
    """Say what a verdict on an answer of some tier tells of the fast tier; None if nothing."""
    if verdict in ("fast", "same"):
        return "fast-was-enough"
    if verdict == "deep":
        return "deep-was-needed"
    if not tier or is_deep(Tier(tier)):
        return None
    return "fast-was-enough" if verdict == "up" else "deep-was-needed"


def outcome_of(finding: Finding, tier: str) -> Outcome:
    """Say whether a request that a tier served was routed right."""
    if is_deep(Tier(tier)):
        return "right" if finding == "deep-was-needed" else "should-be-fast"
    return "right" if finding == "fast-was-enough" else "should-be-deep"


def is_false_hit(verdict: str, tier: str) -> bool:
    """Whether a verdict on an answer from the cache says that it was no answer to what was asked."""
    return verdict == "down" or (verdict == "deep" and not is_deep(Tier(tier) if tier else None))
