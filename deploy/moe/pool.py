"""A scheduler before the engines: Thalamus chooses the model, llm-d's endpoint picker the replica.

The names are those of the Gateway API inference extension v1.5 (InferencePool, v1) and of llm-d 0.10, to which the
InferenceObjective moved. The picker itself comes from llm-d's chart; the README says how.
"""

from __future__ import annotations

from typing import Any

from deploy.moe.options import PORT
from deploy.moe.plan import ENGINE, Manifest, Plan

GROUP = "inference.networking.k8s.io"
MODEL_HEADER, OBJECTIVE_HEADER = "x-gateway-model-name", "x-llm-d-inference-objective"
SESSION_HEADER = "x-session-id"


def manifests(plan: Plan) -> list[Manifest]:
    """Give the pool, the priority of what Thalamus sends to it, and the way there."""
    return [_pool(plan), _objective(plan), _route(plan)]


def backend(plan: Plan) -> dict[str, Any]:
    """Give what thalamus.yaml says of the model: its Service, or the Gateway with the headers that lead to the pool."""
    common = {"model": plan.row["model"], "host": plan.engine, "context_window": plan.row["context"]}
    if plan.on_ray:
        url = f"http://{plan.name}-serve-svc.{plan.namespace}:{PORT}/v1"
        return {"url": url, **common, "health": {"path": "/-/healthz", "every_s": 10}}
    if not plan.pool:
        url = f"http://{plan.name}.{plan.namespace}:{PORT}/v1"
        return {"url": url, **common, "health": {"path": "/health", "every_s": 10}}
    return {
        "url": f"http://inference.{plan.gateways}/v1",
        **common,
        "headers": {MODEL_HEADER: plan.row["model"], OBJECTIVE_HEADER: plan.name},
        "balance": {"session_header": SESSION_HEADER},
    }


def _pool(plan: Plan) -> Manifest:
    spec = {
        "selector": {"matchLabels": plan.labels(ENGINE)},
        "targetPorts": [{"number": PORT}],
        "endpointPickerRef": {"name": f"{plan.name}-epp", "port": {"number": 9002}, "failureMode": "FailOpen"},
    }
    return {"apiVersion": f"{GROUP}/v1", "kind": "InferencePool", "metadata": plan.about(), "spec": spec}


def _objective(plan: Plan) -> Manifest:
    spec = {"poolRef": {"group": GROUP, "name": plan.name}, "priority": 1}  # before those that name no objective
    return {"apiVersion": "llm-d.ai/v1alpha2", "kind": "InferenceObjective", "metadata": plan.about(), "spec": spec}


def _route(plan: Plan) -> Manifest:
    rule = {
        # By header, whose value a body-based router would give it too: the picker reads the path, which stays OpenAI's.
        "matches": [{"headers": [{"type": "Exact", "name": MODEL_HEADER, "value": plan.row["model"]}]}],
        "timeouts": {"request": "3600s", "backendRequest": "3600s"},
        "backendRefs": [{"group": GROUP, "kind": "InferencePool", "name": plan.name}],
    }
    spec = {"parentRefs": [{"name": "inference", "namespace": plan.gateways}], "rules": [rule]}
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": plan.about(),
        "spec": spec,
    }
