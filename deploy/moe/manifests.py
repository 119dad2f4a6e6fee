"""Manifests of a model on an engine: `python -m deploy.moe.manifests kimi-k2-thinking vllm | kubectl apply -f -`.

A model of one node is a Deployment, of several a LeaderWorkerSet or a RayService; beside it are a Service, a claim for
the weights and the job that fills it, a budget and network policies. Nothing was run on GPUs: shapes, options and
manifests are checked, speed is not.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import fields

import yaml

from deploy.moe import kuberay, network, pool, scaling
from deploy.moe.options import command, documented
from deploy.moe.plan import DOWNLOAD, ENGINES, GROUPS, SCALERS, Manifest, Plan, PlanError
from deploy.moe.pods import READY, engine_pod, locked, security
from deploy.moe.size import models
from deploy.rendering import Readable


def manifests(plan: Plan) -> list[Manifest]:
    """Give everything that one model needs."""
    found = [_workload(plan), _claim(plan), _download(plan), _budget(plan), *network.policies(plan)]
    if not plan.on_ray:  # KubeRay makes NAME-serve-svc
        found.append(_service(plan))
    if plan.monitor or plan.scale != "none":
        found.append(scaling.monitor(plan))
    if plan.scale != "none":
        found.append(scaling.scaler(plan))
    return found + (pool.manifests(plan) if plan.pool else [])


def _workload(plan: Plan) -> Manifest:
    if plan.on_ray:
        return kuberay.service(plan)
    replicas = {} if plan.scale != "none" else {"replicas": 1}  # else each `apply` would undo what was scaled
    leader = engine_pod(plan, command(plan.row, plan.engine))
    if not plan.several:
        spec = {
            **replicas,
            "strategy": {"type": "Recreate"},  # there is no second set of GPUs to roll onto
            "selector": {"matchLabels": plan.labels()},
            "template": leader,
        }
        return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": plan.about(), "spec": spec}
    group = {
        "size": plan.row["nodes"],
        "restartPolicy": "RecreateGroupOnPodRestart",
        "leaderTemplate": leader,
        "workerTemplate": engine_pod(plan, command(plan.row, plan.engine, leads=False), leads=False),
    }
    spec = {**replicas, "leaderWorkerTemplate": group}
    about = plan.about()
    return {"apiVersion": "leaderworkerset.x-k8s.io/v1", "kind": "LeaderWorkerSet", "metadata": about, "spec": spec}


def _service(plan: Plan) -> Manifest:
    port = {"name": "http", "port": 8000, "targetPort": "http"}
    spec = {"selector": plan.labels(), "ports": [port]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": plan.about(), "spec": spec}


def _claim(plan: Plan) -> Manifest:
    spec = {
        "accessModes": ["ReadWriteMany"],
        "resources": {"requests": {"storage": f"{int(plan.row['weights_gb'] * 1.2) + 10}Gi"}},
    }
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": plan.about("weights"),
        "spec": spec,
    }


def _download(plan: Plan) -> Manifest:
    """Give the job that fills the claim: the only pod that may write to it, and to go out for it."""
    own = documented()["vllm"]
    script = f'hf download "{plan.row["model"]}" && touch {READY}'
    container = {
        **locked("download", own["image"], ["sh", "-c", script]),
        "env": [{"name": "HF_HOME", "value": "/weights"}, {"name": "HOME", "value": "/tmp"}],  # noqa: S108
        # HF_TOKEN, for models behind a licence.
        "envFrom": [{"secretRef": {"name": "huggingface", "optional": True}}],
        "volumeMounts": [{"name": "weights", "mountPath": "/weights"}, {"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108
    }
    pod = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "restartPolicy": "OnFailure",
        "securityContext": security(own),
        "containers": [container],
        "volumes": [
            {"name": "weights", "persistentVolumeClaim": {"claimName": f"{plan.name}-weights"}},
            {"name": "tmp", "emptyDir": {"sizeLimit": "16Gi"}},
        ],
    }
    template = {"metadata": {"labels": plan.labels(DOWNLOAD)}, "spec": pod}
    about, spec = plan.about("download", DOWNLOAD), {"backoffLimit": 10, "template": template}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": about, "spec": spec}


def _budget(plan: Plan) -> Manifest:
    """Give what keeps a node's drain from ending an engine: whoever wants that moves it first."""
    # Pods of a RayCluster have no scale from which a share could be reckoned: all of them, then.
    least = {"minAvailable": plan.row["nodes"] + 1} if plan.on_ray else {"maxUnavailable": 0}
    spec = {**least, "selector": plan.engines()}
    return {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": plan.about(), "spec": spec}


def main() -> None:
    """Print the manifests, or with --backend what thalamus.yaml says of them."""
    asked = vars(_parser().parse_args())
    try:
        plan = Plan(**{part.name: asked[part.name] for part in fields(Plan)})
    except PlanError as error:
        sys.exit(f"{asked['name']}: {error}")
    if asked["backend"]:
        yaml.safe_dump({"backends": {plan.name: pool.backend(plan)}}, sys.stdout, sort_keys=False)
    else:
        yaml.dump_all(manifests(plan), sys.stdout, Dumper=Readable, sort_keys=False, width=120)


def _parser() -> argparse.ArgumentParser:
    usual = {part.name: part.default for part in fields(Plan)}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("name", metavar="MODEL", choices=list(models()), help=", ".join(models()))
    parser.add_argument("engine", choices=ENGINES)
    parser.add_argument("--group", choices=GROUPS, default=usual["group"], help="what runs models of several nodes")
    parser.add_argument("--scale", choices=SCALERS, default=usual["scale"], help="by what waits; watches it too")
    parser.add_argument("--most", type=int, default=usual["most"], help="replicas")
    parser.add_argument("--monitor", action="store_true", help="a PodMonitor")
    parser.add_argument("--pool", action="store_true", help="InferencePool, InferenceObjective and HTTPRoute")
    parser.add_argument("--backend", action="store_true", help="print what thalamus.yaml says of it instead")
    for place in ("namespace", "clients", "monitoring", "gateways"):
        parser.add_argument(f"--{place}", default=usual[place], help="a namespace")
    parser.add_argument("--prometheus", default=usual["prometheus"], help="where KEDA asks")
    return parser


if __name__ == "__main__":
    main()
