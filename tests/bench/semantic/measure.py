"""What similarity, the gate, and both together make of the pairs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from classifiers.sentences import SentenceEncoder
from gateway.cache.semantic.content import differences, read_content
from tests.bench.semantic.pairs import Pair


@dataclass(frozen=True, slots=True)
class Judged:
    """A pair with what was found of it: the cosine, and the facets that differ (None: the gate cannot read it)."""

    pair: Pair
    similarity: float
    facets: tuple[str, ...] | None

    @property
    def agrees(self) -> bool:
        """Whether the gate lets it through."""
        return self.facets == ()


def judge(pairs: Sequence[Pair], encoder: SentenceEncoder) -> list[Judged]:
    """Embed all texts once, and read their content."""
    texts = sorted({text for pair in pairs for text in (pair.one, pair.other)})
    vectors = dict(zip(texts, encoder.encode(texts), strict=True))
    contents = {text: read_content(text) for text in texts}
    return [
        Judged(pair, float(vectors[pair.one] @ vectors[pair.other]), _facets(contents[pair.one], contents[pair.other]))
        for pair in pairs
    ]


def _facets(one, other):
    return None if one is None or other is None else tuple(differences(one, other))


def rates(judged: Sequence[Judged], accepts: Callable[[Judged], bool]) -> dict[str, float | int]:
    """Give the share of paraphrases found and of near-misses taken for one."""
    same = [one for one in judged if one.pair.same]
    unlike = [one for one in judged if not one.pair.same]
    found, false = sum(map(accepts, same)), sum(map(accepts, unlike))
    return {
        "paraphrases": len(same),
        "found": found,
        "found_share": found / max(1, len(same)),
        "near_misses": len(unlike),
        "false_hits": false,
        "false_share": false / max(1, len(unlike)),
    }


def calibrate(judged: Sequence[Judged], *, most_false: float = 0.001, kept: float = 0.95) -> float:
    """Give the highest threshold, in hundredths, that costs no more than a few of the paraphrases the gate finds.

    Similarity is the second lock: where the gate alone lets nothing false through, it is set as high as it comes
    cheap. None that gives more false hits than allowed is taken.
    """
    by_gate = rates(judged, lambda one: one.agrees)["found"]
    for hundredths in range(99, 0, -1):
        found = rates(judged, lambda one, at=hundredths / 100: one.agrees and one.similarity >= at)
        if found["found"] >= kept * by_gate and found["false_share"] <= most_false:
            return hundredths / 100
    return 1.0


def report(judged: Sequence[Judged], threshold: float) -> dict[str, object]:
    """Give all figures for one part of the pairs."""
    both = rates(judged, lambda one: one.agrees and one.similarity >= threshold)
    return {
        "pairs": len(judged),
        "templates": len({one.pair.template for one in judged}),
        "threshold": threshold,
        "gate_and_similarity": both,
        "gate_alone": rates(judged, lambda one: one.agrees),
        "similarity_alone": {
            f"{at:.2f}": rates(judged, lambda one, at=at: one.similarity >= at) for at in (threshold, 0.9, 0.95)
        },
        "by_language": {
            language: rates(
                [one for one in judged if one.pair.language == language],
                lambda one: one.agrees and one.similarity >= threshold,
            )
            for language in ("en", "zh")
        },
        "false_hits_by_sort": dict(
            Counter(one.pair.sort for one in judged if not one.pair.same and one.agrees and one.similarity >= threshold)
        ),
        "near_misses_by_sort": dict(Counter(one.pair.sort for one in judged if not one.pair.same)),
    }
