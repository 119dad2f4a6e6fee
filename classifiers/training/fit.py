"""Fits the heads: linear in structure, terms and sentences, one set of weights for every language and source."""

from __future__ import annotations

from collections.abc import Mapping
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
_STEPS: Final = 80
_NEVER: Final = -30.0
"""Score of a kind that training never saw."""

SOUGHT: Final = HEADS[:2]
"""The two difficulty heads: what moves difficulty inside a task template is added to both."""

_INSIDE_SHARE: Final = 1.6
"""How much of what is learnt inside templates is added to the score."""
_INSIDE_PENALTY: Final = 3000.0
_INSIDE_PLACE_SCALE: Final = 0.5
_LENGTH_SLOPES: Final[Mapping[Kind, float]] = {
    # What a text of e times the length is worth, in logits, before anything is learnt. On its own, length is the
    # strongest single sign of difficulty among problems of one sort; in chat, writing and documents it is none.
    Kind.MATHS: 0.5,
    Kind.LOGIC: 0.5,
    Kind.PLANNING: 0.5,
    Kind.CODING: 0.4,
    Kind.KNOWLEDGE: 0.4,
}
_SORTS: Final = (
    # Kinds that share their slopes: where each would have too few templates of its own to learn them from.
    (Kind.MATHS,),
    (Kind.LOGIC, Kind.PLANNING),
    (Kind.CODING,),
    (Kind.KNOWLEDGE,),
    (Kind.CHAT, Kind.WRITING, Kind.BUSINESS, Kind.AGENTIC),
)


_CEILINGS: Final[Mapping[Kind, float]] = {**dict.fromkeys(_SORTS[-1], 0.0), Kind.KNOWLEDGE: 0.3}
CEILINGS: Final = np.array([_CEILINGS.get(kind, 9.0) for kind in KINDS])
"""The most that form may add, by kind: nothing in chat, writing and documents, where it may only take away, and little
in knowledge, since questions about pasted articles are of that kind too."""


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

    A score is ``scaled @ dense_weights + terms @ evidence + sentence @ sentence_weights + bias`` with
    ``scaled = clip((dense - mean) / deviation)``. To the difficulty heads comes what moves difficulty inside a task
    template, by kind: ``sum(softmax(kind scores) * min(scaled @ slopes, CEILINGS))``.
    """

    mean: Floats
    deviation: Floats
    dense_weights: Floats
    slopes: Floats
    """Shape ``(len(STRUCTURE), len(KINDS))``."""
    evidence: Floats
    sentence_weights: Floats | None
    bias: Floats

    def score(self, inputs: Inputs) -> Floats:
        """Compute all outputs before the kinds' softmax, shape ``(N, len(HEADS))``."""
        scaled = standardise(inputs.dense, self.mean, self.deviation)
        scores: Floats = scaled @ self.dense_weights + inputs.terms @ self.evidence + self.bias
        if self.sentence_weights is not None and inputs.sentence is not None:
            scores += inputs.sentence @ self.sentence_weights
        kinds = softmax(scores[:, len(HEADS) - len(KINDS) :])
        scores[:, : len(SOUGHT)] += (kinds * np.minimum(scaled @ self.slopes, CEILINGS)).sum(axis=1)[:, None]
        return scores


def fit(inputs: Inputs, targets: Targets, weights: Floats, vocabulary: Vocabulary, like: Heads | None = None) -> Heads:
    """Fit all heads. Deterministic: every solver is convex and unseeded.

    The kinds; the levels by which templates differ; and added to these, by kind, how difficulty moves inside
    templates. Levels fitted on top of the slopes, as an offset, were tried: they cancel what is seldom of use to
    them, such as length, and rank new templates worse.

    With `like`, kinds and scaling are taken from there and `tokens` is not fitted: enough to
    score held-out templates, at a third of the cost.
    """
    design = _Design.of(inputs, weights, vocabulary, like)
    scaled = standardise(inputs.dense, design.mean, design.deviation)
    rows: Any = design.rows if like is None else None
    kinds = _kinds(design.without_structure(rows), targets.kind, weights) if like is None else []
    shares = softmax(
        np.column_stack([rows @ slope + offset for slope, offset in kinds])
        if like is None
        else like.score(inputs)[:, len(HEADS) - len(KINDS) :]
    )
    slopes, places = _inside(scaled, design.deviation, inputs.terms @ vocabulary.vectors, shares, targets, weights)
    none = (np.zeros(sum(block.shape[1] for block in design.blocks)), 0.0)
    columns = [
        _soft_logistic(design.blocks, targets.hard, weights),
        _soft_logistic(design.blocks, targets.hard_deep, weights),
        _ridge(rows, targets.tokens, weights) if like is None else none,
        *(kinds or [none] * len(KINDS)),
    ]
    heads = design.fold(
        np.array([slope for slope, _ in columns]).T, np.array([offset for _, offset in columns]), slopes
    )
    heads.evidence[:, : len(SOUGHT)] += (vocabulary.vectors @ places)[:, None]
    return heads if like is None else _with_kinds_of(heads, like)


def _with_kinds_of(heads: Heads, like: Heads) -> Heads:
    """Replace all but the difficulty heads by another fit's, which must share the scaling."""
    first = len(SOUGHT)
    heads.dense_weights[:, first:] = like.dense_weights[:, first:]
    heads.evidence[:, first:] = like.evidence[:, first:]
    heads.bias[first:] = like.bias[first:]
    if heads.sentence_weights is not None and like.sentence_weights is not None:
        heads.sentence_weights[:, first:] = like.sentence_weights[:, first:]
    return heads


def softmax(scores: Floats) -> Floats:
    """Turn rows of scores into rows of probabilities."""
    raised = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares: Floats = raised / raised.sum(axis=1, keepdims=True)
    return shares


def standardise(dense: npt.NDArray[Any], mean: Floats, deviation: Floats) -> Floats:
    """Bring structure to mean 0 and deviation 1, within the clip."""
    scaled: Floats = np.clip((dense - mean) / deviation, -CLIP, CLIP)
    return scaled


def _inside(
    scaled: Floats, deviation: Floats, places: Floats, shares: Floats, targets: Targets, weights: Floats
) -> tuple[Floats, Floats]:
    """Fit how difficulty moves inside a task template, whatever the template's own level.

    Fixed effects: inputs and logits are centred within each template, logits also scaled by their spread there.
    Levels are what domains differ by; slopes are what generalises to a new one. Each sort of kinds has slopes of
    its own, drawn to those that all share. Gives the slopes of structure, ``(len(STRUCTURE), len(KINDS))``, and
    of the terms' mean place, ``(DIMENSIONS,)``.
    """
    from sklearn.linear_model import Ridge

    prior = np.zeros((scaled.shape[1], len(KINDS)))
    chars = STRUCTURE.index("chars")
    prior[chars] = [deviation[chars] * _LENGTH_SLOPES.get(kind, 0.0) for kind in KINDS]
    logits = np.clip(np.log((targets.hard + 0.01) / (1.01 - targets.hard)), -CLIP, CLIP)
    spread = np.sqrt(np.maximum(_means(logits**2, targets.template) - _means(logits, targets.template) ** 2, 0))
    moving = np.flatnonzero(spread > 0.1)  # one label for all of a template teaches no slope
    if not len(moving):
        return _INSIDE_SHARE * prior, np.zeros(places.shape[1])
    groups = targets.template[moving]
    levels = _centred(scaled[moving], groups)
    sorts = np.array([[kind in sort for sort in _SORTS] for kind in KINDS], dtype=float)
    by_sort = np.hstack([levels, *(levels * share[:, None] for share in (shares[moving] @ sorts).T)])
    rows = np.hstack([by_sort, _INSIDE_PLACE_SCALE * _centred(places[moving], groups)]).astype(np.float32)
    wanted = _centred(logits[moving, None], groups)[:, 0] / (spread[moving] + 0.3)
    expected = (shares[moving] * (levels @ prior)).sum(axis=1)
    model = Ridge(alpha=_INSIDE_PENALTY, fit_intercept=False).fit(rows, wanted - expected, weights[moving])
    size = scaled.shape[1]
    shared, own = model.coef_[:size], model.coef_[size : -places.shape[1]].reshape(len(_SORTS), size)
    learnt = _INSIDE_PLACE_SCALE * model.coef_[-places.shape[1] :]
    return _INSIDE_SHARE * (prior + shared[:, None] + (sorts @ own).T), _INSIDE_SHARE * learnt


def _centred(columns: Floats, groups: npt.NDArray[np.int64]) -> Floats:
    centred: Floats = columns - np.column_stack([_means(column, groups) for column in columns.T])
    return centred


def _means(values: Floats, groups: npt.NDArray[np.int64]) -> Floats:
    means: Floats = (np.bincount(groups, values) / np.maximum(np.bincount(groups), 1))[groups]
    return means


@dataclass(frozen=True, slots=True)
class _Design:
    """The regression's rows, and the way back from its coefficients to the heads."""

    blocks: tuple[Any, Any]
    """Terms, sparse, and the dense rest: multiplied apart, as that is several times faster."""
    mean: Floats
    deviation: Floats
    vocabulary: Vocabulary
    sentences: bool

    @property
    def rows(self) -> Any:
        """Both blocks as one matrix, for solvers that take only one."""
        from scipy import sparse

        terms, rest = self.blocks
        return sparse.hstack([terms, sparse.csr_matrix(rest)]).tocsr()

    @classmethod
    def of(cls, inputs: Inputs, weights: Floats, vocabulary: Vocabulary, like: Heads | None) -> _Design:
        from scipy import sparse

        mean = np.average(inputs.dense, axis=0, weights=weights).astype(np.float64)
        deviation = np.sqrt(np.average((inputs.dense - mean) ** 2, axis=0, weights=weights)) + 1e-3
        if like is not None:
            mean, deviation = like.mean, like.deviation
        terms = inputs.terms @ sparse.diags(_TERM_SCALE * vocabulary.taught.astype(np.float32))
        rest = [
            _PLACE_SCALE * (inputs.terms @ vocabulary.vectors),
            _STRUCTURE_SCALE * standardise(inputs.dense, mean, deviation),
        ]
        if inputs.sentence is not None:
            rest.append(_SENTENCE_SCALE * inputs.sentence)
        blocks = (terms.tocsr(), np.hstack(rest).astype(np.float32))
        return cls(blocks, mean, deviation, vocabulary, inputs.sentence is not None)

    def without_structure(self, rows: Any) -> Any:
        """Blank structure out: a kind is told by what is asked, not by how long the pasted document is."""
        from scipy import sparse

        first = len(self.vocabulary.hashes) + self.vocabulary.vectors.shape[1]
        seen = np.ones(rows.shape[1], dtype=np.float32)
        seen[first : first + len(STRUCTURE)] = 0
        return (rows @ sparse.diags(seen)).tocsr()

    def fold(self, coefficients: Floats, bias: Floats, slopes: Floats) -> Heads:
        """Fold the place of a term into its own evidence, so that serving looks up one row a term."""
        size, places = len(self.vocabulary.hashes), self.vocabulary.vectors.shape[1]
        own, place, dense, sentence = np.split(coefficients, [size, size + places, size + places + len(STRUCTURE)])
        taught = self.vocabulary.taught[:, None]
        return Heads(
            mean=self.mean,
            deviation=self.deviation,
            dense_weights=_STRUCTURE_SCALE * dense,
            slopes=slopes,
            evidence=_TERM_SCALE * taught * own + _PLACE_SCALE * self.vocabulary.vectors @ place,
            sentence_weights=_SENTENCE_SCALE * sentence if self.sentences else None,
            bias=bias,
        )


def _soft_logistic(blocks: tuple[Any, Any], soft: Floats, weights: Floats) -> tuple[Floats, float]:
    """Fit a logistic regression to probabilities.

    scikit-learn's takes hard labels and one matrix: rows would have to stand there twice, and the dense columns as
    sparse ones. The objective is the same as its (``C * weighted log-loss + |coefficients|^2 / 2``, the intercept
    unpenalised), and so is the solver.
    """
    from scipy.optimize import minimize
    from scipy.special import expit

    mass = _PENALTY * weights
    terms, rest = blocks
    size = terms.shape[1]

    def loss(parameters: Floats) -> tuple[float, Floats]:
        slopes, intercept = parameters[:-1], parameters[-1]
        logits = terms @ slopes[:size] + rest @ slopes[size:].astype(np.float32) + intercept
        missed = mass * (expit(logits) - soft)
        lost = mass @ (np.logaddexp(0, logits) - soft * logits) + slopes @ slopes / 2
        downhill = np.concatenate([terms.T @ missed, rest.T @ missed.astype(np.float32)]) + slopes
        return float(lost), np.append(downhill, missed.sum())

    start = np.zeros(size + rest.shape[1] + 1)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": _STEPS})
    return found.x[:-1], float(found.x[-1])


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
