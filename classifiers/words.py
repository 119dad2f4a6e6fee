"""Static word vectors in one space for all languages, looked up by hash."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

HASHES_FILE: Final = "word_hashes.npy"
VECTORS_FILE: Final = "word_vectors.npy"
WEIGHTS_FILE: Final = "word_weights.npy"


@dataclass(frozen=True, slots=True)
class WordTable:
    """Vectors of `V` words in `D` dimensions; the files stay on disk and only what is looked up is read.

    Attributes:
        hashes: sorted 32-bit hashes of the words, shape ``(V,)``, uint32.
        vectors: directions, shape ``(V, D)``, int8, 127 standing for `scale`.
        weights: how much a word tells (rare words more), shape ``(V,)``, float16.
        scale: what 127 stands for.
    """

    hashes: npt.NDArray[np.uint32]
    vectors: npt.NDArray[np.int8]
    weights: npt.NDArray[np.float16]
    scale: float

    @classmethod
    def open(cls, folder: Path, scale: float) -> Self:
        """Map the three files of a bundle's folder into memory."""
        return cls(_mapped(folder / HASHES_FILE), _mapped(folder / VECTORS_FILE), _mapped(folder / WEIGHTS_FILE), scale)

    @property
    def dimensions(self) -> int:
        """Give `D`."""
        return int(self.vectors.shape[1])

    def pool(self, terms: npt.NDArray[np.uint32]) -> npt.NDArray[np.float32]:
        """Give the weighted mean vector of the known words among `terms`, shape ``(D,)``; zeros when none is known."""
        rows = self._rows(terms)
        if not rows.size:
            return np.zeros(self.dimensions, dtype=np.float32)
        weights = self.weights[rows].astype(np.float32)
        total = weights @ self.vectors[rows].astype(np.float32)
        pooled: npt.NDArray[np.float32] = total * np.float32(self.scale / 127 / max(float(weights.sum()), 1e-6))
        return pooled

    def _rows(self, terms: npt.NDArray[np.uint32]) -> npt.NDArray[np.intp]:
        places = np.searchsorted(self.hashes, terms)
        places[places == len(self.hashes)] = 0
        found: npt.NDArray[np.intp] = places[self.hashes[places] == terms]
        return found


def _mapped(path: Path) -> npt.NDArray[Any]:
    array: npt.NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    return array
