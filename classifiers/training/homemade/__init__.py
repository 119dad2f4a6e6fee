"""Thalamus's own training data: deterministic generators whose labels are argued in docs/homemade-data.md.

The recorded outcomes that the difficulty model learns from are thin in everyday chat, hard questions in few words,
easy questions in long documents, conversations and agent traces. The rooms of this package fill those places.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import chain
from typing import Any

from classifiers.training.homemade import dialogues, documents, puzzles
from classifiers.training.homemade.parallel import groups, translations
from classifiers.training.homemade.sample import Sample
from classifiers.training.homemade.slices import sort_into_slices
from classifiers.training.homemade.templates import load_topics

__all__ = ["generate", "pairs", "slices"]


def generate(seed: int = 0) -> Iterator[dict[str, Any]]:
    """Every homemade record, in a fixed order and without duplicates.

    Each has ``source``, ``id``, ``prompt`` or ``messages``, ``language``, ``domain`` (the task template, for
    weights), ``kind``, ``difficulty_num`` in [0, 1], ``split`` and ``thinking_tokens``.
    """
    for sample in _distinct(_samples(seed)):
        yield sample.record()


def pairs(seed: int = 0) -> Iterator[dict[str, Any]]:
    """Question groups in seven languages, which ought to get the same difficulty in each.

    Each has ``id``, ``texts`` (language to question), ``difficulty_num``, ``kind``, ``domain`` and ``split``.
    """
    return groups(seed)


def slices(seed: int = 0) -> dict[str, list[dict[str, Any]]]:
    """Held-out records by evaluation slice, such as ``short_but_hard`` and ``everyday_chat_zh``."""
    return sort_into_slices(generate(seed))


def _samples(seed: int) -> Iterator[Sample]:
    questions = list(chain.from_iterable(topic.samples(seed) for topic in load_topics()))
    yield from questions
    yield from puzzles.samples(seed)
    yield from documents.samples(random.Random(f"{seed}/documents"))
    yield from translations(seed)
    yield from dialogues.samples(questions, random.Random(f"{seed}/dialogues"))


def _distinct(samples: Iterator[Sample]) -> Iterator[Sample]:
    seen: set[str] = set()
    for sample in samples:
        if sample.fingerprint not in seen:
            seen.add(sample.fingerprint)
            yield sample
