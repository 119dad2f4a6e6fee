"""What every rendered manifest keeps to besides being valid. Checks give sentences, and none where all is well."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
from kubernetes_validate.utils import schema_contents
from referencing import Registry, Resource

from deploy.rendering import Manifest, identity

SCHEMAS = Path(__file__).parent / "schemas"
KUBERNETES = "1.31"
_CORE = f"kubernetes-json-schema/v{KUBERNETES}.0-local-strict"
EXCUSED = "policies.thalamus"
"""A pod's annotation `policies.thalamus/root` or `/probes` says why it cannot keep to that."""
_METRIC = re.compile(r"\b(thalamus_[a-z0-9_]+)")
_SUFFIXES = ("_bucket", "_sum", "_count", "_created")


def check(manifests: list[Manifest], metrics: Iterable[str] = ()) -> list[str]:
    """Give everything that is wrong with a rendered tree. `metrics` are the names that the gateway exports."""
    faults: list[str] = [fault for one in manifests for fault in check_form(one)]
    faults += [f"{_name(one)}: {fault}" for one in manifests for fault in _check_pod(one)]
    faults += _check_network(manifests)
    faults += _check_budgets(manifests)
    faults += _check_monitors(manifests)
    return [*faults, *_check_metrics(manifests, set(metrics))]


def pods_of(manifest: Manifest) -> list[Manifest]:
    """Give the pod templates of a workload."""
    spec = manifest.get("spec", {})
    match manifest["kind"]:
        case "CronJob":
            return [spec["jobTemplate"]["spec"]["template"]]
        case "LeaderWorkerSet":
            return [spec["leaderWorkerTemplate"][f"{role}Template"] for role in ("leader", "worker")]
        case "RayService":
            groups = [spec["rayClusterConfig"]["headGroupSpec"], *spec["rayClusterConfig"]["workerGroupSpecs"]]
            return [group["template"] for group in groups]
    template = spec.get("template")
    return [template] if template and "spec" in template else []


def _name(manifest: Manifest) -> str:
    return "/".join(identity(manifest))


def check_form(manifest: Manifest) -> Iterator[str]:
    """Check one manifest against Kubernetes' own schema, or ours for a custom resource."""
    if (validator := _own_validator(manifest["kind"])) is not None:
        for error in validator.iter_errors(manifest):
            yield f"{_name(manifest)}: {error.json_path}: {error.message}"
        for template in pods_of(manifest):  # ours say nothing of pods
            yield from _check_core({"apiVersion": "v1", "kind": "Pod", **template}, _name(manifest))
        return
    yield from _check_core(manifest, _name(manifest))


@cache
def _own_validator(kind: str) -> jsonschema.protocols.Validator | None:
    schema = SCHEMAS / f"{kind}.json"
    return jsonschema.Draft202012Validator(json.loads(schema.read_text())) if schema.is_file() else None


def _check_core(manifest: Manifest, name: str) -> Iterator[str]:
    group, _, version = manifest["apiVersion"].rpartition("/")
    place = "-".join(word for word in (manifest["kind"].lower(), group.partition(".")[0], version) if word)
    try:
        errors = _core_validator(place).iter_errors(manifest)
    except FileNotFoundError:
        yield f"{name}: neither Kubernetes {KUBERNETES} nor {SCHEMAS} has a schema of {place}"
        return
    yield from (f"{name}: {error.json_path}: {error.message}" for error in errors)


@cache
def _core_validator(place: str) -> jsonschema.protocols.Validator:
    """Give what `kubernetes-validate --strict` checks with; it reads megabytes for every manifest, this once."""
    schema = schema_contents(f"{_CORE}/{place}.json", KUBERNETES)
    registry = Resource.from_contents(schema) @ _definitions()
    return jsonschema.Draft202012Validator(schema, registry=registry)


@cache
def _definitions() -> Registry[Any]:
    return Resource.from_contents(schema_contents(f"{_CORE}/_definitions.json", KUBERNETES)) @ Registry()


def _check_pod(manifest: Manifest) -> Iterator[str]:
    if manifest["kind"] == "ServiceAccount" and manifest.get("automountServiceAccountToken") is not False:
        yield "gives its pods a token"
    for template in pods_of(manifest):
        yield from _check_template(template, runs_on=manifest["kind"] not in {"CronJob", "Job"})


def _check_template(template: Manifest, *, runs_on: bool) -> Iterator[str]:
    pod, notes = template["spec"], template.get("metadata", {}).get("annotations", {})
    if pod.get("automountServiceAccountToken") is not False:
        yield "mounts a token of its service account"
    security = pod.get("securityContext", {})
    if not security.get("runAsNonRoot") and f"{EXCUSED}/root" not in notes:
        yield "may run as root"
    if security.get("seccompProfile") != {"type": "RuntimeDefault"}:
        yield "runs without seccomp's default"
    for container in pod["containers"]:
        probed = not runs_on or f"{EXCUSED}/probes" in notes or _is_probed(container)
        yield from (f"{container['name']} {fault}" for fault in ([] if probed else ["lacks a probe"]))
    for container in [*pod["containers"], *pod.get("initContainers", [])]:
        yield from (f"{container['name']} {fault}" for fault in _check_container(container))


def _is_probed(container: dict[str, Any]) -> bool:
    return all(f"{probe}Probe" in container for probe in ("startup", "readiness", "liveness"))


def _check_container(container: dict[str, Any]) -> Iterator[str]:
    own = container.get("securityContext", {})
    if own.get("readOnlyRootFilesystem") is not True or own.get("allowPrivilegeEscalation") is not False:
        yield "can write to its root file system, or gain privileges"
    if own.get("capabilities") != {"drop": ["ALL"]}:
        yield "keeps capabilities"
    _, _, tag = container["image"].rpartition(":")
    if "/" in tag or tag == "latest" or ":" not in container["image"]:
        yield "has an image without a fixed tag"
    resources = container.get("resources", {})
    if any({"cpu", "memory"} - resources.get(side, {}).keys() for side in ("requests", "limits")):
        yield "has no requests or limits"
    for variable in container.get("env", []):
        if re.search("KEY|PASSWORD|TOKEN|SECRET", variable["name"]) and "value" in variable:
            yield f"has {variable['name']} written out"


def _selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    by_label = all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())
    by_rule = all(labels.get(rule["key"]) in rule["values"] for rule in selector.get("matchExpressions", []))
    return by_label and by_rule


def _workloads(manifests: list[Manifest]) -> Iterator[tuple[Manifest, dict[str, str]]]:
    for one in manifests:
        yield from ((one, template["metadata"]["labels"]) for template in pods_of(one))


def _check_network(manifests: list[Manifest]) -> Iterator[str]:
    policies = [one["spec"] for one in manifests if one["kind"] == "NetworkPolicy"]
    for workload, template in ((one, template) for one in manifests for template in pods_of(one)):
        ours = [one for one in policies if _selects(one["podSelector"], template["metadata"]["labels"])]
        if not any(set(one["policyTypes"]) == {"Ingress", "Egress"} and not one.get("ingress") for one in ours):
            yield f"{_name(workload)}: no NetworkPolicy denies by default"
        rules = [rule for one in ours for rule in one.get("ingress", [])]
        allowed = {port["port"] for rule in rules for port in rule.get("ports", [])}
        for container in template["spec"]["containers"]:
            for port in container.get("ports", []):
                if not {port.get("name"), port["containerPort"]} & allowed:
                    yield f"{_name(workload)}: no NetworkPolicy lets anybody reach port {port['containerPort']}"


def _check_budgets(manifests: list[Manifest]) -> Iterator[str]:
    budgets = [one for one in manifests if one["kind"] == "PodDisruptionBudget"]
    floors = {
        one["spec"]["scaleTargetRef"]["name"]: one["spec"].get("minReplicas", one["spec"].get("minReplicaCount", 1))
        for one in manifests
        if one["kind"] in {"HorizontalPodAutoscaler", "ScaledObject"}
    }
    for workload, labels in _workloads(manifests):
        if workload["kind"] != "Deployment" or labels["app.kubernetes.io/component"] == "canary":
            continue
        least = workload["spec"].get("replicas", floors.get(workload["metadata"]["name"], 1))
        found = [one["spec"] for one in budgets if _selects(one["spec"]["selector"], labels)]
        if least > 1 and not found:
            yield f"{_name(workload)}: {least} replicas and no PodDisruptionBudget"
        if any(one.get("maxUnavailable", 0) >= least for one in found):
            yield f"{_name(workload)}: its PodDisruptionBudget lets all replicas be taken away"


def _check_monitors(manifests: list[Manifest]) -> Iterator[str]:
    for one in manifests:
        spec = one.get("spec", {})
        if one["kind"] == "ServiceMonitor":
            services = [
                s for s in manifests if s["kind"] == "Service" and _selects(spec["selector"], s["metadata"]["labels"])
            ]
            ports = [{port["name"] for port in s["spec"]["ports"]} for s in services]
            if not services or any(end["port"] not in names for end in spec["endpoints"] for names in ports):
                yield f"{_name(one)}: selects no Service with its port"
        if one["kind"] == "PodMonitor" and not any(
            _selects(spec["selector"], labels) for _, labels in _workloads(manifests)
        ):
            yield f"{_name(one)}: selects no pod"
        if one["kind"] == "Service" and not any(
            _selects({"matchLabels": spec["selector"]}, labels) for _, labels in _workloads(manifests)
        ):
            yield f"{_name(one)}: selects no pod"


def _check_metrics(manifests: list[Manifest], known: set[str]) -> Iterator[str]:
    texts = [
        (_name(one), trigger["metadata"]["query"])
        for one in manifests
        if one["kind"] == "ScaledObject"
        for trigger in one["spec"]["triggers"]
    ]
    texts += [
        (_name(one), metric["pods"]["metric"]["name"])
        for one in manifests
        if one["kind"] == "HorizontalPodAutoscaler"
        for metric in one["spec"]["metrics"]
    ]
    texts += [
        (_name(one), rule["expr"])
        for one in manifests
        if one["kind"] == "PrometheusRule"
        for group in one["spec"]["groups"]
        for rule in group["rules"]
    ]
    for name, text in texts:
        for metric in _METRIC.findall(text):
            stem = next((metric.removesuffix(end) for end in _SUFFIXES if metric.endswith(end)), metric)
            if known and not {metric, stem} & known:
                yield f"{name}: the gateway exports no {metric}"
