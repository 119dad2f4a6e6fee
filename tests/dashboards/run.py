"""A short real run to look at: gateway, stand-in backends, Redis and Prometheus under a mixed load."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from gateway.standin import running_standin
from tests.dashboards.engine_standin import running_engines
from tests.dashboards.prometheus import Prometheus, running_prometheus
from tests.gateway.serving import RunningGateway, running_gateway
from tests.unit.gateway.redis_server import RedisServer, running_redis

_WEEK_S = 7 * 86400
_QUESTIONS = (
    "What is the capital of France?",
    "Say hello to Ann",
    "Translate to German: good morning",
    "Write a Python function that merges two sorted lists and prove that it is correct",
    "Prove that there are infinitely many primes of the form 4k+3",
    "Find all integers n such that n^2 + 19n + 92 is a perfect square. Think step by step.",
    "Summarise this: the meeting moved to Monday",
    "Plan a schedule for nine workers and seven machines with these precedence constraints",
)
_CHAT = "/v1/chat/completions"


@dataclass(frozen=True)
class Run:
    """What is left of a run, while its Prometheus still answers.

    Attributes:
        prometheus: asks the data.
        began: time of its first scrape, in seconds since 1970.
    """

    prometheus: Prometheus
    began: float


def settings(standin_url: str, redis_url: str) -> dict[str, Any]:
    """Give a configuration in which everything that is measured can happen."""
    url = f"{standin_url}/v1"
    quiet = {"breaker": {"enabled": False}, "abilities": {"logprobs": True}}
    cheap, dear = {"input": 1.0, "output": 4.0}, {"input": 20.0, "output": 80.0}
    return {
        "backends": {
            "swift": {"url": url, "model": "swift-1@token_ms=1", "price": cheap, **quiet},
            "sage": {
                "url": url,
                "model": "sage-1@token_ms=1,thinking=always",
                "family": "deepseek-v3.1",
                "host": "vllm",
                "price": dear,
                **quiet,
            },
            "silent": {"url": url, "model": "silent-1@first_token_ms=700", "price": cheap, **quiet},
            "failing": {"url": url, "model": "failing-1@faults=status-500", "price": cheap, **quiet},
            "broken": {"url": url, "model": "broken-1@faults=status-500", "price": cheap},
        },
        "tiers": {"fast": "swift", "deep": "sage"},
        "admission": {"tiers": {"fast": {"concurrency": 2}}},
        "attempts": {"patience_s": 1, "backoff_s": 0.05, "retries_per_s": 0, "retry_share": 0},
        "routing": {"cascade": {"min_confidence": 0.0}},
        "cache": {"mode": "exact"},
        "shadow": {"share": 0.3, "max_concurrency": 4, "budget_usd_per_day": 100, "streams": True},
        "redis": {"url": redis_url, "deadline_ms": 500},
        "limits": [{"concurrent": 100}],
        "keys": [
            {"name": "shop", "key": "sk-shop", "tenant": "shop"},
            {"name": "desk", "key": "sk-desk", "tenant": "desk"},
            {"name": "small", "key": "sk-small", "limits": [{"window_s": 3600, "calls": 2}]},
            {"name": "poor", "key": "sk-poor", "limits": [{"window_s": 3600, "dollars": 0.0001}]},
        ],
        "server": {"port": 0, "notice_s": 0, "drain_s": 2, "keep_alive_s": 0.2},
        "telemetry": {"log_format": "json"},
    }


@contextlib.contextmanager
def observed_run(folder: Path) -> Iterator[Run]:
    """Start everything, drive the load twice, and give the run once all of it has been scraped."""
    with contextlib.ExitStack() as running:
        redis = running.enter_context(running_redis())
        standin = running.enter_context(running_standin())
        config = settings(standin.url, redis.url)
        gateway = running.enter_context(running_gateway(config, folder / "gateway"))
        engines = running.enter_context(running_engines())
        _drive(gateway, config, 0)
        targets = {"thalamus": gateway.url.removeprefix("http://"), "engines": engines}
        history = _as_of_last_week(gateway)
        prometheus = running.enter_context(running_prometheus(folder / "prometheus", targets, history))
        began = time.time()
        prometheus.wait_for_scrapes()
        for number in (1, 2):
            _drive(gateway, config, number)
            prometheus.wait_for_scrapes()
        _lose_redis(redis, gateway)
        prometheus.wait_for_scrapes()
        yield Run(prometheus, began)


def _drive(gateway: RunningGateway, config: dict[str, Any], number: int) -> None:
    """Send one round of everything; `number` makes its prompts new."""
    with gateway.client(timeout=60, headers={"authorization": "Bearer sk-shop"}) as client:
        with ThreadPoolExecutor(8) as crowd:
            list(crowd.map(lambda each: _ask_one(client, number, each), range(90)))
        _converse(client, number)
        for model in ("failing", "broken", "silent", "nobody"):
            for _ in range(3):
                _ask(client, "Hello", model=model, stream=True)
        for key in ("sk-small", "sk-poor"):
            for _ in range(4):
                _ask(client, "Hello there", key=key, model="fast")
    gateway.rewrite({**config, "tiers": {"fast": "no such backend"}})
    _wait_for(lambda: _value(gateway, "thalamus_settings_reloads_total", result="refused") > number)
    gateway.rewrite(config)


def _ask_one(client: httpx.Client, number: int, each: int) -> None:
    question = f"{_QUESTIONS[each % len(_QUESTIONS)]} ({number}-{each})"
    key = "sk-desk" if each % 3 == 0 else "sk-shop"
    model = ("auto", "auto", "auto", "fast", "deep")[each % 5]
    _ask(client, question, key=key, model=model, stream=each % 2 == 0)
    if each % 6 == 0:
        for _ in range(2):
            _ask(client, f"What is {number} plus one?", key=key, temperature=0, model=model)


def _converse(client: httpx.Client, number: int) -> None:
    """Ask an easy question, then have the deep tier go on, with reasoning in the history that it does not take."""
    first = {"role": "user", "content": f"Hello, I am number {number}"}
    answer = {"role": "assistant", "content": "Hello!", "reasoning_content": "A greeting."}
    _ask(client, "", messages=[first], model="fast")
    _judge(client, number)
    for model in ("deep", "fast"):
        _ask(client, "", messages=[first, answer, {"role": "user", "content": "Prove it"}], model=model)


def _judge(client: httpx.Client, number: int) -> None:
    """Say of answers that they were right, or should have been another tier's, or somebody else's."""
    for better in ("fast", "deep"):
        _say(client, _ask(client, f"Hello, who is number {number}?"), better=better)
    for _ in range(2):
        kept = _ask(client, f"What is number {number}?", temperature=0)
    _say(client, kept, rating="down")


def _say(client: httpx.Client, answer: httpx.Response, **verdict: str) -> None:
    given = {"decision_id": answer.headers["x-thalamus-decision-id"], **verdict}
    _wait_for(lambda: client.post("/v1/feedback", json=given).is_success)  # its record is closed a moment later


def _ask(client: httpx.Client, question: str, *, key: str = "sk-shop", **body: Any) -> httpx.Response:
    messages = [{"role": "user", "content": question}]
    asked = {"model": "auto", "messages": messages, "max_tokens": 2000, **body}
    return client.post(_CHAT, json=asked, headers={"authorization": f"Bearer {key}"})


def _lose_redis(redis: RedisServer, gateway: RunningGateway) -> None:
    redis.kill()
    with gateway.client(timeout=60) as client:

        def is_open() -> bool:
            _ask(client, "What is two plus one?", temperature=0)
            return _value(gateway, "thalamus_redis_breaker", state="open") == 1

        _wait_for(is_open)


def _wait_for(what: Any, timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _value(gateway: RunningGateway, name: str, **labels: str) -> float:
    return sum(
        sample.value for sample in _samples(gateway) if sample.name == name and labels.items() <= sample.labels.items()
    )


def _samples(gateway: RunningGateway) -> Iterator[Any]:
    with gateway.client() as client:
        for family in text_string_to_metric_families(client.get("/metrics").text):
            yield from family.samples


def _as_of_last_week(gateway: RunningGateway) -> str:
    """Write the gateway's difficulties as if they had come within five minutes of the same time a week ago."""
    lines, now = ["# TYPE thalamus_difficulty histogram"], time.time()
    found = [sample for sample in _samples(gateway) if sample.name.startswith("thalamus_difficulty_")]
    for sample in found:
        if sample.name in ("thalamus_difficulty_bucket", "thalamus_difficulty_count"):
            labels = ",".join(f'{name}="{value}"' for name, value in {**sample.labels, "cluster": "here"}.items())
            for step in range(6):
                at = now - _WEEK_S - 300 + 60 * step
                lines.append(f"{sample.name}{{{labels}}} {sample.value * step / 5} {at:.3f}")
    return "\n".join([*lines, "# EOF"]) + "\n"
