"""The content gate: what two prompts must agree in before one's answer may be given to the other.

An encoder puts "Is 5 °C cold?" and "Is 50 °C cold?" side by side; similarity alone is no ground for an answer. The gate
reads facets from each text by rule and wants all of them equal. It knows English and Chinese; a text in a script
that it cannot read matches nothing.

Weakness: it compares words, not meanings. Words that stand for each other must be in `words`, so a free paraphrase is a
miss; that is the side on which it errs.
"""

from __future__ import annotations

import functools
import hashlib
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, fields

from gateway.cache.semantic import words

MOST_CHARS = 600
"""Longer texts take no part: the encoder reads 700 characters, and nobody rephrases a page."""

Tokens = tuple[str, ...]

_CODE = re.compile(r"```.*?```|`[^`\n]+`", re.DOTALL)
_QUOTED = re.compile(r"\"[^\"\n]{1,200}\"|“[^”\n]{1,200}”|「[^」\n]{1,200}」|『[^』\n]{1,200}』|《[^》\n]{1,80}》")
_ADDRESS = re.compile(
    r"https?://\S+|\S+@\S+\.\w+|(?:[A-Za-z]:)?(?:/[\w.-]+){2,}|\b\w+(?:_\w+)+\b|\b\w+\.\w+\(|\b\w+\(\)"
)
_HAN = re.compile(r"[㐀-䶿一-鿿]")
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_CHINESE_NUMBER = re.compile(r"[零〇一二两三四五六七八九十百千万亿半]+")
_CHINESE_MARK = re.compile(r"[Ｄ-Ｙ]|Ｂ")
_CHINESE_UNIT = re.compile(
    r"公里|千米|厘米|毫米|米|英里|英尺|英寸|公斤|千克|克|磅|斤|吨|升|毫升|摄氏度?|华氏度?|美元|欧元|日元|人民币|英镑|元|度|"
    r"小时|分钟|秒|岁|倍|平方|立方|兆|字节"
)
_CHINESE_DATE = re.compile(
    r"今天|昨天|明天|前天|后天|今年|去年|明年|上周|下周|本周|这周|上个?月|下个?月|本月|现在|目前|最近|星期.|周[一二三四五六日天末]|"
    r"[早晚]上|上午|下午|中午|世纪|年|月|日"
)
_CHINESE_NEGATION = re.compile(r"[不没无未非别勿莫].?")
_CHINESE_DIRECTION = re.compile(
    r"[比到从由往向至换转给把被对离为成]|之前|之后|以前|以后|以上|以下|大于|小于|超过|低于|翻译"
)
_FREE_MARKS = frozenset("ＱＨＥＬ")
"""Kinds of question in which the order of words means nothing, where no direction is named."""
_LATIN_WORD = re.compile(r"[a-z]+(?:\+\+|#)?")
_WORD = re.compile(r"[^\W\d_]+(?:\+\+|#)?|\d+(?:[.,:]\d+)*")
_SYMBOL = re.compile(r"[+*/=^<>%$€£¥°&|~@#_\\{}\[\]×÷√]|(?<=\d)\s*-\s*(?=\d)|(?<!\w)-(?=\d)")
_NAME = re.compile(r"(?<![.!?:]\s)(?<!^)\b[A-Z][\w'-]*|\b[A-Z]{2,}\b|\b\w*[a-z][A-Z]\w*\b")
_CONTRACTIONS = (
    (re.compile(r"\bcan't\b|\bcannot\b"), "can not"),
    (re.compile(r"\bwon't\b"), "will not"),
    (re.compile(r"n't\b"), " not"),
    (re.compile(r"\b(i)'m\b"), r"\1 am"),
    (re.compile(r"'re\b"), " are"),
    (re.compile(r"'ll\b"), " will"),
    (re.compile(r"'ve\b"), " have"),
    (re.compile(r"\b(i|you|we|they)'d\b"), r"\1 would"),
    (re.compile(r"\b(what|who|where|when|how|why|that|there|it|he|she)'s\b"), r"\1 is"),
)
_POSSESSIVE = re.compile(r"\b([\w-]+)'s? ((?:\w+ ?){1,2})(?=[?.!,]|$)")
_FRONTED = re.compile(r"^((?:in|for|with|on|at|using) [\w+# ]{1,30}), (.+?)([?.!]*)$")
_PAST = frozenset(
    [
        "was",
        "were",
        "did",
        "had",
        "wrote",
        "went",
        "bought",
        "won",
        "built",
        "began",
        "made",
        "taught",
        "found",
        "died",
        "came",
        "gave",
        "took",
    ]
)
_NOT_PAST = frozenset(
    ["need", "speed", "feed", "seed", "breed", "exceed", "proceed", "succeed", "indeed", "hundred", "embed"]
)
_KINDS = frozenset(
    [
        "qwhat",
        "qdiff",
        "qhow",
        "qwhy",
        "qwhen",
        "qtime",
        "qwhere",
        "qwho",
        "qmany",
        "qmuch",
        "qcost",
        "qheight",
        "qlong",
        "qwhich",
        "qyes",
    ]
)
_ASKING = {"what": "qwhich", "which": "qwhich", "who": "qwho", "whom": "qwho", "whose": "qwhose", "when": "qwhen",
           "where": "qwhere", "why": "qwhy", "how": "qhow"}  # fmt: skip
_YES_NO = frozenset(
    ["is", "are", "was", "were", "do", "does", "did", "has", "have", "can", "could", "should", "may", "must", "am"]
)
_ORDERLESS = frozenset({"qwhat", "qhow", ""})
_KEPT_ENDINGS = frozenset(
    ["news", "windows", "goods", "customs", "means", "series", "species", "always", "perhaps", "bed", "red", "need"]
)


@dataclass(frozen=True, slots=True)
class Content:
    """What one prompt says, in facets that must all agree. `language` is "" where the gate cannot read it."""

    language: str
    question: Tokens
    negation: Tokens
    numbers: Tokens
    units: Tokens
    dates: Tokens
    names: Tokens
    code: Tokens
    order: Tokens
    subject: Tokens

    def print_of(self, secret: bytes) -> Prints:
        """Give a fingerprint of each facet, made with a secret, so that nothing of the text is stored."""
        return tuple(_digest(secret, facet, getattr(self, facet)) for facet in FACETS)


Prints = tuple[str, ...]
FACETS: tuple[str, ...] = tuple(one.name for one in fields(Content))


def differing(one: Prints, other: Prints) -> str | None:
    """Name the first facet in which two fingerprinted prompts differ; None if they agree in all."""
    if len(one) != len(FACETS) or len(other) != len(FACETS):
        return FACETS[0]
    return next((name for name, a, b in zip(FACETS, one, other, strict=True) if a != b), None)


def differences(one: Content, other: Content) -> dict[str, tuple[Tokens | str, Tokens | str]]:
    """Give every facet in which two prompts differ, with what each has."""
    pairs = ((name, getattr(one, name), getattr(other, name)) for name in FACETS)
    found = {name: (a, b) for name, a, b in pairs if a != b}
    if not (one.language and other.language):
        found["language"] = (one.language, other.language)
    return found


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
        return _read_chinese(text, exact) if _is_readable(text) else None
    return _read_english(text, exact) if _is_readable(text) else None


def _is_readable(text: str) -> bool:
    """Whether all letters are Latin or Han: kana and others would be compared by halves."""
    return all(_script_of(letter) for letter in text if letter.isalpha())


@functools.lru_cache(maxsize=4096)
def _script_of(letter: str) -> bool:
    return letter.isascii() or bool(_HAN.match(letter)) or unicodedata.name(letter, "").startswith(("LATIN", "GREEK"))


def _read_english(text: str, exact: Tokens) -> Content:
    names = {name.lower().removesuffix("'s") for name in _NAME.findall(text)} - {"i", "i'm", "i'd", "i've", "i'll"}
    lowered = text.lower()
    for pattern, written in _CONTRACTIONS:
        lowered = pattern.sub(written, lowered)
    was = any(_is_past(word) for word in _WORD.findall(lowered))
    if fronted := _FRONTED.match(lowered):
        lowered = f"{fronted[2]} {fronted[1]}{fronted[3]}"
    lowered = _POSSESSIVE.sub(r"\2 of \1 ", lowered)
    for compiled, written in _english_phrases():
        lowered = compiled.sub(written, lowered)
    sequence = [word.strip("'") for word in _WORD.findall(lowered)]
    kinds, subject, numbers, units, dates, roles, negated, past = _walk(sequence)
    distinct = set(kinds)
    if len(distinct) > 1:  # "tell me when" asks when
        distinct -= {"qwhat", "qwhich"}
    kinds = [kind for kind in kinds if kind in distinct]
    question = (
        *sorted("qwhat" if kind == "qwhich" else kind for kind in distinct),
        *(("past",) if past or was else ()),
    )
    named = tuple(word for word in subject if word in {_stem(name) for name in names})
    kind = kinds[0] if kinds else ""
    free = kind in _ORDERLESS and not roles and len(named) < 2
    symbols = tuple(found.strip() for found in _SYMBOL.findall(lowered))
    return Content(
        language="en",
        question=question,
        negation=tuple(sorted(negated)),
        numbers=numbers,
        units=units,
        dates=dates,
        names=tuple(sorted(named)) if kind == "qdiff" else named,
        code=(*exact, *symbols),
        order=tuple(roles),
        # Cases are looked at once more: `names` may miss a name at a sentence's beginning, `subject` has every word.
        subject=tuple(sorted(subject)) if free or kind == "qdiff" else tuple(subject),
    )


def _is_past(word: str) -> bool:
    return word in _PAST or (len(word) > 4 and word.endswith("ed") and word not in _NOT_PAST)


def _walk(
    sequence: list[str],
) -> tuple[list[str], list[str], Tokens, Tokens, Tokens, list[str], list[str], bool]:
    """Go through the words once and put each where it belongs."""
    kinds: list[str] = []
    subject: list[str] = []
    roles: list[str] = []
    negated: list[str] = []
    numbers: list[str] = []
    units: list[str] = []
    dates: list[str] = []
    past = False
    waiting: list[tuple[list[str], str]] = []  # what the next word of the subject belongs to
    if sequence and sequence[0] in _YES_NO:
        kinds.append("qyes")
    for at, word in enumerate(sequence):
        past = past or _is_past(word)
        if word in _KINDS:
            kinds.append(word)
        elif word in _ASKING and (not kinds or at == 0):
            kinds.append(_ASKING[word])
        elif word in words.ENGLISH_NEGATORS:
            waiting.append((negated, "without" if word == "without" else "not"))
        elif word in words.DIRECTIONS:
            following = sequence[at + 1] if at + 1 < len(sequence) else ""
            if not (word == "to" and following in words.INFINITIVES):
                waiting.append((roles, words.DIRECTIONS[word]))
        elif word not in words.ENGLISH_DROPPED:
            meant = _put(word, subject, numbers, units, dates)
            for place, sign in waiting:
                place.append(f"{sign} {meant}")
            waiting.clear()
    for place, sign in waiting:
        place.append(sign)
    return kinds, subject, tuple(numbers), tuple(units), tuple(dates), roles, negated, past


def _put(word: str, subject: list[str], numbers: list[str], units: list[str], dates: list[str]) -> str:
    if word[0].isdigit():
        written = word.replace(",", "")
        numbers.append(written)
        return written
    if word in words.NUMBER_WORDS:
        numbers.append(words.NUMBER_WORDS[word])
        return words.NUMBER_WORDS[word]
    if word in words.UNITS:
        units.append(words.UNITS[word])
        return words.UNITS[word]
    stem = _stem(word)
    if word in words.MONTHS or word in words.DAYS or stem in words.DAYS:
        dates.append(stem)
        return stem
    subject.append(stem)
    return stem


def _read_chinese(text: str, exact: Tokens) -> Content:
    written = "".join(text.lower().split())
    for compiled, mark in _chinese_phrases():
        written = compiled.sub(mark, written)
    symbols = tuple(_SYMBOL.findall(written))
    for compiled, word in _chinese_synonyms():
        written = compiled.sub(word, written)
    marks = set(_CHINESE_MARK.findall(written))
    kinds = tuple(sorted(marks - {"Ｑ"} if len(marks) > 1 else marks))
    written = _CHINESE_MARK.sub("", written)
    numbers = (*_NUMBER.findall(written), *_CHINESE_NUMBER.findall(written))
    names = tuple(_LATIN_WORD.findall(written))
    letters = [letter for letter in written if letter.isalnum()]
    directed = _CHINESE_DIRECTION.search(written) is not None
    free = not directed and set(kinds) <= _FREE_MARKS
    return Content(
        language="zh",
        question=kinds,
        negation=tuple(_CHINESE_NEGATION.findall(written)),
        numbers=numbers,
        units=tuple(_CHINESE_UNIT.findall(written)),
        dates=tuple(_CHINESE_DATE.findall(written)),
        names=names,
        code=(*exact, *symbols),
        order=tuple(_CHINESE_DIRECTION.findall(written)),
        subject=tuple(sorted(letters)) if free else tuple(letters),
    )


@functools.cache
def _english_phrases() -> tuple[tuple[re.Pattern[str], str], ...]:
    return tuple((re.compile(pattern), written) for pattern, written in words.ENGLISH_PHRASES)


@functools.cache
def _chinese_phrases() -> tuple[tuple[re.Pattern[str], str], ...]:
    return tuple((re.compile(pattern), written) for pattern, written in words.CHINESE_PHRASES)


@functools.cache
def _chinese_synonyms() -> tuple[tuple[re.Pattern[str], str], ...]:
    def rules() -> Iterator[tuple[re.Pattern[str], str]]:
        for row in words.CHINESE_SYNONYMS:
            first, *others = row.split()
            longest = sorted((other for other in others), key=len, reverse=True)
            yield re.compile("|".join(map(re.escape, longest))), first

    return tuple(rules())


@functools.cache
def _english_synonyms() -> dict[str, str]:
    table: dict[str, str] = {}
    for row in words.ENGLISH_SYNONYMS:
        first, *others = row.split()
        meant = table.get(_cut(first), _cut(first))
        for word in (first, *others):
            table.setdefault(_cut(word), meant)
    return table


@functools.lru_cache(maxsize=8192)
def _stem(word: str) -> str:
    """Cut an English word's ending and put the first of its synonyms for it."""
    cut = _cut(word)
    return _english_synonyms().get(cut, cut)


def _cut(word: str) -> str:
    """Cut the commonest endings, so that `cats`, `sorting` and `invented` are `cat`, `sort` and `invent`.

    Never enough to make two unlike words one: `-er`, `-ness` and the like stay.
    """
    if word in _KEPT_ENDINGS or not re.search("[aeiouy]", word[:-1]):  # https is no plural
        return word
    if len(word) > 4 and word.endswith("ies"):
        word = word[:-3] + "y"
    elif len(word) > 4 and word.endswith(("sses", "shes", "ches", "xes")):
        word = word[:-2]
    elif len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is", "ics")):
        word = word[:-1]
    for ending in ("ing", "ed"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            word = word[: -len(ending)]
            if word[-1] == word[-2] and word[-1] not in "lsz":
                word = word[:-1]
            break
    return word.removesuffix("e") if len(word) > 3 else word


def _digest(secret: bytes, facet: str, value: Tokens | str) -> str:
    written = "\0".join((facet, value) if isinstance(value, str) else (facet, *value)).encode(errors="replace")
    return hashlib.blake2b(written, key=secret[:64], digest_size=6).hexdigest()
