"""MoE backends: the table of memory by hand, and manifests that keep to the policies of everything else."""

from __future__ import annotations

import copy
import re
import zipfile

import pytest
import yaml

from deploy import policies, rendering
from deploy.moe import kuberay, lookup, manifests, options, pool, scaling, size
from deploy.moe.plan import ENGINES, Plan, PlanError
from gateway.settings import load_settings

SEVERAL = [name for name, row in size.models().items() if row["nodes"] > 1]
WIDE = [name for name, row in size.models().items() if size.is_wide(row)]
WAYS = {
    "alone": {},
    "hpa": {"scale": "hpa"},
    "keda behind a pool": {"scale": "keda", "pool": True},
    "monitored": {"monitor": True, "namespace": "models", "clients": "edge"},
}


def _found(plan):
    return rendering.by_identity(manifests.manifests(plan))


def _templates(plan):
    return [pod for one in manifests.manifests(plan) for pod in policies.pods_of(one)]


def test_the_latent_of_mla_is_whole_on_each_rank_and_grouped_heads_are_divided():
    v3, glm = size.models()["deepseek-v31"], size.models()["glm-45"]
    assert size.kv_bytes_per_token(v3, 8) == 61 * (512 + 64) * 2
    assert size.kv_bytes_per_token(v3, 8) == size.kv_bytes_per_token(v3, 1)
    assert size.kv_bytes_per_token(glm, 8) == 2 * 92 * 1 * 128 * 2
    assert size.kv_bytes_per_token(glm, 16) == size.kv_bytes_per_token(glm, 8)


def test_a_wide_group_divides_experts_and_requests_and_keeps_the_rest_whole():
    row = size.models()["deepseek-v31-wide"]
    experts = 256 * 58 * 3 * 7168 * 2048 / 1e9
    found = size.size(row, context=1000, concurrency=16)
    assert found["weights_gb"] == round(experts / 16 + 689 - experts, 1)
    assert size.size(row, context=1_000_000, concurrency=16)["kv_gb"] == round(61 * 576 * 2 * 1_000_000 / 1e9, 1)


@pytest.mark.parametrize("name", size.models())
def test_what_is_proposed_fits_and_much_more_does_not(name):
    row = size.models()[name]
    assert size.size(row)["fits"], size.size(row)
    assert not size.size(row, concurrency=row["concurrency"] * 20)["fits"]


@pytest.mark.parametrize("name", size.models())
def test_the_weights_are_what_the_quantisation_and_the_experts_say(name):
    row = size.models()[name]
    bits = row["weights_gb"] * 8 / row["total_b"]
    low, high = {"fp8": (7.5, 9), "int4": (4, 5), "mxfp4": (4, 5), "bf16": (15.5, 16.5)}[row["quantisation"].split()[0]]
    assert low < bits < high
    if (
        "experts" in row
    ):  # the rest is attention, the shared expert, embeddings and the layer that predicts further tokens
        assert 10 < row["weights_gb"] - size.experts_gb(row) < 40


def test_the_readme_shows_the_table_that_is_computed():
    table = size.table([size.size(row) for row in size.models().values()])
    assert table in size.MODELS.with_name("README.md").read_text(encoding="utf-8"), "python -m deploy.moe.size"


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", size.models())
def test_every_model_keeps_to_the_policies_on_each_engine(name, engine, way):
    found = manifests.manifests(Plan(name, engine, **way))
    assert policies.check(found) == []
    assert found[0]["kind"] == ("LeaderWorkerSet" if name in SEVERAL else "Deployment")


@pytest.mark.parametrize("name", [name for name in SEVERAL if name not in WIDE])
def test_ray_serves_a_model_of_several_nodes_with_the_same_options(name):
    plan = Plan(name, "vllm", group="kuberay", monitor=True)
    found = _found(plan)
    assert policies.check(list(found.values())) == []
    cluster = found["RayService", name]["spec"]["rayClusterConfig"]
    [workers] = cluster["workerGroupSpecs"]
    assert found["PodDisruptionBudget", name]["spec"]["minAvailable"] == workers["replicas"] + 1
    [config] = kuberay.serving(plan)["applications"][0]["args"]["llm_configs"]
    words = options.command(plan.row, "vllm")
    for keyword, value in config["engine_kwargs"].items():
        flag = f"--{keyword.replace('_', '-')}"
        assert flag in words if value is True else words[words.index(flag) + 1] == str(value)


REFUSED = {
    "another engine on ray": ({"name": "kimi-k2-instruct", "engine": "sglang", "group": "kuberay"}, "take vllm"),
    "a wide group on ray": ({"name": WIDE[0], "engine": "vllm", "group": "kuberay"}, "--group lws"),
    "a scaler beside ray's": (
        {"name": "kimi-k2-instruct", "engine": "vllm", "group": "kuberay", "scale": "hpa"},
        "go with --group lws",
    ),
    "no replica": ({"name": "qwen3-8b", "engine": "vllm", "most": 0}, "at least one"),
}


@pytest.mark.parametrize(("wishes", "words"), REFUSED.values(), ids=REFUSED)
def test_wishes_that_do_not_go_together_are_refused_with_what_does(wishes, words):
    with pytest.raises(PlanError, match=words):
        Plan(**wishes)


@pytest.mark.parametrize("engine", ENGINES)
def test_an_undocumented_option_value_is_refused(engine):
    row = size.models()["kimi-k2-thinking"]
    wrong = {**row, engine: {**row[engine], "tool": "kimi_k3000"}}
    with pytest.raises(options.UnknownFlagError):
        options.command(wrong, engine)


def test_nodes_behind_the_first_say_so_and_nothing_else():
    row = size.models()["kimi-k2-instruct"]
    first, second = options.command(row, "vllm"), options.command(row, "vllm", leads=False)
    assert [word for word in second if word not in first] == ["--headless"]
    assert options.command(row, "sglang") == options.command(row, "sglang", leads=False)


@pytest.mark.parametrize("name", WIDE)
def test_a_wide_group_gives_each_gpu_its_own_requests(name):
    row = size.models()[name]
    gpus = str(row["gpus"] * row["nodes"])
    words = options.command(row, "vllm")
    assert words[words.index("--data-parallel-size") + 1] == gpus
    assert "--enable-expert-parallel" in words
    assert "--pipeline-parallel-size" not in words
    words = options.command(row, "sglang")
    assert {words[words.index(flag) + 1] for flag in ("--tp-size", "--attn-dp-size", "--ep-size")} == {gpus}


def test_only_the_download_may_write_weights_and_go_out_for_them():
    found = _found(Plan("kimi-k2-instruct", "sglang"))
    writers = [
        template["metadata"]["labels"]["app.kubernetes.io/component"]
        for template in _templates(Plan("kimi-k2-instruct", "sglang"))
        for container in [*template["spec"]["containers"], *template["spec"].get("initContainers", [])]
        for mount in container["volumeMounts"]
        if mount["name"] == "weights" and not mount.get("readOnly")
    ]
    assert writers == ["download"]
    out = found["NetworkPolicy", "kimi-k2-instruct-engine"]["spec"]["egress"]
    assert all("ipBlock" not in peer for rule in out for peer in rule["to"])
    assert "ingress" not in found["NetworkPolicy", "kimi-k2-instruct-download"]["spec"]


EXCUSES = {
    "root": ("sglang", "policies.thalamus/root", "may run as root"),
    "probes": ("vllm", "policies.thalamus/probes", "lacks a probe"),
}


@pytest.mark.parametrize(("engine", "note", "fault"), EXCUSES.values(), ids=EXCUSES)
def test_what_an_image_cannot_keep_to_is_written_on_the_pod_or_is_a_fault(engine, note, fault):
    found = copy.deepcopy(manifests.manifests(Plan("kimi-k2-instruct", engine)))
    for template in policies.pods_of(found[0]):
        template["metadata"].get("annotations", {}).pop(note, None)
    assert any(fault in one for one in policies.check(found))


def test_an_engine_without_its_policies_and_a_misspelt_pod_of_a_group_are_found():
    found = copy.deepcopy(manifests.manifests(Plan("kimi-k2-instruct", "vllm")))
    faults = policies.check([one for one in found if one["kind"] != "NetworkPolicy"])
    assert any("denies by default" in fault for fault in faults)
    policies.pods_of(found[0])[1]["spec"]["containres"] = []
    assert any("containres" in fault for fault in policies.check(found))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", ["kimi-k2-instruct", "qwen3-8b"])
def test_whole_replicas_are_scaled_by_a_metric_that_the_engine_has(name, engine):
    hpa = _found(Plan(name, engine, scale="hpa"))["HorizontalPodAutoscaler", name]["spec"]
    keda = _found(Plan(name, engine, scale="keda"))["ScaledObject", name]["spec"]
    workload = manifests.manifests(Plan(name, engine, scale="hpa"))[0]
    assert hpa["scaleTargetRef"] == keda["scaleTargetRef"]
    assert hpa["scaleTargetRef"] == {"apiVersion": workload["apiVersion"], "kind": workload["kind"], "name": name}
    assert "replicas" not in workload["spec"]
    metric = options.documented()[engine]["metrics"]["waiting"]
    assert (
        keda["triggers"][0]["metadata"]["query"] == f'sum({metric}{{namespace="moe",app_kubernetes_io_name="{name}"}})'
    )
    kept = _found(Plan(name, engine, scale="keda"))["PodMonitor", name]["spec"]["podTargetLabels"]
    assert kept == ["app.kubernetes.io/name"]
    adapter = yaml.safe_load(options.FLAGS.with_name("adapter.yaml").read_text())["rules"]["custom"]
    served = {rule["name"]["as"]: rule["seriesQuery"].partition("{")[0] for rule in adapter}
    assert served[hpa["metrics"][0]["pods"]["metric"]["name"]] == metric
    assert scaling.adapted(metric) in served


def test_a_pool_has_those_that_answer_and_thalamus_the_headers_that_lead_there(tmp_path):
    plan = Plan("kimi-k2-instruct", "vllm", pool=True)
    found = _found(plan)
    chosen = found["InferencePool", plan.name]["spec"]["selector"]["matchLabels"].items()
    leader, worker = policies.pods_of(found["LeaderWorkerSet", plan.name])
    assert chosen <= leader["metadata"]["labels"].items()
    assert not chosen <= worker["metadata"]["labels"].items()
    [rule] = found["HTTPRoute", plan.name]["spec"]["rules"]
    assert rule["backendRefs"] == [{"group": pool.GROUP, "kind": "InferencePool", "name": plan.name}]
    assert found["InferenceObjective", plan.name]["spec"]["poolRef"]["name"] == plan.name

    backends = {plan.name: pool.backend(plan), "swift": pool.backend(Plan("qwen3-8b", "sglang"))}
    settings = {"backends": backends, "tiers": {"fast": "swift", "deep": plan.name}}
    (tmp_path / "thalamus.yaml").write_text(yaml.safe_dump(settings))
    backend = load_settings(tmp_path / "thalamus.yaml").backends[plan.name]
    [match] = rule["matches"][0]["headers"]
    headers = {name: value.get_secret_value() for name, value in backend.headers.items()}
    assert headers[match["name"]] == match["value"]
    assert ("InferenceObjective", headers[pool.OBJECTIVE_HEADER]) in found
    assert backend.balance.session_header == pool.SESSION_HEADER


def test_the_command_prints_manifests_or_says_in_a_line_why_not(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["manifests", "qwen3-8b", "vllm", "--scale", "keda"])
    manifests.main()
    printed = list(yaml.safe_load_all(capsys.readouterr().out))
    assert printed == manifests.manifests(Plan("qwen3-8b", "vllm", scale="keda"))
    monkeypatch.setattr("sys.argv", ["manifests", WIDE[0], "vllm", "--group", "kuberay"])
    with pytest.raises(SystemExit, match=rf"^{WIDE[0]}: a wide group"):
        manifests.main()


def test_a_look_up_finds_what_an_engine_no_longer_has(tmp_path):
    wheel = tmp_path / "engine.whl"
    with zipfile.ZipFile(wheel, "w") as files:
        files.writestr("engine/server_args.py", 'class Args:\n    tp_size: int = 1\nadd("--tool-call-parser")\n')
        files.writestr("engine/function_call/register.py", 'REGISTER = {"glm45": Glm}\n')
        files.writestr("engine/observability/collect.py", 'Gauge(name="engine:waiting")\n')
    flags = {"--tp-size": "integer", "--pp-size": "integer", "--tool-call-parser": ["glm45", "kimi"]}
    engine = {"flags": flags, "metrics": {"waiting": "engine:waiting", "running": "engine:running"}}
    assert list(lookup.missing(wheel, engine)) == ["--pp-size", "--tool-call-parser kimi", "engine:running"]


def test_engines_are_pinned_to_the_version_that_was_looked_up():
    for name, engine in options.documented().items():
        version = engine["version"]
        assert re.search(rf":v?{re.escape(version)}(-|$)", engine["image"]), name
        assert name == "ray" or engine["wheel"].endswith(f"=={version}")
