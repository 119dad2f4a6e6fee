"""How a caller stands with its limits, in the headers that OpenAI's and Anthropic's clients read."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from gateway.limits.meters import MICRO
from gateway.limits.reservation import Standing

BUDGET_HEADER = "x-thalamus-budget-remaining"
"""Dollars left of the budget that is nearest."""

_SHOWN = (("calls", "requests"), ("tokens", "tokens"))


def openai_headers(standing: Sequence[Standing]) -> dict[str, str]:
    """Write ``x-ratelimit-{limit,remaining,reset}-{requests,tokens}`` (OpenAI, "Rate limits": headers).

    Of several limits of one unit the one that is nearest is told.
    """
    headers: dict[str, str] = {}
    for unit, name in _SHOWN:
        if (tightest := _tightest(standing, unit)) is not None:
            headers[f"x-ratelimit-limit-{name}"] = str(tightest.meter.most)
            headers[f"x-ratelimit-remaining-{name}"] = str(tightest.remaining)
            headers[f"x-ratelimit-reset-{name}"] = duration(tightest.resets_in_s)
    if (budget := _tightest(standing, "dollars")) is not None:
        headers[BUDGET_HEADER] = f"{budget.remaining / MICRO:.6f}"
    return headers


def anthropic_headers(standing: Sequence[Standing]) -> dict[str, str]:
    """Write ``anthropic-ratelimit-{requests,tokens}-{limit,remaining,reset}``; reset is a time in RFC 3339."""
    headers: dict[str, str] = {}
    for unit, name in _SHOWN:
        if (tightest := _tightest(standing, unit)) is not None:
            resets = datetime.now(UTC) + timedelta(seconds=tightest.resets_in_s)
            headers[f"anthropic-ratelimit-{name}-limit"] = str(tightest.meter.most)
            headers[f"anthropic-ratelimit-{name}-remaining"] = str(tightest.remaining)
            headers[f"anthropic-ratelimit-{name}-reset"] = resets.strftime("%Y-%m-%dT%H:%M:%SZ")
    if (budget := _tightest(standing, "dollars")) is not None:
        headers[BUDGET_HEADER] = f"{budget.remaining / MICRO:.6f}"
    return headers


def duration(seconds: float) -> str:
    """Write a time as OpenAI does: ``20ms``, ``1.5s``, ``6m0s``, ``1h0m30s``."""
    if seconds < 1:
        return f"{round(seconds * 1000)}ms"
    if seconds < 60:
        return f"{round(seconds, 3):g}s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes}m{rest}s" if hours else f"{minutes}m{rest}s"


def _tightest(standing: Sequence[Standing], unit: str) -> Standing | None:
    """Give the standing with the least left, of the key's own limits before those of a tier."""
    of_unit = [one for one in standing if one.meter.unit == unit]
    return min(of_unit, key=lambda one: (one.meter.tier is not None, _share_left(one)), default=None)


def _share_left(standing: Standing) -> float:
    """Give what is left as a share of the limit; nothing of a budget below a millionth of a dollar, which is none."""
    return standing.remaining / standing.meter.most if standing.meter.most else 0.0
