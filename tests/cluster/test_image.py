"""The image's install steps, replayed into a clean prefix; and the compose file, as far as it can be read."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from tests.gateway.serving import ROOT

IMAGE = ROOT / "deploy" / "image"
COMPOSE = ROOT / "deploy" / "compose"
MOST_MB = 350
BASE_MB = 125
"""python:3.12-slim-bookworm, uncompressed, (recalled, not measured)."""


@pytest.fixture(scope="module")
def prefix(tmp_path_factory):
    folder = tmp_path_factory.mktemp("image") / "opt"
    environment = {
        **os.environ,
        "PIP": f"{sys.executable} -m pip",
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
    }
    done = subprocess.run(
        ["sh", IMAGE / "install.sh", folder], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode and re.search(
        "No matching distribution|ConnectionError|Could not fetch|Temporary failure", done.stderr
    ):
        pytest.skip(f"NOT CHECKED: the registry could not be reached: {done.stderr[-200:]}")
    assert done.returncode == 0, done.stderr[-2000:]
    return folder


def _megabytes(folder):
    return sum(p.lstat().st_blocks * 512 for p in folder.rglob("*")) / 1e6


def test_what_is_installed_starts_in_a_bare_environment_with_nothing_writable(prefix, tmp_path, standin):
    config = tmp_path / "thalamus.yaml"
    config.write_text(
        f"server: {{port: 0, notice_s: 0}}\nbackends: {{swift: {{url: '{standin.url}/v1', model: m}}}}\n"
        "tiers: {fast: swift, deep: swift}\nledger: {path: " + str(tmp_path / "usage.db") + "}\n"
    )
    began = time.monotonic()
    command = [prefix / "bin" / "thalamus", "serve", "--config", config]
    bare = {"LANG": "C", "PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"}
    log = tmp_path / "log"
    with log.open("wb") as out, subprocess.Popen(command, cwd=tmp_path, env=bare, stdout=out, stderr=out) as process:
        try:
            while "Thalamus" not in log.read_text() and time.monotonic() < began + 60:
                assert process.poll() is None, log.read_text()
                time.sleep(0.02)
            print(f"says where it listens after {time.monotonic() - began:.1f} s")
        finally:
            process.terminate()
    assert "http://" in log.read_text()
    assert process.returncode == 0


def test_it_fits_has_the_bundles_and_neither_compiler_nor_pip(prefix):
    total = BASE_MB + _megabytes(prefix)
    print(f"{total:.0f} MB, of which {BASE_MB} are the base image's")
    assert total < MOST_MB, f"{total:.0f} MB"
    assert list(prefix.rglob("bundles/reflex-v1/*.onnx"))
    assert not [p.name for p in prefix.rglob("*") if p.name in {"gcc", "cc", "pip", "litellm", "xllamacpp", "pytest"}]


def test_the_dockerfile_runs_the_same_steps_as_a_user_without_rights():
    words = (IMAGE / "Dockerfile").read_text()
    images = re.findall(r"^FROM (\S+)", words, re.MULTILINE)
    assert all(re.search(r":\d+\.\d+\.\d+", image) for image in images)
    last = words.rpartition("FROM ")[2]
    assert "deploy/image/install.sh /opt/thalamus" in words
    assert "USER 10001:10001" in last
    assert "HEALTHCHECK" in last
    assert "apt-get" not in last
    for copied in re.findall(r"^COPY (?!--from)(.+) \S+$", words, re.MULTILINE):
        assert all((ROOT / source).exists() for source in copied.split())


def test_compose_mounts_what_is_there_and_hardens_what_it_can(tmp_path, monkeypatch):
    compose = yaml.safe_load((COMPOSE / "compose.yaml").read_text())
    assert {"gateway", "redis", "prometheus", "alertmanager", "grafana"} == set(compose["services"])
    for name, service in compose["services"].items():
        assert re.search(r":v?\d+\.\d+", service["image"]), name
        assert "no-new-privileges:true" in service["security_opt"]
        for mount in service.get("volumes", []):
            source = mount.split(":")[0]
            if source.startswith("../"):
                assert (COMPOSE / source).is_dir(), mount
            if source.startswith("./"):
                assert (COMPOSE / source).is_file(), mount
    grace = int(compose["services"]["gateway"]["stop_grace_period"].removesuffix("s"))
    from gateway.settings import load_settings

    monkeypatch.setenv("THALAMUS_FIRST_KEY", "of-the-test-0123456789")
    monkeypatch.setenv("REDIS_PASSWORD", "of-the-test")
    settings = load_settings(COMPOSE / "thalamus.yaml")
    assert grace > settings.server.notice_s + settings.server.drain_s


ADDRESSES = {
    "thalamus.yaml": ("gateway", r"@([a-z]+):6379"),
    "prometheus.yaml": ("prometheus", r"\[([a-z]+):\d+\]"),
    "grafana/datasources.yaml": ("grafana", r"http://([a-z]+):9090"),
}


@pytest.mark.parametrize(("file", "service", "address"), [(f, *rest) for f, rest in ADDRESSES.items()], ids=ADDRESSES)
def test_what_compose_names_is_there_and_on_a_network_of_both(file, service, address):
    compose = yaml.safe_load((COMPOSE / "compose.yaml").read_text())
    services = compose["services"]
    named = re.findall(address, (COMPOSE / file).read_text())
    assert named
    for other in named:
        assert set(services[service]["networks"]) & set(services[other]["networks"]), f"{service} to {other}"
    for one in services.values():
        assert set(one["networks"]) <= compose["networks"].keys()
        kept = {mount.split(":")[0] for mount in one.get("volumes", [])}
        assert {source for source in kept if not source.startswith(".")} <= compose["volumes"].keys()


def test_grafana_is_given_the_dashboards_and_the_source_that_they_ask_for():
    compose = yaml.safe_load((COMPOSE / "compose.yaml").read_text())
    places = dict(mount.split(":")[:2] for mount in compose["services"]["grafana"]["volumes"])
    [provider] = yaml.safe_load((COMPOSE / "grafana" / "dashboards.yaml").read_text())["providers"]
    assert places["../../dashboards/generated"] == provider["options"]["path"]
    [source] = yaml.safe_load((COMPOSE / "grafana" / "datasources.yaml").read_text())["datasources"]
    for path in (ROOT / "dashboards" / "generated").glob("*.json"):
        [variable] = [v for v in json.loads(path.read_text())["templating"]["list"] if v["type"] == "datasource"]
        assert variable["query"] == source["type"], path


def test_each_variant_of_the_image_has_a_lock_that_make_lock_writes():
    written = re.findall(r"--output-file (requirements/image\S*\.lock)", (ROOT / "Makefile").read_text())
    used = re.findall(r"lock=(\S+)", (IMAGE / "install.sh").read_text())
    assert sorted(written) == sorted(used)
    assert all((ROOT / lock).is_file() for lock in used)


@pytest.mark.parametrize(("tool", "file"), [("promtool", "prometheus.yaml"), ("amtool", "alertmanager.yaml")])
def test_prometheus_and_alertmanager_accept_their_files(tool, file):
    check = "check-config" if tool == "amtool" else "check"
    command = [tool, check, *(["config", "--syntax-only"] if tool == "promtool" else []), COMPOSE / file]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip(f"NOT CHECKED: no {tool} on this machine")
    assert done.returncode == 0, done.stdout + done.stderr
