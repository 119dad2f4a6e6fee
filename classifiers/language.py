"""Which language a question is in, coarsely and within microseconds: to be told and counted, not to decide by.

Scripts tell most; among languages in Latin letters common words vote. Weakness: short questions, code and names often
say nothing, and count as `other`; Cyrillic, Arabic and Devanagari stand for all languages written in them.
"""

from __future__ import annotations

import re

READ_CHARS = 160
"""So much of a question is read."""

_SCRIPTS = re.compile(
    "(?P<ja>[\u3040-\u30ff]+)|(?P<ko>[\uac00-\ud7a3]+)|(?P<zh>[\u3400-\u9fff\uf900-\ufaff]+)|(?P<cyrillic>[\u0400-\u04ff]+)"
    "|(?P<arabic>[\u0600-\u06ff]+)|(?P<devanagari>[\u0900-\u097f]+)|(?P<thai>[\u0e00-\u0e7f]+)"
    "|(?P<hebrew>[\u0590-\u05ff]+)|(?P<greek>[\u0370-\u03ff]+)"
)
_DENSE = frozenset({"zh", "ja", "ko"})
"""Scripts in which a character says about as much as three Latin letters."""

_COMMON = {
    "en": "the is what how of to and for me my with this that are do does can please why which write give you it an",
    "de": "der die das und ist ich wie nicht ein eine mir bitte was von mit auf zu den für kann warum schreibe",
    "fr": "le les des est une et que je pour dans pas vous comment avec mon sur qui quelle pourquoi moi écris du",
    "es": "el los las una que es por para como con mi cómo cuál qué escribe del me se dame un y hay",
    "pt": "o os uma que é para como com meu não qual por do da escreva em um me você são ao",
    "it": "il lo gli una che è per come con mio non qual del della scrivi di un mi sono perché nel",
}
_WORDS = {
    word: [language for language, words in _COMMON.items() if word in words.split()]
    for words in _COMMON.values()
    for word in words.split()
}
LANGUAGES = (*_COMMON, *_SCRIPTS.groupindex, "other")


def language_of(text: str) -> str:
    """Name a question's language, one of `LANGUAGES`."""
    read = text[:READ_CHARS]
    if not read.isascii() and (script := _script_of(read)) is not None:
        return script
    votes: dict[str, int] = {}
    for word in read.lower().split():
        for language in _WORDS.get(word, ()):
            votes[language] = votes.get(language, 0) + 1
    return max(votes, key=votes.__getitem__) if votes else "other"


def _script_of(text: str) -> str | None:
    """Give the script that most of a text is in; None for Latin. A little Japanese among Han characters is Japanese."""
    counts: dict[str, int] = {}
    for run in _SCRIPTS.finditer(text):
        name = run.lastgroup or ""
        counts[name] = counts.get(name, 0) + run.end() - run.start()
    if not counts:
        return None
    if "ja" in counts and "zh" in counts:
        counts["ja"] += counts.pop("zh")
    most = max(counts, key=counts.__getitem__)
    weight = 3 if most in _DENSE else 1
    return most if weight * counts[most] >= len(text) - sum(counts.values()) - text.count(" ") else None
