"""Feedback, the live decisions and their replays, over HTTP."""

import json
import time

from tests.gateway.serving import settings_over

ASKED = {"model": "auto", "messages": [{"role": "user", "content": "What is the secret capital of France?"}]}


def test_feedback_is_counted_and_logged_for_the_decisions_own_tenant(serve, standin, tmp_path):
    log = tmp_path / "decisions.jsonl"
    keys = [{"name": name, "tenant": name, "key": f"sk-{name}"} for name in ("acme", "rival")]
    gateway = serve(settings_over(standin.url, keys=keys, decision_log={"path": str(log)}))
    acme, rival = ({"authorization": f"Bearer sk-{name}"} for name in ("acme", "rival"))
    with gateway.client() as client:
        answer = client.post("/v1/chat/completions", json=ASKED, headers=acme)
        given = {"decision_id": answer.headers["x-thalamus-decision-id"], "better": "deep", "note": "wordy"}
        assert client.post("/v1/feedback", json=given, headers=rival).status_code == 404
        lost = client.post("/v1/feedback", json={**given, "decision_id": "no-such"}, headers=acme)
        assert (lost.status_code, lost.json()["error"]["code"]) == (404, "decision_not_found")
        for wrong in ({"rating": "up"}, {"better": None}, {"note": "x" * 2001}, {"better": "slow"}, {"more": 1}):
            assert client.post("/v1/feedback", json={**given, **wrong}, headers=acme).status_code == 400, wrong
        told = client.post("/v1/feedback", json=given, headers=acme)
        assert (told.status_code, told.json()["verdict"]) == (200, "deep")
        assert 'thalamus_feedback_total{tier="fast",verdict="deep"} 1.0' in client.get("/metrics").text
    gateway.stop()
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    [verdict] = [line for line in lines if line.get("line") == "feedback"]
    assert (verdict["id"], verdict["tenant"], verdict["verdict"]) == (given["decision_id"], "acme", "deep")
    assert verdict["note"] is None, "content logging is off"


def test_decisions_are_watched_listed_and_replayed_without_their_words(gateway, standin):
    with gateway.client() as client, client.stream("GET", "/admin/decisions/stream") as stream:
        lines = stream.iter_lines()
        assert next(lines) == ": watching"
        with gateway.client() as other:
            answer = other.post("/v1/chat/completions", json=ASKED)
        data = next(line for line in lines if line.startswith("data: "))
        shown = json.loads(data.removeprefix("data: "))
    assert shown["id"] == answer.headers["x-thalamus-decision-id"]
    assert (shown["tier"], shown["prompt"], "secret" in data) == ("fast", None, False)
    assert "answers right" in shown["signals"]["complexity"]["note"], "the whole explanation"
    assert shown["runner_up"].startswith("deep")
    with gateway.client() as client:
        listed = client.get("/admin/decisions").json()
        assert (listed["content"], listed["decisions"][0]["id"]) == (False, shown["id"])
        replayed = client.post(f"/admin/decisions/{shown['id']}/replay", params={"dial": "max"}).json()
        assert (replayed["target"]["backend"], replayed["dial"]) == ("swift", "max")
        assert replayed["threshold"] < shown["threshold"]
        assert client.post("/admin/decisions/none/replay", params={"dial": "max"}).status_code == 404
        dial = client.get("/admin/dial").json()
        assert dial["curves"][0]["examples"] > 1000
        assert [notch["dial"] for notch in dial["recent"]["notches"]] == ["cheap", "balanced", "quality", "max"]
        assert client.get("/admin/cache").json()["mode"] in ("off", "exact")


def test_a_watcher_does_not_hold_up_the_end(serve, standin):
    gateway = serve(settings_over(standin.url, server={"drain_s": 60}))
    with gateway.client() as client, client.stream("GET", "/admin/decisions/stream") as stream:
        assert next(stream.iter_lines()) == ": watching"
        began = time.monotonic()
        gateway.stop(timeout_s=30)
        assert time.monotonic() - began < 30


def test_the_console_is_served_under_a_strict_policy_and_its_data_behind_the_door(serve, standin):
    gateway = serve(settings_over(standin.url, server={"admin_key": "sk-admin-0123456789"}))
    assert f"console      {gateway.url}/" in gateway.log()
    with gateway.client() as client:
        page = client.get("/")
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "http" not in page.text.replace("http-equiv", "")
        assert client.get("/console/app.js").headers["content-type"].startswith("text/javascript")
        assert client.get("/console/vendor/uplot-LICENSE.txt").status_code == 200
        for path in ("/console/../app.py", "/console/%2e%2e/app.py", "/console/index.html"):
            assert client.get(path).status_code == 404
        assert client.get("/console/about").json()["admin_open"] is False
        for path in ("/admin/decisions", "/admin/decisions/stream", "/admin/dial", "/admin/cache"):
            assert client.get(path).status_code == 401
