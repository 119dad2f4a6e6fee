"""Engines by their queue: a monitor, and an HPA or a ScaledObject over what waits.

Adding a replica takes as long as loading does, so that it helps against hours, not minutes; the gateways' own queue
and the overflow tiers bridge them.
"""

from __future__ import annotations

import re
from typing import Any

from deploy.moe.options import documented
from deploy.moe.plan import ENGINE, NAME, Manifest, Plan

_SLOWLY = {
    # One at a time, and only what was not needed for half an hour: what goes costs an hour to have back.
    "scaleDown": {"stabilizationWindowSeconds": 1800, "policies": [{"type": "Pods", "value": 1, "periodSeconds": 600}]},
    "scaleUp": {"stabilizationWindowSeconds": 60, "policies": [{"type": "Pods", "value": 1, "periodSeconds": 300}]},
}


def monitor(plan: Plan) -> Manifest:
    """Give what has Prometheus' operator scrape the pods that answer."""
    spec = {
        "selector": {"matchLabels": plan.labels(ENGINE)},
        "podTargetLabels": [NAME],  # as app_kubernetes_io_name; names of pods begin alike (kimi-k2-…, kimi-k2-…-wide)
        "podMetricsEndpoints": [{"port": "http", "path": "/metrics", "interval": "15s"}],
    }
    return {"apiVersion": "monitoring.coreos.com/v1", "kind": "PodMonitor", "metadata": plan.about(), "spec": spec}


def scaler(plan: Plan) -> Manifest:
    """Give what adds a replica where as many requests wait as one serves at full context."""
    return _keda(plan) if plan.scale == "keda" else _hpa(plan)


def target(plan: Plan) -> dict[str, Any]:
    """Give the workload; of groups, replicas are whole groups and pods their leaders."""
    if plan.several:
        return {"apiVersion": "leaderworkerset.x-k8s.io/v1", "kind": "LeaderWorkerSet", "name": plan.name}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "name": plan.name}


def adapted(metric: str) -> str:
    """Give the name under which `adapter.yaml` serves an engine's metric: the metrics API knows no colons."""
    return metric.replace(":", "_")


def _label(name: str) -> str:
    return re.sub(r"[./-]", "_", name)


def _waiting(plan: Plan) -> tuple[str, str]:
    return documented()[plan.engine]["metrics"]["waiting"], str(plan.row["concurrency"])


def _hpa(plan: Plan) -> Manifest:
    metric, most = _waiting(plan)
    pods = {"metric": {"name": adapted(metric)}, "target": {"type": "AverageValue", "averageValue": most}}
    spec = {
        "scaleTargetRef": target(plan),
        "minReplicas": 1,
        "maxReplicas": plan.most,
        "metrics": [{"type": "Pods", "pods": pods}],
        "behavior": _SLOWLY,
    }
    return {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": plan.about(), "spec": spec}


def _keda(plan: Plan) -> Manifest:
    metric, most = _waiting(plan)
    query = f'sum({metric}{{namespace="{plan.namespace}",{_label(NAME)}="{plan.name}"}})'
    trigger = {"serverAddress": plan.prometheus, "query": query, "threshold": most}
    spec = {
        "scaleTargetRef": target(plan),
        "minReplicaCount": 1,
        "maxReplicaCount": plan.most,
        "triggers": [{"type": "prometheus", "metricType": "AverageValue", "metadata": trigger}],
        "advanced": {"horizontalPodAutoscalerConfig": {"behavior": _SLOWLY}},
    }
    return {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": plan.about(), "spec": spec}
