"""Models of several nodes on Ray: a RayService of Ray Serve LLM, in place of a LeaderWorkerSet."""

from __future__ import annotations

from typing import Any

import yaml

from deploy.moe import options
from deploy.moe.plan import Manifest, Plan
from deploy.moe.pods import ray_pod

_ELSEWHERE = {"--served-model-name", "--host", "--port", "--nnodes", "--node-rank", "--master-addr"}
"""What Ray Serve says itself, and how nodes join without Ray."""


def service(plan: Plan) -> Manifest:
    """Give the RayService: a head without GPUs, and a worker for each of the model's nodes."""
    template = {"rayStartParams": {"num-cpus": "0", "num-gpus": "0"}, "template": ray_pod(plan, leads=True)}
    workers = {
        "groupName": "engines",
        "replicas": plan.row["nodes"],
        "minReplicas": plan.row["nodes"],
        "maxReplicas": plan.row["nodes"],
        "rayStartParams": {"num-gpus": str(plan.row["gpus"])},
        "template": ray_pod(plan, leads=False),
    }
    cluster = {
        "rayVersion": options.documented()["ray"]["version"],
        "headGroupSpec": template,
        "workerGroupSpecs": [workers],
    }
    spec = {"serveConfigV2": yaml.safe_dump(serving(plan), sort_keys=False), "rayClusterConfig": cluster}
    return {"apiVersion": "ray.io/v1", "kind": "RayService", "metadata": plan.about(), "spec": spec}


def serving(plan: Plan) -> dict[str, Any]:
    """Give Ray Serve's application. vLLM's options become keyword arguments of the same names."""
    row = plan.row
    config = {
        "model_loading_config": {"model_id": row["model"], "model_source": row["model"]},
        "engine_kwargs": _keywords(options.vllm(row)),
        "deployment_config": {
            "autoscaling_config": {"min_replicas": 1, "max_replicas": 1},
            "max_ongoing_requests": row["concurrency"] * 4,
        },
    }
    application = {
        "name": plan.name,
        "import_path": "ray.serve.llm:build_openai_app",
        "route_prefix": "/",
        "args": {"llm_configs": [config]},
    }
    return {"applications": [application]}


def _keywords(flags: dict[str, Any]) -> dict[str, Any]:
    options.words(flags, "vllm")  # refuses what vLLM does not have
    kept = {flag: value for flag, value in flags.items() if flag not in _ELSEWHERE}
    return {flag.removeprefix("--").replace("-", "_"): value for flag, value in kept.items()}
