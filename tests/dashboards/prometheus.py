"""A real Prometheus for tests: a scrape every second, the rules of `dashboards/rules`, data in a temporary folder."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.dashboards.reading import RULES
from tests.unit.gateway.redis_server import free_port

_PATIENCE_S = 120.0


class Prometheus:
    """One server that scrapes."""

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=url, timeout=30, trust_env=False)

    def close(self) -> None:
        """Let its connections go."""
        self._client.close()

    def get(self, path: str, **parameters: Any) -> Any:
        """Ask its API.

        Raises:
            AssertionError: it refuses the question, such as an expression that it cannot read.
        """
        answer = self._client.get(f"/api/v1/{path}", params=parameters).json()
        assert answer["status"] == "success", f"{parameters}: {answer}"
        return answer["data"]

    def ask(self, expression: str) -> list[Any]:
        """Evaluate an expression now; a scalar comes as one series without labels."""
        data = self.get("query", query=expression)
        return [{"metric": {}, "value": data["result"]}] if data["resultType"] == "scalar" else data["result"]

    def over(self, expression: str, start: float, end: float, step_s: float = 1.0) -> list[Any]:
        """Evaluate an expression at every step of a stretch of time."""
        return self.get("query_range", query=expression, start=start, end=end, step=step_s)["result"]

    def wait_for_scrapes(self, count: int = 2) -> None:
        """Wait until every target has been scraped so often from now on, and the rules were evaluated after that."""
        began = time.time()
        deadline = time.monotonic() + _PATIENCE_S
        question = f"min(sum_over_time(up[{{}}s])) >= {count}"
        while True:
            age = max(1, int(time.time() - began))
            later = self.ask("min(timestamp(thalamus:requests:rate1h))")
            if self.ask(question.format(age)) and later and float(later[0]["value"][1]) > began + 1:
                return
            assert time.monotonic() < deadline, "Prometheus does not scrape"
            time.sleep(0.2)


@contextlib.contextmanager
def running_prometheus(folder: Path, targets: Mapping[str, str], history: str = "") -> Iterator[Prometheus]:
    """Run it until the block ends; without the program the test is skipped.

    Args:
        folder: where its configuration, data and log go.
        targets: addresses by job.
        history: samples in OpenMetrics' format, with times, that it has known since long ago.
    """
    if shutil.which("prometheus") is None:
        pytest.skip("prometheus is not installed")
    rules, data, port = folder / "rules", folder / "data", free_port()
    rules.mkdir(parents=True)
    for path in RULES:
        read = yaml.safe_load(path.read_text(encoding="utf-8"))
        for group in read["groups"]:
            group.pop("interval", None)  # two minutes are longer than the whole run
        (rules / path.name).write_text(yaml.safe_dump(read), encoding="utf-8")
    (folder / "prometheus.yml").write_text(json.dumps(_configuration(targets)), encoding="utf-8")
    if history:
        (folder / "history.om").write_text(history, encoding="utf-8")
        command = ["promtool", "tsdb", "create-blocks-from", "openmetrics", str(folder / "history.om"), str(data)]
        subprocess.run(command, check=True, capture_output=True)
    command = ["prometheus", f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={data}"]
    command += [f"--web.listen-address=127.0.0.1:{port}", "--storage.tsdb.retention.time=30d", "--log.level=warn"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    server = Prometheus(f"http://127.0.0.1:{port}")
    try:
        _wait_until_ready(process, port, folder / "log")
        yield server
    finally:
        server.close()
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _configuration(targets: Mapping[str, str]) -> dict[str, Any]:
    return {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "rule_files": ["rules/*.yaml"],
        "scrape_configs": [
            {"job_name": job, "static_configs": [{"targets": [target], "labels": {"cluster": "here"}}]}
            for job, target in targets.items()
        ],
    }


def _wait_until_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"http://127.0.0.1:{port}/-/ready", trust_env=False).is_success:
                return
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)
