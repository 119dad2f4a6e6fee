"""Reads the content of a Chinese prompt: its frame is taken off, and of what is left every character counts."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator

from gateway.cache.semantic import chinese_words as words
from gateway.cache.semantic.facets import Content, Tokens

_QUOTATION, _ADDRESS = "ｑ", "ａ"
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_CHINESE_NUMBER = re.compile(r"[零〇一二两三四五六七八九十百千万亿半]+")
_MARK = re.compile(r"[Ａ-Ｚ]")
_UNIT = re.compile(
    r"公里|千米|厘米|毫米|米|英里|英尺|英寸|公斤|千克|克|磅|斤|吨|升|毫升|摄氏度?|华氏度?|美元|欧元|日元|人民币|英镑|元|度|"
    r"小时|分钟|秒|岁|倍|平方|立方|兆|字节"
)
_DATE = re.compile(
    r"今天|昨天|明天|前天|后天|今年|去年|明年|上周|下周|本周|这周|上个?月|下个?月|本月|最近|星期[一二三四五六日天]|"
    r"周[一二三四五六日天末]|[早晚]上|上午|下午|中午|凌晨|春天|夏天|秋天|冬天|元旦|除夕|春节|国庆节?|中秋节?|圣诞节?|[情教母父儿端清][人师亲童午明]节|世纪|\d+年|\d+月|\d+[日号]|年|月|日"
)
_NEGATION = re.compile(r"[不没无未非别勿莫].?")
_DIRECTION = re.compile(
    r"[比从到往向由被离]|之前|之后|以前|以后|以上|以下|大于|小于|超过|低于|[前下上]一?[任届个]|当.{1,20}时"
)
_ARRANGED = re.compile(
    r"[比到从由往向给被离让送借教打咬追爱帮吃]|喜欢|转换|换[成算]|变成|翻译|导致|引起|造成|之前|之后|以前|以后|以上|以下|大于|小于|"
    r"超过|低于|时候?"
)
_FREE = frozenset("ＨＬＦＳ")
"""Kinds of question about what is done, in which its object may come first or last, where nothing says otherwise.

Not the kinds that ask for a measure (how old, how much): of them a noun is left, and 女儿的朋友 is not 朋友的女儿.
"""
_MAY_BE_DONE = frozenset("ＢＷＰ")
"""Kinds of question in which it matters whether something is, was, will be or has to be."""
_DONE = re.compile("了(?=[Ｂ没ＷＰ]|什么|哪|[？?。！!]|$)|过(?=Ｂ|什么|没)")
_SAYING_NOTHING = frozenset("和读念写用说词字")
"""Where no more is left than these, a prompt is about the words that are dropped elsewhere: 你是谁, 会和能的区别."""
_EITHER = frozenset("ＤＫ")
"""Kinds of question about two things, of which either may come first."""
_ASKED_OF_TWO = re.compile("^(.+和.+)([ＤＫ])(.*)$")
_TWO_NAMES = re.compile("(?<=[a-z+#])[Ａ-Ｚ]+(?=[a-z])")
"""A mark between two names of Latin letters, which must not become one name."""
_LEAST_TURNED = 3
"""Fewer characters are one word: 蜂蜜, honey, is not 蜜蜂, a bee."""
_GOOD_IS_MEANT = frozenset("ＨＫＦＬＧ")
"""Kinds of question that ask for what is good anyhow."""
_BEGINS = re.compile("^(?:什么|哪)")
"""What does something, and not what something is done to."""
_OF_WORDS, _ABILITY, _GOOD = re.compile(words.OF_WORDS), re.compile(words.ABILITY), re.compile(words.GOOD)
_LATIN_WORD = re.compile(r"[a-z]+(?:\+\+|#)?")
_SYMBOL = re.compile(r"[+*/=^<>%$€£¥°&|~@#_\\{}\[\]×÷√]|(?<=\d)\s*-\s*(?=\d)|(?<!\w)-(?=\d)")


def read_chinese(text: str, exact: Tokens) -> Content:
    """Read a prompt whose code and quotations, `exact`, have been taken out."""
    written = "".join(text.lower().split()).replace("quotation", _QUOTATION).replace("address", _ADDRESS)
    for compiled, mark in _phrases():
        written = compiled.sub(mark, written)
    of_words = _OF_WORDS.search(text) is not None or "Ｄ" in written
    symbols = tuple(_SYMBOL.findall(written))
    kinds = set(_MARK.findall(written)) - {"Ｑ"}
    if "Ｋ" in kinds:
        kinds -= {"Ｂ"}
    begins = _BEGINS.match(written) is not None
    if kinds & {"Ｄ", "Ｆ"}:
        kinds -= {"Ｂ", "Ｈ", "Ｍ"}
    done = (not kinds or bool(kinds & _MAY_BE_DONE)) and _DONE.search(written) is not None
    if kinds & _EITHER:
        written = _sides_sorted(written)
    written = _light(auxiliaries=not kinds & _MAY_BE_DONE).sub("", _MARK.sub("", _TWO_NAMES.sub(" ", written)))
    for compiled, word in _rules(words.FORMS if of_words else words.FORMS + words.SYNONYMS):
        written = compiled.sub(word, written)
    good = _GOOD.search(written) is not None and not kinds & _GOOD_IS_MEANT
    written = _GOOD.sub("", written)
    if "Ｂ" not in kinds:
        written = _ABILITY.sub("", written)
    dates = tuple(_DATE.findall(written))
    letters = [letter for letter in _DATE.sub("", written) if letter.isalnum()]
    if not (exact or dates or set(letters) - _SAYING_NOTHING):
        letters += [letter for letter in text if letter.isalnum()]
    free = not begins and bool(kinds) and kinds <= _FREE and _ARRANGED.search(written) is None
    return Content(
        language="zh",
        question=(*sorted(kinds), *(("了",) if done else ())),
        negation=tuple(_NEGATION.findall(written)),
        numbers=(*_NUMBER.findall(written), *_CHINESE_NUMBER.findall(written)),
        units=tuple(_UNIT.findall(written)),
        dates=dates,
        names=tuple(sorted(_LATIN_WORD.findall(written))),
        code=(*exact, *symbols),
        order=tuple(_DIRECTION.findall(written)),
        subject=(*(_turned(letters) if free else letters), *(("什么",) if begins else ()), *(("好",) if good else ())),
    )


def _sides_sorted(written: str) -> str:
    """Put the two sides of an "and" or "or" into one order; what comes after the question keeps its place."""
    sides, mark, rest = written, "", ""
    if asked := _ASKED_OF_TWO.match(written):
        sides, mark, rest = asked.groups()
    between = "和" if "和" in sides else "Ｋ"
    return "和".join(sorted(side for side in sides.split(between) if _MARK.sub("", side))) + mark + rest


def _turned(letters: list[str]) -> list[str]:
    """Turn a sequence to where it is least, so that what was moved to the front makes no difference; a swap does."""
    if len(letters) < _LEAST_TURNED:
        return letters
    return min((letters[at:] + letters[:at] for at in range(len(letters))), default=letters)


@functools.cache
def _phrases() -> tuple[tuple[re.Pattern[str], str], ...]:
    return tuple((re.compile(pattern), written) for pattern, written in words.PHRASES)


@functools.cache
def _light(*, auxiliaries: bool) -> re.Pattern[str]:
    return re.compile(f"{words.LIGHT}|{words.AUXILIARIES}" if auxiliaries else words.LIGHT)


@functools.cache
def _rules(rows: tuple[str, ...]) -> tuple[tuple[re.Pattern[str], str], ...]:
    def rules() -> Iterator[tuple[re.Pattern[str], str]]:
        for row in rows:
            first, *others = row.split()
            longest = sorted((first, *others), key=len, reverse=True)
            yield re.compile("|".join(map(re.escape, longest))), first

    return tuple(rules())
