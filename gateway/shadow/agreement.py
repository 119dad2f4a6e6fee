"""Whether two answers come to the same, by rules: equal words, or an equal final number, choice, yes or no, or JSON.

Weakness: only what ends in something that can be compared is. Essays, code and paraphrases are nobody's but a judge's.
"""

from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

SHORT = 48
"""An answer of so few characters is all result."""

_TAIL_CHARS = 4000
_MARKED = re.compile(
    r"(?:####|\b(?:final\s+)?answer\s*(?:is|:|=)|(?:最终)?答案\s*(?:是|为|[:：])|respuesta\s*(?:es|:)|antwort\s*(?:ist|:)"
    r"|réponse\s*(?:est|:))[\s*_:：]*([^\n]{1,120})",
    re.IGNORECASE,
)
_BOXED = re.compile(r"\\boxed\s*\{((?:[^{}]|\{[^{}]*\})*)\}")
_NUMBER = re.compile(r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:/\d+)?")
_CHOICE = re.compile(r"(?:option\s*)?\(?([a-j])[).:]?", re.IGNORECASE)
_DRESS = re.compile(r"[*_`$]|\\[()\[\]]|\\text\s*|[{}]")
_YES = frozenset({"yes", "true", "correct", "是", "对", "是的", "正确", "sí", "ja", "oui", "да", "はい"})
_NO = frozenset({"no", "false", "incorrect", "否", "不", "不是", "错", "错误", "nein", "non", "нет", "いいえ"})

Sort = Literal["number", "choice", "word", "json", "text"]


@dataclass(frozen=True, slots=True)
class _Result:
    """What an answer comes to. Of `text` equality means something, and difference nothing."""

    sort: Sort
    value: Any


def agree(one: str, other: str) -> bool | None:
    """Say whether two answers come to the same; None where no rule can tell."""
    if _plain(one) == _plain(other):
        return True
    first, second = _result(one), _result(other)
    if first is None or second is None:
        return None
    if first.sort != second.sort:
        first, second = _as_number(first), _as_number(second)
    if first.sort != second.sort:
        return None
    if first.value == second.value:
        return True
    return None if first.sort == "text" else False


def _result(answer: str) -> _Result | None:
    """Find what an answer comes to; None if it does not say it in a way that is known here."""
    text = answer.strip()
    if text[:1] in ("{", "["):
        try:
            return _Result("json", json.loads(text))
        except (ValueError, RecursionError):
            return None
    tail = text[-_TAIL_CHARS:]
    found = [*_MARKED.findall(tail), *_BOXED.findall(tail)[-1:]]
    if found:
        return _read(found[-1])
    return _read(text) if len(text) <= SHORT else None


def _read(written: str) -> _Result:
    """Read a result: a number, a choice, yes or no, else words."""
    text = _plain(_DRESS.sub("", written)).rstrip(".。!！ ")
    if _NUMBER.fullmatch(bare := text.lstrip("€£¥$ ").rstrip("% ")):
        return _Result("number", _number(bare))
    if choice := _CHOICE.fullmatch(text):
        return _Result("choice", choice[1].lower())
    if text in _YES or text in _NO:
        return _Result("word", text in _YES)
    return _Result("text", text)


def _as_number(result: _Result) -> _Result:
    """Give the only number in a text such as "42 apples"; anything else as it is."""
    numbers = _NUMBER.findall(result.value) if result.sort == "text" else []
    return _Result("number", _number(numbers[0])) if len(numbers) == 1 else result


def _number(written: str) -> Fraction | str:
    try:
        return Fraction(written.replace(",", ""))
    except (ValueError, ZeroDivisionError):
        return written


def _plain(text: str) -> str:
    """Give a text in lower case, its characters in their usual forms, and its white space single."""
    return " ".join(unicodedata.normalize("NFKC", text).lower().split())
