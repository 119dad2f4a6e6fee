"""Fits the heads: linear in structure, terms and sentences, one set of weights for every language and source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from classifiers.features import STRUCTURE
from classifiers.training.vocabulary import Vocabulary
from classifiers.types import Kind

Floats = npt.NDArray[np.float64]

KINDS: Final = tuple(Kind)
HEADS: Final = ("hard", "hard_deep", "tokens", *(kind.value for kind in KINDS))
"""Columns of every output."""

CLIP: Final = 4.0
"""Standard deviations beyond which an input is held: what training never saw must not run away."""

# How strongly each block of inputs is trusted: a larger scale is a smaller penalty. Chosen on held-out templates.
_TERM_SCALE: Final = 4.0
_PLACE_SCALE: Final = 3.0
_STRUCTURE_SCALE: Final = 0.25
_SENTENCE_SCALE: Final = 3.0
_PENALTY: Final = 0.3
_NEVER: Final = -30.0
"""Score of a kind that training never saw."""

WITHIN_SHARE: Final = 0.8
"""How much of the within-template slopes is added to the score."""
LENGTH_SHARE: Final = 0.1
"""How much a standard deviation of length adds: on its own the strongest single sign of hardness within a source."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """What is read from `N` examples.

    Attributes:
        dense: structure, shape ``(N, len(STRUCTURE))``.
        terms: TF-IDF over the vocabulary, binary counts, rows of length one, sparse, shape ``(N, V)``.
        sentence: embeddings, shape ``(N, 512)``, or None without an encoder.
    """

    dense: npt.NDArray[np.float32]
    terms: Any
    sentence: npt.NDArray[np.float32] | None

    def take(self, rows: npt.NDArray[Any]) -> Inputs:
        """Give some of the examples."""
        return Inputs(self.dense[rows], self.terms[rows], None if self.sentence is None else self.sentence[rows])


@dataclass(frozen=True, slots=True)
class Targets:
    """What is learnt, one row an example. `kind` is -1 where unknown; `template` numbers the task templates."""

    hard: Floats
    hard_deep: Floats
    tokens: Floats
    kind: npt.NDArray[np.int64]
    template: npt.NDArray[np.int64]

    def take(self, rows: npt.NDArray[Any]) -> Targets:
        """Give some of the examples."""
        return Targets(self.hard[rows], self.hard_deep[rows], self.tokens[rows], self.kind[rows], self.template[rows])


@dataclass(frozen=True, slots=True)
class Heads:
    """Everything that a bundle computes, as plain arrays; columns are `HEADS`.

    A score is ``clip((dense - mean) / deviation) @ dense_weights + terms @ evidence + sentence @ sentence_weights
    + bias``.
    """

    mean: Floats
    deviation: Floats
    dense_weights: Floats
    evidence: Floats
    sentence_weights: Floats | None
    bias: Floats

    def score(self, inputs: Inputs) -> Floats:
        """Compute all outputs before the kinds' softmax, shape ``(N, len(HEADS))``."""
        scores: Floats = standardise(inputs.dense, self.mean, self.deviation) @ self.dense_weights + self.bias
        scores += inputs.terms @ self.evidence
        if self.sentence_weights is not None and inputs.sentence is not None:
            scores += inputs.sentence @ self.sentence_weights
        return scores


def fit(inputs: Inputs, targets: Targets, weights: Floats, vocabulary: Vocabulary) -> Heads:
    """Fit all heads. Deterministic: every solver is convex and unseeded."""
    design = _Design.of(inputs, weights, vocabulary)
    columns = [
        _soft_logistic(design.rows, targets.hard, weights),
        _soft_logistic(design.rows, targets.hard_deep, weights),
        _ridge(design.rows, targets.tokens, weights),
        *_kinds(design.rows, targets.kind, weights),
    ]
    heads = design.fold(np.array([slope for slope, _ in columns]).T, np.array([offset for _, offset in columns]))
    slopes = within_slopes(standardise(inputs.dense, heads.mean, heads.deviation), targets, weights)
    for head in ("hard", "hard_deep"):
        heads.dense_weights[:, HEADS.index(head)] += WITHIN_SHARE * slopes
        heads.dense_weights[STRUCTURE.index("words"), HEADS.index(head)] += LENGTH_SHARE
    return heads


def fit_hard(inputs: Inputs, targets: Targets, weights: Floats, vocabulary: Vocabulary) -> Heads:
    """Fit only the two difficulty heads, for cross-fitting; the other columns are zero."""
    design = _Design.of(inputs, weights, vocabulary)
    coefficients = np.zeros((design.rows.shape[1], len(HEADS)))
    bias = np.zeros(len(HEADS))
    coefficients[:, 0], bias[0] = _soft_logistic(design.rows, targets.hard, weights)
    coefficients[:, 1], bias[1] = _soft_logistic(design.rows, targets.hard_deep, weights)
    heads = design.fold(coefficients, bias)
    slopes = within_slopes(standardise(inputs.dense, heads.mean, heads.deviation), targets, weights)
    heads.dense_weights[:, :2] += WITHIN_SHARE * slopes[:, None]
    heads.dense_weights[STRUCTURE.index("words"), :2] += LENGTH_SHARE
    return heads


def standardise(dense: npt.NDArray[Any], mean: Floats, deviation: Floats) -> Floats:
    """Bring structure to mean 0 and deviation 1, within the clip."""
    scaled: Floats = np.clip((dense - mean) / deviation, -CLIP, CLIP)
    return scaled


def within_slopes(scaled: Floats, targets: Targets, weights: Floats) -> Floats:
    """Fit how difficulty moves with structure inside a task template, whatever the template's own level.

    Fixed effects: inputs and logits are centred within each template, logits also scaled by their spread there. The
    levels are what domains differ by, the slopes are what generalises to a new one.
    """
    from sklearn.linear_model import Ridge

    logits = np.clip(np.log((targets.hard + 0.01) / (1.01 - targets.hard)), -CLIP, CLIP)
    spread = np.sqrt(np.maximum(_means(logits**2, targets.template) - _means(logits, targets.template) ** 2, 0))
    centred = (logits - _means(logits, targets.template)) / (spread + 0.3)
    level = np.column_stack([_means(column, targets.template) for column in scaled.T])
    moving = spread > 0.1  # one label for all of a template teaches no slope
    if not moving.any():
        return np.zeros(scaled.shape[1])
    model = Ridge(alpha=1000.0, fit_intercept=False).fit(scaled - level, centred, weights * moving)
    slopes: Floats = model.coef_
    return slopes


def _means(values: Floats, groups: npt.NDArray[np.int64]) -> Floats:
    means: Floats = (np.bincount(groups, values) / np.maximum(np.bincount(groups), 1))[groups]
    return means


@dataclass(frozen=True, slots=True)
class _Design:
    """The regression's rows, and the way back from its coefficients to the heads."""

    rows: Any
    mean: Floats
    deviation: Floats
    vocabulary: Vocabulary
    sentences: bool

    @classmethod
    def of(cls, inputs: Inputs, weights: Floats, vocabulary: Vocabulary) -> _Design:
        from scipy import sparse

        mean = np.average(inputs.dense, axis=0, weights=weights).astype(np.float64)
        deviation = np.sqrt(np.average((inputs.dense - mean) ** 2, axis=0, weights=weights)) + 1e-3
        blocks = [
            inputs.terms @ sparse.diags(_TERM_SCALE * vocabulary.taught.astype(np.float32)),
            sparse.csr_matrix(_PLACE_SCALE * (inputs.terms @ vocabulary.vectors)),
            sparse.csr_matrix(_STRUCTURE_SCALE * standardise(inputs.dense, mean, deviation)),
        ]
        if inputs.sentence is not None:
            blocks.append(sparse.csr_matrix(_SENTENCE_SCALE * inputs.sentence))
        rows = sparse.hstack(blocks).tocsr()
        return cls(rows, mean, deviation, vocabulary, inputs.sentence is not None)

    def fold(self, coefficients: Floats, bias: Floats) -> Heads:
        """Fold the place of a term into its own evidence, so that serving looks up one row a term."""
        size, places = len(self.vocabulary.hashes), self.vocabulary.vectors.shape[1]
        own, place, dense, sentence = np.split(coefficients, [size, size + places, size + places + len(STRUCTURE)])
        taught = self.vocabulary.taught[:, None]
        return Heads(
            mean=self.mean,
            deviation=self.deviation,
            dense_weights=_STRUCTURE_SCALE * dense,
            evidence=_TERM_SCALE * taught * own + _PLACE_SCALE * self.vocabulary.vectors @ place,
            sentence_weights=_SENTENCE_SCALE * sentence if self.sentences else None,
            bias=bias,
        )


def _soft_logistic(rows: Any, soft: Floats, weights: Floats) -> tuple[Floats, float]:
    """Fit a logistic regression to probabilities: every row counts as right and as wrong, in proportion."""
    from scipy import sparse
    from sklearn.linear_model import LogisticRegression

    labels = np.repeat([1, 0], rows.shape[0])
    shares = np.concatenate([soft * weights, (1 - soft) * weights])
    model = LogisticRegression(C=_PENALTY, max_iter=80, tol=1e-3).fit(sparse.vstack([rows, rows]), labels, shares)
    return model.coef_[0].astype(np.float64), float(model.intercept_[0])


def _ridge(rows: Any, target: Floats, weights: Floats) -> tuple[Floats, float]:
    from sklearn.linear_model import Ridge

    model = Ridge(alpha=1.0 / _PENALTY, solver="lsqr", tol=1e-3).fit(rows, target, weights)
    return model.coef_.astype(np.float64), float(model.intercept_)


def _kinds(rows: Any, kind: npt.NDArray[np.int64], weights: Floats) -> list[tuple[Floats, float]]:
    """Fit the kinds against each other; one that training never saw is never chosen."""
    from sklearn.linear_model import LogisticRegression

    known = kind >= 0
    silent = np.zeros(rows.shape[1])
    present = np.unique(kind[known])
    if len(present) < 2:  # nothing to tell apart
        return [(silent, 0.0 if at in present else _NEVER) for at in range(len(KINDS))]
    model = LogisticRegression(C=_PENALTY, max_iter=50, tol=1e-2).fit(rows[known], kind[known], weights[known])
    slopes, offsets = model.coef_, model.intercept_
    if len(present) == 2:  # one row then stands for the second kind against the first
        slopes, offsets = np.vstack([silent, slopes]), np.concatenate([[0.0], offsets])
    fitted = {int(found): (slopes[at], float(offsets[at])) for at, found in enumerate(present)}
    return [fitted.get(at, (silent, _NEVER)) for at in range(len(KINDS))]
