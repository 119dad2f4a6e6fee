"""What each word says about difficulty and kind, in every language, looked up by hash."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

HASHES_FILE: Final = "term_hashes.npy"
EVIDENCE_FILE: Final = "term_evidence.npy"


@dataclass(frozen=True, slots=True)
class TermTable:
    """Evidence of `V` terms for `H` outputs; the files stay on disk and only what is looked up is read.

    Attributes:
        hashes: sorted 32-bit hashes of the terms, shape ``(V,)``, uint32.
        evidence: shape ``(V, 1 + H)``, float16. The first column is the term's weight (rare terms weigh more), the
            others are what it says, times that weight.
    """

    hashes: npt.NDArray[np.uint32]
    evidence: npt.NDArray[np.float16]

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Map the two files of a bundle's folder into memory."""
        return cls(_mapped(folder / HASHES_FILE), _mapped(folder / EVIDENCE_FILE))

    @property
    def outputs(self) -> int:
        """Give `H`."""
        return int(self.evidence.shape[1]) - 1

    def rows(self, terms: npt.NDArray[np.uint32]) -> npt.NDArray[np.intp]:
        """Give the rows of the distinct known terms, rising."""
        wanted = np.fromiter(sorted(set(terms.tolist())), np.uint32)  # np.unique takes four times as long for a prompt
        places = self.hashes.searchsorted(wanted)
        places[places == len(self.hashes)] = 0
        known: npt.NDArray[np.intp] = places[self.hashes[places] == wanted]
        return known

    def read(self, terms: npt.NDArray[np.uint32]) -> npt.NDArray[np.float32]:
        """Sum the evidence of distinct known terms, over the length of their weight vector; shape ``(H,)``.

        That is a linear model on TF-IDF with binary counts and rows of length one. Zeros when no term is known.
        """
        found = self.evidence[self.rows(terms)].astype(np.float32)
        weights = found[:, 0]
        length = math.sqrt(float(weights.dot(weights)))
        summed: npt.NDArray[np.float32] = found.sum(axis=0)[1:] / np.float32(max(length, 1.0))
        return summed


def _mapped(path: Path) -> npt.NDArray[Any]:
    # A plain view: memmap's own indexing costs several microseconds a call.
    array: npt.NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False).view(np.ndarray)
    return array
