"""Keys over HTTP and on the command line: made, limited, rotated and revoked in running gateways."""

import json
import subprocess
import time

import pytest

from tests.gateway.serving import COMMAND, settings_over
from tests.unit.gateway.redis_server import running_redis

HELLO = {"model": "fast", "messages": [{"role": "user", "content": "Hello there"}]}


def ask(gateway, token, path="/v1/chat/completions", **body):
    with gateway.client() as client:
        return client.post(path, json={**HELLO, **body}, headers={"authorization": f"Bearer {token}"})


def command(gateway, *words):
    """Run `thalamus keys` where the gateway runs."""
    return subprocess.run(
        [str(COMMAND), "keys", *words, "--config", str(gateway.config)],
        cwd=gateway.config.parent, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def until_status(gateway, token, status):
    deadline = time.monotonic() + 8
    while (answer := ask(gateway, token)).status_code != status:
        assert time.monotonic() < deadline, f"still {answer.status_code}"
        time.sleep(0.05)
    return answer


def test_the_first_key_closes_an_open_gateway_and_the_command_line_manages_it(serve, standin):
    gateway = serve(settings_over(standin.url, key_store={"refresh_s": 0.2}))
    assert ask(gateway, "anything").status_code == 200
    made = command(gateway, "create", "web", "--tenant", "acme", "--model", "fast", "--rpm", "2", "--json")
    assert made.returncode == 0, made.stderr
    token = json.loads(made.stdout)["key"]
    until_status(gateway, "anything", 401)
    assert ask(gateway, token, model="deep").status_code == 403
    first = ask(gateway, token)
    assert (first.status_code, first.headers["x-ratelimit-limit-requests"]) == (200, "2")
    rotated = command(gateway, "rotate", "web", "--overlap", "0s")
    until_status(gateway, token, 401)
    assert ask(gateway, rotated.stdout.strip()).status_code in (200, 429)
    assert "web" in command(gateway, "list").stdout
    assert command(gateway, "revoke", "web").returncode == 0
    until_status(gateway, rotated.stdout.strip(), 401)
    misspelt = command(gateway, "create", "x", "--model", "fst")
    assert (misspelt.returncode, "no tier, backend or alias" in misspelt.stderr) == (2, True)


def test_admins_make_and_revoke_keys_for_all_workers(serve, standin):
    with running_redis() as redis:
        settings = settings_over(
            standin.url,
            redis={"url": redis.url, "deadline_ms": 1000},
            key_store={"place": "redis", "refresh_s": 0.2},
            server={"admin_key": "sk-admin"},
        )
        one, other = serve(settings), serve(settings)
        assert ask(one, "anything").status_code == 401, "a store of keys, even an empty one, asks for keys"
        with one.client(headers={"authorization": "Bearer sk-admin"}) as admin:
            made = admin.post("/admin/keys", json={"name": "web", "limits": [{"window_s": 60, "calls": 9}]})
            assert made.status_code == 201
            token, key_id = made.json()["key"], made.json()["id"]
            assert ask(one, token).status_code == 200
            until_status(other, token, 200)
            assert token not in admin.get("/admin/keys").text
            assert admin.post("/admin/keys", json={"name": "web"}).status_code == 400
            wrong = admin.post("/admin/keys", json={"name": "w", "tiers": ["fats"]})
            assert (wrong.status_code, wrong.json()["error"]["param"]) == (400, "tiers.0")
            rotated = admin.post(f"/admin/keys/{key_id}/rotate", json={"overlap_s": 3600}).json()["key"]
            assert (ask(one, token).status_code, ask(one, rotated).status_code) == (200, 200)
            redis.kill()
            assert ask(other, token).status_code == 200, "an outage closes nobody out"
            assert admin.delete("/admin/keys/web").status_code == 503
            redis.start()
    with one.client() as stranger:
        assert stranger.get("/admin/keys").status_code == 401
        assert stranger.get("/admin/keys", headers={"authorization": f"Bearer {token}"}).status_code == 401


def test_revoking_in_one_worker_reaches_the_other_within_seconds(serve, standin, tmp_path):
    settings = settings_over(standin.url, key_store={"path": str(tmp_path / "keys.json")})
    one, other = serve(settings), serve(settings)
    with one.client() as admin:
        token = admin.post("/admin/keys", json={"name": "web"}).json()["key"]
        until_status(other, token, 200)
        until_status(other, "anything", 401)
        assert admin.delete("/admin/keys/web").json()["status"] == "revoked"
        revoked_at = time.monotonic()
        assert ask(one, token).status_code == 401
        until_status(other, token, 401)
        assert time.monotonic() - revoked_at < 4


@pytest.mark.parametrize(
    "path", ["/v1/chat/completions", "/v1/messages", "/v1/models", "/nowhere", "/healthz", "/metrics"]
)
def test_every_answer_has_security_headers(gateway, path):
    with gateway.client() as client:
        answer = client.post(path, json={**HELLO, "max_tokens": 5}) if path.startswith("/v1/") else client.get(path)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"


def test_the_page_of_the_api_still_works(gateway):
    with gateway.client() as client:
        page = client.get("/docs")
    assert (page.status_code, page.headers["x-frame-options"]) == (200, "DENY")
    assert "content-security-policy" not in page.headers


def test_deep_and_crowded_requests_are_refused(serve, standin):
    gateway = serve(settings_over(standin.url, server={"max_messages": 3, "max_nesting": 20}))
    deep = {"a": []}
    for _ in range(20):
        deep = {"a": [deep]}
    tool = {"type": "function", "function": {"name": "f", "parameters": deep}}
    refused = ask(gateway, "any", tools=[tool])
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "invalid_json")
    assert "server.max_nesting" in refused.json()["error"]["message"]
    brackets = "{[" * 300
    assert ask(gateway, "any", messages=[{"role": "user", "content": f'{brackets} "\\" {brackets}'}]).status_code == 200
    crowd = ask(gateway, "any", messages=[{"role": "user", "content": "x"}] * 4)
    assert (crowd.status_code, crowd.json()["error"]["param"]) == (400, "messages")
    turns = [{"role": role, "content": "x"} for role in ("user", "assistant") * 2]
    assert ask(gateway, "any", "/v1/messages", max_tokens=5, messages=turns).status_code == 400


def test_no_caller_can_name_an_address(serve, standin):
    """Fields and headers by which other proxies let callers choose a backend's address reach nobody."""
    trap = "http://127.0.0.1:9/v1"
    gateway = serve(settings_over(standin.url))
    fields = dict.fromkeys(("api_base", "base_url", "url", "api_url", "endpoint", "proxy", "callback_url"), trap)
    headers = dict.fromkeys(
        ("x-thalamus-url", "x-base-url", "x-forwarded-host", "x-original-url", "x-portkey-custom-host"), trap
    )
    with gateway.client() as client:
        answer = client.post("/v1/chat/completions", json={**HELLO, **fields}, headers=headers)
        unknown = client.post("/v1/chat/completions", json={**HELLO, "model": f"openai/{trap}"})
        absolute = client.post("/v1/chat/completions", json=HELLO, headers={"host": "169.254.169.254"})
    assert {one.headers["x-thalamus-backend"] for one in (answer, absolute)} == {"swift"}
    assert unknown.status_code == 404
    assert len([one for one in standin.requests() if one["path"] == "/v1/chat/completions"]) == 2


@pytest.mark.parametrize("where", ["memory", "redis"])
def test_a_tenant_can_be_erased_and_no_other_is(serve, standin, where):
    with running_redis() as redis:
        keys = [{"name": name, "tenant": name, "key": f"sk-{name}"} for name in ("acme", "duck")]
        shared = {"redis": {"url": redis.url, "deadline_ms": 1000, "first_level_ttl_s": 0}} if where == "redis" else {}
        gateway = serve(settings_over(standin.url, keys=keys, cache={"mode": "exact"}, **shared))

        def cached(name):
            return ask(gateway, f"sk-{name}", temperature=0).headers["x-thalamus-cache"]

        for name in ("acme", "duck"):
            cached(name)
            deadline = time.monotonic() + 5
            while cached(name) != "hit-exact":
                assert time.monotonic() < deadline
            assert ask(gateway, f"sk-{name}", "/v1/responses", input="hi", messages=None).status_code == 200
        gateway.records(6)
        done = subprocess.run(
            [str(COMMAND), "tenants", "erase", "acme", "--usage", "--url", gateway.url, "--json"],
            capture_output=True, text=True, timeout=60, check=True,
        )  # fmt: skip
        erased = json.loads(done.stdout)["erased"]
        assert erased["answers"] >= 1
        assert erased["usage"] >= 1
        assert sum(erased.values()) >= 3, "an answer, a response, and a row of usage"
        assert cached("duck") == "hit-exact"
        assert cached("acme") == "miss"
        with gateway.client() as client:
            assert [row["tenant"] for row in client.get("/admin/usage?by=tenant").json()["rows"]] == ["acme", "duck"]
