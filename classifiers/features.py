"""Structure and terms of a reading: everything the difficulty model looks at, the same in every language."""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from zlib import crc32

import numpy as np
import numpy.typing as npt

from classifiers.text import Reading

FEATURES_VERSION: Final = 2
"""Raised whenever a feature changes its meaning: a bundle trained on another version is refused."""

_HAN = "\u3400-\u9fff\uf900-\ufaff"
_KANA = "\u3040-\u30ff"
_HANGUL = "\uac00-\ud7a3"
_LATIN = "a-z\u00df-\u00f6\u00f8-\u024f"
_MARKS = "".join(chr(code) for code in range(0x300, 0x3000) if unicodedata.category(chr(code)) in ("Mn", "Mc"))
"""Vowel signs and accents of their own, as Hindi and Thai write them: parts of a word that `\\w` leaves out."""
_TOKEN = re.compile(
    # This runs over every character: spaces are skipped inside the match, plain words and signs are tried first, and
    # nothing is tried twice. Twice as fast as the same alternatives without that.
    rf"\s*+([a-z]++(?![\u00df-\u024f])(?:['’][a-z]+)?|[!-,./:;<=>?@\[\]^`{{-~-]|\d+(?:[.,:]\d+)*|\\[a-z]+|[{_HAN}]+"
    rf"|[{_KANA}]+|[{_HANGUL}]+|[{_LATIN}]+(?:['’][a-z]+)?|(?:[^\W\d_{_LATIN}{_HAN}{_KANA}{_HANGUL}][{_MARKS}]*)+|[^\w\s]|_)"
)
_DENSE_SCRIPT = re.compile(rf"[{_HAN}{_KANA}{_HANGUL}]")
_LIST_ITEM = re.compile(r"^\s*(?:\d{1,2}[.)、]|[-*•])\s*\S", re.MULTILINE)
_OPTION = re.compile(r"^\s*\(?([A-J])[.)．、:：]\s*\S", re.MULTILINE)
_NAME = re.compile(r"(?<=[a-z0-9,;] )[A-Z][a-z]+")
_CODE_LINE = re.compile(
    r"^\s*(?:def |class |import |from \w+ import|return\b|for .*[:{]|if .*[:{]|while .*[:{]|#include|public |SELECT |"
    r"function |const |let |var |\}|</?\w+>)|[;{]\s*$",
    re.MULTILINE,
)
_GRID_LINE = re.compile(r"^\s*(?:\S{1,2}\s+){3,}\S{1,2}\s*$", re.MULTILINE)

_CODE_SIGNS = frozenset("(){};=<#")
_OPERATORS = frozenset("+-*/=<>^≤≥≠√∑∫∏π∞∈∪∩→×÷±|&~%°")
_BRACKETS = frozenset("()[]{}（）【】")
_QUOTES = frozenset("\"“”‘’「」『』`'")

_DENSE_WIDTH = 0.6
"""Words to which one Chinese, Japanese or Korean character comes: translations of one text get about one length."""
_DENSE_DISTINCT = 0.4
"""Different words to which one such character comes."""
_DENSE_CHARS = 3.2
"""Letters of other scripts to which one such character comes."""

_SHORTEST, _LONGEST = 120, 2400
"""Characters between which length is a sign of difficulty: below, a question is no easier, above, it is a document."""
_MOST_TOKENS, _LONGEST_LINE = 600, 600

_SMALL_NUMBER = 12
"""Numbers up to here are counted apart: they name steps, people and things, larger ones amounts."""

_UPPER, _LOWER, _UNDERSCORE, _DENSE, _STOP, _DENSE_STOP, _SPACE = (1 << bit for bit in range(7))


def _class_of(char: str) -> int:
    """Give the classes of one character that are counted by position, as bits."""
    return (
        _UPPER * char.isupper()
        | _LOWER * ("a" <= char <= "z")
        | _UNDERSCORE * (char == "_")
        | _DENSE * (_DENSE_SCRIPT.match(char) is not None)
        | _STOP * (char in ".!?")
        | _DENSE_STOP * (char in "。！？；;")
        | _SPACE * char.isspace()
    )


_CLASSES: Final = np.array([_class_of(chr(code)) for code in range(0x10000)], dtype=np.uint8)
"""Classes of every character of the basic plane; the last one stands for all beyond it."""


@dataclass(frozen=True, slots=True)
class Features:
    """What the model is given for one reading.

    Attributes:
        dense: structure, shape ``(len(STRUCTURE),)``, float32, each value about 0 to 10.
        ask_terms: 32-bit hashes of the ask's terms in order (words, or pairs of characters), uint32.
    """

    dense: npt.NDArray[np.float32]
    ask_terms: npt.NDArray[np.uint32]


STRUCTURE: Final = (
    "chars",
    "tokens",
    "distinct_tokens",
    "longest_line",
    "words",
    "ask_words",
    "read_share",
    "sentences",
    "words_per_sentence",
    "lines",
    "short_lines",
    "list_items",
    "grid_lines",
    "options",
    "option_words",
    "stem_words",
    "numeric_options",
    "questions",
    "distinct_share",
    "word_length",
    "long_words",
    "names",
    "distinct_names",
    "single_letters",
    "distinct_letters",
    "numbers",
    "distinct_numbers",
    "small_numbers",
    "large_numbers",
    "decimals",
    "digits",
    "largest_number",
    "digit_share",
    "operators",
    "brackets",
    "commas",
    "quotes",
    "dollars",
    "commands",
    "distinct_commands",
    "symbol_share",
    "code_lines",
    "identifiers",
    "fences",
    "upper_share",
    "blanks",
    "repeated_terms",
    "dense_script",
    "other_script",
    "system_words",
    "history_words",
    "tool_words",
    "user_turns",
    "tool_turns",
    "tools",
    "refers",
)
"""Names of the values in `Features.dense`, in order. Counts are given as ``log(1 + n)``."""


def extract(reading: Reading) -> Features:
    """Compute all features of a reading, in time bounded by the excerpt's length."""
    tokens = _TOKEN.findall(reading.question.lower())
    ask_terms = _terms(tokens) if reading.ask is reading.question else terms_in(reading.ask)
    return Features(
        dense=np.asarray(_structure(reading, tokens, len(ask_terms)), dtype=np.float32),
        ask_terms=_hashes(ask_terms),
    )


def terms_in(text: str) -> list[str]:
    """Split a text into the terms that are looked up: words, and pairs of characters where no spaces are written."""
    return _terms(_TOKEN.findall(text.lower()))


def hash_term(term: str) -> int:
    """Hash one term to 32 bits, the same on every machine."""
    return crc32(term.encode("utf-8", "surrogatepass"))


def _terms(tokens: Sequence[str]) -> list[str]:
    terms: list[str] = []
    for token in tokens:
        first = token[0]
        if first < "\u3040":
            if first.isalpha() or (first == "\\" and len(token) > 1):
                terms.append(token)
        elif len(token) <= 2 or not _DENSE_SCRIPT.match(first):
            terms.append(token)
        else:
            terms.extend(token[at : at + 2] for at in range(len(token) - 1))
    return terms


def _hashes(terms: Sequence[str]) -> npt.NDArray[np.uint32]:
    return np.fromiter([crc32(term.encode("utf-8", "surrogatepass")) for term in terms], np.uint32, len(terms))


def _structure(reading: Reading, tokens: list[str], ask_terms: int) -> list[float]:
    """Give the values named in `STRUCTURE`."""
    question = reading.question
    length = max(len(question), 1)
    counts = Counter(tokens)
    shape = _count_shapes(counts)
    places = _count_places(question)
    words = shape.words + _DENSE_WIDTH * places.dense
    stretch = max(reading.question_chars / length, 1.0)
    widening = 1 + (_DENSE_CHARS - 1) * places.dense / length
    sentences = max(places.sentences, 1)
    lines = [line for line in question.split("\n") if line.strip()]
    layout = _lay_out(question) if len(lines) > 1 else _Layout()
    names = _NAME.findall(question)
    code_lines = _CODE_LINE.findall(question) if not _CODE_SIGNS.isdisjoint(counts) else ()
    return [
        _log(min(max(len(question) * widening * stretch, _SHORTEST), _LONGEST)),
        _log(min((len(tokens) + _DENSE_WIDTH * places.dense) * stretch, _MOST_TOKENS)),
        _log(len(counts) + _DENSE_DISTINCT * places.dense),
        _log(min(max(map(len, lines), default=0) * widening, _LONGEST_LINE)),
        _log(words * stretch),
        _log(min(ask_terms, words)),
        1.0 / stretch,
        _log(sentences),
        _log(words / sentences),
        _log(len(lines)),
        _log(sum(len(line) < 40 for line in lines)),
        _log(layout.list_items),
        _log(layout.grid_lines),
        _log(layout.options),
        _log(layout.option_words),
        _log(max(words - layout.option_words, 0.0)),
        layout.numeric_options,
        _log(question.count("?") + question.count("？")),
        len(counts) / max(len(tokens), 1),
        shape.letters / max(shape.words, 1) / 5,
        shape.long_words / max(shape.words, 1),
        _log(len(names)),
        _log(len(set(names))),
        _log(shape.single_letters),
        _log(shape.distinct_letters),
        _log(shape.numbers),
        _log(shape.distinct_numbers),
        _log(shape.small_numbers),
        _log(shape.large_numbers),
        _log(shape.decimals),
        _log(shape.digits),
        shape.largest_digits / 3,
        shape.digits / length * 10,
        _log(shape.operators),
        _log(shape.brackets),
        _log(counts[","] + counts["，"] + counts["、"]),
        _log(shape.quotes),
        _log(counts["$"]),
        _log(shape.commands),
        _log(shape.distinct_commands),
        shape.symbols / max(len(tokens), 1) * 5,
        _log(len(code_lines)),
        _log(places.identifiers),
        _log(question.count("```")),
        places.upper / length * 10,
        _log(question.count("___") + question.count("（") + question.count("??")),
        _log(len(tokens) - len(counts)),
        min(places.dense / length * 1.5, 1.0),
        shape.other_letters / length,
        _log(reading.system_chars / 5),
        _log(reading.history_chars / 5),
        _log(reading.tool_chars / 5),
        _log(max(reading.user_turns - 1, 0)),
        _log(reading.tool_turns),
        _log(reading.tools),
        float(reading.refers),
    ]


@dataclass(slots=True)
class _Shapes:
    """How often each shape of token occurs."""

    words: int = 0
    letters: int = 0
    long_words: int = 0
    single_letters: int = 0
    distinct_letters: int = 0
    other_letters: int = 0
    numbers: int = 0
    distinct_numbers: int = 0
    small_numbers: int = 0
    large_numbers: int = 0
    decimals: int = 0
    largest_digits: int = 0
    digits: int = 0
    operators: int = 0
    brackets: int = 0
    quotes: int = 0
    commands: int = 0
    distinct_commands: int = 0
    symbols: int = 0


def _count_shapes(counts: Counter[str]) -> _Shapes:
    shapes = _Shapes()
    for token, count in counts.items():
        first = token[0]
        if first.isalpha():
            _count_word(shapes, token, count)
        elif first.isdigit():
            _count_number(shapes, token, count)
        elif first == "\\" and len(token) > 1:
            shapes.commands += count
            shapes.distinct_commands += 1
        else:
            shapes.symbols += count
            shapes.operators += count * (first in _OPERATORS)
            shapes.brackets += count * (first in _BRACKETS)
            shapes.quotes += count * (first in _QUOTES)
    return shapes


def _count_word(shapes: _Shapes, token: str, count: int) -> None:
    size = len(token)
    first = token[0]
    if first >= "\u3040" and _DENSE_SCRIPT.match(first):
        return
    shapes.words += count
    shapes.letters += size * count
    if first > "\u024f":
        shapes.other_letters += size * count
    if size == 1:
        shapes.single_letters += count
        shapes.distinct_letters += 1
    elif size > 8:
        shapes.long_words += count


def _count_number(shapes: _Shapes, token: str, count: int) -> None:
    size = len(token)
    shapes.numbers += count
    shapes.distinct_numbers += 1
    shapes.digits += size * count
    whole = size if token.isdigit() else max(map(len, re.split("[.,:]", token)))
    shapes.largest_digits = max(shapes.largest_digits, min(whole, 12))
    shapes.small_numbers += count * (size <= 2 and token.isdecimal() and int(token) <= _SMALL_NUMBER)
    shapes.large_numbers += count * (whole > 2)
    shapes.decimals += count * ("." in token)


@dataclass(frozen=True, slots=True)
class _Places:
    """What is counted by position in the text."""

    upper: int
    dense: int
    sentences: int
    identifiers: int


def _count_places(question: str) -> _Places:
    """Count in one pass over the characters' classes: several times faster than a regular expression each."""
    codes = np.frombuffer(question.encode("utf-32-le", "surrogatepass"), np.uint32)
    classes = _CLASSES[np.minimum(codes, 0xFFFF)]
    lower, upper = (classes & _LOWER) > 0, (classes & _UPPER) > 0
    joint = (classes & _UNDERSCORE) > 0
    stops = (classes & _STOP) > 0
    before_space = np.append((classes[1:] & _SPACE) > 0, True)[: len(classes)]
    return _Places(
        upper=_count(upper),
        dense=_count(classes & _DENSE),
        sentences=_count(stops & before_space) + _count(classes & _DENSE_STOP),
        identifiers=_count(lower[:-1] & upper[1:]) + _count(lower[:-2] & joint[1:-1] & lower[2:]),
    )


@dataclass(frozen=True, slots=True)
class _Layout:
    """What only a text of several lines can hold: lists, grids, and the answers of a multiple-choice question."""

    list_items: int = 0
    grid_lines: int = 0
    options: int = 0
    option_words: float = 0.0
    numeric_options: float = 0.0
    """Share of the offered answers that hold a digit."""


def _lay_out(question: str) -> _Layout:
    items, grid = len(_LIST_ITEM.findall(question)), len(_GRID_LINE.findall(question))
    starts = [match.start() for match in _OPTION.finditer(question)]
    if len(starts) < 3:
        return _Layout(items, grid)
    texts = [question[start:end].strip() for start, end in zip(starts, [*starts[1:], len(question)], strict=True)]
    dense = len(_DENSE_SCRIPT.findall(question, starts[0]))
    words = sum(text.count(" ") for text in texts) + _DENSE_WIDTH * dense
    numeric = sum(any(map(str.isdigit, text)) for text in texts)
    return _Layout(items, grid, len(texts), words, numeric / len(texts))


def _count(flags: npt.NDArray[Any]) -> int:
    return int(np.count_nonzero(flags))


def _log(count: float) -> float:
    return math.log1p(count)
