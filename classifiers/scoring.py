"""Scores JSON lines in bulk: for evaluation, for a user's own logs, for labelling."""

from __future__ import annotations

import json
import multiprocessing
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import chain, islice
from pathlib import Path
from typing import Any, Final

from classifiers.bundle import DEFAULT_BUNDLE, conversation_from
from classifiers.cascade import BatchModel, open_model
from classifiers.types import Conversation, Estimate

BATCH: Final = 256
_AHEAD: Final = 4
"""Batches a worker may have waiting: enough to keep it busy, few enough to stay small on an endless stream."""

_ALONE: Final = 4
"""Batches that are scored before other processes are started: starting them takes longer than that."""

_EFFORTS: Final = (("minimal", 250), ("low", 1_000), ("medium", 4_000), ("high", 10_000), ("xhigh", 20_000))
"""The most expected thinking tokens that each effort stands for; beyond the last it is ``max``."""


def score_lines(
    lines: Iterable[str], bundle: str | Path = DEFAULT_BUNDLE, dial: str = "balanced", workers: int = 1
) -> Iterator[str]:
    """Score one JSON object a line, ``{"prompt": …}`` or ``{"messages": […]}``, and give one line for each, in order.

    A line out has ``difficulty``, ``p_fast``, ``p_deep``, ``kind``, ``effort`` and ``tier``, and the ``id`` if one
    was given; for a line that cannot be read it has ``error`` instead. With more than one worker the batches of a
    long input are shared out among processes.

    Raises:
        BundleError: if the bundle cannot be opened.
        ValueError: if the dial has no such notch.
    """
    model = open_model(bundle)
    threshold = threshold_of(model, dial)
    batches = _batched(lines)
    for batch in islice(batches, None if workers <= 1 else _ALONE):
        yield from _score_batch(batch, model, threshold)
    yield from _share_out(batches, bundle, threshold, workers)


def threshold_of(model: BatchModel, dial: str) -> float:
    """Give the difficulty from which a notch goes deep.

    Raises:
        ValueError: if there is no such notch.
    """
    if dial not in model.thresholds:
        raise ValueError(f"dial {dial!r}: {model.name} has {', '.join(model.thresholds)}")
    return model.thresholds[dial]


def effort_of(estimate: Estimate, tier: str) -> str:
    """Name the effort that the expected thinking asks for; the fast tier does not think."""
    if tier == "fast":
        return "none"
    return next((effort for effort, most in _EFFORTS if estimate.thinking_tokens <= most), "max")


def _share_out(batches: Iterator[list[str]], bundle: str | Path, threshold: float, workers: int) -> Iterator[str]:
    if (first := next(batches, None)) is None:
        return
    batches = chain([first], batches)
    context = multiprocessing.get_context("spawn")  # onnxruntime's threads do not survive a fork
    with ProcessPoolExecutor(workers, context, _open_in_worker, (bundle, threshold)) as pool:
        waiting: deque[Future[list[str]]] = deque()
        for batch in batches:
            waiting.append(pool.submit(_score_in_worker, batch))
            if len(waiting) >= workers * _AHEAD:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()


_in_worker: dict[str, Any] = {}
"""What a worker process opened for itself; empty in the parent."""


def _open_in_worker(bundle: str | Path, threshold: float) -> None:
    _in_worker.update(model=open_model(bundle), threshold=threshold)


def _score_in_worker(batch: list[str]) -> list[str]:
    return _score_batch(batch, _in_worker["model"], _in_worker["threshold"])


def _score_batch(batch: list[str], model: BatchModel, threshold: float) -> list[str]:
    read = [_read_line(line) for line in batch]
    estimates = iter(model.estimate_many([found[1] for found in read if isinstance(found, tuple)]))
    scored = (
        found if isinstance(found, dict) else _scored(found[0], next(estimates), threshold)  # keeps the order
        for found in read
    )
    return [json.dumps(each, ensure_ascii=False) for each in scored]


def _read_line(line: str) -> tuple[Mapping[str, Any], Conversation] | dict[str, str]:
    try:
        record = json.loads(line)
        return record, conversation_from(record)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        wanted = 'a line is {"prompt": "…"} or {"messages": [{"role": "user", "content": "…"}]}'
        return {"error": f"{wanted}; this one is not ({type(error).__name__}: {error})"}


def _scored(record: Mapping[str, Any], estimate: Estimate, threshold: float) -> dict[str, Any]:
    tier = "deep" if estimate.difficulty >= threshold else "fast"
    named = {"id": record["id"]} if "id" in record else {}
    return {
        **named,
        "difficulty": round(estimate.difficulty, 4),
        "p_fast": round(estimate.p_fast, 4),
        "p_deep": round(estimate.p_deep, 4),
        "kind": estimate.kind.value,
        "effort": effort_of(estimate, tier),
        "tier": tier,
    }


def _batched(lines: Iterable[str]) -> Iterator[list[str]]:
    source = (line for line in lines if line.strip())
    while batch := list(islice(source, BATCH)):
        yield batch
