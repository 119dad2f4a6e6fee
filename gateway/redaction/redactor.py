"""Applies the rules to a text, a piece at a time: no single call of `re` holds the interpreter for long."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from gateway.redaction.patterns import MOST_CHARS, check_pattern
from gateway.redaction.rules import BUILT_IN, FINDERS, Finder, Rule

PIECE_CHARS = 4096
"""A match begins in one piece; it may reach `_REACH_CHARS` into the next."""

_REACH_CHARS = 2 * MOST_CHARS


class Redactor:
    """Replaces what the rules find by ``[NAME]``.

    Args:
        rules: the built-in ones that apply.
        patterns: further ones, name and regular expression; see `check_pattern`.
        max_chars: of a text; what is beyond is left out.

    Raises:
        PatternRefused: a pattern cannot be used.
    """

    def __init__(
        self, rules: Iterable[Rule] = BUILT_IN, patterns: Mapping[str, str] | None = None, max_chars: int = 100_000
    ) -> None:
        wanted = set(rules)
        self._built_in = [(f"[{name}]", finder) for name, finder in FINDERS.items() if name in wanted]
        self._own = [(f"[{name}]", check_pattern(pattern)) for name, pattern in (patterns or {}).items()]
        self._max_chars = max_chars

    def __call__(self, text: str) -> str:
        """Give the text without what the rules find. Takes time in proportion to its length: not for the event loop."""
        left_out = len(text) - self._max_chars
        text = text[: self._max_chars]
        for put, pattern in self._own:
            text = _replace_by_pieces(text, pattern, put)
        for put, finder in self._built_in:
            text = finder.pattern.sub(_replacing(finder, put), text)
        return f"{text}[{left_out} characters left out]" if left_out > 0 else text


def _replacing(finder: Finder, put: str) -> Callable[[re.Match[str]], str]:
    def replaced(match: re.Match[str]) -> str:
        return put if finder.is_one(match[0]) else match[0]

    return replaced


def _replace_by_pieces(text: str, pattern: re.Pattern[str], put: str) -> str:
    written: list[str] = []
    taken = place = 0
    while place < len(text):
        end = place + PIECE_CHARS
        for match in pattern.finditer(text, place, end + _REACH_CHARS):
            if match.start() >= end:
                break
            written += (text[taken : match.start()], put)
            taken = match.end()
        place = max(end, taken)
    return "".join((*written, text[taken:]))
