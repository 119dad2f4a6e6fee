"""What is measured: `catalogue` declares every metric, `recording` counts what happened."""

from gateway.metrics.recording import CONTENT_TYPE, OPENMETRICS_TYPE, Metrics
from gateway.metrics.registry import share_metrics

__all__ = ["CONTENT_TYPE", "OPENMETRICS_TYPE", "Metrics", "share_metrics"]
