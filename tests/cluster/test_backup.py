"""The own Redis is dumped by the chart's job, and comes back from a dump that is laid beside its data."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from deploy import rendering, tools
from tests.cluster.rehearsal import PASSWORD, free_port, redis_command, wait_for_port

_ENVIRONMENT = {"PATH": os.environ["PATH"], "REDIS_PASSWORD": PASSWORD, "REDISCLI_AUTH": PASSWORD}


@pytest.fixture(scope="module")
def rendered():
    if not shutil.which("redis-server"):
        pytest.skip("NOT CHECKED: this machine has no redis-server")
    try:
        tools.fetch()
    except tools.RegistryMissingError as error:
        pytest.skip(f"NOT CHECKED: helm cannot be had from the registry: {error}")
    return rendering.by_identity(rendering.helm(settings=("redis.backup.enabled=true", "redis.backup.keep=2")))


@pytest.fixture
def redis(rendered):
    """Start the StatefulSet's Redis over a folder; ask it through the function that is given back."""
    [container] = rendered["StatefulSet", "thalamus-redis"]["spec"]["template"]["spec"]["containers"]
    running = []

    def start(data: Path):
        port = free_port()
        command = redis_command(container, data, port)
        running.append(subprocess.Popen(command, env=_ENVIRONMENT, stdout=subprocess.DEVNULL))
        wait_for_port(port)
        return port, lambda *words: _ask(port, *words)

    yield start
    for process in running:
        process.terminate()
        process.wait(10)


def _ask(port: int, *words: str) -> str:
    command = ["redis-cli", "-p", str(port), *words]
    return subprocess.run(command, env=_ENVIRONMENT, capture_output=True, text=True, check=True).stdout.strip()


def _back_up(rendered, folder: Path, port: int) -> None:
    job = rendered["CronJob", "thalamus-redis-backup"]["spec"]["jobTemplate"]["spec"]
    [container] = job["template"]["spec"]["containers"]
    [script] = container["args"]
    script = script.replace("/backup", str(folder)).replace("-h thalamus-redis -p 6379", f"-p {port}")
    subprocess.run([*container["command"], script], env=_ENVIRONMENT, check=True, capture_output=True)


def test_what_was_backed_up_is_there_again_and_stays(rendered, redis, tmp_path):
    first, second, dumps = (tmp_path / name for name in ("first", "second", "dumps"))
    for folder in (first, second, dumps):
        folder.mkdir()
    for old in ("thalamus-20200101T000000Z.rdb", "thalamus-20200102T000000Z.rdb"):
        (dumps / old).touch()
    port, ask = redis(first)
    ask("config", "set", "repl-diskless-sync-delay", "0")  # it would wait 5 s for further replicas
    ask("set", "thalamus:key", "of-a-tenant")
    _back_up(rendered, dumps, port)
    kept = sorted(path.name for path in dumps.iterdir())
    assert kept[0] == "thalamus-20200102T000000Z.rdb"
    assert len(kept) == 2

    (second / "appendonlydir").mkdir()  # what was lost: the dump takes its place
    shutil.copy(dumps / kept[1], second / "restore.rdb")
    _, ask = redis(second)
    assert ask("get", "thalamus:key") == "of-a-tenant"
    assert ask("config", "get", "appendonly").split() == ["appendonly", "yes"]
    ask("set", "thalamus:later", "kept")
    ask("shutdown")
    assert not (second / "restore.rdb").exists()
    _, ask = redis(second)
    assert ask("mget", "thalamus:key", "thalamus:later").split() == ["of-a-tenant", "kept"]
