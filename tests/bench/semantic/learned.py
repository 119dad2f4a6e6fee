"""`python -m tests.bench.semantic.learned`: would a learned gate find more than the rules do?

Of pairs that agree in every hard facet (numbers, units, dates, names, negation, code, direction, language), a model is
given the cosine, how many words of the subject stand unmatched on each side and how rare they are, how near the encoder
puts each to a word of the other side, and whether order and question agree. Thresholds come from folds by template of
the development part; the part held back is judged by models of all of the development part.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from classifiers.sentences import SentenceEncoder
from gateway.cache.semantic.content import Content, read_content
from gateway.cache.settings import SemanticSettings
from tests.bench.semantic.measure import Judged, judge
from tests.bench.semantic.pairs import make_pairs

HARD = ("language", "negation", "numbers", "units", "dates", "names", "code", "order")
ALLOWED = (0.0, 0.0005, 0.001, 0.003, 0.01)


class _Features:
    def __init__(self, contents: Sequence[Content], encoder: SentenceEncoder) -> None:
        seen = Counter(word for content in contents for word in set(content.subject))
        self._rarity = {word: math.log(len(contents) / count) for word, count in seen.items()}
        words = sorted(seen)
        self._vectors = dict(zip(words, encoder.encode([word.removeprefix("to ") for word in words]), strict=True))

    def of(self, one: Content, other: Content, similarity: float) -> list[float]:
        first, second = Counter(one.subject), Counter(other.subject)
        left, right = list((first - second).elements()), list((second - first).elements())
        kept = first & second
        in_order = [word for word in one.subject if word in kept] == [word for word in other.subject if word in kept]
        rarest = [max((self._rarity[word] for word in words), default=0.0) for words in (left, right)]
        agreeing = float(in_order), float(one.question == other.question)
        return [similarity, len(left), len(right), *rarest, self._nearness(left, right), *agreeing]

    def _nearness(self, left: list[str], right: list[str]) -> float:
        """The cosine of the word that is worst off with the other side's; 1 where nothing is unmatched."""
        if not left and not right:
            return 1.0
        if not left or not right:
            return 0.0
        cosines = np.stack([self._vectors[word] for word in left]) @ np.stack([self._vectors[word] for word in right]).T
        return float(min(cosines.max(axis=0).min(), cosines.max(axis=1).min()))


@dataclass(frozen=True, slots=True)
class _Part:
    """The pairs of a part that agree in the hard facets, and how many there are of all."""

    rows: npt.NDArray[np.float64]
    same: npt.NDArray[np.bool_]
    ruled: npt.NDArray[np.bool_]
    groups: npt.NDArray[np.str_]
    all_same: int
    all_unlike: int

    def told(self, accepted: npt.NDArray[np.bool_]) -> str:
        found, false = int((accepted & self.same).sum()), int((accepted & ~self.same).sum())
        return f"{found / self.all_same:.1%} found, {false} of {self.all_unlike} false ({false / self.all_unlike:.2%})"


def _part(judged: Sequence[Judged], encoder: SentenceEncoder) -> _Part:
    texts = {text for one in judged for text in (one.pair.one, one.pair.other)}
    contents = {text: content for text in texts if (content := read_content(text)) is not None}
    features = _Features(list(contents.values()), encoder)
    asked = [one for one in judged if one.facets is not None and not set(HARD) & set(one.facets)]
    threshold = SemanticSettings().threshold
    return _Part(
        np.array([features.of(contents[one.pair.one], contents[one.pair.other], one.similarity) for one in asked]),
        np.array([one.pair.same for one in asked]),
        np.array([one.agrees and one.similarity >= threshold for one in asked]),
        np.array([f"{one.pair.language} {one.pair.template}" for one in asked]),
        sum(one.pair.same for one in judged),
        sum(not one.pair.same for one in judged),
    )


def main() -> None:
    """Fit, and print what each model would add to the rules."""
    encoder = SentenceEncoder()
    judged = judge(make_pairs(), encoder)
    fitted, held = (_part([one for one in judged if one.pair.held_back is back], encoder) for back in (False, True))
    print(f"rules: fitted {fitted.told(fitted.ruled)}; held back {held.told(held.ruled)}")
    everything = (part.told(np.ones_like(part.same)) for part in (fitted, held))
    print("all that agrees in the hard facets: fitted {}; held back {}".format(*everything))
    for model in (LogisticRegression(max_iter=2000), GradientBoostingClassifier(random_state=0)):
        pipeline = make_pipeline(StandardScaler(), model)
        folded = cross_val_predict(
            pipeline, fitted.rows, fitted.same, groups=fitted.groups, cv=GroupKFold(6), method="predict_proba"
        )[:, 1]
        unseen = pipeline.fit(fitted.rows, fitted.same).predict_proba(held.rows)[:, 1]
        worst = np.sort(folded[~fitted.same])[::-1]
        for share in ALLOWED:
            threshold = worst[min(int(share * fitted.all_unlike), len(worst) - 1)]
            print(
                f"rules or {type(model).__name__} above {threshold:.3f}: "
                f"fitted {fitted.told(fitted.ruled | (folded > threshold))}; "
                f"held back {held.told(held.ruled | (unseen > threshold))}"
            )


if __name__ == "__main__":
    main()
