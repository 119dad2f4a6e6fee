"""Where there is more to do than can be done: fair lines, visible downgrades, and 429 with a time to come back."""

import signal
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.gateway.serving import settings_over

HELLO = {"model": "auto", "messages": [{"role": "user", "content": "Hello there"}]}
KEYS = [
    {"name": "flood", "key": "sk-flood-0123456789"},
    {"name": "modest", "key": "sk-modest-0123456789"},
    {"name": "batch", "key": "sk-batch-0123456789", "priority": "low"},
    {"name": "urgent", "key": "sk-urgent-0123456789", "priority": "high"},
]


def settings_for(standin, *, admission=None, mini=False, limit=None, **changes):
    settings = settings_over(standin.url, admission=admission or {}, keys=KEYS, **changes)
    if limit is not None:
        settings["backends"]["sage"]["max_concurrency"] = limit
    if mini:
        settings["backends"]["sprite"] = {**settings["backends"]["swift"], "model": "sprite-1"}
        settings["tiers"]["deep-mini"] = "sprite"
    return settings


def ask(gateway, key="flood", **body):
    headers = {"authorization": f"Bearer sk-{key}-0123456789", **body.pop("headers", {})}
    with gateway.client(timeout=30) as client:
        return client.post("/v1/chat/completions", json={**HELLO, "model": "deep", **body}, headers=headers)


def wait_until(standin, count: int) -> None:
    deadline = time.monotonic() + 5
    while len(standin.requests()) < count:
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("where", ["tier", "backend"])
def test_one_keys_flood_does_not_hold_up_another(serve, standin, where):
    if where == "tier":
        settings = settings_for(standin, admission={"tiers": {"deep": {"concurrency": 2}}})
    else:
        settings = settings_for(standin, limit=2)
    gateway = serve(settings)
    standin.behave(first_byte_ms=150)
    ended = []

    def one(key: str) -> None:
        answer = ask(gateway, key)
        assert answer.status_code == 200
        ended.append((key, float(answer.headers.get("x-thalamus-queued", 0))))

    with ThreadPoolExecutor(24) as crowd:
        flood = [crowd.submit(one, "flood") for _ in range(20)]
        wait_until(standin, 2)
        modest = [crowd.submit(one, "modest") for _ in range(3)]
        for future in (*flood, *modest):
            future.result()
    last = max(place for place, (key, _) in enumerate(ended) if key == "modest")
    assert last < 18, "they were served in between; first come, first served would have put the last of them 23rd"
    assert max(waited for key, waited in ended if key == "flood") > max(w for key, w in ended if key == "modest")
    with gateway.client() as client:
        metrics = client.get("/metrics").text
    name = "deep" if where == "tier" else "backend:sage"
    assert f'thalamus_queue_wait_seconds_count{{queue="{name}",result="admitted"}}' in metrics
    assert f'thalamus_queue_depth{{queue="{name}"}} 0.0' in metrics


def test_priorities_order_the_line_and_a_request_may_only_lower_its_own(serve, standin):
    gateway = serve(settings_for(standin, limit=1))
    ended = []

    def one(name: str, key: str, **headers: str) -> None:
        pace = {"first_byte_ms": 1500 if name == "first" else 50}
        assert ask(gateway, key, headers=headers, standin=pace).status_code == 200
        ended.append(name)

    crowd = [("first", "flood", {}), ("batch", "batch", {"x-thalamus-priority": "high"}),
             ("lowered", "modest", {"x-thalamus-priority": "low"}), ("normal", "flood", {}),
             ("urgent", "urgent", {})]  # fmt: skip
    threads = []
    for name, key, headers in crowd:
        threads.append(threading.Thread(target=one, args=(name, key), kwargs=headers))
        threads[-1].start()
        wait_until(standin, 1)
        time.sleep(0.03)
    for thread in threads:
        thread.join()
    assert ended[:3] == ["first", "urgent", "normal"]
    assert set(ended[3:]) == {"batch", "lowered"}
    assert ask(gateway, headers={"x-thalamus-priority": "now"}).status_code == 400


@pytest.mark.parametrize("mini", [True, False])
def test_a_busy_tier_sends_requests_elsewhere_and_says_so(serve, standin, mini):
    """To its mini, or else to the other tier, before the line is hopeless."""
    gateway = serve(settings_for(standin, limit=1, mini=mini, admission={"queue": 2}))
    standin.behave(first_byte_ms=400)
    with ThreadPoolExecutor(8) as crowd:
        answers = list(crowd.map(lambda _: ask(gateway), range(8)))
    told = Counter((answer.headers["x-thalamus-backend"], answer.headers["x-thalamus-reason"]) for answer in answers)
    other = "sprite" if mini else "swift"
    assert set(told) == {("sage", "client"), (other, "load")}
    assert {answer.status_code for answer in answers} == {200}
    assert told[other, "load"] >= 3


def test_who_has_nowhere_to_go_gets_429_with_a_time_to_come_back(serve, standin):
    gateway = serve(settings_for(standin, limit=1, admission={"queue": 1, "wait_s": 5}))
    standin.behave(first_byte_ms=400)
    with ThreadPoolExecutor(6) as crowd:
        answers = list(crowd.map(lambda _: ask(gateway, model="sage"), range(6)))
    statuses = Counter(answer.status_code for answer in answers)
    assert statuses == {200: 2, 429: 4}
    for answer in answers:
        if answer.status_code == 429:
            assert answer.json()["error"]["code"] == "upstream_busy"
            assert int(answer.headers["retry-after"]) >= 1


def test_the_longest_wait_is_kept(serve, standin):
    gateway = serve(settings_for(standin, limit=1, admission={"wait_s": 0.2}))
    standin.behave(first_byte_ms=1000)
    with ThreadPoolExecutor(2) as crowd:
        answers = list(crowd.map(lambda _: ask(gateway, model="sage"), range(2)))
    assert sorted(answer.status_code for answer in answers) == [200, 429]


def test_a_stream_holds_its_place_until_its_end(serve, standin):
    gateway = serve(settings_for(standin, admission={"tiers": {"deep": {"concurrency": 1}}}))
    standin.behave(tokens=20, token_ms=40)
    with ThreadPoolExecutor(3) as crowd:
        started = time.monotonic()
        answers = list(crowd.map(lambda _: ask(gateway, stream=True), range(3)))
    assert time.monotonic() - started > 2 * 20 * 0.04
    assert all(answer.text.rstrip().endswith("data: [DONE]") for answer in answers)


def test_a_reload_keeps_count_of_who_is_within(serve, standin):
    settings = settings_for(standin, admission={"tiers": {"deep": {"concurrency": 1}}})
    gateway = serve(settings)
    standin.behave(first_byte_ms=2500)
    with ThreadPoolExecutor(2) as crowd:
        first = crowd.submit(ask, gateway)
        wait_until(standin, 1)
        settings["aliases"] = {"gpt-4o": "auto"}
        gateway.rewrite(settings)
        deadline = time.monotonic() + 5
        while not gateway.events("configuration reloaded"):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        second = crowd.submit(ask, gateway)
        assert {first.result().status_code, second.result().status_code} == {200}
        assert float(second.result().headers["x-thalamus-queued"]) > 0.2


def test_a_late_event_loop_turns_requests_away_at_once(serve, standin):
    """The process is stopped for longer than a beat again and again, as on a machine that is far too small."""
    gateway = serve(settings_for(standin, admission={"most_lag_s": 0.001}))
    done = threading.Event()

    def starve() -> None:
        while not done.is_set():
            gateway.signal(signal.SIGSTOP)
            time.sleep(0.25)
            gateway.signal(signal.SIGCONT)
            time.sleep(0.01)

    with ThreadPoolExecutor(1) as crowd:
        starving = crowd.submit(starve)
        try:
            deadline = time.monotonic() + 30
            while (answer := ask(gateway)).status_code == 200:
                assert time.monotonic() < deadline
        finally:
            done.set()
            starving.result()
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "overloaded")
    assert int(answer.headers["retry-after"]) >= 1
    with gateway.client() as client:
        assert "thalamus_shed_requests_total 1.0" in client.get("/metrics").text
