"""`python -m tests.bench.semantic.limits`: what keeps paraphrases apart, in totals.

For each paraphrase that the gate misses: does a hard facet differ (numbers, names, directions …), the kind of
question, the order alone, or words? If words, are there as many on one side as on the other, so that a list of synonyms
could help, or has one side more of them? Beside each share stands that of the near-misses which differ in the same way,
since whatever would let the ones through has to keep those out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from classifiers.sentences import SentenceEncoder
from gateway.cache.semantic.content import Content, differences, read_content
from gateway.cache.settings import SemanticSettings
from tests.bench.semantic.measure import Judged, judge
from tests.bench.semantic.pairs import make_pairs

HARD = ("language", "negation", "numbers", "units", "dates", "names", "code", "order")


def main() -> None:
    """Print the totals of each part and language."""
    judged, threshold = judge(make_pairs(), SentenceEncoder()), SemanticSettings().threshold
    for part, held in (("fitted", False), ("held back", True)):
        for language in ("en", "zh"):
            _print([one for one in judged if one.pair.held_back is held and one.pair.language == language], threshold)
            print(f"  ({part}, {language})\n")


def _print(judged: Sequence[Judged], threshold: float) -> None:
    same = Counter(_apart(one, threshold) for one in judged if one.pair.same)
    unlike = Counter(_apart(one, threshold) for one in judged if not one.pair.same)
    for what in sorted({*same, *unlike}, key=lambda what: (-same[what], what)):
        print(
            f"  {what:48} paraphrases {same[what] / same.total():6.1%} of {same.total()}"
            f"   near-misses {unlike[what] / unlike.total():6.1%} of {unlike.total()}"
        )


def _apart(judged: Judged, threshold: float) -> str:
    one, other = read_content(judged.pair.one), read_content(judged.pair.other)
    if one is None or other is None:
        return "not readable"
    differ = set(differences(one, other))
    if not differ:
        return "nothing" if judged.similarity >= threshold else "similarity"
    if not differ.isdisjoint(HARD):
        return "a hard facet"
    if "subject" not in differ:
        return "kind of question"
    return _words_apart(one, other) + (" and kind of question" if "question" in differ else "")


def _words_apart(one: Content, other: Content) -> str:
    first, second = Counter(one.subject), Counter(other.subject)
    left, right = (first - second).total(), (second - first).total()
    if left == right == 0:
        return "order"
    return "as many words for as many" if left == right else "more words on one side"


if __name__ == "__main__":
    main()
