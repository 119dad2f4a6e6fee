"""Makes Prometheus' objects from the catalogue, in one process or for several that share files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, values

from gateway.metrics.catalogue import CATALOGUE, Metric

disable_created_metrics()  # type: ignore[no-untyped-call]  # a series per counter that nobody reads


def share_metrics(slot: int) -> None:
    """Keep all metrics made from now on in files, in the folder that PROMETHEUS_MULTIPROC_DIR names.

    Files are named by the slot and not by the process, so that a worker counts on where its predecessor ended, and
    there are never more files than slots.
    """
    values.ValueClass = values.MultiProcessValue(lambda: slot)  # type: ignore[no-untyped-call]


def is_shared() -> bool:
    """Whether metrics are kept in files."""
    return bool(getattr(values.ValueClass, "_multiprocess", False))


def make_all(registry: CollectorRegistry) -> Mapping[Metric, Any]:
    """Make every metric of the catalogue in a registry."""
    return {metric: _make(metric, registry) for metric in CATALOGUE}


def _make(metric: Metric, registry: CollectorRegistry) -> Counter | Gauge | Histogram:
    told = (metric.name, metric.meaning.replace("`", ""), metric.labels)
    if metric.type == "counter":
        return Counter(*told, registry=registry)
    if metric.type == "gauge":
        return Gauge(*told, registry=registry, multiprocess_mode=metric.across)
    return Histogram(*told, registry=registry, buckets=metric.buckets)
