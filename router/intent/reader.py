"""Read the last user turn for words about how hard to think, in either direction.

Strength: a few hundred hand-written phrases in seven languages that know negation, quotation and paste.
Weakness: it reads wording, not meaning. A phrase that is not in the tables is not seen, a letter pasted
without any sign of being one reads as the caller's own words, and of a long prompt only both ends count.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

from router.intent.lexicon import WORD, Language, Phrase, languages, paste_signs
from router.intent.surroundings import FENCE, Foreign, clause_before, find_foreign, is_listed_option, sentence_before

Direction = Literal["up", "down"]
Subject = Literal["pace", "form"]
Discount = Literal["negated", "quoted", "pasted", "about"]

# Instructions stand at the ends of a long prompt; what lies between is material.
_END_CHARS = 600
_OPPOSITE: Mapping[Direction, Direction] = {"up": "down", "down": "up"}


@dataclass(frozen=True, slots=True)
class Intent:
    """What was asked about thinking, if anything.

    Attributes:
        direction: ``up`` (think more), ``down`` (answer quickly or shortly) or None.
        phrase: the words that say so, lower-cased. The caller's own words between them appear as "…", so
            that the phrase holds nothing but words from the tables. Empty when there were none.
        subject: ``pace`` for words about thinking and speed, ``form`` for words that want a short answer
            ("just the number"): a hint only, since a hard problem may want a one-word answer. None
            when there were no such words.
        language: ISO 639-1 code of the phrase's language, empty when there was none.
        discounted: why a phrase that was found does not count; None when one counts or none was found.
    """

    direction: Direction | None
    phrase: str = ""
    subject: Subject | None = None
    language: str = ""
    discounted: Discount | None = None


@dataclass(frozen=True, slots=True)
class _Sighting:
    """A phrase of the tables, where it stands in the text."""

    language: Language
    phrase: Phrase
    match: re.Match[str]

    @property
    def start(self) -> int:
        return self.match.start()

    @property
    def end(self) -> int:
        return self.match.end()


@dataclass(frozen=True, slots=True)
class _Entry:
    """A phrase, and how many characters before the indexed word it begins."""

    language: Language
    phrase: Phrase
    offset: int


@dataclass(frozen=True, slots=True)
class _Index:
    """All phrases by the last word of their start; those of unspaced languages by their first two characters."""

    by_word: Mapping[str, list[_Entry]]
    by_characters: Mapping[str, list[_Entry]]
    character: re.Pattern[str]


_NOTHING = Intent(direction=None)


def load_phrases() -> None:
    """Read the tables now, not when the first prompt is read."""
    _index()
    paste_signs()


def read_intent(text: str) -> Intent:
    """Read one user turn. Never raises, for any text; the time is bounded, however long the text is.

    When several phrases count, words about pace ("think hard", "quick answer") beat words about the
    answer's form ("just the number"), and among equals the last one wins.
    """
    text = _keep_both_ends(text)
    sightings = _find_phrases(text)
    if not sightings:
        return _NOTHING
    foreign = find_foreign(text)
    intents = [(sighting, _judge(text, sighting, foreign)) for sighting in sightings]
    counting = [(sighting, intent) for sighting, intent in intents if intent.direction]
    if not counting:
        return intents[-1][1]
    return max(counting, key=lambda pair: (pair[1].subject == "pace", pair[0].start))[1]


def _keep_both_ends(text: str) -> str:
    """Lower the text's case; of a long one keep the first and the last `_END_CHARS` characters.

    Where the omitted middle opens or closes a code block, the gap does so too.
    """
    if len(text) <= 2 * _END_CHARS:
        return _fold(text)
    head, tail = _fold(text[:_END_CHARS]), _fold(text[-_END_CHARS:])
    fence = ""
    if FENCE in tail and text.count(FENCE, _END_CHARS, -_END_CHARS) % 2:
        fence = FENCE
    return f"{head}\n{fence}\n⋯ {tail}"


def _fold(text: str) -> str:
    return text.lower().replace("’", "'")


def _find_phrases(text: str) -> list[_Sighting]:
    """Find the phrases in the order of their places, none inside another."""
    index = _index()
    sightings: list[_Sighting] = []
    if not index.by_word.keys().isdisjoint(WORD.findall(text)):
        for word in WORD.finditer(text):
            if phrases := index.by_word.get(word[0]):
                sightings += _match_at(text, word.start(), phrases)
    if not text.isascii():
        for character in index.character.finditer(text):
            position = character.start()
            for start in (text[position : position + 2], text[position]):
                if entries := index.by_characters.get(start):
                    sightings += _match_at(text, position, entries)
    return _drop_inner(sightings)


def _match_at(text: str, position: int, entries: Iterable[_Entry]) -> Iterator[_Sighting]:
    for entry in entries:
        if match := entry.phrase.pattern.match(text, position - entry.offset):
            yield _Sighting(entry.language, entry.phrase, match)


def _drop_inner(sightings: list[_Sighting]) -> list[_Sighting]:
    kept: list[_Sighting] = []
    for sighting in sorted(sightings, key=lambda sighting: (sighting.start, -sighting.end)):
        if not kept or sighting.start >= kept[-1].end:
            kept.append(sighting)
    return kept


@cache
def _index() -> _Index:
    by_word: defaultdict[str, list[_Entry]] = defaultdict(list)
    by_characters: defaultdict[str, list[_Entry]] = defaultdict(list)
    for language in languages():
        for phrase in language.phrases:
            if language.spaced:
                for start in phrase.starts:
                    before, space, word = start.rpartition(" ")
                    by_word[word].append(_Entry(language, phrase, offset=len(before + space)))
            else:
                for start in {start[:2] for start in phrase.starts}:
                    by_characters[start].append(_Entry(language, phrase, offset=0))
    first_characters = sorted({start[0] for start in by_characters})
    return _Index(dict(by_word), dict(by_characters), re.compile(f"[{''.join(first_characters)}]"))


def _judge(text: str, sighting: _Sighting, foreign: list[Foreign]) -> Intent:
    """Decide whether a phrase counts, and in which direction: negation turns it round."""
    language, phrase, match = sighting.language, sighting.phrase, sighting.match
    clause = clause_before(text, sighting.start)
    opening = _match_opening(language, clause)
    negation = (opening["no"] or "").strip() if opening else ""
    direction: Direction = "up" if phrase.want == "up" else "down"
    if negation or language.deny_after.match(text, sighting.end):
        direction = _OPPOSITE[direction]
    discounted = _whose_words(text, sighting, foreign) or _what_about(text, sighting)
    if not discounted and not opening:
        discounted = _not_asked(sighting, clause)
    return Intent(
        direction=None if discounted else direction,
        phrase=f"{negation} {_without_gaps(match)}".strip(),
        subject="form" if phrase.want == "form" else "pace",
        language=language.code,
        discounted=discounted,
    )


def _match_opening(language: Language, before: str) -> re.Match[str] | None:
    return language.opening.fullmatch(f"{before} " if before and language.spaced else before)


def _whose_words(text: str, sighting: _Sighting, foreign: list[Foreign]) -> Discount | None:
    """Say whether the phrase stands in a quotation or a paste, its closing request excepted."""
    for span in foreign:
        if not span.start <= sighting.start < span.end:
            continue
        if span.closing is not None and sighting.start >= span.closing:
            before = " ".join(text[span.closing : sighting.start].split())
            if _match_opening(sighting.language, before):
                continue
        return span.why
    return None


def _what_about(text: str, sighting: _Sighting) -> Discount | None:
    language, phrase = sighting.language, sighting.phrase
    before = sentence_before(text, sighting.start)
    if is_listed_option(text, sighting.start) or language.report.search(before):
        return "about"
    if language.after.match(text, sighting.end):
        return "about"
    # "Write a slogan in one sentence" is about the slogan; "write it in Go, just the code" is not.
    sizes_a_text = phrase.want == "form" and not phrase.is_command and language.composing.search(before)
    return "about" if sizes_a_text else None


def _not_asked(sighting: _Sighting, clause: str) -> Discount | None:
    if sighting.language.disown.search(clause):
        return "negated"
    return "about" if sighting.phrase.is_command else None


def _without_gaps(match: re.Match[str]) -> str:
    """Give the matched words, with the caller's own words between them replaced by an ellipsis."""
    words, end = "", match.start()
    for start, stop in match.regs[1:]:
        if start < stop:
            words += f"{match.string[end:start]}… "
            end = stop
    return " ".join((words + match.string[end : match.end()]).split())
