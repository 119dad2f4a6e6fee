"""`python -m tests.bench.replaying`: a decision log of the benchmark's prompts, calibrated and replayed.

A gateway of its own serves the prompts, half of them with a further question, and logs its decisions. Then, for each
share of deep calls, `thalamus calibrate` finds the dial's threshold on that log, and `thalamus replay` tells what share
it gives.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.table import Table

from tests.bench.load import LoadError, closed_loop, post
from tests.bench.prompts import PROMPTS
from tests.bench.subjects import (
    CHAT,
    HOST,
    LOAD_CORE,
    SUBJECT_CORE,
    StartError,
    Subject,
    free_port,
    started,
    thalamus,
    upstream,
)

SHARES = (0.1, 0.2, 0.4)
TOLERANCE = 0.02
"""How far a calibrated dial's share may be from the one that was wanted."""

_THALAMUS = Path(sys.executable).with_name("thalamus")
_CONNECTIONS = 8


@dataclass(frozen=True, slots=True)
class Found:
    """What one share comes to.

    Attributes:
        wanted: the share of deep calls.
        uncalibrated: what the bundle's curve gives on this log.
        threshold: what was found.
        replayed: what it gives.
        changed: requests that would have another target than was logged.
    """

    wanted: float
    uncalibrated: float
    threshold: float
    replayed: float
    changed: int

    @property
    def kept(self) -> bool:
        """Whether the calibrated dial keeps its word."""
        return abs(self.replayed - self.wanted) <= TOLERANCE


def main() -> int:
    """Log, calibrate, replay, print; 1 when a share was not kept or a server failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.replaying", description=__doc__)
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the log, the policies and a picture there")
    parser.add_argument("--requests", type=int, default=1000, metavar="N")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    with ExitStack() as until_end:
        folder = options.keep or Path(until_end.enter_context(tempfile.TemporaryDirectory(prefix="thalamus-bench-")))
        folder.mkdir(parents=True, exist_ok=True)
        try:
            config = make_log(folder, options.requests)
        except (StartError, LoadError) as error:
            print(error, file=sys.stderr)
            return 1
        found = [try_share(folder, config, share) for share in SHARES]
    if options.json:
        print(json.dumps([asdict(one) for one in found], indent=2))
    else:
        _print(found, options)
    return 0 if all(one.kept for one in found) else 1


def make_log(folder: Path, requests: int) -> Path:
    """Serve the prompts and leave `decisions.jsonl` in the folder; give the configuration that decided."""
    with ExitStack() as until_end:
        source = upstream(free_port())
        until_end.enter_context(started(source, LOAD_CORE, folder))
        log = {"path": str(folder / "decisions.jsonl")}
        subject = thalamus(free_port(), source.port, folder, decision_log=log, ledger={"place": "off"})
        until_end.enter_context(started(subject, SUBJECT_CORE, folder))
        load = closed_loop(HOST, subject.port, questions(subject), connections=_CONNECTIONS, seconds=600, most=requests)
        asyncio.run(load)
    return folder / "settings" / "thalamus.yaml"  # the gateway has ended, so that its log is whole


def questions(subject: Subject) -> Iterator[bytes]:
    """Ask each prompt, and after every second one a further question in the same conversation, without end."""
    for number in itertools.count():
        prompt = {"role": "user", "content": f"{PROMPTS[number % len(PROMPTS)]} #{number}"}
        yield _ask(subject, [prompt])
        if number % 2:
            yield _ask(subject, [prompt, {"role": "assistant", "content": "So."}, {"role": "user", "content": "Why?"}])


def try_share(folder: Path, config: Path, share: float) -> Found:
    """Calibrate a dial to a share on the log, and replay the log under it, before and after."""
    log, policy = folder / "decisions.jsonl", folder / f"share-{share:g}.yaml"
    settings = yaml.safe_load(config.read_text("utf-8"))
    policy.write_text(yaml.safe_dump({**settings, "routing": {"dial": share}}), encoding="utf-8")
    before = _thalamus("replay", log, "--policy", policy)
    calibrated = _thalamus("calibrate", log, "--config", policy, "--write")
    picture = ("--picture", folder / f"share-{share:g}.svg")
    after = _thalamus("replay", log, "--policy", policy, *picture)
    return Found(share, _deep_share(before), calibrated["threshold"], _deep_share(after), after["changed"])


def _ask(subject: Subject, messages: list[dict[str, str]]) -> bytes:
    body = json.dumps({"model": "auto", "messages": messages}, ensure_ascii=False).encode()
    return post(CHAT, body, dict(subject.headers), f"{HOST}:{subject.port}")


def _thalamus(command: str, *arguments: str | Path) -> dict[str, Any]:
    ran = subprocess.run(
        [str(_THALAMUS), command, *map(str, arguments), "--json"], check=True, stdout=subprocess.PIPE, text=True
    )
    told: dict[str, Any] = json.loads(ran.stdout)
    return told


def _deep_share(report: dict[str, Any]) -> float:
    return round(report["tiers"]["deep"]["after"] / report["requests"], 4)


def _print(found: list[Found], options: argparse.Namespace) -> None:
    console = Console()
    table = Table(title=f"Shares of deep calls on a log of {options.requests:,} requests")
    for title in ("wanted", "by the bundle's curve", "threshold found", "replayed", "changed", f"within {TOLERANCE:g}"):
        table.add_column(title, justify="right")
    for one in found:
        verdict = "[green]pass[/green]" if one.kept else "[bold red]miss[/bold red]"
        shares = (f"{one.wanted:.0%}", f"{one.uncalibrated:.1%}", f"{one.threshold:.4f}", f"{one.replayed:.1%}")
        table.add_row(*shares, f"{one.changed:,}", verdict)
    console.print(table)
    if options.keep:
        console.print(f"The log, the policies and pictures are in {options.keep}.", highlight=False)


if __name__ == "__main__":
    sys.exit(main())
