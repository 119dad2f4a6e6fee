"""Requests at a fixed rate, whatever becomes of them, and whether each got exactly its own answer."""

from __future__ import annotations

import asyncio
import itertools
import json
import math
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp

CHAT = "/v1/chat/completions"
_PATIENCE_S = 60.0


@dataclass
class Seen:
    """What became of all requests. `failures` has one line for each that did not get its own answer, once."""

    sent: int = 0
    failures: list[str] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    told: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(backend, reason) of the answers."""
    seconds: list[float] = field(default_factory=list)
    """Of those that were answered 200."""
    longest_queued_s: float = 0.0
    """By the gateway's clock, of those that were answered 200."""
    without_retry_after: int = 0
    """Answers with 429 that do not say when to come back."""

    def quantile(self, share: float) -> float:
        """Give a quantile of the answers' times, in seconds."""
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


async def steady(
    url: str,
    *,
    rate: float,
    seconds: float = math.inf,
    until: asyncio.Event | None = None,
    model: str = "auto",
    headers: dict[str, str] | None = None,
    seen: Seen | None = None,
    history: Sequence[Mapping[str, str]] = (),
    first: int = 0,
) -> Seen:
    """Send `rate` requests a second, every second one a stream, and wait for all answers.

    It ends after `seconds`, or when `until` is set. Questions are numbered from `first` on.

    The stand-in echoes the last message, so that an answer is right if it is the question, once.
    """
    seen = seen if seen is not None else Seen()
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(url, connector=connector, headers=headers) as session:
        started, tasks = time.perf_counter(), []
        for number in itertools.count():
            if number >= rate * seconds or (until is not None and until.is_set()):
                break
            await asyncio.sleep(max(0.0, started + number / rate - time.perf_counter()))
            tasks.append(asyncio.create_task(_ask(session, model, first + number, seen, history)))
        await asyncio.gather(*tasks)
    return seen


async def _ask(
    session: aiohttp.ClientSession, model: str, number: int, seen: Seen, history: Sequence[Mapping[str, str]]
) -> None:
    question = f"Say number {number} and nothing else."
    body: dict[str, Any] = {"model": model, "messages": [*history, {"role": "user", "content": question}]}
    body["stream"] = bool(number % 2)
    seen.sent += 1
    started = time.perf_counter()
    try:
        async with session.post(CHAT, json=body, timeout=aiohttp.ClientTimeout(_PATIENCE_S)) as answer:
            raw = await answer.read()
    except (aiohttp.ClientError, TimeoutError) as error:
        seen.failures.append(f"{number}: {type(error).__name__}")
        return
    seen.statuses[answer.status] += 1
    if answer.status != 200:
        seen.without_retry_after += answer.status == 429 and "retry-after" not in answer.headers
        seen.failures.append(f"{number}: {answer.status} {raw[:200]!r} {answer.headers.get('x-thalamus-attempts')}")
        return
    seen.longest_queued_s = max(seen.longest_queued_s, float(answer.headers.get("x-thalamus-queued", 0)))
    seen.seconds.append(time.perf_counter() - started)
    seen.told[answer.headers["x-thalamus-backend"], answer.headers["x-thalamus-reason"]] += 1
    said = text_of(raw, stream=body["stream"])
    if question not in said or said.count("number") != 1:
        seen.failures.append(f"{number}: {said!r}, asked {question!r}")


def text_of(raw: bytes, *, stream: bool) -> str:
    """Give an answer's text; of a stream that ended in an error, the error."""
    if not stream:
        return str(json.loads(raw)["choices"][0]["message"]["content"])
    text = ""
    for line in raw.decode().splitlines():
        if not line.startswith("data: ") or line == "data: [DONE]":
            continue
        event = json.loads(line.removeprefix("data: "))
        if "error" in event:
            return f"error: {event['error']['code']}"
        for choice in event["choices"]:
            text += choice["delta"].get("content") or ""
    return text
