"""The content gate: what two prompts must agree in before one's answer may be given to the other.

An encoder puts "Is 5 °C cold?" and "Is 50 °C cold?" side by side; similarity alone is no ground for an answer. The gate
reads facets from each text by rule and wants all of them equal. It knows English and Chinese; a text in a script
that it cannot read matches nothing.

Weakness: it compares words, not meanings. Words that stand for each other must be in `words`, so a free paraphrase is a
miss; that is the side on which it errs.
"""

from __future__ import annotations

import functools
import re
import unicodedata

from gateway.cache.semantic.chinese import read_chinese
from gateway.cache.semantic.english import read_english
from gateway.cache.semantic.facets import FACETS, Content, Prints, Tokens, differences, differing

__all__ = ["FACETS", "MOST_CHARS", "Content", "Prints", "Tokens", "differences", "differing", "read_content"]

MOST_CHARS = 600
"""Longer texts take no part: the encoder reads 700 characters, and nobody rephrases a page."""

_CODE = re.compile(r"```.*?```|`[^`\n]+`", re.DOTALL)
_QUOTED = re.compile(r"\"[^\"\n]{1,200}\"|“[^”\n]{1,200}”|「[^」\n]{1,200}」|『[^』\n]{1,200}』|《[^》\n]{1,80}》")
_ADDRESS = re.compile(
    r"https?://\S+|\S+@\S+\.\w+|(?:[A-Za-z]:)?(?:/[\w.-]+){2,}|\b\w+(?:_\w+)+\b|\b\w+\.\w+\(|\b\w+\(\)"
)
_HAN = re.compile(r"[㐀-䶿一-鿿]")


def read_content(text: str) -> Content | None:
    """Read a prompt; None if it is too long, empty, or in a script that the gate cannot read."""
    text = unicodedata.normalize("NFC", text).strip()
    if not text or len(text) > MOST_CHARS:
        return None
    code = tuple(" ".join(found.split()) for found in _CODE.findall(text))
    text = _CODE.sub(" ", text)
    quoted = tuple(found[1:-1].strip() for found in _QUOTED.findall(text))
    text = _QUOTED.sub(" quotation ", text)
    addresses = tuple(_ADDRESS.findall(text))
    text = unicodedata.normalize("NFKC", _ADDRESS.sub(" address ", text).replace("’", "'"))
    exact = (*code, *addresses, *(f'"{one}"' for one in quoted))
    if _HAN.search(text):
        return read_chinese(text, exact) if _is_readable(text) else None
    return read_english(text, exact) if _is_readable(text) else None


def _is_readable(text: str) -> bool:
    """Whether all letters are Latin or Han: kana and others would be compared by halves."""
    return all(_script_of(letter) for letter in text if letter.isalpha())


@functools.lru_cache(maxsize=4096)
def _script_of(letter: str) -> bool:
    return letter.isascii() or bool(_HAN.match(letter)) or unicodedata.name(letter, "").startswith(("LATIN", "GREEK"))
