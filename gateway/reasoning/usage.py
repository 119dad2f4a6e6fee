"""How many tokens of reasoning there were: the backend's count, or an estimate that says so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_NARROW_CHARS_PER_TOKEN = 4.0
_WIDE_CHARS_PER_TOKEN = 1.5


class Meter:
    """Estimates tokens from text: about 4 characters each, 1.5 in Chinese, Japanese and Korean.

    Wide characters take three bytes in UTF-8 and Latin ones one, so that lengths are all it takes; scripts of two
    bytes, such as Cyrillic, come to lie between, as they do in real tokenisers.
    """

    def __init__(self) -> None:
        self._narrow = 0
        self._wide = 0

    def add(self, text: str) -> None:
        """Count a piece of text."""
        if text.isascii():
            self._narrow += len(text)
        else:
            size = len(text.encode("utf-8", "surrogatepass"))
            wide = min(len(text), (size - len(text)) // 2)
            self._wide += wide
            self._narrow += len(text) - wide

    def add_json(self, literal: bytes) -> None:
        """Count the inside of a JSON string as it stands on the wire; escaped characters are taken for wide ones."""
        self.add(literal.decode("utf-8", "replace"))
        escaped = literal.count(b"\\u")
        self._narrow -= 6 * escaped
        self._wide += escaped

    @property
    def tokens(self) -> int:
        """The estimate so far; 0 only if there was no text."""
        tokens = self._narrow / _NARROW_CHARS_PER_TOKEN + self._wide / _WIDE_CHARS_PER_TOKEN
        return max(1, round(tokens)) if tokens else 0

    def summary(self) -> dict[str, Any]:
        """Give the count in place of the text."""
        return {"tokens": self.tokens, "estimated": True}


def with_reasoning_tokens(usage: Mapping[str, Any], estimate: int) -> dict[str, Any]:
    """Give usage with `completion_tokens_details.reasoning_tokens`, estimated and marked where it is missing.

    A backend that reports 0 although reasoning came counts as silent. The estimate never exceeds the completion.
    """
    details = usage.get("completion_tokens_details")
    known = dict(details) if isinstance(details, Mapping) else {}
    if known.get("reasoning_tokens") or not estimate:
        return dict(usage)
    completion = usage.get("completion_tokens")
    limit = completion if isinstance(completion, int) and completion > 0 else estimate
    counted = {"reasoning_tokens": min(estimate, limit), "reasoning_tokens_estimated": True}
    return {**usage, "completion_tokens_details": known | counted}
