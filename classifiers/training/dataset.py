"""Reads JSON-lines sources into one table of examples, with weights by which no template decides alone."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from classifiers.bundle import conversation_from
from classifiers.training.labels import PRESENT_ACCURACY, Label, label, linked
from classifiers.types import Conversation

SPLITS: Final = ("train", "validation")

_SOURCE_TRUST: Final[Mapping[str, float]] = {
    "uncommonroute_tiers": 0.3,  # another router's opinions, largely from templates
    "cmath_grades": 0.7,
    "feedback": 0.5,  # callers' verdicts: of those who bother, and of what they hoped for
    # The two ends that the default threshold has to tell apart, thinly covered by recorded outcomes.
    "chat_gpteacher": 1.7,
    "chat_belle_zh": 3.0,
    "homemade_chat_en": 2.0,
    "homemade_chat_zh": 2.0,
    "homemade_languages": 3.0,
    "homemade_competition_en": 3.0,
    "homemade_competition_zh": 6.0,
    "homemade_parallel": 2.0,
    "homemade_documents": 4.0,
    "homemade_work": 2.0,
    "aime_levels": 2.5,
}
_TEMPLATE_CAP: Final = 300
"""Examples of one template above which more add little to its weight."""
_SOURCE_CAP: Final = 3000


class DataError(ValueError):
    """The data cannot be read; the message names the file and line, what is wrong and what to do."""


@dataclass(frozen=True, slots=True)
class Example:
    """One labelled conversation."""

    source: str
    id: str
    domain: str
    """Source and task template: the unit of weighting and of judging within a domain."""
    language: str
    split: str
    conversation: Conversation
    label: Label
    record: Mapping[str, Any]


def load(data: Path, extra: Iterable[Mapping[str, Any]] = ()) -> list[Example]:
    """Read every ``train/*.jsonl[.gz]`` and ``validation/*.jsonl[.gz]`` under `data`, then the `extra` records.

    A record of `extra` names its own ``source`` and ``split``. Records that stand twice within a source or that
    carry no label are left out; a prompt of the train split that also stands in validation is left out of train.

    Raises:
        DataError: if there is nothing to read, or a line is not a record.
    """
    examples = [example for split in SPLITS for path in _files(data / split) for example in _read_file(path, split)]
    if not examples:
        raise DataError(f"{data}: found no train/*.jsonl.gz or validation/*.jsonl.gz; see docs/data.md for the format")
    examples += [example for record in extra if (example := _example(record["source"], record["split"], record))]
    return _link(_without_leaks(examples))


def weights(examples: list[Example]) -> npt.NDArray[np.float64]:
    """Give each example its weight, mean 1: sources count by the root of their size, and so do templates inside."""
    by_domain = Counter(example.domain for example in examples)
    damped = np.array([min(by_domain[e.domain], _TEMPLATE_CAP) ** 0.5 / by_domain[e.domain] for e in examples])
    sources = np.array([example.source for example in examples])
    for source in np.unique(sources):
        rows = sources == source
        total = min(int(rows.sum()), _SOURCE_CAP) ** 0.5 * _SOURCE_TRUST.get(str(source), 1.0)
        damped[rows] *= total / damped[rows].sum()
    normal: npt.NDArray[np.float64] = damped / damped.mean()
    return normal


def fingerprint(examples: Iterable[Example]) -> str:
    """Hash what the examples say and how they are labelled: the key of everything computed from them."""
    digest = hashlib.sha256()
    for example in examples:
        digest.update(
            f"{example.source}\0{example.id}\0{example.label}\0{example.conversation}\n".encode(errors="replace")
        )
    return digest.hexdigest()[:16]


def _files(folder: Path) -> list[Path]:
    return sorted([*folder.glob("*.jsonl.gz"), *folder.glob("*.jsonl")])


def _read_file(path: Path, split: str) -> Iterator[Example]:
    source = path.name.split(".")[0]
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                example = _example(source, split, json.loads(line))
            except (ValueError, KeyError, TypeError) as error:
                raise DataError(f"{path}:{number}: not a record ({error!r}); docs/data.md has the format") from error
            if example:
                yield example


def _example(source: str, split: str, record: Mapping[str, Any]) -> Example | None:
    found = label(source, record)
    if found is None:
        return None
    return Example(
        source=source,
        id=str(record.get("id", "")),
        domain=f"{source}/{record.get('domain', '')}",
        language=str(record.get("language", "en")),
        split=split,
        conversation=conversation_from(record),
        label=found,
        record=record,
    )


def _without_leaks(examples: list[Example]) -> list[Example]:
    held = {_key(example) for example in examples if example.split == "validation"}
    seen: set[tuple[str, str]] = set()
    kept = []
    for example in examples:
        place = (example.source, _key(example))
        if place in seen or (example.split == "train" and place[1] in held):
            continue
        seen.add(place)
        kept.append(example)
    return kept


def _link(examples: list[Example]) -> list[Example]:
    """Carry recorded outcomes of older models over to a present-day fast one, a template or a source at a time."""
    groups: dict[str, list[int]] = {}
    for at, example in enumerate(examples):
        prefix = next((each for each in PRESENT_ACCURACY if example.domain.startswith(each)), None)
        if prefix is not None and example.label.recorded:
            groups.setdefault(prefix, []).append(at)
    carried = list(examples)
    for prefix, places in groups.items():
        shares = linked([examples[at].label.hard for at in places], PRESENT_ACCURACY[prefix])
        for at, hard in zip(places, shares, strict=True):
            carried[at] = replace(examples[at], label=replace(examples[at].label, hard=hard))
    return carried


def _key(example: Example) -> str:
    text = "\n".join(turn.text for turn in example.conversation.turns)
    return hashlib.sha256(" ".join(text.lower().split()).encode(errors="replace")).hexdigest()
