"""One line per routed request, without its words unless they are wanted; a bad disk costs lines, never requests."""

import dataclasses
import json
import os
import stat
import threading
import time
from pathlib import Path

import pytest
from pydantic import ValidationError

from classifiers.heuristic import HeuristicModel
from classifiers.types import Conversation, Turn
from gateway.records.accounting import Attempt, Outcome, Record
from gateway.records.decision_log import FLUSH_S, MOST_WAITING_BYTES, DecisionLog, DecisionLogSettings, RotatingFile
from gateway.records.prices import Usage
from router.engine import Engine
from router.policy import Policy, TierTarget
from router.replay import read_line
from router.types import Candidate, Needs, RouteRequest, Session, Tier

SECRET = "the launch code is 0000"
ENGINE = Engine(
    Policy(
        tiers={Tier.FAST: (TierTarget("small"),), Tier.DEEP: (TierTarget("big"),)},
        candidates={"small": Candidate("small"), "big": Candidate("big")},
    ),
    HeuristicModel(),
)
CONVERSATION = Conversation(
    (
        Turn("system", f"You know that {SECRET}."),
        Turn("user", f"Prove that {SECRET}."),
        Turn("assistant", f"I will not say that {SECRET}."),
        Turn("user", "Why? Think hard."),
    ),
    tools=2,
)
REQUEST = RouteRequest(
    "auto",
    CONVERSATION,
    Needs(tools=True, prompt_tokens=40, max_tokens=9_000),
    session=Session(Tier.DEEP, "big", 0.7),
    exhausted={Tier.FAST_MINI: 12.5},
    attributes={"key": "ci", "tenant": "acme", "metadata.topic": SECRET},
)


def finished(asked: RouteRequest = REQUEST, **changes) -> Record:
    decision = ENGINE.decide(asked)
    values = {
        "endpoint": "chat",
        "tenant": "acme",
        "key": "ci",
        "stream": True,
        "request": asked,
        "conversation": "ts1:{acme}:0123",
        "decision": decision,
        "target": decision.targets[0],
        "attempts": [Attempt(decision.targets[0].backend, None)],
        "usage": Usage(40, 900, 10, 700),
        "cost": 0.002,
        "outcome": Outcome.DONE,
        "status": 200,
        "first_token_s": 0.4,
        "total_s": 2.5,
    }
    return Record(**values | changes)


def log_to(path: Path, *records: Record, **settings) -> list[bytes]:
    with DecisionLog(path, DecisionLogSettings(**settings)) as log:
        for record in records:
            log(record)
    return path.read_bytes().splitlines()


def test_a_line_reads_back_as_what_was_decided_and_what_came_of_it(tmp_path):
    record = finished()
    (line,) = log_to(tmp_path / "log", record)
    logged = read_line(line)
    assert logged.id == record.decision.id
    assert (logged.tenant, logged.key, logged.endpoint, logged.stream) == ("acme", "ci", "chat", True)
    assert logged.facts == record.decision.facts
    assert logged.facts.intent.direction == "up"
    assert logged.request.session == REQUEST.session
    assert logged.request.exhausted == REQUEST.exhausted
    assert logged.request.needs == REQUEST.needs
    assert logged.decided.target == record.target
    assert logged.decided.reason is record.decision.reason
    assert (logged.served.outcome, logged.served.cost, logged.served.tokens.reasoning) == ("done", 0.002, 700)


def test_without_content_no_word_of_the_caller_is_written(tmp_path):
    (line,) = log_to(tmp_path / "log", finished())
    assert SECRET.encode() not in line
    assert b"Why?" not in line
    assert read_line(line).request.attributes == {"key": "ci", "tenant": "acme"}
    assert len(read_line(line).request.conversation.turns) == 2  # the user's, emptied


def test_content_is_logged_without_what_the_rules_find(tmp_path):
    record = finished()
    turns = (Turn("user", "我的邮箱是ann@example.com"),)
    record.request = dataclasses.replace(
        record.request,
        conversation=Conversation(turns, 0),
        attributes={**record.request.attributes, "metadata.phone": "13812345678"},
    )
    (line,) = log_to(tmp_path / "log", record, content=True)
    request = json.loads(line)["request"]
    assert request["conversation"]["turns"][0]["text"] == "我的邮箱是[email]"
    assert request["attributes"]["metadata.phone"] == "[cn-mobile]"


def test_what_a_line_holds_without_content_is_listed_here_so_that_nothing_joins_it_unseen(tmp_path):
    (line,) = log_to(tmp_path / "log", finished())
    written = json.loads(line)
    assert set(written) == {
        *("v", "id", "at", "endpoint", "tenant", "key", "stream", "conversation", "content"),
        *("request", "facts", "decided", "served", "trace_id"),
    }
    assert set(written["request"]) == {
        *("model", "conversation", "needs", "effort", "tier", "dial"),
        *("bounds", "session", "exhausted", "busy", "stream", "checkable", "attributes"),
    }
    assert set(written["facts"]) == {"estimate", "difficulty", "kind", "intent", "tool_needs", "lean"}
    assert set(written["facts"]["intent"]) == {"direction", "phrase", "subject", "language", "discounted"}
    assert written["request"]["conversation"]["turns"] == [{"role": "user", "text": ""}] * 2


def test_with_content_the_whole_conversation_is_written(tmp_path):
    (line,) = log_to(tmp_path / "log", finished(), content=True)
    assert read_line(line).request == REQUEST


def test_conversations_keep_their_name_within_a_log_and_only_there(tmp_path):
    same = [finished(), finished()]
    one, two = (read_line(line) for line in log_to(tmp_path / "a", *same))
    (other,) = (read_line(line) for line in log_to(tmp_path / "b", same[0]))
    assert one.conversation == two.conversation
    assert one.conversation
    assert one.conversation not in ("ts1:{acme}:0123", other.conversation)


UNROUTED = [
    {"decision": None, "request": None},
    {"endpoint": "route"},
]


@pytest.mark.parametrize("changes", UNROUTED)
def test_a_request_that_was_refused_or_only_explained_leaves_no_line(tmp_path, changes):
    assert log_to(tmp_path / "log", finished(**changes)) == []


def test_a_request_answered_by_nobody_is_logged_without_a_served_target(tmp_path):
    (line,) = log_to(tmp_path / "log", finished(target=None, usage=None, cost=None, outcome=Outcome.FAILED))
    assert read_line(line).served.target is None
    assert read_line(line).served.tokens is None


def test_only_the_owner_may_read_the_file_and_those_put_aside(tmp_path):
    log_to(tmp_path / "log", *[finished()] * 6, max_bytes=4096)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert len(modes) > 1
    assert set(modes.values()) == {0o600}


def test_lines_are_on_the_disk_within_a_second(tmp_path):
    with DecisionLog(tmp_path / "log", DecisionLogSettings()) as log:
        log(finished())
        deadline = time.monotonic() + 1.0
        while not (tmp_path / "log").stat().st_size:
            assert time.monotonic() < deadline
            time.sleep(FLUSH_S / 10)


def test_an_existing_log_is_continued(tmp_path):
    log_to(tmp_path / "log", finished())
    assert len(log_to(tmp_path / "log", finished())) == 2


def test_full_files_are_put_aside_in_order_and_the_oldest_removed(tmp_path):
    file = RotatingFile(tmp_path / "log", max_bytes=8, keep=2)
    file.write([b"one", b"two", b"three", b"four", b"a line longer than a file", b"five"])
    file.close()
    contents = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert contents == {"log": "five\n", "log.1": "a line longer than a file\n", "log.2": "four\n"}


def test_a_log_that_keeps_nothing_begins_again(tmp_path):
    file = RotatingFile(tmp_path / "log", max_bytes=8, keep=0)
    file.write([b"first", b"second"])
    file.close()
    assert [path.name for path in tmp_path.iterdir()] == ["log"]
    assert (tmp_path / "log").read_text() == "second\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is always full")
def test_a_full_disk_costs_lines_that_are_counted(tmp_path):
    dropped: list[int] = []
    (tmp_path / "log").symlink_to("/dev/full")
    with DecisionLog(tmp_path / "log", DecisionLogSettings(), dropped.append) as log:
        for _ in range(3):
            log(finished())
    assert sum(dropped) == 3


def test_a_stalled_disk_holds_up_so_many_bytes_and_no_request(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    dropped: list[int] = []
    large = Conversation.from_prompt("x" * (MOST_WAITING_BYTES // 4))
    record = finished(RouteRequest("auto", large))
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)  # reads nothing until the end
    log = DecisionLog(tmp_path / "pipe", DecisionLogSettings(content=True), dropped.append)
    slowest = max(timed(log, record) for _ in range(12))
    os.set_blocking(reader, True)
    drain = threading.Thread(target=read_to_end, args=(reader,))
    drain.start()
    log.close()
    drain.join()
    assert sum(dropped) >= 4
    assert slowest < 0.5


def timed(log: DecisionLog, record: Record) -> float:
    started = time.perf_counter()
    log(record)
    return time.perf_counter() - started


def read_to_end(descriptor: int) -> None:
    while os.read(descriptor, 1 << 20):
        pass
    os.close(descriptor)


def test_a_record_after_the_end_is_counted_as_dropped(tmp_path):
    dropped: list[int] = []
    log = DecisionLog(tmp_path / "log", DecisionLogSettings(), dropped.append)
    log.close()
    log(finished())
    assert dropped == [1]
    assert (tmp_path / "log").read_bytes() == b""


def test_a_file_that_cannot_be_opened_is_told_at_once(tmp_path):
    with pytest.raises(FileNotFoundError):
        DecisionLog(tmp_path / "no" / "log", DecisionLogSettings())


def test_settings_refuse_what_they_do_not_know():
    with pytest.raises(ValidationError, match="contents"):
        DecisionLogSettings(contents=True)
    assert DecisionLogSettings().content is False
    assert DecisionLogSettings().path is None
