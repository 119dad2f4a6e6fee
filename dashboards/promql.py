"""Expressions that the dashboards repeat, over the cluster that was chosen."""

from __future__ import annotations

C = 'cluster=~"$cluster"'
WINDOW = "$__rate_interval"


def rate(metric: str, by: str = "", where: str = "") -> str:
    """Give a counter's rate per second, summed to the labels in `by`."""
    grouped = f" by ({by})" if by else ""
    return f"sum{grouped} (rate({metric}{{{_where(where)}}}[{WINDOW}]))"


def share(metric: str, by: str, where: str = "") -> str:
    """Give each label's share of a counter's rate."""
    return f"{rate(metric, by, where)} / ignoring ({by}) group_left () {rate(metric, '', where)}"


def quantile(q: float, histogram: str, by: str = "", where: str = "") -> str:
    """Give a quantile of a histogram, for each value of the labels in `by`."""
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({q}, {rate(f'{histogram}_bucket', labels, where)})"


def gauge(metric: str, by: str = "", where: str = "", how: str = "sum") -> str:
    """Give a gauge over all processes."""
    grouped = f" by ({by})" if by else ""
    return f"{how}{grouped} ({metric}{{{_where(where)}}})"


def or_zero(expression: str) -> str:
    """Give 0 where a counter does not exist yet, because what it counts has never happened."""
    return f"{expression} or vector(0)"


def recorded(name: str) -> str:
    """Give a recorded series of the chosen cluster."""
    return f"{name}{{{C}}}"


def _where(more: str) -> str:
    return f"{C}, {more}" if more else C
