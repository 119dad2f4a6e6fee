"""`python -m tests.bench.recording`: what recording one request costs, in microseconds of CPU, part by part.

The record is that of a streamed deep answer of a conversation, which counts in more places than any other. A part's
figure is the median of many rounds in one process; nothing is served meanwhile.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path

from classifiers.heuristic import HeuristicModel
from classifiers.types import Conversation, Turn
from gateway.ledger import Ledger
from gateway.ledger.sqlite_book import SqliteBook
from gateway.metrics import Metrics, share_metrics
from gateway.records.accounting import Accounts, Attempt, Outcome, Record
from gateway.records.decision_log import DecisionLog, DecisionLogSettings
from gateway.records.prices import Price, Usage
from gateway.records.recent import Recent
from router.engine import Engine
from router.policy import Policy, TierTarget
from router.types import Candidate, RouteRequest, Session, Tier

LIMIT_US = 30.0
"""What all metrics of a request may cost."""

_ROUND = 500


def typical_record(number: int = 0) -> Record:
    """Give the record of a finished stream of the deep tier, with all that can be counted of one."""
    policy = Policy(
        tiers={Tier.FAST: (TierTarget("swift", None),), Tier.DEEP: (TierTarget("sage", None),)},
        candidates={name: Candidate(name) for name in ("swift", "sage")},
    )
    turns = (
        Turn("user", "What is a prime?"),
        Turn("assistant", "A number."),
        Turn("user", "Prove that there are many."),
    )
    request = RouteRequest("deep", Conversation(turns), session=Session(Tier.FAST, "swift", 0.2), stream=True)
    record = Record("chat", tenant="shop", key="shop-1", stream=True, request=request, conversation="tl")
    record.decision = Engine(policy, HeuristicModel()).decide(request)
    record.target = record.decision.targets[0]
    record.attempts = [Attempt("sage", None, replica="a")]
    record.usage, record.outcome, record.status = Usage(900, 1200, 300, 1000), Outcome.DONE, 200
    record.first_token_s, record.thinking_s, record.upstream_s, record.decision_s = 0.4, 3.0, 0.5, 0.0002
    record.cache, record.trace_id = "miss", f"{number:032x}"
    return record


def measure(rounds: int = 40) -> dict[str, float]:
    """Give the median microseconds a request by part."""
    record, metrics, recent = typical_record(), Metrics(), Recent()
    prices = {name: Price(1.0, 4.0, 0.5) for name in ("swift", "sage")}
    accounts = Accounts(prices, "sage", ())
    accounts.close(record)
    take_recent = recent.writer()

    def count() -> None:
        metrics.begin_request(record)
        metrics.end_request(record)
        metrics.record_request(record)
        metrics.record_rooms(record)

    def mark() -> None:
        for room in ("auth", "read", "parse", "decide", "limits", "vault", "cache", "open", "relay", "account"):
            record.leave(room)  # type: ignore[arg-type]

    with tempfile.TemporaryDirectory() as folder:
        log = DecisionLog(Path(folder) / "decisions.jsonl", DecisionLogSettings())
        with closing(log):
            ledger = Ledger(SqliteBook(Path(folder) / "usage.db", 400))
            parts: dict[str, Callable[[], object]] = {
                "metrics": count,
                "times of rooms": mark,
                "last decisions": lambda: take_recent(record),
                "ledger": lambda: ledger(record),
                "decision log": lambda: log(record),
            }
            return {name: _median_us(part, rounds) for name, part in parts.items()}


def _median_us(part: Callable[[], object], rounds: int) -> float:
    def one_round() -> float:
        began = time.thread_time()
        for _ in range(_ROUND):
            part()
        return (time.thread_time() - began) / _ROUND * 1e6

    one_round()
    return statistics.median(one_round() for _ in range(rounds))


@contextmanager
def _shared_files() -> Iterator[None]:
    with tempfile.TemporaryDirectory() as folder:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        share_metrics(0)
        yield


def main() -> None:
    """Measure, and print a table or JSON."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.recording", description=__doc__)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--workers", action="store_true", help="keep metrics in files, as several workers do")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with _shared_files() if options.workers else nullcontext():
        figures = {name: round(value, 1) for name, value in measure(options.rounds).items()}
    if options.json:
        print(json.dumps(figures, indent=2))
        return
    for name, value in figures.items():
        print(f"{name:16} {value:6.1f} µs a request")
    both = figures["metrics"] + figures["times of rooms"]
    print(f"metrics and times of rooms together: {both:.1f} µs, allowed {LIMIT_US:.0f}")


if __name__ == "__main__":
    main()
