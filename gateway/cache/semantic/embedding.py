"""Embeddings of prompts, off the event loop; what routing has embedded already is not embedded again."""

from __future__ import annotations

import asyncio

import numpy as np
import numpy.typing as npt

from classifiers.batching import Batches
from classifiers.sentences import SentenceEncoder

Vector = npt.NDArray[np.float32]
"""Shape `(SIZE,)`, of length one."""


class Embedder:
    """Gives a prompt's embedding within a budget.

    Weakness: the encoder works on one thread (about 2 ms of CPU a prompt), and shares it with `cortex`.
    """

    def __init__(self, encoder: SentenceEncoder, batches: Batches[str, Vector], *, budget_s: float) -> None:
        self._encoder = encoder
        self._batches = batches
        self._budget_s = budget_s

    async def embed(self, text: str) -> Vector | None:
        """Give the embedding; None if it was not there in time."""
        if (known := self._encoder.recall(text)) is not None:
            return known
        try:
            async with asyncio.timeout(self._budget_s):
                return await asyncio.wrap_future(self._batches.submit(text))
        except TimeoutError:
            return None
