"""The spend ledger in running gateways: killed, restarted, several at once."""

import csv
import io
import json
import subprocess
import time

import pytest

from tests.gateway.serving import COMMAND, settings_over
from tests.unit.gateway.redis_server import running_redis

HELLO = {"model": "fast", "messages": [{"role": "user", "content": "Hello there"}]}
KEYS = [{"name": name, "tenant": name, "key": f"sk-{name}"} for name in ("acme", "duck")]


def ask(gateway, key="acme", **body):
    with gateway.client() as client:
        headers = {"authorization": f"Bearer sk-{key}"}
        answer = client.post("/v1/chat/completions", json={**HELLO, **body}, headers=headers)
    assert answer.status_code == 200
    return answer


def usage(gateway, *words):
    done = subprocess.run(
        [str(COMMAND), "usage", *words, "--config", str(gateway.config)],
        cwd=gateway.config.parent, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    return done.stdout


def priced(standin, **changes):
    settings = settings_over(standin.url, keys=KEYS, **changes)
    settings["backends"]["swift"]["price"] = {"input": 1000, "output": 2000}
    settings["backends"]["sage"]["price"] = {"input": 10_000, "output": 20_000}
    return settings


@pytest.mark.parametrize("place", ["sqlite", "redis"])
def test_a_killed_gateway_loses_no_more_than_its_last_second(serve, standin, tmp_path, place):
    with running_redis() as redis:
        ledger = {"place": place, "path": str(tmp_path / "usage.db")}
        settings = priced(standin, ledger=ledger, redis={"url": redis.url, "deadline_ms": 1000})
        gateway, other = serve(settings), serve(settings)
        for _ in range(8):
            ask(gateway)
            ask(other, "duck", model="deep")
        time.sleep(1.0)
        gateway.kill()
        told = json.loads(usage(gateway, "--json", "--by", "tenant,model"))
        rows = {(row["tenant"], row["model"]): row for row in told["rows"]}
        assert {place: row["requests"] for place, row in rows.items()} == {("acme", "swift"): 8, ("duck", "sage"): 8}
        fast, deep = rows["acme", "swift"], rows["duck", "sage"]
        assert fast["cost_dollars"] == pytest.approx((fast["input"] + 2 * fast["output"]) / 1000)
        assert fast["saved_dollars"] > 0
        assert deep["saved_dollars"] == 0
        with other.client() as admin:
            ask(other, "duck")
            other.records(9)
            report = admin.get("/admin/usage", params={"by": "tenant", "tenant": "duck"}).json()
            assert report["rows"][0]["requests"] == 9, "what is not yet written is written first"
            table = admin.get("/admin/usage", params={"format": "csv", "by": "key,day"})
            assert [row["key"] for row in csv.DictReader(io.StringIO(table.text))] == ["acme", "duck"]
            wrong = admin.get("/admin/usage", params={"by": "colour"})
            assert (wrong.status_code, "'colour'" in wrong.json()["error"]["message"]) == (400, True)
            assert admin.get("/admin/usage", params={"from": "yesterday"}).status_code == 400
        assert "total" in usage(other)
        assert usage(other, "--csv", "--by", "tenant").splitlines()[0].startswith("tenant,requests,failed")
        gateway.process.returncode = 0  # it was killed on purpose: no fault of the fixture's to find


def test_usage_outlives_a_restart(serve, standin, tmp_path):
    settings = priced(standin, ledger={"path": str(tmp_path / "usage.db")})
    for _ in range(2):
        gateway = serve(settings)
        ask(gateway)
        gateway.stop()
    assert json.loads(usage(gateway, "--json"))["total"]["requests"] == 2
