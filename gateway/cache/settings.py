"""What an operator can say about the cache and about Redis."""

from __future__ import annotations

import base64
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

_AES_KEY_BYTES = (16, 24, 32)


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class SemanticSettings(_Frozen):
    """When the answer to a prompt is given to one that asks the same in other words (`cache.mode: semantic`)."""

    threshold: float = Field(
        0.67,
        gt=0,
        le=1,
        description="least cosine similarity; the content gate must agree besides, see docs/caching.md",
    )
    candidates: int = Field(8, ge=1, le=64, description="nearest prompts that the content gate looks at")
    budget_ms: float = Field(
        50.0, gt=0, le=10_000, description="milliseconds a request waits for its embedding; without it there is no hit"
    )
    entries: int = Field(
        2000,
        ge=1,
        le=100_000,
        description="prompts that can be found for one tenant, target, system prompt and set of parameters; the oldest "
        "make room",
    )
    max_entries: int = Field(
        20_000, ge=1, description="prompts in this process's index, over all tenants: about 2 KB each"
    )
    index: Literal["auto", "process"] = Field(
        "auto",
        description="auto: Redis' vector sets or RediSearch where it has them and cache.encryption_key is unset, else "
        "an index in each process, shared through Redis · process: always the latter",
    )


class CacheSettings(_Frozen):
    """Which answers are kept, for how long, in how much space."""

    mode: Literal["off", "exact", "semantic"] = Field(
        "off",
        description="exact: a repeated request is answered from the store · semantic: one in other words as well "
        "(needs the extra `semantic`) · off: nothing is kept",
    )
    store: Literal["deterministic", "opt-in", "all"] = Field(
        "deterministic",
        description="requests that take part: deterministic (temperature 0, a seed, embeddings) and those that opt "
        "in · only those that opt in · all",
    )
    ttl_s: float = Field(3600.0, gt=0, description="seconds for which an answer is kept")
    max_bytes: int = Field(64 * 2**20, ge=1024, description="bytes kept in this process, over all tenants")
    max_value_bytes: int = Field(2**20, ge=256, description="bytes of the largest answer kept, uncompressed")
    tenant_quota_bytes: int | None = Field(
        16 * 2**20,
        ge=1024,
        description="bytes that one tenant may fill; its own oldest answers make room; null: no quota",
    )
    store_tool_calls: bool = Field(False, description="keep answers that call tools")
    store_truncated: bool = Field(False, description="keep answers cut off at the token limit")
    compress: bool = Field(True, description="compress larger values with zstd")
    encryption_key: SecretStr | None = Field(
        None, description="base64 of 16, 24 or 32 random bytes: values are sealed with AES-GCM"
    )
    share_in_flight: bool = Field(
        True, description="one call for identical requests that are under way at the same time, if they take part"
    )
    replay_pace: Literal["full", "recorded"] = Field(
        "full", description="stream a kept answer at full speed, or with the pauses it was recorded with"
    )

    semantic: SemanticSettings = Field(
        default_factory=SemanticSettings, description="of `mode: semantic`: what is near enough, and how many are kept"
    )

    @field_validator("encryption_key")
    @classmethod
    def _check_encryption_key(cls, key: SecretStr | None) -> SecretStr | None:
        if key is not None and len(decode_key(key)) not in _AES_KEY_BYTES:
            raise ValueError("must be base64 of 16, 24 or 32 bytes, such as `openssl rand -base64 32` prints")
        return key


class RedisSettings(_Frozen):
    """Where Redis is, and how little a request may suffer when it is away."""

    url: SecretStr | None = Field(
        None,
        description="redis://, rediss:// (TLS), unix://, redis+sentinel://a:26379,b:26379/mymaster or "
        "redis+cluster://a:6379,b:6379 (rediss+… for TLS), with user:password@ for ACLs; null: all stays in process",
    )
    deadline_ms: float = Field(
        25.0, gt=0, le=1000, description="milliseconds after which an answer of Redis is not waited for"
    )
    breaker_failures: int = Field(5, ge=1, description="failures in a row after which Redis is left alone")
    breaker_reset_s: float = Field(
        1.0, gt=0, description="seconds between the pings by which a Redis that was left alone is found again"
    )
    first_level_ttl_s: float = Field(
        2.0,
        ge=0,
        description="seconds for which a process answers from its own memory before it asks Redis again, and for "
        "which an erased answer may live on in other processes; 0: always ask",
    )
    max_connections: int = Field(
        8, ge=1, description="commands at once from this process; one connection more is kept for probes"
    )
    key_prefix: str = Field(
        "thalamus:", pattern=r"^[^{}]*$", description="put before every key, so that a Redis can be shared"
    )

    @field_validator("url")
    @classmethod
    def _check_url(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None:
            from gateway.cache.redis_url import read_redis_url  # redis-py costs time: loaded where it is used

            read_redis_url(url.get_secret_value())
        return url


def decode_key(key: SecretStr) -> bytes:
    """Give the bytes of a key written in base64, standard or URL-safe.

    Raises:
        ValueError: it is not base64.
    """
    written = key.get_secret_value().strip().replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(written, validate=True)
    except ValueError:  # not the alphabet, not ASCII, or padded wrongly
        raise ValueError("must be base64, such as `openssl rand -base64 32` prints") from None
