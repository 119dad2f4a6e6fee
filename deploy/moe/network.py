"""Who reaches an engine, and whom it reaches: the gateways and Prometheus in, nobody but its own group out."""

from __future__ import annotations

from deploy.moe.options import PORT
from deploy.moe.plan import DOWNLOAD, Manifest, Plan

_DNS: Manifest = {
    "to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}}],
    "ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}],
}
_OPERATOR = {"namespaceSelector": {}, "podSelector": {"matchLabels": {"app.kubernetes.io/name": "kuberay-operator"}}}


def policies(plan: Plan) -> list[Manifest]:
    """Give the policies of one model."""
    return [
        _policy(plan, "deny", plan.everything(), {"policyTypes": ["Ingress", "Egress"]}),
        _policy(plan, "engine", plan.engines(), _engines(plan)),
        _policy(plan, "download", {"matchLabels": plan.labels(DOWNLOAD)}, _download()),
    ]


def _policy(plan: Plan, suffix: str, pods: Manifest, rules: Manifest) -> Manifest:
    spec = {"podSelector": pods, **rules}
    about = plan.about(suffix)
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": about, "spec": spec}


def _engines(plan: Plan) -> Manifest:
    # All ports within the group: NCCL, Gloo, ZeroMQ and Ray take what is free.
    group = {"podSelector": plan.engines()}
    ingress: list[Manifest] = [{"from": _askers(plan), "ports": [_tcp(PORT)]}, {"from": [group]}]
    if plan.on_ray:
        ingress.append({"from": [_OPERATOR], "ports": [_tcp(PORT), _tcp(8265)]})
        ingress.append({"from": [group], "ports": [_tcp(6379)]})
    return {"policyTypes": ["Ingress", "Egress"], "ingress": ingress, "egress": [_DNS, {"to": [group]}]}


def _askers(plan: Plan) -> list[Manifest]:
    gateways = {**_namespace(plan.clients), "podSelector": {"matchLabels": {"app.kubernetes.io/name": "thalamus"}}}
    askers = [gateways, _namespace(plan.monitoring)]
    if plan.pool:  # the Gateway's proxies bring the requests; the picker reads the engines' metrics
        picker = {"podSelector": {"matchLabels": {"llm-d-router-gateway": f"{plan.name}-epp"}}}
        askers += [_namespace(plan.gateways), picker]
    return askers


def _download() -> Manifest:
    anywhere = {"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}, {"ipBlock": {"cidr": "::/0"}}], "ports": [_tcp(443)]}
    return {"policyTypes": ["Egress"], "egress": [_DNS, anywhere]}


def _namespace(name: str) -> Manifest:
    return {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}


def _tcp(port: int) -> Manifest:
    return {"protocol": "TCP", "port": port}
