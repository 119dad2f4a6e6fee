"""From verdicts in decision logs to training data: each is joined with the words of the request that it is about."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

from classifiers.language import language_of
from gateway.records.verdicts import Source, finding_of
from gateway.replaying.reading import ReplayError, Unreadable, read_lines
from router.replay import NOTE_STARTS, Feedback, Logged, MalformedLine, Shadowed, read_line, read_note


@dataclass(slots=True)
class Judged:
    """One prompt, and what was said of the fast and the deep tier's answers to it: 1 for right, 0 for short of it."""

    logged: Logged
    fast: list[int] = field(default_factory=list)
    deep: list[int] = field(default_factory=list)

    def record(self) -> dict[str, Any]:
        """Give the line of training data."""
        conversation, facts = self.logged.request.conversation, self.logged.facts
        record: dict[str, Any] = {
            "id": self.logged.id,
            "messages": [{"role": turn.role, "content": turn.text} for turn in conversation.turns],
            "fast_correct": fmean(self.fast),
            "deep_correct": fmean(self.deep) if self.deep else None,
            "domain": f"{self.logged.tenant}/{self.logged.key}",
            "language": language_of(conversation.last_asked),
        }
        if conversation.tools:
            record["tools"] = conversation.tools
        if facts is not None:
            record["kind"] = facts.kind.value
        return record


@dataclass(slots=True)
class Exported:
    """What became of the verdicts. Counts are of verdicts, but for `lines`, which are of prompts, by file."""

    verdicts: int = 0
    says_nothing: int = 0
    """Of deep answers judged alone."""
    unknown: int = 0
    """About decisions that are in none of the logs."""
    wordless: int = 0
    """About decisions that were logged without content."""
    too_many: int = 0
    """Of keys that had as many prompts as one may have."""
    lines: dict[Source, int] = field(default_factory=dict)


def export(logs: Sequence[Path], folder: Path, most_per_key: int, unreadable: Unreadable) -> Exported:
    """Write `folder`/train/feedback.jsonl and shadow.jsonl, for whichever there are verdicts.

    Raises:
        ReplayError: a file cannot be read or written, or there is nothing to learn in the logs.
    """
    notes = _read_notes(logs, unreadable)
    exported = Exported(verdicts=sum(map(len, notes.values())))
    if not exported.verdicts:
        names = ", ".join(map(str, logs))
        raise ReplayError(f"{names}: there is no verdict. They come by POST /v1/feedback, and by shadow.share")
    judged = _join(logs, notes, most_per_key, exported)
    for source, prompts in judged.items():
        _write(folder / "train" / f"{source}.jsonl", [prompt.record() for prompt in prompts.values()])
        exported.lines[source] = len(prompts)
    if not exported.lines:
        raise ReplayError(_why_nothing(exported))
    return exported


def _read_notes(logs: Sequence[Path], unreadable: Unreadable) -> dict[str, dict[Source, Feedback | Shadowed]]:
    """Give the last verdict of each source by decision."""
    notes: dict[str, dict[Source, Feedback | Shadowed]] = {}
    for place, line in read_lines(logs):
        if line.startswith(NOTE_STARTS):
            try:
                note = read_note(line)
            except MalformedLine as error:
                unreadable.add(place, str(error))
                continue
            notes.setdefault(note.id, {})["feedback" if isinstance(note, Feedback) else "shadow"] = note
    return notes


def _join(
    logs: Sequence[Path], notes: dict[str, dict[Source, Feedback | Shadowed]], most_per_key: int, exported: Exported
) -> dict[Source, dict[str, Judged]]:
    """Put verdicts and words together: by source, and within it by what was asked, so that no prompt stands twice."""
    judged: dict[Source, dict[str, Judged]] = {}
    by_key: Counter[tuple[Source, str, str]] = Counter()
    found = set()
    for logged in _decisions(logs):
        for source, note in notes.get(logged.id, {}).items():
            found.add((source, logged.id))
            finding = finding_of(note.verdict, note.tier)
            prompts, asked = judged.get(source, {}), str(logged.request.conversation)
            if finding is None:
                exported.says_nothing += 1
            elif not logged.content:
                exported.wordless += 1
            elif asked not in prompts and by_key[source, logged.tenant, logged.key] >= most_per_key:
                exported.too_many += 1
            else:
                by_key[source, logged.tenant, logged.key] += asked not in prompts
                prompt = judged.setdefault(source, {}).setdefault(asked, Judged(logged))
                prompt.fast.append(int(finding == "fast-was-enough"))
                prompt.deep += [1] if note.verdict in ("deep", "same") else []
    exported.unknown = exported.verdicts - len(found)
    return judged


def _decisions(logs: Sequence[Path]) -> Iterator[Logged]:
    for _, line in read_lines(logs):
        if not line.startswith(NOTE_STARTS):
            try:
                yield read_line(line)
            except MalformedLine:
                continue


def _write(path: Path, records: Sequence[dict[str, Any]]) -> None:
    """Write lines into a file that its owner alone may read: they are what people asked."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.writelines(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    except OSError as error:
        raise ReplayError(f"{path}: cannot be written: {error.strerror}") from None


def _why_nothing(exported: Exported) -> str:
    if exported.wordless:
        return (
            f"{exported.wordless} of {exported.verdicts} verdicts are about requests that were logged without their "
            "words, and nothing can be learnt from those. Set decision_log.content: true (it WRITES PROMPTS TO DISK, "
            "after redaction), and collect verdicts anew"
        )
    if exported.unknown:
        return (
            f"{exported.unknown} of {exported.verdicts} verdicts are about decisions that are in none of these files: "
            "name the other workers' logs, and those that were put aside, as well"
        )
    return f"none of {exported.verdicts} verdicts says anything of the fast tier: they judge deep answers alone"
