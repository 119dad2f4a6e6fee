"""The phrase tables, one TOML file per language, compiled once into regular expressions.

`docs/intent.md` describes the files' sections. Every pattern expects lower-cased text.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Literal

Want = Literal["up", "down", "form"]
Table = Mapping[str, Any]

_LETTER = r"[^\W\u3040-\u30ff\u3400-\u9fff]"
WORD = re.compile(rf"{_LETTER}+(?:'{_LETTER}+)?")
"""A word of a language that puts spaces between its words, also where it stands in Chinese or Japanese."""

_ADJOINING = r"[0-9_a-zªµº\u00df-\u00f6\u00f8-\u024f\u0370-\u052f]"
"""A letter that would make a phrase part of a longer word: Latin, Greek or Cyrillic. They are named one by one because
`re` takes a hundred times as long to compile a class of thousands of characters, and each phrase has two."""

_UNSPACED = frozenset({"zh", "ja"})
_WANTS: tuple[Want, ...] = ("up", "down", "form")
_PART = re.compile(r"\{([a-z]+)\}")
# Matches nothing: what an empty list of patterns means.
_NEVER = "(?!)"


@dataclass(frozen=True, slots=True)
class Phrase:
    """Several ways of saying one thing.

    Attributes:
        starts: the phrase begins with one of these: a word or several (in unspaced languages, any string).
            A common word is given with its followers ("in short"), as the last word is looked up.
        written: the pattern as text.
        want: ``up`` or ``down`` for words about thinking and pace; ``form`` for words that want a short answer.
        is_command: whether it asks for something only at the opening of a clause.
    """

    starts: frozenset[str]
    written: str
    want: Want
    is_command: bool

    @property
    def pattern(self) -> re.Pattern[str]:
        """Matched where the phrase begins. Its groups are gaps, filled with the caller's own words."""
        return _compiled(self.written)


@dataclass(frozen=True, slots=True)
class Language:
    """How one language asks for more or less thinking, and how it takes that back.

    Attributes:
        code: ISO 639-1.
        spaced: whether spaces separate words.
        phrases: what is asked for.
        opening: fully matches what may stand between the start of a clause and a command. Its group
            ``no`` holds the negation, where there is one.
        disown: in the clause before a phrase: it is denied, not asked for ("this is not a ...").
        report: in the sentence before a phrase: it is reported or talked about ("she told me to ...").
        composing: in the sentence before a phrase about form: it gives the size of a text to be written.
        after: straight after a phrase: it is talked about ("... is a strange thing to say").
        deny_after: straight after a phrase: turns it round ("... isn't enough").
    """

    code: str
    spaced: bool
    phrases: tuple[Phrase, ...]
    opening: re.Pattern[str]
    disown: re.Pattern[str]
    report: re.Pattern[str]
    composing: re.Pattern[str]
    after: re.Pattern[str]
    deny_after: re.Pattern[str]


@dataclass(frozen=True, slots=True)
class WordList:
    """Words of all languages: whole words of the spaced ones, strings of the others."""

    words: frozenset[str]
    strings: re.Pattern[str]

    def occurs_in(self, text: str) -> bool:
        """Tell whether any of the words stands in the text."""
        return not self.words.isdisjoint(WORD.findall(text)) or self.strings.search(text) is not None


@dataclass(frozen=True, slots=True)
class PasteSigns:
    """What marks somebody else's text inside a prompt, in all languages at once.

    Attributes:
        tasks: what one does to a text ("translate"). texts: kinds of text ("e-mail").
        pointers: what points at the text that follows ("this").
        header: a mail header. greeting: a salutation line. farewell: the line that closes a letter.
        request: a label such as "Question:", after which the caller speaks again.
    """

    tasks: WordList
    texts: WordList
    pointers: WordList
    header: re.Pattern[str]
    greeting: re.Pattern[str]
    farewell: re.Pattern[str]
    request: re.Pattern[str]


@cache
def languages() -> tuple[Language, ...]:
    """Give every language that has a file, by file name."""
    return tuple(_compile_language(table) for table in _tables())


@cache
def paste_signs() -> PasteSigns:
    """Give the marks of pasted text. They are joined: a Chinese wish may stand over an English letter."""
    return PasteSigns(
        tasks=_join_words("tasks"),
        texts=_join_words("texts"),
        pointers=_join_words("pointers"),
        header=re.compile(rf"(?m)^{_join_patterns('headers')} ?[:：]"),
        greeting=re.compile(rf"\n{_join_patterns('greetings')}(?!\w)[^\n]{{0,40}}(?=\n)"),
        farewell=re.compile(rf"(?m)^{_join_patterns('farewells')}(?:[,，!！.。]|\s*$)"),
        request=re.compile(rf"{_join_patterns('requests')} ?[:：]"),
    )


@cache
def _tables() -> tuple[Table, ...]:
    folder = resources.files("router.intent") / "languages"
    files = sorted(folder.iterdir(), key=lambda file: file.name)
    return tuple(tomllib.loads(file.read_text(encoding="utf-8")) for file in files if file.name.endswith(".toml"))


def _join_words(key: str) -> WordList:
    words: set[str] = set()
    strings: set[str] = set()
    for table in _tables():
        (strings if table["code"] in _UNSPACED else words).update(_in_both_scripts(table, table["paste"][key].split()))
    return WordList(frozenset(words), re.compile("|".join(sorted(strings))))


def _join_patterns(key: str) -> str:
    return _any_of(pattern for table in _tables() for pattern in _expand(table, table["paste"][key]))


def _compile_language(table: Table) -> Language:
    code: str = table["code"]
    spaced = code not in _UNSPACED
    context = {key: _expand(table, patterns) for key, patterns in table["context"].items()}
    return Language(
        code=code,
        spaced=spaced,
        phrases=tuple(_compile_phrases(table, spaced=spaced)),
        opening=_compile_opening(context["lead"], context["deny"], spaced=spaced),
        disown=re.compile(_any_of(context["disown"])),
        report=re.compile(_any_of(context["report"])),
        composing=re.compile(_any_of(context["composing"])),
        after=re.compile(_any_of(context["after"])),
        deny_after=re.compile(_any_of(context["deny_after"])),
    )


def _compile_phrases(table: Table, *, spaced: bool) -> Iterator[Phrase]:
    for want in _WANTS:
        for place, phrases in table.get(want, {}).items():
            for starts, patterns in phrases.items():
                yield Phrase(
                    starts=_in_both_scripts(table, (start.replace("_", " ") for start in starts.split())),
                    written=_phrase(_any_of(_expand(table, patterns)), spaced=spaced),
                    want=want,
                    is_command=place == "commands",
                )


def _phrase(pattern: str, *, spaced: bool) -> str:
    if not spaced:
        return pattern
    # A prompt may wrap its lines anywhere, so that any white space counts as the space of a phrase.
    return f"(?<!{_ADJOINING})" + pattern.replace(" ", r"(?:\s+)") + f"(?!{_ADJOINING})"


@cache
def _compiled(written: str) -> re.Pattern[str]:
    """Compile a phrase when a prompt first begins to say it: all of them at once would make every start wait."""
    return re.compile(written)


def _compile_opening(lead: list[str], deny: list[str], *, spaced: bool) -> re.Pattern[str]:
    # Possessive loops (`*+`): a clause is read once, left to right, whatever it holds.
    space = " " if spaced else ""
    leads = f"(?:{_any_of(lead)}{space})*+"
    return re.compile(f"{leads}(?P<no>{_any_of(deny)}{space})?{leads}")


def _expand(table: Table, patterns: Iterable[str]) -> list[str]:
    """Fill in the `{parts}`, and let each Chinese character match in its traditional form as well."""
    simplified, traditional = _scripts(table)
    forms = {one: one for one in simplified}
    for one, other in zip(simplified, traditional, strict=True):
        forms[one] += other
    either = {ord(one): f"[{any_form}]" for one, any_form in forms.items()}
    return [_fill_parts(pattern, table.get("parts", {})).translate(either) for pattern in patterns]


def _in_both_scripts(table: Table, words: Iterable[str]) -> frozenset[str]:
    to_traditional = str.maketrans(*_scripts(table))
    return frozenset(form for word in words for form in (word, word.translate(to_traditional)))


def _scripts(table: Table) -> tuple[str, str]:
    variants = table.get("variants", {"simplified": "", "traditional": ""})
    return variants["simplified"], variants["traditional"]


def _fill_parts(pattern: str, parts: Mapping[str, str]) -> str:
    while _PART.search(pattern):
        pattern = _PART.sub(lambda part: parts[part[1]], pattern)
    return pattern


def _any_of(patterns: Iterable[str]) -> str:
    # Longest first, so that "no need to" is tried before "no".
    return f"(?:{'|'.join(sorted(patterns, key=len, reverse=True)) or _NEVER})"
