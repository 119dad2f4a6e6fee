"""``POST /v1/embeddings``: the fields that the gateway looks at."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from gateway.wire.chat import Count, Name

TokenId = Annotated[int, Meta(ge=0)]
TextOrTokens = Annotated[str, Meta(min_length=1)] | TokenId | list[TokenId]


class EmbeddingRequest(msgspec.Struct):
    """An embedding request: text, texts, or token ids."""

    model: Name
    input: Annotated[str, Meta(min_length=1)] | Annotated[list[TextOrTokens], Meta(min_length=1)]
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Count | None = None
    user: str | None = None
