"""Where the caller's own voice stops: quotations, code, pasted letters and documents."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from router.intent.lexicon import paste_signs

FENCE = "```"

# Each alternative of these two begins with a plain character: the search then skips all other characters
# quickly, so that what must stand before such a character is asked after it.
_QUOTATION = re.compile(
    r'"[^"\n]*"|“[^”]*”|„[^“”]*[“”]|‘[^’\'\n]*(?:[\'’](?=\w)[^’\'\n]*)*[\'’]|「[^」]*」|『[^』]*』|《[^》]*》|〈[^〉]*〉'
    r"|«[^»]*»|»[^«\n]*«|‹[^›]*›"
    # A straight single quote opens before a word and closes after one: "don't" does neither.
    r"|'(?<!\w')(?=\S)[^'\n]*(?:'(?=\w)[^'\n]*)*'(?!\w)"
)
_PASTE = re.compile(
    r"```.*?(?:```|\Z)|~~~.*?(?:~~~|\Z)"
    r"|`[^`\n]+`"
    r"|---+\n.*?\n---+(?=\s|\Z)"
    r"|>(?:(?<=\A>)|(?<=\n>)|(?<=\n >))[^\n]*"
    r"|<(?!(?:instructions?|task|question|prompt|query|user|request)\b)([a-z][\w-]*)[^<>]*>.*?</\1>",
    re.DOTALL,
)
_PARAGRAPH = re.compile(r"\S(?:.(?!\n[ \t]*\n))*.?", re.DOTALL)
_SENTENCE_END = re.compile(r"[!?。！？…\n]|\.(?=\s|$)")
_CLAUSE_END = re.compile(r"[!?。！？…\n,;:，；：、()（）¿¡—–|]|\.(?=\s|$)|\s-+\s|(?<=[\u3400-\u9fff])\s")
# Not the colon of a time, an address or a key in JSON.
_COLON = re.compile(r"(?<=[\w )）])[:：](?![\d/])")
# "Article:" on its own introduces a text; a longer sentence has to point at it.
_LABEL_CHARS = 12
_OPTION = re.compile(r"(?:^|\s)[(（]?[a-h] ?[.．、)）:：]\s*$")
_MARKUP = " \t\r*_#>-•\"'“”「」"


@dataclass(frozen=True, slots=True)
class Foreign:
    """A stretch of the prompt in somebody else's words.

    `closing` is where its last paragraph begins, if it has several: a caller who asks for something
    below a pasted text starts a paragraph to do so.
    """

    start: int
    end: int
    why: Literal["quoted", "pasted"]
    closing: int | None = None


def find_foreign(text: str) -> list[Foreign]:
    """Find the quotations, code and pasted texts of a prompt. `text` is lower-cased and short."""
    spans = [Foreign(*match.span(), "pasted") for match in _PASTE.finditer(text)]
    spans += [Foreign(*match.span(), "quoted") for match in _QUOTATION.finditer(text)]
    spans += _find_letters_and_documents(text)
    # Quotation marks around the whole prompt quote nothing.
    whole = len(text.strip())
    return [span for span in spans if span.why == "pasted" or span.end - span.start < whole]


def clause_before(text: str, position: int) -> str:
    """Give what stands between the start of the clause and `position`, on one line and without markup."""
    return " ".join(text[_last_end(_CLAUSE_END, text, position, reach=120) : position].strip(_MARKUP).split())


def sentence_before(text: str, position: int) -> str:
    """Give what stands between the start of the sentence and `position`."""
    return text[_last_end(_SENTENCE_END, text, position, reach=240) : position]


def is_listed_option(text: str, position: int) -> bool:
    """Tell whether one answer of a multiple choice starts at `position`: "A. Take your time  B. ..."."""
    return _OPTION.search(text, max(0, position - 6), position) is not None


def _last_end(boundary: re.Pattern[str], text: str, position: int, *, reach: int) -> int:
    begin = max(0, position - reach)
    for match in boundary.finditer(text, begin, position):
        begin = match.end()
    return begin


def _find_letters_and_documents(text: str) -> Iterator[Foreign]:
    starts = [start for start in (_after_introduction(text), *_after_letter_marks(text)) if start is not None]
    if starts:
        yield _read_paste(text, min(starts))


def _after_introduction(text: str) -> int | None:
    """Find the first colon that announces a text: "translate this:", "the e-mail I got:", "Article:"."""
    signs = paste_signs()
    for colon in _COLON.finditer(text):
        sentence = sentence_before(text, colon.start())
        if signs.tasks.occurs_in(sentence):
            return colon.end()
        if signs.texts.occurs_in(sentence) and (
            len(sentence.strip()) <= _LABEL_CHARS or signs.pointers.occurs_in(sentence)
        ):
            return colon.end()
    return None


def _after_letter_marks(text: str) -> Iterator[int]:
    signs = paste_signs()
    for mark in (signs.header.search(text), signs.greeting.search(text)):
        if mark:
            yield mark.end()


def _read_paste(text: str, start: int) -> Foreign:
    """Follow a pasted text to its farewell, to a label that hands over to the caller, or to the end."""
    signs = paste_signs()
    paragraphs = [match.span() for match in _PARAGRAPH.finditer(text, start)]
    for index, (begin, end) in enumerate(paragraphs):
        if index and signs.request.match(text, begin):
            return Foreign(start, begin, "pasted")
        if signs.farewell.search(text, begin, end):
            return Foreign(start, end, "pasted")
    if len(paragraphs) < 2:
        return Foreign(start, len(text), "pasted")
    closing = paragraphs[-1][0]
    if text.rstrip().endswith(("?", "？")):
        return Foreign(start, closing, "pasted")
    return Foreign(start, len(text), "pasted", closing)
