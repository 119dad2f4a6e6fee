"""What the chart runs, as local processes: `make rehearse`.

Two gateways with the chart's rendered settings and environment, Redis with its rendered arguments, Prometheus with a
scrape configuration and alerts of the rendered objects, nginx with the rendered Ingress's timeouts. Load is put on; one
replica is killed, then both are rolled. Everything is on loopback: addresses of the cluster are replaced by local ones,
the notice and the drain are shortened, and the rest of the settings is taken as it is.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from deploy import rendering
from gateway.standin import running_standin
from tests.chaos.load import Seen, steady
from tests.gateway.serving import COMMAND

KEY, PASSWORD = "of-the-rehearsal-0123456789", "of-the-rehearsal"
_NGINX = "/usr/sbin/nginx"


@dataclass
class Outcome:
    """What the rehearsal saw."""

    sent: int
    failures: list[str]
    exits: dict[str, int]
    alerts: dict[str, str]
    faults: list[str] = field(default_factory=list)


class Stage:
    """The processes; all end with it, and its folder is removed."""

    def __init__(self, folder: Path, standin_url: str, stack: contextlib.ExitStack) -> None:
        settings = ("ingress.enabled=true", 'monitoring.scrape="service"', "monitoring.rules=true")
        self.objects = rendering.by_identity(rendering.helm(settings=settings))
        self.folder, self.standin_url, self.stack = folder, standin_url, stack
        self.redis_port, self.prometheus_port, self.front_port = free_port(), free_port(), free_port()
        self.ports = [free_port(), free_port()]

    def start(
        self, name: str, command: list[str | Path], environment: dict[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start a process that ends with the stage."""
        log = self.stack.enter_context((self.folder / f"{name}-{time.monotonic_ns()}.log").open("wb"))
        env = {"PATH": os.environ["PATH"], "HOME": str(self.folder), **(environment or {})}
        process = subprocess.Popen(command, cwd=self.folder, env=env, stdout=log, stderr=log, start_new_session=True)
        self.stack.callback(_end, process)
        return process

    def start_redis(self) -> None:
        """Redis, by the StatefulSet's own command line; only its address and folder are ours."""
        container = self.objects["StatefulSet", "thalamus-redis"]["spec"]["template"]["spec"]["containers"][0]
        data = self.folder / "redis"
        data.mkdir()
        command = redis_command(container, data, self.redis_port)
        self.start("redis", command, {"REDIS_PASSWORD": PASSWORD})
        wait_for_port(self.redis_port)

    def start_gateway(self, place: int, drain_s: float) -> subprocess.Popen[bytes]:
        """A gateway with the ConfigMap's settings and the pod's arguments and environment."""
        settings = yaml.safe_load(self.objects["ConfigMap", "thalamus"]["data"]["thalamus.yaml"])
        settings["server"] |= {"host": "127.0.0.1", "port": self.ports[place], "notice_s": 2, "drain_s": drain_s}
        for backend in settings["backends"].values():
            backend["url"] = f"{self.standin_url}/v1"
        url = settings["redis"]["url"]
        settings["redis"]["url"] = url.replace("thalamus-redis:6379", f"127.0.0.1:{self.redis_port}")
        config = self.folder / f"gateway-{place}.yaml"
        config.write_text(yaml.safe_dump(settings))
        container = self.objects["Deployment", "thalamus"]["spec"]["template"]["spec"]["containers"][0]
        arguments = [str(config) if word == "/etc/thalamus/thalamus.yaml" else word for word in container["args"]]
        environment = {"THALAMUS_FIRST_KEY": KEY, "REDIS_PASSWORD": PASSWORD}
        return self.start(f"gateway-{place}", [COMMAND, *arguments], environment)

    def wait_until_ready(self, place: int) -> None:
        """Wait as the readiness probe does."""
        deployment = self.objects["Deployment", "thalamus"]
        probe = deployment["spec"]["template"]["spec"]["containers"][0]["readinessProbe"]
        _wait_for(f"http://127.0.0.1:{self.ports[place]}{probe['httpGet']['path']}")

    def start_front(self) -> None:
        """nginx, with the directives that ingress-nginx makes of the rendered annotations."""
        self._front = self.folder / "nginx.conf"
        self.write_front(self.ports)
        self._nginx = self.start("nginx", [_NGINX, "-p", self.folder, "-c", self._front, "-g", "daemon off;"])
        wait_for_port(self.front_port)

    def write_front(self, ports: list[int]) -> None:
        """Write its endpoints, as the ingress controller does when pods become ready or unready."""
        notes = self.objects["Ingress", "thalamus"]["metadata"]["annotations"]
        own = {name.rpartition("/")[2].replace("-", "_"): value for name, value in notes.items()}
        tries, body = own.pop("proxy_next_upstream_tries"), own.pop("proxy_body_size")
        for name in ("proxy_read_timeout", "proxy_send_timeout"):
            own[name] += "s"
        directives = "".join(f"    {name} {value};\n" for name, value in own.items())
        servers = "".join(f"    server 127.0.0.1:{port} max_fails=0;\n" for port in ports)
        self._front.write_text(
            f"pid {self.folder}/nginx.pid;\nerror_log {self.folder}/nginx-error.log;\nworker_processes 1;\n"
            "events { worker_connections 512; }\nhttp {\n  access_log off;\n"
            + "".join(
                f"  {kind}_temp_path {self.folder}/{kind};\n"
                for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
            )
            + f"  upstream thalamus {{\n{servers}  }}\n  server {{\n    listen 127.0.0.1:{self.front_port};\n"
            # A reload closes idle connections of clients, who may be about to ask on them. Ingress controllers change
            # endpoints without a reload; here each request has its own connection instead.
            f"    keepalive_timeout 0;\n"
            f"    client_max_body_size {body};\n    proxy_http_version 1.1;\n    proxy_set_header Connection '';\n"
            f"    proxy_next_upstream_tries {tries};\n{directives}"
            "    location / { proxy_pass http://thalamus; }\n  }\n}\n"
        )

    def point_front_at(self, ports: list[int]) -> None:
        """Change its endpoints and let it take them over; streams under way stay."""
        self.write_front(ports)
        self._nginx.send_signal(signal.SIGHUP)

    def start_prometheus(self) -> None:
        """Prometheus: the ServiceMonitor's path, the rendered rules, and two alerts of the rehearsal's own."""
        end = self.objects["ServiceMonitor", "thalamus"]["spec"]["endpoints"][0]
        rules: list[dict[str, Any]] = [
            group
            for (kind, _), one in self.objects.items()
            if kind == "PrometheusRule"
            for group in one["spec"]["groups"]
        ]
        down = {"alert": "RehearsalReplicaAway", "expr": 'up{job="thalamus"} == 0'}
        quiet = {
            "alert": "RehearsalServerErrors",
            "expr": 'increase(thalamus_requests_total{outcome="failed"}[5m]) > 0',
        }
        groups = [*rules, {"name": "rehearsal", "rules": [down, quiet]}]
        (self.folder / "rules.yaml").write_text(yaml.safe_dump({"groups": groups}))
        targets = [f"127.0.0.1:{port}" for port in self.ports]
        (self.folder / "prometheus.yaml").write_text(
            yaml.safe_dump(
                {
                    "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
                    "rule_files": ["rules.yaml"],
                    "scrape_configs": [
                        {"job_name": "thalamus", "metrics_path": end["path"], "static_configs": [{"targets": targets}]}
                    ],
                }
            )
        )
        self.start(
            "prometheus",
            [
                "prometheus",
                f"--config.file={self.folder}/prometheus.yaml",
                f"--storage.tsdb.path={self.folder}/tsdb",
                f"--web.listen-address=127.0.0.1:{self.prometheus_port}",
            ],
        )
        _wait_for(f"http://127.0.0.1:{self.prometheus_port}/-/ready")

    def alerts(self) -> dict[str, str]:
        """Give the alerts that are pending or firing."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.prometheus_port}/api/v1/alerts", timeout=10) as answer:
            return {one["labels"]["alertname"]: one["state"] for one in json.load(answer)["data"]["alerts"]}

    def query(self, expression: str) -> float:
        """Give the one value of a query; 0 where there is none."""
        query = urllib.parse.urlencode({"query": expression})
        with urllib.request.urlopen(
            f"http://127.0.0.1:{self.prometheus_port}/api/v1/query?{query}", timeout=10
        ) as answer:
            result = json.load(answer)["data"]["result"]
        return float(result[0]["value"][1]) if result else 0.0


def redis_command(container: dict[str, Any], data: Path, port: int) -> list[str]:
    """Give the StatefulSet's command with a folder and a port of ours."""
    [script] = container["args"]
    script = script.replace("/data", str(data)).replace("appendfsync", f"port {port}\nbind 127.0.0.1\nappendfsync")
    return [*container["command"], script]


async def rehearse(folder: Path, rate: float, rolls: int) -> Outcome:
    """Run the whole play and give what was seen."""
    with contextlib.ExitStack() as stack, running_standin() as standin:
        standin.behave(token_ms=20)
        stage = Stage(folder, standin.url, stack)
        stage.start_redis()
        pods = [stage.start_gateway(place, 30) for place in range(2)]
        for place in range(2):
            await asyncio.to_thread(stage.wait_until_ready, place)
        stage.start_front()
        stage.start_prometheus()
        faults: list[str] = []
        exits: dict[str, int] = {}
        stop, seen = asyncio.Event(), Seen()
        url = f"http://127.0.0.1:{stage.front_port}"
        load = asyncio.create_task(
            steady(url, rate=rate, until=stop, seen=seen, headers={"authorization": f"Bearer {KEY}"})
        )
        await _until(lambda: stage.query("sum(thalamus_requests_total)") > rate, "Prometheus sees the load", faults)

        # A node that dies takes a replica along. It is out of the endpoints first: a retry cannot give back
        # a stream that has begun. Under test: the other one carries on, and the alert comes and goes.
        stage.point_front_at([stage.ports[1]])
        await asyncio.sleep(3)
        pods[0].kill()
        await _until(
            lambda: stage.alerts().get("RehearsalReplicaAway") == "firing", "the replica's alert fires", faults
        )
        pods[0] = stage.start_gateway(0, 30)
        await asyncio.to_thread(stage.wait_until_ready, 0)
        stage.point_front_at(stage.ports)
        await _until(lambda: "RehearsalReplicaAway" not in stage.alerts(), "the replica's alert ends", faults)

        # A rollout: each in turn gets SIGTERM, is taken out of the endpoints while it still serves, and is replaced.
        for turn in range(rolls):
            place = turn % 2
            pods[place].terminate()
            await asyncio.sleep(0.5)
            stage.point_front_at([stage.ports[1 - place]])
            exits[f"roll {turn}"] = await asyncio.to_thread(pods[place].wait, 60)
            pods[place] = stage.start_gateway(place, 30)
            await asyncio.to_thread(stage.wait_until_ready, place)
            stage.point_front_at(stage.ports)
            await asyncio.sleep(1)
        await _until(lambda: "RehearsalReplicaAway" not in stage.alerts(), "the last roll's alert ends", faults)
        stop.set()
        await load
        firing = {name: state for name, state in stage.alerts().items() if state == "firing"}
    faults += [f"alert at the end: {name}" for name in firing]
    faults += [f"{name} ended with {code}" for name, code in exits.items() if code]
    return Outcome(seen.sent, seen.failures, exits, firing, faults)


async def _until(holds: Any, what: str, faults: list[str], patience_s: float = 60) -> None:
    deadline = time.monotonic() + patience_s
    while not await asyncio.to_thread(holds):
        if time.monotonic() > deadline:
            faults.append(f"not within {patience_s:g} s: {what}")
            return
        await asyncio.sleep(0.2)


def free_port() -> int:
    """Give a port that nobody has just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_port(port: int, patience_s: float = 30) -> None:
    """Wait until somebody listens."""
    deadline = time.monotonic() + patience_s
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        if time.monotonic() > deadline:
            raise TimeoutError(f"nobody listens on {port}")
        time.sleep(0.05)


def _wait_for(url: str, patience_s: float = 60) -> None:
    deadline = time.monotonic() + patience_s
    while True:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=2):
            return
        if time.monotonic() > deadline:
            raise TimeoutError(url)
        time.sleep(0.05)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process, and whatever it has started."""
    if process.poll() is None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@contextlib.contextmanager
def stage_folder() -> Iterator[Path]:
    """Give a folder that every user may read, and remove it."""
    folder = Path(tempfile.mkdtemp(prefix="rehearsal-"))
    folder.chmod(0o755)  # nginx's workers may be another user
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main() -> int:
    """Run it and print what was seen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=30, help="requests a second")
    parser.add_argument("--rolls", type=int, default=4, help="replicas that are replaced, in turn")
    parser.add_argument("--json", action="store_true")
    wanted = parser.parse_args()
    with stage_folder() as folder:
        seen = asyncio.run(rehearse(folder, wanted.rate, wanted.rolls))
    if wanted.json:
        print(json.dumps(vars(seen)))
    else:
        print(
            f"{len(seen.failures)} of {seen.sent} requests failed; exits {seen.exits}; alerts at the end {seen.alerts}"
        )
        for fault in [*seen.failures[:5], *seen.faults]:
            print(f"  {fault}")
    return 1 if seen.failures or seen.faults else 0


if __name__ == "__main__":
    sys.exit(main())
