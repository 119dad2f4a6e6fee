"""Pods of engines: not root where the image allows it, and nothing writable but what is mounted for that."""

from __future__ import annotations

from typing import Any

from deploy.moe.options import PORT, documented
from deploy.moe.plan import ENGINE, WORKER, Manifest, Plan
from deploy.policies import EXCUSED

LOADING_S = 3600
"""How long a startup probe waits: a terabyte of weights from a cold volume takes most of an hour."""
READY = "/weights/.complete"
"""Written by the download when all weights are there."""
_PRODUCTS = {"h100": "NVIDIA-H100-80GB-HBM3", "h200": "NVIDIA-H200", "b200": "NVIDIA-B200"}
_LOCKED = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
_SMALL = {"cpu": "1", "memory": "1Gi"}


def engine_pod(plan: Plan, command: list[str], *, leads: bool = True) -> Manifest:
    """Give the template of a pod with GPUs. One that does not lead answers nobody; vLLM's has no port at all."""
    probed = leads or plan.engine == "sglang"
    excuses = {} if probed else {"probes": "headless: it ends with its leader, and the group is made anew"}
    container = {
        **_container("engine", documented()[plan.engine]["image"], command),
        "ports": [{"name": "http", "containerPort": PORT}] if probed else [],
        "resources": _gpus(plan),
        **(_probes() if probed else {}),
    }
    return template(plan, container, ENGINE if leads else WORKER, documented()[plan.engine], excuses)


def ray_pod(plan: Plan, *, leads: bool) -> Manifest:
    """Give the template of Ray's head, which has no GPU, or of a worker. The operator sets their commands."""
    ports = [("serve", PORT), ("gcs", 6379), ("dashboard", 8265)] if leads else [("serve", PORT)]
    amount = {"cpu": "4", "memory": "16Gi"}
    container = {
        **_container("ray", documented()["ray"]["image"], []),
        "ports": [{"name": name, "containerPort": port} for name, port in ports],
        "resources": {"requests": amount, "limits": amount} if leads else _gpus(plan),
    }
    excuses = {"probes": "KubeRay adds its own: of the raylet, and of Serve's proxy on workers"}
    return template(plan, container, ENGINE if leads else WORKER, documented()["ray"], excuses, gpus=not leads)


def template(
    plan: Plan, container: Manifest, component: str, own: dict[str, Any], excuses: dict[str, str], *, gpus: bool = True
) -> Manifest:
    """Give a pod around a container; it waits for the weights, and reads them only."""
    if "root" in own:
        excuses = {**excuses, "root": own["root"]}
    notes = {f"{EXCUSED}/{what}": why for what, why in excuses.items()}
    spec = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 920,  # what the gateways give an answer under way, and a little more
        "securityContext": security(own),
        **(_placement(plan) if gpus else {}),
        "initContainers": [_waiting(plan, container["image"])],
        "containers": [container],
        "volumes": [
            {"name": "weights", "persistentVolumeClaim": {"claimName": f"{plan.name}-weights", "readOnly": True}},
            {"name": "scratch", "emptyDir": {"sizeLimit": "64Gi"}},
            {"name": "tmp", "emptyDir": {"sizeLimit": "16Gi"}},
            {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "32Gi"}},
        ],
    }
    return {"metadata": {"labels": plan.labels(component), **({"annotations": notes} if notes else {})}, "spec": spec}


def security(own: dict[str, Any]) -> Manifest:
    """Give a pod's security context, with the image's own user. A volume of a terabyte is not walked at each start."""
    walk = {"fsGroupChangePolicy": "OnRootMismatch"} if own["user"] else {}
    return {**own["user"], **walk, "seccompProfile": {"type": "RuntimeDefault"}}


def locked(name: str, image: str, command: list[str]) -> Manifest:
    """Give a container that can write to what is mounted only, and asks for little."""
    amounts = {"requests": _SMALL, "limits": _SMALL}
    return {"name": name, "image": image, "command": command, "resources": amounts, "securityContext": _LOCKED}


def _waiting(plan: Plan, image: str) -> Manifest:
    wait = f"until [ -e {READY} ]; do echo 'waiting for job {plan.name}-download'; sleep 10; done"
    return {**locked("weights", image, ["sh", "-c", wait]), "volumeMounts": [_mount("weights", "/weights")]}


def _container(name: str, image: str, command: list[str]) -> Manifest:
    environment = {
        "HF_HOME": "/weights",
        "HF_HUB_OFFLINE": "1",  # what is not on the volume would not be reached either
        "HF_MODULES_CACHE": "/tmp/modules",  # noqa: S108 -- of the pod: the code of models that bring some
        "HOME": "/scratch",  # compiled kernels, under ~/.cache and ~/.triton
    }
    return {
        **locked(name, image, command),
        "env": [{"name": key, "value": value} for key, value in environment.items()],
        "volumeMounts": [
            _mount("weights", "/weights"),
            {"name": "scratch", "mountPath": "/scratch"},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 -- of the pod
            {"name": "shm", "mountPath": "/dev/shm"},  # noqa: S108 -- ranks of one node talk by it
        ],
    }


def _mount(name: str, path: str) -> Manifest:
    return {"name": name, "mountPath": path, "readOnly": True}


def _gpus(plan: Plan) -> Manifest:
    gpus = plan.row["gpus"]
    amount = {"nvidia.com/gpu": str(gpus), "cpu": str(8 * gpus), "memory": f"{64 * gpus}Gi"}
    return {"requests": amount, "limits": amount}


def _probes() -> Manifest:
    probe = {"httpGet": {"path": "/health", "port": "http"}}
    return {
        "startupProbe": {**probe, "periodSeconds": 10, "failureThreshold": LOADING_S // 10},
        "readinessProbe": {**probe, "periodSeconds": 5, "failureThreshold": 2},
        "livenessProbe": {**probe, "periodSeconds": 30, "failureThreshold": 5, "timeoutSeconds": 10},
    }


def _placement(plan: Plan) -> Manifest:
    return {
        "nodeSelector": {"nvidia.com/gpu.product": _PRODUCTS[plan.row["gpu"]]},
        "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
    }
