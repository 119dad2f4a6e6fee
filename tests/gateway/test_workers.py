"""Several workers on one port, with a Redis between them: what they share, and what becomes of one that dies."""

import asyncio
import json
import os
import re
import signal
import time

import aiohttp
import httpx
import psutil
import pytest

from gateway.standin import running_standin
from tests.gateway.serving import running_gateway, settings_over
from tests.unit.gateway.redis_server import running_redis

HELLO = {"model": "auto", "messages": [{"role": "user", "content": "Hello there"}]}
CHAT = "/v1/chat/completions"


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Two workers over two replicas, and two stand-ins behind them."""
    with running_standin() as one, running_standin() as two, running_redis() as redis:
        base = settings_over(one.url)
        replicas = [{"url": f"{url}/v1", "name": name} for name, url in (("a", one.url), ("b", two.url))]
        base["backends"]["swift"] = {"replicas": replicas, "model": "swift-1"}
        settings = {
            **base,
            "server": {**base["server"], "workers": 2},
            "redis": {"url": redis.url, "deadline_ms": 200},
            "limits": [{"tier": "deep", "window_s": 3600, "calls": 4}],
            "attempts": {},
        }
        with running_gateway(settings, tmp_path_factory.mktemp("workers")) as gateway:
            yield gateway, one, two


@pytest.fixture(autouse=True)
def healthy(world):
    yield
    for standin in world[1:]:
        standin.reset()


def workers_of(gateway) -> list[int]:
    return sorted(child.pid for child in psutil.Process(gateway.process.pid).children())


def until(condition, seconds: float = 8.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.05)


def on_a_fresh_connection(gateway, method: str, path: str, **options) -> httpx.Response:
    with gateway.client() as client:
        return client.request(method, path, **options)


def everywhere(gateway, method: str, path: str, times: int = 12) -> list[httpx.Response]:
    """Ask often enough, on connections of their own, for every worker to be among those asked."""
    return [on_a_fresh_connection(gateway, method, path) for _ in range(times)]


def metric(text: str, name: str) -> float:
    return sum(float(value) for value in re.findall(rf"^{name}(?:\{{[^}}]*\}})? ([\d.e+]+)$", text, re.MULTILINE))


async def crowd(gateway, count: int, asked=HELLO) -> list[tuple[int, dict[str, str]]]:
    """Send requests at once, each on a connection of its own; give the statuses and headers."""
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    async with aiohttp.ClientSession(gateway.url, connector=connector) as session:

        async def ask() -> tuple[int, dict[str, str]]:
            async with session.post(CHAT, json=asked) as answer:
                await answer.read()
                return answer.status, dict(answer.headers)

        return await asyncio.gather(*(ask() for _ in range(count)))


def test_any_worker_gives_the_metrics_of_all_and_both_have_work(world):
    gateway, one, two = world
    one.behave(first_byte_ms=100)
    two.behave(first_byte_ms=100)
    spent = [psutil.Process(worker).cpu_times().user for worker in workers_of(gateway)]
    before = metric(on_a_fresh_connection(gateway, "GET", "/metrics").text, "thalamus_requests_total")
    assert {status for status, _ in asyncio.run(crowd(gateway, 100))} == {200}
    gateway.records(100)
    shown = {
        metric(answer.text, "thalamus_requests_total") - before for answer in everywhere(gateway, "GET", "/metrics")
    }
    assert shown == {100.0}
    still = [psutil.Process(worker).cpu_times().user for worker in workers_of(gateway)]
    assert all(after > before for before, after in zip(spent, still, strict=True)), "both had work"


def test_a_limit_is_counted_for_all_workers_together(world):
    gateway, *_ = world
    reasons = [on_a_fresh_connection(gateway, "POST", CHAT, json={**HELLO, "model": "deep"}) for _ in range(8)]
    told = [answer.headers["x-thalamus-tier"] for answer in reasons]
    assert told[:4] == ["deep"] * 4
    assert "deep" not in told[5:], "one may slip through while the fourth is being counted"


def test_a_replica_that_wants_rest_is_left_alone_by_all_workers(world):
    gateway, one, two = world
    one.behave(faults=["status-429"], fault_rate=1.0, retry_after="6")
    until(lambda: on_a_fresh_connection(gateway, "POST", CHAT, json=HELLO) and any(r["fault"] for r in one.requests()))
    until(lambda: _conditions(gateway, "a") == {"cooling"})
    one.reset()
    two.reset()
    assert {status for status, _ in asyncio.run(crowd(gateway, 30))} == {200}
    assert not [request for request in one.requests() if request["method"] == "POST"]


def test_a_breaker_that_opens_at_one_worker_is_open_at_all(world):
    gateway, one, _ = world
    one.behave(faults=["status-500"], fault_rate=1.0)

    def is_open_everywhere() -> bool:
        assert {status for status, _ in asyncio.run(crowd(gateway, 20))} == {200}, "the other replica answers"
        return _breakers(gateway, "a") == {"open"}

    until(lambda: _conditions(gateway, "a") == {"serving"}, 30)  # the rest of the test before is over
    until(is_open_everywhere)


def _breakers(gateway, replica: str) -> set[str]:
    answers = everywhere(gateway, "GET", "/admin/backends")
    return {one["breaker"] for answer in answers for one in _replicas(answer) if one["name"] == replica}


def _replicas(answer: httpx.Response) -> list[dict]:
    return next(one["replicas"] for one in answer.json()["backends"] if one["name"] == "swift")


def _conditions(gateway, replica: str) -> set[str]:
    """Give what a replica is to any of the workers: each of them has its say in the metrics, whoever is asked."""
    told = on_a_fresh_connection(gateway, "GET", "/metrics").text
    found = re.findall(r"^thalamus_replica_condition\{(.*)\} 1(?:\.0)?$", told, re.MULTILINE)
    labels = [dict(re.findall(r'(\w+)="([^"]*)"', one)) for one in found]
    return {one["condition"] for one in labels if (one["backend"], one["replica"]) == ("swift", replica)}


def test_a_drain_is_heard_by_all_workers_and_so_is_its_end(world):
    gateway, *_ = world
    assert on_a_fresh_connection(gateway, "POST", "/admin/backends/swift/b/drain").json()["told"] == "all processes"
    until(lambda: _conditions(gateway, "b") == {"draining"})
    on_a_fresh_connection(gateway, "POST", "/admin/backends/swift/b/undrain")
    until(lambda: _conditions(gateway, "b") == {"serving"})


def test_a_worker_that_dies_is_replaced_knows_what_the_others_know_and_its_counts_stay(world):
    gateway, *_ = world
    on_a_fresh_connection(gateway, "POST", "/admin/backends/swift/b/drain")
    until(lambda: _conditions(gateway, "b") == {"draining"})
    counted = metric(on_a_fresh_connection(gateway, "GET", "/metrics").text, "thalamus_requests_total")
    first, second = workers_of(gateway)
    os.kill(first, signal.SIGKILL)
    answers = [on_a_fresh_connection(gateway, "POST", CHAT, json=HELLO).status_code for _ in range(20)]
    assert set(answers) == {200}, "the other worker takes all that comes meanwhile"
    until(lambda: len(workers_of(gateway)) == 2 and first not in workers_of(gateway), 20)
    until(lambda: gateway.log().count("worker ended, another is started") == 1)
    fresh = next(worker for worker in workers_of(gateway) if worker != second)
    until(lambda: psutil.Process(fresh).net_connections(kind="tcp"), 20)
    time.sleep(1.0)
    assert _conditions(gateway, "b") == {"draining"}
    after = on_a_fresh_connection(gateway, "GET", "/metrics").text
    assert metric(after, "thalamus_requests_total") == counted + 20
    assert metric(after, "thalamus_in_flight_requests") == 0
    on_a_fresh_connection(gateway, "POST", "/admin/backends/swift/b/undrain")
    until(lambda: _conditions(gateway, "b") == {"serving"})


def test_feedback_and_the_live_view_reach_every_workers_decisions(world):
    check_that_workers_know_each_others_decisions(world[0])


def check_that_workers_know_each_others_decisions(gateway):
    """Ask on connections of their own until both workers have decided, then of each decision on each connection."""
    with gateway.client() as client, client.stream("GET", "/admin/decisions/stream") as stream:
        lines = stream.iter_lines()
        assert next(lines) == ": watching"
        time.sleep(0.3)  # the other worker hears of the watcher
        answers = [on_a_fresh_connection(gateway, "POST", CHAT, json=HELLO) for _ in range(12)]
        asked = {answer.headers["x-thalamus-decision-id"] for answer in answers}
        events = (json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: "))
        shown = [next(events)["id"] for _ in asked]
    assert asked == set(shown)
    given = [
        on_a_fresh_connection(gateway, "POST", "/v1/feedback", json={"decision_id": name, "rating": "up"})
        for name in asked
    ]
    assert {answer.status_code for answer in given} == {200}
    for listed in everywhere(gateway, "GET", "/admin/decisions", 6):
        assert asked <= {one["id"] for one in listed.json()["decisions"]}
    replays = [
        on_a_fresh_connection(gateway, "POST", f"/admin/decisions/{name}/replay", params={"dial": "max"})
        for name in asked
    ]
    assert {answer.status_code for answer in replays} == {200}
    assert on_a_fresh_connection(gateway, "POST", "/v1/feedback", json=LOST).status_code == 404


PATIENT = {"budget_ms": 10_000}


def check_that_a_false_hit_is_one_for_all_workers(gateway):
    """Each has an index of its own, and the same answer under the same name in it. A crowd reaches both."""

    def ask(text: str) -> list[tuple[str, str]]:
        asked = {"model": "deep", "messages": [{"role": "user", "content": text}], "temperature": 0}
        told = asyncio.run(crowd(gateway, 40, asked))
        time.sleep(0.3)  # what is kept is kept behind the answer, and the other worker hears of feedback
        return [(headers["x-thalamus-cache"], headers["x-thalamus-decision-id"]) for _, headers in told]

    ask("What is the capital of Peru?")
    reworded = "Can you tell me what Peru's capital city is?"
    hits = ask(reworded)
    assert {cache for cache, _ in hits} == {"hit-semantic"}
    given = {"decision_id": hits[0][1], "rating": "down"}
    assert on_a_fresh_connection(gateway, "POST", "/v1/feedback", json=given).is_success
    time.sleep(0.3)
    assert "hit-semantic" not in {cache for cache, _ in ask(reworded)}


LOST = {"decision_id": "no-such-decision", "rating": "up"}


def test_a_start_that_fails_in_the_workers_ends_with_their_status(tmp_path, standin):
    log = {"path": str(tmp_path / "nowhere" / "decisions.jsonl")}
    settings = settings_over(standin.url, server={"workers": 2}, decision_log=log)
    with pytest.raises(AssertionError, match=r"did not start: status [1-9]"), running_gateway(settings, tmp_path):
        pass


def test_without_redis_it_is_said_what_workers_do_not_share_and_a_killed_supervisor_leaves_none_behind(
    tmp_path, standin
):
    metrics = {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "metrics")}  # who is killed tidies nothing up
    settings = settings_over(standin.url, server={"workers": 2}, cache={"mode": "semantic", "semantic": PATIENT})
    with running_gateway(settings, tmp_path, environment=metrics) as gateway:
        assert "without redis.url each has limits, cache" in gateway.log()
        told = on_a_fresh_connection(gateway, "POST", "/admin/backends/swift/drain").json()["told"]
        assert told == "this process"
        check_that_workers_know_each_others_decisions(gateway)
        check_that_a_false_hit_is_one_for_all_workers(gateway)
        workers = workers_of(gateway)
        gateway.kill()
        until(lambda: not any(psutil.pid_exists(worker) for worker in workers))
        gateway.stop = lambda *_: None


def test_told_to_end_all_workers_finish_their_streams_and_a_second_word_cuts_them(tmp_path, standin):
    settings = settings_over(standin.url, server={"workers": 2, "notice_s": 0.2, "drain_s": 30})
    for times in (1, 2):
        standin.behave(tokens=40, token_ms=50)
        with running_gateway(settings, tmp_path / str(times)) as gateway:
            ends = asyncio.run(streams_while_it_ends(gateway, 12, times=times))
            assert gateway.process.wait(10) == 0
        standin.reset()
        if times == 1:
            assert [end.endswith("data: [DONE]") for end in ends] == [True] * 12
        else:
            assert ['"code":"draining"' in end for end in ends] == [True] * 12


async def streams_while_it_ends(gateway, count: int, *, times: int) -> list[str]:
    """Stream to so many clients, tell the gateway so often to end once all have begun, and give what each heard."""
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    async with aiohttp.ClientSession(gateway.url, connector=connector) as session:

        async def hear() -> str:
            async with session.post(CHAT, json={**HELLO, "stream": True}) as answer:
                begun.append(await answer.content.readline())
                return (await answer.text()).rstrip()

        begun: list[bytes] = []
        hearing = [asyncio.create_task(hear()) for _ in range(count)]
        await asyncio.to_thread(until, lambda: len(begun) == count)
        gateway.signal(signal.SIGTERM)
        await asyncio.to_thread(until, lambda: len(gateway.events("leaving")) == 2)
        if times == 2:
            gateway.signal(signal.SIGTERM)
        return await asyncio.gather(*hearing)
