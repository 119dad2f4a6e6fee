"""The same question in seven languages, for training and measuring language consistency."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from typing import Any

from classifiers.training.homemade.sample import Sample, prompt
from classifiers.training.homemade.templates import read_slots, read_table
from classifiers.types import Kind

LANGUAGES = ("en", "zh", "es", "de", "fr", "ru", "ja")
_TABLES = ("parallel_everyday.toml", "parallel_work.toml", "parallel_hard.toml")
_WORDS = "parallel_words.toml"
# How often a template with something to draw is filled. All its fillings stay in one split.
_FILLINGS = 4
# One template in so many is held back.
_HELD_EVERY = 3


def groups(seed: int) -> Iterator[dict[str, Any]]:
    """Question groups: ``texts`` by language, ``difficulty_num``, ``kind``, ``domain``, ``split`` and ``id``."""
    words = read_table(_WORDS)
    number = 0
    for name in _TABLES:
        for template in read_table(name)["group"]:
            number += 1
            split = "validation" if number % _HELD_EVERY == 0 else "train"
            rng = random.Random(f"{seed}/parallel/{number}")
            for texts in _fillings(template, words, rng):
                yield {
                    "id": f"parallel-{number:03d}-{_slug(texts)}",
                    "texts": texts,
                    "difficulty_num": template["difficulty"],
                    "kind": template.get("kind", "chat"),
                    "domain": f"parallel_{template['domain']}",
                    "split": split,
                }


def translations(seed: int) -> Iterator[Sample]:
    """Every text of every group as a sample of its own: one label for a question in all its languages."""
    for group in groups(seed):
        domain = "parallel_held" if group["split"] == "validation" else "parallel"
        for language, text in group["texts"].items():
            yield Sample(
                "homemade_parallel",
                domain,
                language,
                Kind(group["kind"]),
                group["difficulty_num"],
                prompt(text),
            )


def _fillings(
    template: Mapping[str, Any], words: Mapping[str, Mapping[str, str]], rng: random.Random
) -> Iterator[dict[str, str]]:
    """Fill a template differently each time: numbers and words are drawn once and put into every language."""
    written = {language: template[language] for language in LANGUAGES}
    seen: set[str] = set()
    for _ in range(_FILLINGS):
        numbers = {name: rng.randint(*span) for name, span in template.items() if isinstance(span, list)}
        drawn = {name: rng.random() for name in words}
        texts = {
            language: text.format(**numbers, **_words_of(language, words, drawn)) for language, text in written.items()
        }
        if texts["en"] not in seen:
            seen.add(texts["en"])
            yield texts


def _words_of(language: str, words: Mapping[str, Mapping[str, str]], drawn: Mapping[str, float]) -> dict[str, str]:
    """Look up the drawn words in one language: alternatives stand in the same order in all of them."""
    chosen = {}
    for name, by_language in words.items():
        alternatives = read_slots({name: by_language[language]})[name]
        chosen[name] = alternatives[int(drawn[name] * len(alternatives))]
    return chosen


def _slug(texts: Mapping[str, str]) -> str:
    """Digits that tell the fillings of one template apart and do not depend on the process."""
    return f"{random.Random(texts['en']).getrandbits(32):08x}"
