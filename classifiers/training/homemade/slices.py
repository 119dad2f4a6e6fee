"""Evaluation slices: the questions on which a router shows whether it has understood.

All come from templates that are held out of training. A slice is a condition on a record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

Record = Mapping[str, Any]

_EVERYDAY_CEILING = 0.1
_HARD_FLOOR = 0.45
# Characters above which an input counts as long, and below which as short.
_LONG, _SHORT = 400, 200


def sort_into_slices(records: Iterable[Record]) -> dict[str, list[dict[str, Any]]]:
    """Held-out records by slice; a record may be in several slices, or in none."""
    held = [dict(record) for record in records if record["split"] == "validation"]
    languages = sorted({record["language"] for record in held if _is_everyday(record)})
    tests: dict[str, Callable[[Record], bool]] = {
        "short_but_hard": _is_short_but_hard,
        "long_but_easy": _is_long_but_easy,
        "long_and_hard": _is_long_and_hard,
        "agent_turns": _is_agent_turn,
        "conversations": _is_conversation,
        "misleading_words": _is_misleading,
        "competition_en": _competition_in("en"),
        "competition_zh": _competition_in("zh"),
        **{f"everyday_chat_{language}": _everyday_in(language) for language in languages},
    }
    return {name: [record for record in held if test(record)] for name, test in tests.items()}


def _is_short_but_hard(record: Record) -> bool:
    return "prompt" in record and len(record["prompt"]) < _SHORT and record["difficulty_num"] >= _HARD_FLOOR


def _is_long_but_easy(record: Record) -> bool:
    long = len(record.get("prompt", "")) > _LONG
    return bool(long and _is_document(record) and record["difficulty_num"] <= _EVERYDAY_CEILING)


def _is_long_and_hard(record: Record) -> bool:
    return bool(_is_document(record) and record["difficulty_num"] >= _HARD_FLOOR)


def _is_document(record: Record) -> bool:
    return bool(record["domain"].startswith("long_"))


def _is_agent_turn(record: Record) -> bool:
    return bool(record["kind"] == "agentic")


def _is_conversation(record: Record) -> bool:
    return bool(record["domain"].startswith("dialogue_"))


def _is_misleading(record: Record) -> bool:
    return bool(record["domain"].startswith("misleading_"))


def _is_everyday(record: Record) -> bool:
    return bool(record["domain"].startswith(("chat_", "everyday_")) and record["kind"] == "chat")


def _everyday_in(language: str) -> Callable[[Record], bool]:
    return lambda record: _is_everyday(record) and record["language"] == language


def _competition_in(language: str) -> Callable[[Record], bool]:
    return lambda record: record["domain"].startswith("competition_") and record["language"] == language
