"""Writes docs/metrics.md from the catalogue: `python -m gateway.metrics.describe > docs/metrics.md`."""

from __future__ import annotations

from itertools import groupby

from gateway.metrics.catalogue import CATALOGUE, Metric

HEAD = """# Metrics

`GET /metrics` gives these in Prometheus' text format, or in OpenMetrics' with exemplars to whoever asks for it. This
page is written from `gateway/metrics/catalogue.py` (`python -m gateway.metrics.describe > docs/metrics.md`). Labels
take values from closed sets or from your configuration, never from a caller, so that the number of series is bounded.
With `--workers N` each answer is the sum of all workers (for conditions and states, the most).

Dashboards and alerts over them: [observability.md](observability.md), [runbook.md](runbook.md).
"""


def describe() -> str:
    """Write the whole page."""
    parts = [HEAD]
    for group, metrics in groupby(sorted(CATALOGUE, key=_group_order), key=lambda metric: metric.group):
        rows = "\n".join(_row(metric) for metric in metrics)
        table = "| metric | type | labels | meaning | what to do |\n|---|---|---|---|---|"
        parts.append(f"## {group}\n\n{table}\n{rows}\n")
    parts.append(_conventions())
    return "\n".join(parts)


def _group_order(metric: Metric) -> int:
    groups = list(dict.fromkeys(each.group for each in CATALOGUE))
    return groups.index(metric.group)


def _row(metric: Metric) -> str:
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    return f"| `{metric.exported}` | {metric.type} | {labels} | {metric.meaning} | {metric.action} |"


def _conventions() -> str:
    rows = "\n".join(f"| `{one.exported}` | `{one.convention}` |" for one in CATALOGUE if one.convention)
    return (
        "## OpenTelemetry's names\n\nWhat corresponds to the conventions for generative AI (1.37):\n\n"
        f"| here | there |\n|---|---|\n{rows}\n"
    )


if __name__ == "__main__":
    print(describe(), end="")
