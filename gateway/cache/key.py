"""The exact cache's key: who asks, whom, and everything in the request that can change the answer."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

VERSION = "tc1"
"""Changes whenever the canonical form does, so that keys of two releases never meet."""

IRRELEVANT_FIELDS = frozenset(
    {
        "model",  # what it resolved to, the target, is in the key instead
        "stream",
        "stream_options",
        "user",
        "metadata",
        "prompt_cache_key",
        "prompt_cache_retention",
        "safety_identifier",
        "service_tier",
        "store",
    }
)
"""Top-level fields that do not change an answer. Every other field does, known or not: a list of what counts
would miss tomorrow's thinking switch. `cache_salt` counts, so that it isolates here as it does in vLLM."""

_NO_HEADERS: Mapping[str, str] = {}


class NotCanonical(ValueError):
    """The body is not a JSON object that can be read whole, so that no key can stand for it."""


def cache_key(
    tenant: str,
    endpoint: str,
    target: str,
    effort: str | None,
    body: bytes | Mapping[str, Any],
    *,
    headers: Mapping[str, str] = _NO_HEADERS,
) -> str:
    """Give the key of a request: `tc1:{<owner tag>}:<64 hex digits>`.

    Equal for bodies that differ only in the order of object keys, in white space, in how a character or a whole
    number is written, or in `stop` as a string against a list of one. The order of lists counts.

    Args:
        tenant: whose request it is; two tenants never share a key.
        endpoint: the path, such as `/v1/chat/completions`.
        target: who will answer: the backend and its model.
        effort: the thinking that will be applied; None leaves it to the backend.
        body: the request as sent, or its fields (`msgspec.Raw` values are understood).
        headers: those request headers that change the answer; names in any case.

    Raises:
        NotCanonical: the body is not a JSON object, holds numbers out of range or is nested too deeply.
    """
    named = {name.lower(): value for name, value in headers.items()}
    # JSON frames the parts, so that no tenant, target or field can run into its neighbour.
    canonical = _encode([tenant, endpoint, target, effort, named, _meaning(body)])
    return f"{VERSION}:{{{owner_tag(tenant)}}}:{hashlib.blake2b(canonical, digest_size=32).hexdigest()}"


@functools.lru_cache(maxsize=4096)
def owner_tag(tenant: str) -> str:
    """Give the 32 hex digits that stand for a tenant inside keys, where `{…}` makes them Redis' hash tag."""
    return hashlib.blake2b(tenant.encode(), digest_size=16, person=b"thalamus-tenant").hexdigest()


def owner_of(key: str) -> str:
    """Give the owner tag inside a key.

    Raises:
        ValueError: the key has none, so that its owner could never be erased or held to a quota.
    """
    before, opening, rest = key.partition("{")
    owner, closing, _ = rest.partition("}")
    if not (opening and closing and owner):
        raise ValueError(f"A key must carry its owner in braces: {before!r} does not.")
    return owner


def _meaning(body: bytes | Mapping[str, Any]) -> dict[str, Any]:
    """Read a body into plain values without the fields that do not count."""
    if isinstance(body, Mapping):
        relevant = {name: value for name, value in body.items() if name not in IRRELEVANT_FIELDS}
        return _normalise(_decode(_encode(relevant)))
    fields = _decode(body)
    for name in IRRELEVANT_FIELDS & fields.keys():
        del fields[name]
    return _normalise(fields)


def _normalise(fields: dict[str, Any]) -> dict[str, Any]:
    """Write the same meaning the same way: `stop` as a list, whole sampling parameters as integers."""
    if isinstance(fields.get("stop"), str):
        fields["stop"] = [fields["stop"]]
    for name, value in fields.items():
        if isinstance(value, float) and value.is_integer():
            fields[name] = int(value)
    return fields


def _decode(body: bytes) -> dict[str, Any]:
    try:
        fields = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise NotCanonical(f"No key can stand for this body: {type(error).__name__}.") from None
    if not isinstance(fields, dict):
        raise NotCanonical("No key can stand for a body that is not a JSON object.")
    return fields


def _encode(value: Any) -> bytes:
    """Encode with sorted object keys at every depth."""
    try:
        return msgspec.json.encode(value, order="deterministic")
    except RecursionError:
        raise NotCanonical("No key can stand for a body nested this deeply.") from None
