"""Reads the content of an English prompt: its frame is taken off, and what is left is put into one order.

"What is the price of a ticket in Paris?", "Paris ticket price?" and "In Paris, how much does a ticket cost?" are one
question. So frames become marks of the kind of question, `A of B` becomes `B A`, words of one meaning become one word,
and verbs are kept apart from what they stand between; the order of the rest counts.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass, field

from gateway.cache.semantic import english_words as words
from gateway.cache.semantic.facets import Content, Tokens

_WORD = re.compile(r"[^\W\d_]+(?:\+\+|#)?|\d+(?:[.,:]\d+)*|[,;.?!]")
_SYMBOL = re.compile(r"[+*/=^<>%$€£¥°|~@#_\\{}\[\]×÷√]|(?<=\d)\s*-\s*(?=\d)|(?<!\w)-(?=\d)")
_NAME = re.compile(r"(?<![.!?:]\s)(?<!^)\b[A-Z][\w'-]*|\b[A-Z]{2,}\b|\b\w*[a-z][A-Z]\w*\b")
_US = re.compile(r"\bU\.S\.(?:A\.)?|\bUS\b")
_SHORT_NAME = re.compile(r"(?<=[\w,'] )(A|IT|WHO|AM|IS|DO|MAY|WILL|CAN|OR|AND|IN|ON|AT|TO|ME|AN|SO|BE)\b(?!'|\w)")
"""Short names in capitals that are little words in small letters: vitamin A, a job in IT, the WHO."""
_CONTRACTIONS = (
    (re.compile(r"\bcan't\b|\bcannot\b"), "can not"),
    (re.compile(r"\bwon't\b"), "will not"),
    (re.compile(r"n't\b"), " not"),
    (re.compile(r"\b(i)'m\b"), r"\1 am"),
    (re.compile(r"'re\b"), " are"),
    (re.compile(r"'ll\b"), " will"),
    (re.compile(r"'ve\b"), " have"),
    (re.compile(r"\b(i|you|we|they)'d\b"), r"\1 would"),
    (re.compile(r"\b(what|who|where|when|how|why|that|there|it|he|she|which)'s\b"), r"\1 is"),
)
_FRONTED = re.compile(r"^((?:in|for|with|on|at|using) [\w+# ]{1,30}), (.+?)([?.!]*)$")
_TOPIC = re.compile(r"^([\w+#]{1,20}): (.+)$")
_USING = re.compile(r"\b(?:with the help of|by means of|by using|using|use ([\w+#]+) to)\b")
_ASKING = {"what": "qwhat", "which": "qwhat", "who": "qwho", "whom": "qwho", "whose": "qwhose", "when": "qwhen",
           "where": "qwhere", "why": "qwhy", "how": "qhow"}  # fmt: skip
_YES_NO = frozenset(
    ["is", "are", "was", "were", "do", "does", "did", "has", "have", "can", "could", "should", "may", "must", "am",
     "would", "will"]
)  # fmt: skip
_HYPOTHETICAL = frozenset(["would", "could", "should", "if"])
_BEING = frozenset(["is", "are", "was", "were", "be", "been", "being", "am", "gets", "get"])
_ANYONE = frozenset(["", "i", "we", "you", "one", "to", "be", "is", "are", "was", "were", "been", "being"])
"""Words after which a verb has no subject of its own."""
_MODALS = frozenset(["can", "could", "should", "would", "may", "might", "must", "will", "do"])
_CLAUSES = frozenset(["if", "before", "after", "because", "while", "until"])
"""Words that begin a clause: what is in it is told from what is not."""
_LEADING = re.compile(
    r"^(if|when|while|because|after|before) (.+?), (?:then )?((?:what|who|how|why|where|which|is|are|do|does|did|can|"
    r"should|will|would|could|tell|at)\b.+?)([?.!]*)$"
)
_PERFECT = re.compile(
    r"\b(?:has|have) been\b|\b(?:would|should|could|might|must)\b.{0,25}? have (?:been|[a-z]+ed)\b|"
    r"\b(?:has|have) (?:not |never |ever |already |always )*(?:[a-z]+ ){0,2}?(?:ever |never )?[a-z]{2,}ed\b"
)
_PAST_AUXILIARIES = frozenset(["did", "was", "were", "had"])
_HELPING = frozenset(
    ["is", "are", "be", "am", "been", "being", "was", "were", "have", "has", "had", "get", "gets", "not", "a", "an",
     "the", "my", "of", "in", "and", "that", "qwhat"]
)  # fmt: skip
"""Words after which a form in `-ed` is no past: "how is it pronounced", "a used car"."""
_OF_WORDS = re.compile(
    r"\b(?:spell(?:s|ed|ing)?|spelt|pronounc\w+|rhym\w+|synonyms?|antonyms?|opposite|plurals?|singular|past tense|"
    r"participle|conjugat\w+|etymology|syllables?|acronyms?|abbreviat\w+|translat\w+|another word|words? for|"
    r"the words?|means?|meant|meaning|defin(?:e|ition)|differ(?:s|ent|ence|ences)?|distinguish\w*|compare\w*|called|"
    r"say .{1,60} in)\b"
)
"""What is asked of words themselves, of which none stands for another: how to spell fridge, or refrigerator."""
_FIRST, _SECOND = frozenset(["i", "me", "my", "mine", "we", "us", "our"]), frozenset(["you", "your", "yours"])
_BARE = frozenset(["in", "on", "at", "within", "with"])
"""Prepositions that count where no noun goes before them: "what is in milk" is not "what is milk"."""
_LAST = frozenset(["for", "about", "with"])
"""Prepositions that count where a question ends in them: "what is it for"."""
_MODALITY = {"will": "will", "can": "can", "could": "can", "may": "can", "must": "must", "should": "should"}
"""What a yes-or-no question begins with, where it is not whether something is so: it may, or it must, or it will be."""
_HYPOTHETICAL_CLAUSE = frozenset(["if", "when"])
_WHOSE = {"my": "my", "our": "my", "your": "your"}
_ANYBODYS = frozenset(["qhow", "qlong", "qoften", "qwhen", "qtemperature"])
"""Kinds of question in which it does not matter whose oven is to be cleaned."""
_YOU_YOURSELF = re.compile(
    r"\b(?:are|were|is|was) your?\b|^\s*(?:do|did|have|will|would) you\b|\bdid you\b|"
    r"\bdo you (?:like|love|hate|prefer|want|think|feel|believe|dream|live|work|eat|drink|sleep|play|speak|have)\b|"
    r"(?<!how )\byour (?:name|age|job|opinion|own|favou?rite|creator|purpose|goal|hobby|hobbies)\b"
)
"""Where `you` is who is asked, and not anybody."""
_SAYING_NOTHING = frozenset(["word", "sentence", "use", "say"])
"""Where no more is left than these, the words that are dropped elsewhere are meant: "who are you", "do or does"."""
_WITHOUT_ORDER = frozenset(["qdiff", "qchoice", "qfar"])
_GOOD_IS_MEANT = frozenset(["qhow", "qchoice"])
"""Kinds of question that ask for a good way or a better choice anyhow."""
_STOP = frozenset(",;.?!")
_KEPT_ENDINGS = frozenset(
    ["news", "windows", "goods", "customs", "means", "series", "species", "always", "perhaps", "bed", "red", "need",
     "speed", "feed", "seed", "thing", "during", "something", "nothing", "anything", "everything", "wedding", "united"]
)  # fmt: skip
_SHORT = re.compile(r"^[^aeiouy]*[aeiouy][^aeiouywx]$")
"""`bak`, `us`: what is left of a verb that ends in a silent e."""


@dataclass(slots=True)
class _Read:
    """What has been found so far on the way through a prompt's words."""

    names: set[str]
    kinds: list[str] = field(default_factory=list)
    verbs: list[str] = field(default_factory=list)
    """Those that anyone does: their place means nothing."""
    nouns: list[str] = field(default_factory=list)
    """All other words, in an order that means something."""
    group: list[str] = field(default_factory=list)
    """The nouns since the last verb or boundary; `of` puts what follows before them."""
    linked: list[str] | None = None
    """The nouns after `of` and the like, until their group ends."""
    numbers: list[str] = field(default_factory=list)
    units: list[str] = field(default_factory=list)
    dates: list[str] = field(default_factory=list)
    roles: list[str] = field(default_factory=list)
    negated: list[str] = field(default_factory=list)
    waiting: list[tuple[list[str], str]] = field(default_factory=list)
    """What the next word belongs to: a negation, or a direction."""
    persons: bool = False
    """Whether it matters who `I` and `you` are."""
    of_words: bool = False
    """Whether the prompt is about words themselves."""
    passive: bool = False
    """Whether a form of `be` came before, in this clause."""

    def ask(self, kind: str) -> None:
        """Note a kind of question."""
        self.close()
        self.kinds.append(kind)
        self.passive = False

    def link(self) -> None:
        """Let what follows `A of` go before A."""
        self._fold()
        if self.group:
            self.linked = []

    def close(self) -> None:
        """End the group of nouns."""
        self._fold()
        self.nouns += self.group
        self.group = []

    def add(self, word: str) -> None:
        """Add a noun, or whatever is no verb, to the group."""
        (self.group if self.linked is None else self.linked).append(word)

    def meant(self, word: str) -> None:
        """Take a word for what a negation or a direction before it is about."""
        for place, sign in self.waiting:
            place.append(f"{sign} {word}")
        self.waiting.clear()

    def _fold(self) -> None:
        if self.linked is not None:
            self.group = self.linked + self.group
            self.linked = None


def read_english(text: str, exact: Tokens) -> Content:
    """Read a prompt whose code and quotations, `exact`, have been taken out."""
    if not text.isupper():
        text = _SHORT_NAME.sub(r"\1ABBR", _US.sub("USA", text))
    names = {name.lower().removesuffix("'s") for name in _NAME.findall(text)} - {"i", "i'm", "i'd", "i've", "i'll"}
    lowered = _written_out(text)
    framed = _without_frames(lowered)
    sequence = _WORD.findall(framed)
    past = _is_past(_WORD.findall(lowered), sequence)
    read = _Read(names, of_words=_OF_WORDS.search(lowered) is not None, persons=_who_matters(framed, sequence))
    _walk(read, sequence)
    kinds = set(read.kinds)
    if len(kinds) > 1:  # "tell me when" asks when
        kinds -= {"qwhat", "qyes"} if "qchoice" in kinds else {"qwhat"}
    kinds -= {"qwhat"}  # "the capital of France" asks what
    if not kinds & _ANYBODYS and not read.persons:
        owners = {_WHOSE[word] for word in sequence if word in _WHOSE}
        read.roles += owners - {"my"} if "qyes" in kinds else owners  # "is it safe for my dog" is about any
    good = words.GOOD in read.nouns and not kinds & _GOOD_IS_MEANT
    subject = [word for word in read.nouns if word != words.GOOD]
    if kinds & _WITHOUT_ORDER:
        subject.sort()
    if not (exact or read.numbers or read.units or read.dates or {*subject, *read.verbs} - _SAYING_NOTHING):
        subject += _WORD.findall(lowered)
    stems = {as_written(name) for name in names}
    return Content(
        language="en",
        question=(*sorted(kinds), *(("past",) if past else ())),
        negation=tuple(sorted(read.negated)),
        numbers=tuple(sorted(read.numbers) if _in_any_order(read.numbers) else read.numbers),
        units=tuple(sorted(read.units)),
        dates=tuple(read.dates),
        names=tuple(sorted(word for word in (*subject, *read.verbs) if word in stems)),
        code=(*exact, *(found.strip() for found in _SYMBOL.findall(framed))),
        order=() if "qfar" in kinds else tuple(sorted(read.roles)),
        subject=(*subject, *sorted(f"to {verb}" for verb in read.verbs), *((words.GOOD,) if good else ())),
    )


def _written_out(text: str) -> str:
    lowered = " ".join(text.lower().split())
    for pattern, written in _CONTRACTIONS:
        lowered = pattern.sub(written, lowered)
    return lowered


def _without_frames(lowered: str) -> str:
    if topic := _TOPIC.match(lowered):
        lowered = f"{topic[2]} in {topic[1]}"
    if leading := _LEADING.match(lowered):
        lowered = f"{leading[3]} {leading[1]} {leading[2]}{leading[4]}"
    if fronted := _FRONTED.match(lowered):
        lowered = f"{fronted[2]} {fronted[1]}{fronted[3]}"
    lowered = _USING.sub(lambda found: f"with {found[1]} " if found[1] else "with", lowered)
    for compiled, written in _phrases():
        lowered = compiled.sub(written, lowered)
    return lowered.replace("'s ", " ")


def _who_matters(framed: str, sequence: list[str]) -> bool:
    both = not _FIRST.isdisjoint(sequence) and not _SECOND.isdisjoint(sequence)
    return both or _YOU_YOURSELF.search(framed) is not None


def _walk(read: _Read, sequence: list[str]) -> None:
    before, last = "", ""
    for at, word in enumerate(sequence):
        _step(read, word, before=before, last=last, following=sequence[at + 1] if at + 1 < len(sequence) else "")
        before, last = last, word
    read.close()
    for place, sign in read.waiting:
        place.append(sign)
    if sequence and sequence[0] in _YES_NO and "qchoice" not in read.kinds:
        read.kinds.append("qyes")
        read.roles += [_MODALITY[word] for word in sequence[:1] if word in _MODALITY]
    elif "will" in sequence and _HYPOTHETICAL_CLAUSE.isdisjoint(sequence):
        read.roles.append("will")


def _step(read: _Read, word: str, *, before: str, last: str, following: str) -> None:
    if word in _STOP:
        read.close()
        read.passive = False
    elif word in words.KINDS:
        read.ask(word)
    elif word in _ASKING and (word not in ("when", "which") or not set(read.kinds) - {"qwhat"}):
        read.ask(_ASKING[word])
    elif word in words.NEGATORS:
        read.waiting.append((read.negated, "without" if word == "without" else "not"))
    elif word in words.DIRECTIONS:
        _direct(read, word, following)
    elif read.persons and (word in _FIRST or word in _SECOND):
        read.close()
        read.nouns.append(word)
    elif word in words.LINKS:
        _link(read, word, following)
    elif word in words.DROPPED and not (word == "may" and word in read.names):
        if word in _YES_NO or word == "that":
            read.close()
        read.passive = read.passive or word in _BEING
    elif word not in ("and", "or"):
        _put(read, word, last="i" if last in _MODALS and before in _ANYONE else last, following=following)


def _link(read: _Read, word: str, following: str) -> None:
    if not following or following in _STOP:
        read.nouns += [f"{word}:"] if word in _LAST else []
    elif word in _BARE and not read.group and read.linked is None:
        read.nouns.append("at:")
    read.link()


def _direct(read: _Read, word: str, following: str) -> None:
    read.close()
    if word == "to" and (concept(following) in words.VERBS or following in ("be", "have", "do")):
        return
    direction = words.DIRECTIONS[word]
    if direction in _CLAUSES:
        read.nouns.append(f"{direction}:")
        read.passive = False
    read.waiting.append((read.roles, direction))


def _put(read: _Read, word: str, *, last: str, following: str) -> None:
    if word[0].isdigit() or word in words.NUMBER_WORDS:
        meant = words.NUMBER_WORDS.get(word, word.replace(",", ""))
        read.numbers.append(f"{meant} {_measure(following)}".strip())
    elif word in words.UNITS:
        meant = words.UNITS[word]
        read.units.append(meant)
    elif word in words.MONTHS or word in words.DAYS or word.removesuffix("s") in words.DAYS:
        meant = word.removesuffix("s")
        read.dates.append(meant)
    else:
        meant = as_written(word) if read.of_words or word in read.names else concept(word)
        if meant in words.VERBS and word not in read.names and not (last in ("the", "a") and following == "of"):
            read.close()
            if _by_anyone(word, last, passive=read.passive):
                read.verbs.append(meant)
            else:
                read.nouns.append(meant)
        else:
            read.add(meant)
    read.meant(meant)


def _by_anyone(verb: str, last: str, *, passive: bool) -> bool:
    """Whether a verb has no subject of its own: an order, "I bake it", "it is baked", "for baking it"."""
    if last in _ANYONE or last in _STOP or last in words.KINDS - {"qwhat", "qwho"}:
        return True
    if verb.endswith("ing"):
        return not passive
    return passive and (verb.endswith("ed") or verb in words.IRREGULAR)


def _measure(word: str) -> str:
    """Give what a number before a word counts, if it is a unit or a time."""
    time = word.removesuffix("s")
    return words.UNITS.get(word, time if time in words.DAYS else "")


def _in_any_order(numbers: list[str]) -> bool:
    """Whether each number says by its unit which it is."""
    measures = [number.partition(" ")[2] for number in numbers]
    return all(measures) and len(set(measures)) == len(measures)


def _is_past(written: list[str], framed: list[str]) -> bool:
    """Say whether a prompt is about the past: by an auxiliary as written, or by a verb in what its frame left."""
    perfect = _PERFECT.search(" ".join(written)) is not None
    if _HYPOTHETICAL & set(framed):
        return perfect and "have" in written
    if perfect or _PAST_AUXILIARIES & set(written):
        return True
    participles = bool(_BEING & set(written)) or "have" in written or "has" in written
    return any(_is_past_form(word, last, participles) for last, word in zip(["", *framed], framed, strict=False))


def _is_past_form(word: str, last: str, participles: bool) -> bool:
    if word in words.PRETERITES:
        return True
    if word not in words.PAST and (len(word) <= 4 or not word.endswith("ed") or word in words.NOT_PAST):
        return False
    return last in _ASKING or last == "that" or (not participles and last not in _HELPING)


@functools.cache
def _phrases() -> tuple[tuple[re.Pattern[str], str], ...]:
    return tuple((re.compile(pattern), written) for pattern, written in words.PHRASES)


@functools.cache
def _families() -> dict[str, str]:
    table: dict[str, str] = {}
    for row in words.SYNONYMS:
        first, *others = row.split()
        meant = table.get(cut(first), cut(first))
        for word in (first, *others):
            table.setdefault(cut(word), meant)
    return table


@functools.lru_cache(maxsize=8192)
def concept(word: str) -> str:
    """Give what stands for a word: the first of its synonyms, without an ending."""
    base = words.IRREGULAR.get(word, word)
    base = words.NOUNS_OF_VERBS.get(base, words.NOUNS_OF_VERBS.get(base.removesuffix("s"), base))
    cutted = cut(base)
    return _verb_stems().get(meant := _families().get(cutted, cutted), meant)


def as_written(word: str) -> str:
    """Give a word itself, without an ending: of names, and of words that are spoken about, none stands for another."""
    cutted = cut(word)
    return _verb_stems().get(cutted, cutted)


@functools.cache
def _verb_stems() -> dict[str, str]:
    return {cut(verb): verb for verb in words.VERBS}


def cut(word: str) -> str:
    """Cut the commonest endings, so that `cats`, `sorting` and `baked` are `cat`, `sort` and `bake`.

    Never enough to make two unlike words one: `-er`, `-ness` and the like stay, and so does the e of `wine`.
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
        left = word.removesuffix(ending)
        if left != word and len(left) >= 2 and re.search("[aeiouy]", left):
            if len(left) > 2 and left[-1] == left[-2] and left[-1] not in "lsz":
                return left[:-1]
            return left + "e" if _SHORT.match(left) else left.removesuffix("e")
    return word if _SHORT.match(word[:-1]) else word.removesuffix("e")
