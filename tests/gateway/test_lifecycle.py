"""Starting, reloading, refusing to start, and stopping."""

import signal
import subprocess
import threading
import time

import httpx
import yaml

from tests.gateway.serving import COMMAND, settings_over

HELLO = {"model": "auto", "messages": [{"role": "user", "content": "Hello there"}]}


def models(gateway) -> set[str]:
    with gateway.client() as client:
        return {model["id"] for model in client.get("/v1/models").json()["data"]}


def wait_for(condition, seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.05)


def test_a_changed_file_takes_effect_without_a_restart_and_without_breaking_a_stream(serve, standin):
    gateway = serve(settings_over(standin.url))
    standin.behave(tokens=40, token_ms=50)
    texts = []

    def stream() -> None:
        with httpx.Client(timeout=20, trust_env=False) as client:
            texts.append(client.post(f"{gateway.url}/v1/chat/completions", json={**HELLO, "stream": True}).text)

    thread = threading.Thread(target=stream)
    thread.start()
    gateway.rewrite(settings_over(standin.url, aliases={"gpt-4o": "auto"}))
    wait_for(lambda: "gpt-4o" in models(gateway))
    thread.join()
    assert texts[0].rstrip().endswith("data: [DONE]")


def test_hangup_reloads(serve, standin):
    gateway = serve(settings_over(standin.url))
    gateway.signal(signal.SIGHUP)
    wait_for(lambda: gateway.events("configuration reloaded"))


def test_a_bad_file_leaves_the_old_configuration_running_and_says_so(serve, standin):
    gateway = serve(settings_over(standin.url, aliases={"gpt-4o": "auto"}))
    gateway.rewrite(settings_over(standin.url, aliases={"gpt-4o": "nobody"}))
    wait_for(lambda: gateway.events("configuration refused, the old one goes on"))
    (event,) = gateway.events("configuration refused, the old one goes on")
    assert "aliases.gpt-4o: no tier or backend is called 'nobody'" in event["why"]
    assert "gpt-4o" in models(gateway)
    with gateway.client() as client:
        assert 'thalamus_settings_reloads_total{result="refused"} 1.0' in client.get("/metrics").text


def run(*arguments: str, cwd) -> subprocess.CompletedProcess[str]:
    return subprocess.run([COMMAND, *arguments], cwd=cwd, capture_output=True, text=True, timeout=30, check=False)


def test_a_bad_configuration_does_not_start_and_names_the_fix(tmp_path):
    document = {"backends": {"a": {"url": "http://127.0.0.1:1/v1", "model": "m"}}, "tiers": {"fast": "a", "deep": "b"}}
    (tmp_path / "thalamus.yaml").write_text(yaml.safe_dump(document))
    for command in ("serve", "check"):
        result = run(command, cwd=tmp_path)
        assert result.returncode == 2
        assert "tiers.deep: no backend is called 'b'" in result.stderr
        assert "Traceback" not in result.stderr


def test_a_taken_port_is_said(serve, standin, tmp_path):
    gateway = serve(settings_over(standin.url))
    path = tmp_path / "second.yaml"
    path.write_text(yaml.safe_dump(settings_over(standin.url)))
    result = run("serve", "--config", str(path), "--port", str(gateway.port), cwd=tmp_path)
    assert result.returncode == 2
    assert f"cannot listen on 127.0.0.1:{gateway.port}" in result.stderr


def test_a_first_configuration_is_written_once_and_is_right(tmp_path, monkeypatch):
    monkeypatch.setenv("DEEPSEEK_API_KEY", "sk-x")
    assert run("init", cwd=tmp_path).returncode == 0
    checked = run("check", cwd=tmp_path)
    assert checked.returncode == 0, checked.stderr
    assert "sk-x" not in checked.stdout
    assert run("init", cwd=tmp_path).returncode == 2


class Asking(threading.Thread):
    """One request from a thread of its own; `answer` is there after `join`."""

    def __init__(self, gateway, path: str, body: dict) -> None:
        super().__init__()
        self._gateway, self._path, self._body = gateway, path, body
        self.answer = None
        self.start()

    def run(self) -> None:
        with self._gateway.client(timeout=20) as client:
            self.answer = client.post(self._path, json=self._body)


def wait_for_calls(standin, count: int) -> None:
    wait_for(lambda: sum(request["outcome"] == "open" for request in standin.requests()) == count)


def test_a_gateway_that_leaves_says_so_serves_who_still_comes_and_finishes_what_it_began(serve, standin):
    gateway = serve(settings_over(standin.url, server={"notice_s": 1.0, "drain_s": 10}))
    standin.behave(tokens=60, token_ms=50)
    stream = Asking(gateway, "/v1/chat/completions", {**HELLO, "stream": True})
    wait_for_calls(standin, 1)
    standin.behave(tokens=3, token_ms=0)
    with gateway.client() as client:
        assert client.get("/readyz").headers.get("connection") != "close"
        gateway.signal(signal.SIGTERM)
        wait_for(lambda: client.get("/readyz").status_code == 503, seconds=0.5)
        assert client.get("/readyz").json()["status"] == "draining"
        alive = client.get("/healthz")
        assert (alive.status_code, alive.headers["connection"]) == (200, "close")
        late = client.post("/v1/chat/completions", json=HELLO)
        assert (late.status_code, late.headers["connection"]) == (200, "close")

    def is_refused() -> bool:
        try:
            httpx.get(f"{gateway.url}/healthz", trust_env=False)
        except httpx.TransportError:
            return True
        return False

    wait_for(is_refused)
    assert stream.is_alive(), "the stream goes on after the listener is closed"
    stream.join()
    assert stream.answer.text.rstrip().endswith("data: [DONE]")
    assert gateway.process.wait(10) == 0


STREAMED = {**HELLO, "stream": True}
QUESTION = {"model": "auto", "input": "Hello there"}
CUT = [
    ("/v1/chat/completions", STREAMED, '"code":"draining"'),
    ("/v1/messages", {**STREAMED, "max_tokens": 900}, "event: error"),
    ("/v1/responses", {**QUESTION, "stream": True}, "event: error"),
    ("/v1/chat/completions", HELLO, '"code":"draining"'),
]


def test_a_second_signal_cuts_and_tells_every_caller_and_writes_every_record(serve, standin):
    gateway = serve(settings_over(standin.url, server={"drain_s": 60}))
    standin.behave(tokens=900, token_ms=50)
    asked = [Asking(gateway, path, body) for path, body, _ in CUT]
    with gateway.client() as client:
        assert client.post("/v1/responses", json={**QUESTION, "background": True}).status_code == 200
    wait_for_calls(standin, len(CUT) + 1)
    time.sleep(0.2)
    gateway.signal(signal.SIGTERM)
    time.sleep(0.3)
    assert gateway.process.poll() is None
    assert all(one.is_alive() for one in asked)
    gateway.signal(signal.SIGTERM)
    assert gateway.process.wait(5) == 0
    for one, (path, body, said) in zip(asked, CUT, strict=True):
        one.join()
        assert said in one.answer.text, path
        assert one.answer.status_code == (200 if body.get("stream") else 503)
    assert asked[-1].answer.headers["retry-after"]
    records = gateway.records(len(CUT) + 2)
    assert sorted(str(record.get("error")) for record in records) == ["None"] + ["draining"] * 4 + ["shutdown"]
    streams = [record for record in records if record.get("partial") and record["error"] == "draining"]
    assert len(streams) == 3
    assert all(record["tokens_out"] > 0 for record in streams), "what was delivered is counted"
    wait_for(lambda: not any(request["outcome"] == "open" for request in standin.requests()))


def test_the_model_in_the_box_answers_and_streams(serve):
    gateway = serve(
        {
            "backends": {"smollm2": {"transport": "embedded", "model": "smollm2-135m", "context_window": 2048}},
            "tiers": {"fast": "smollm2", "deep": "smollm2"},
            "server": {"port": 0},
            "telemetry": {"log_format": "json"},
        }
    )
    question = {**HELLO, "max_tokens": 12}
    with gateway.client(timeout=60) as client:
        plain = client.post("/v1/chat/completions", json=question)
        streamed = client.post("/v1/chat/completions", json={**question, "stream": True})
    assert plain.status_code == 200
    assert plain.json()["usage"]["completion_tokens"] > 0
    assert streamed.text.rstrip().endswith("data: [DONE]")
    assert "/" not in plain.json()["model"], "the path of the weights is nobody's business"
