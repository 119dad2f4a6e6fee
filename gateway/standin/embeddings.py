"""Embeddings that mean a little: texts that share words lie close together."""

from __future__ import annotations

import base64
from functools import lru_cache
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from gateway.standin.answers import count_tokens, tokenise
from gateway.standin.behaviour import Behaviour
from gateway.standin.validate import Refusal
from gateway.standin.wire import EmbeddingRequest

Vector = NDArray[np.float32]


def embeddings_body(request: EmbeddingRequest, model: str, behaviour: Behaviour) -> dict[str, Any]:
    """Return the answer to `POST /v1/embeddings`."""
    size = request.dimensions or behaviour.embedding_size
    if size > behaviour.embedding_size:
        raise Refusal(
            f"Invalid 'dimensions': {size} is more than the model's {behaviour.embedding_size}.", param="dimensions"
        )
    texts = _texts(request.input)
    data = [
        {
            "object": "embedding",
            "index": index,
            "embedding": _written(embed(text, behaviour.embedding_size, size), request),
        }
        for index, text in enumerate(texts)
    ]
    used = sum(count_tokens(text) for text in texts)
    return {
        "object": "list",
        "data": data,
        "model": model,
        "usage": {"prompt_tokens": used, "total_tokens": used},
    }


def embed(text: str, full_size: int, size: int) -> Vector:
    """Return the unit vector of a text: the sum of its words' directions, cut to `size` and scaled to length one."""
    words = [token.strip().lower() for token in tokenise(text)] or [text]
    total = np.sum([_direction(word, full_size) for word in words], axis=0)[:size]
    return np.asarray(total / (np.linalg.norm(total) or 1.0), dtype=np.float32)


@lru_cache(maxsize=4096)
def _direction(word: str, size: int) -> Vector:
    return np.random.default_rng(crc32(word.encode())).standard_normal(size, dtype=np.float32)


def _written(vector: Vector, request: EmbeddingRequest) -> list[float] | str:
    """Write a vector as numbers or as base64 of little-endian 32-bit floats."""
    if request.encoding_format == "base64":
        return base64.b64encode(vector.astype("<f4").tobytes()).decode()
    return [float(value) for value in vector]


def _texts(given: str | list[Any]) -> list[str]:
    if isinstance(given, str):
        return [given]
    if isinstance(given[0], int):
        return [" ".join(map(str, given))]
    return [item if isinstance(item, str) else " ".join(map(str, item)) for item in given]
