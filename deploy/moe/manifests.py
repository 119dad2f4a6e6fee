"""Manifests of a model on an engine: `python -m deploy.moe.manifests kimi-k2-thinking vllm | kubectl apply -f -`.

A model of one node is a Deployment, of several a LeaderWorkerSet; both have a Service that Thalamus' `url` names, a
budget and a claim for the weights. Nothing was run on GPUs: shapes and options are checked, speed is not.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import yaml

from deploy.moe.size import Row, models

FLAGS = Path(__file__).with_name("flags.yaml")
ENGINES = ("vllm", "sglang")
LOADING_S = 3600
"""How long a startup probe waits: a terabyte of weights from a cold volume takes most of an hour."""

Manifest = dict[str, Any]


class UnknownFlagError(ValueError):
    """An option that the engine's documentation does not have, or not with this value."""


def documented() -> dict[str, Any]:
    """Give the engines' documented options."""
    found: dict[str, Any] = yaml.safe_load(FLAGS.read_text())
    return found


def arguments(row: Row, engine: str) -> list[str]:
    """Give the command line, each option checked against the documented ones."""
    flags = _vllm(row) if engine == "vllm" else _sglang(row)
    known, words = documented()[engine]["flags"], []
    for flag, value in flags.items():
        if flag not in known:
            raise UnknownFlagError(f"{engine} has no {flag}")
        if isinstance(known[flag], list) and value not in known[flag]:
            raise UnknownFlagError(f"{engine}'s {flag} has no {value}")
        words += [flag] if value is True else [flag, str(value)]
    return words


def _vllm(row: Row) -> dict[str, Any]:
    own = row["vllm"]
    flags: dict[str, Any] = {
        "--served-model-name": row["model"],
        "--host": "0.0.0.0",  # noqa: S104 -- a pod's own address; the network policy says who reaches it
        "--port": 8000,
        "--tensor-parallel-size": row["gpus"],
        "--max-model-len": row["context"],
        "--max-num-seqs": row["concurrency"] * 4,
        "--gpu-memory-utilization": 0.9,
        "--enable-prefix-caching": True,
        "--scheduling-policy": "priority",
        "--enable-auto-tool-choice": True,
        "--tool-call-parser": own["tool"],
    }
    if row["nodes"] > 1:
        flags |= {"--pipeline-parallel-size": row["nodes"], "--distributed-executor-backend": "ray"}
    return flags | _optional(row, own, {"--enable-expert-parallel": not row.get("dense")})


def _sglang(row: Row) -> dict[str, Any]:
    own = row["sglang"]
    flags: dict[str, Any] = {
        "--model-path": row["model"],
        "--served-model-name": row["model"],
        "--host": "0.0.0.0",  # noqa: S104 -- as above
        "--port": 8000,
        "--tp-size": row["gpus"] * row["nodes"],
        "--context-length": row["context"],
        "--max-running-requests": row["concurrency"] * 4,
        "--mem-fraction-static": 0.85,
        "--enable-metrics": True,
        "--enable-priority-scheduling": True,
        "--schedule-low-priority-values-first": True,  # as vLLM orders them
        "--tool-call-parser": own["tool"],
    }
    if row["nodes"] > 1:
        flags |= {"--nnodes": row["nodes"], "--node-rank": "$(LWS_WORKER_INDEX)"}
        flags |= {"--dist-init-addr": "$(LWS_LEADER_ADDRESS):20000"}
    return flags | _optional(row, own, {})


def _optional(row: Row, own: Row, more: dict[str, bool]) -> dict[str, Any]:
    flags: dict[str, Any] = {flag: True for flag, wanted in more.items() if wanted}
    if row.get("trust_remote_code"):
        flags["--trust-remote-code"] = True
    return flags | ({"--reasoning-parser": own["reasoning"]} if "reasoning" in own else {})


def manifests(name: str, engine: str, namespace: str = "moe") -> list[Manifest]:
    """Give everything that one model needs."""
    row = models()[name]
    labels = {"app.kubernetes.io/name": name, "app.kubernetes.io/component": "engine"}
    about = {"name": name, "namespace": namespace, "labels": labels}
    port = {"name": "http", "port": 8000, "targetPort": "http"}
    leaders = labels | ({"leaderworkerset.sigs.k8s.io/worker-index": "0"} if row["nodes"] > 1 else {})
    service = {"selector": leaders, "ports": [port]}
    return [
        _workload(row, engine, about),
        {"apiVersion": "v1", "kind": "Service", "metadata": about, "spec": service},
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {**about, "name": f"{name}-weights"},
            "spec": {
                "accessModes": ["ReadWriteMany"],
                "resources": {"requests": {"storage": f"{int(row['weights_gb'] * 1.2) + 10}Gi"}},
            },
        },
        {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": about,
            "spec": {"maxUnavailable": 0, "selector": {"matchLabels": labels}},
        },
    ]


def _workload(row: Row, engine: str, about: Manifest) -> Manifest:
    labels, words = about["labels"], arguments(row, engine)
    command = ["vllm", "serve", row["model"]] if engine == "vllm" else ["python3", "-m", "sglang.launch_server"]
    if row["nodes"] == 1:
        spec = {
            "replicas": 1,
            "strategy": {"type": "Recreate"},  # there is no second set of GPUs to roll onto
            "selector": {"matchLabels": labels},
            "template": _pod(row, engine, about, [*command, *words], serves=True),
        }
        return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": about, "spec": spec}
    leader = worker = [*command, *words]
    if engine == "vllm":  # Ray joins the nodes; the leader serves once all are there
        ray = "/vllm-workspace/examples/online_serving/multi-node-serving.sh"
        leader = ["sh", "-c", f'{ray} leader --ray_cluster_size=$(LWS_GROUP_SIZE); exec "$@"', "sh", *leader]
        worker = ["sh", "-c", f"exec {ray} worker --ray_address=$(LWS_LEADER_ADDRESS)"]
    template = {
        "size": row["nodes"],
        "restartPolicy": "RecreateGroupOnPodRestart",
        "leaderTemplate": _pod(row, engine, about, leader, serves=True),
        "workerTemplate": _pod(row, engine, about, worker, serves=False),
    }
    group = {"replicas": 1, "leaderWorkerTemplate": template}
    return {"apiVersion": "leaderworkerset.x-k8s.io/v1", "kind": "LeaderWorkerSet", "metadata": about, "spec": group}


def _pod(row: Row, engine: str, about: Manifest, command: list[str], *, serves: bool) -> Manifest:
    probe = {"httpGet": {"path": "/health", "port": "http"}}
    probes = {
        "startupProbe": {**probe, "periodSeconds": 10, "failureThreshold": LOADING_S // 10},
        "readinessProbe": {**probe, "periodSeconds": 5, "failureThreshold": 2},
        "livenessProbe": {**probe, "periodSeconds": 30, "failureThreshold": 5, "timeoutSeconds": 10},
    }
    amount = {"nvidia.com/gpu": str(row["gpus"]), "cpu": str(8 * row["gpus"]), "memory": f"{64 * row['gpus']}Gi"}
    container = {
        "name": "engine",
        "image": documented()[engine]["image"],
        "command": command,
        "env": [{"name": "HF_HOME", "value": "/weights"}],
        "ports": [{"name": "http", "containerPort": 8000}],
        "resources": {"requests": amount, "limits": amount},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [{"name": "weights", "mountPath": "/weights"}, {"name": "shm", "mountPath": "/dev/shm"}],  # noqa: S108
        **(probes if serves else {}),
    }
    spec = {
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 920,
        "nodeSelector": {
            "nvidia.com/gpu.product": {"h100": "NVIDIA-H100-80GB-HBM3", "h200": "NVIDIA-H200"}[row["gpu"]]
        },
        "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
        "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
        "volumes": [
            {"name": "weights", "persistentVolumeClaim": {"claimName": f"{about['name']}-weights"}},
            {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "32Gi"}},
        ],
    }
    return {"metadata": {"labels": about["labels"]}, "spec": spec}


def main() -> None:
    """Print the manifests."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", choices=list(models()))
    parser.add_argument("engine", choices=ENGINES)
    asked = parser.parse_args()
    yaml.safe_dump_all(manifests(asked.model, asked.engine), sys.stdout, sort_keys=False)


if __name__ == "__main__":
    main()
