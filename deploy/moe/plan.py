"""What an operator asks for: one model on one engine, and how it is run, watched, scaled and reached."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from deploy.moe.size import Row, is_wide, models

Manifest = dict[str, Any]
ENGINES = ("vllm", "sglang")
GROUPS = ("lws", "kuberay")
SCALERS = ("none", "hpa", "keda")
ENGINE, WORKER, DOWNLOAD = "engine", "engine-worker", "download"
NAME, _COMPONENT = "app.kubernetes.io/name", "app.kubernetes.io/component"


class PlanError(ValueError):
    """Wishes that do not go together; the message says which, and what does."""


@dataclass(frozen=True)
class Plan:
    """One model, and everything that its manifests depend on."""

    name: str
    engine: str
    namespace: str = "moe"
    clients: str = "thalamus"
    """The namespace of the gateways that may ask."""
    monitoring: str = "monitoring"
    group: str = "lws"
    """What keeps the nodes of a model of several together."""
    scale: str = "none"
    most: int = 4
    prometheus: str = "http://prometheus-operated.monitoring:9090"
    monitor: bool = False
    pool: bool = False
    """Whether a scheduler (an InferencePool's endpoint picker) chooses the replica."""
    gateways: str = "gateways"
    """The namespace of the Gateway before the pool."""

    def __post_init__(self) -> None:
        if self.most < 1:
            raise PlanError(f"--most {self.most}: at least one replica")
        if not self.on_ray:
            return
        if self.engine != "vllm":
            raise PlanError("--group kuberay runs vLLM: take vllm, or --group lws")
        if is_wide(self.row):
            raise PlanError("a wide group runs under --group lws")
        if self.scale != "none" or self.pool:
            raise PlanError("Ray Serve scales and balances by itself: --scale and --pool go with --group lws")

    @property
    def row(self) -> Row:
        """The model's row of the catalogue."""
        return models()[self.name]

    @property
    def several(self) -> bool:
        """Whether a replica has more than one node."""
        return bool(self.row["nodes"] > 1)

    @property
    def on_ray(self) -> bool:
        """Whether KubeRay runs it; models of one node are Deployments under either group."""
        return self.several and self.group == "kuberay"

    def about(self, suffix: str = "", component: str = ENGINE) -> Manifest:
        """Give the metadata of an object."""
        name = f"{self.name}-{suffix}" if suffix else self.name
        return {"name": name, "namespace": self.namespace, "labels": self.labels(component)}

    def labels(self, component: str = ENGINE) -> dict[str, str]:
        """Give the labels of a model's objects and pods of one kind; engines are those that answer requests."""
        return {NAME: self.name, _COMPONENT: component}

    def everything(self) -> Manifest:
        """Give the selector of all pods of the model."""
        return {"matchLabels": {NAME: self.name}}

    def engines(self) -> Manifest:
        """Give the selector of its pods that have GPUs, or lead those."""
        return {
            "matchLabels": {NAME: self.name},
            "matchExpressions": [{"key": _COMPONENT, "operator": "In", "values": [ENGINE, WORKER]}],
        }
