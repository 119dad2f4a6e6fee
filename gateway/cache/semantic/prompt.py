"""Which requests the semantic cache takes, and what two of them must share before they are compared at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from gateway.cache.key import NotCanonical, cache_key
from gateway.cache.semantic.content import Prints, read_content

_VERSION = "tn3"
"""Changes whenever the gate does, so that fingerprints of two releases never meet."""

_ENDPOINT = "/v1/chat/completions"
_INSTRUCTING = frozenset({"system", "developer"})
_TOOL_FIELDS = ("tools", "functions", "tool_choice", "function_call")


@dataclass(frozen=True, slots=True)
class Prompt:
    """One prompt as it is compared.

    Attributes:
        partition: `tn3:{<owner tag>}:<64 hex digits>`, of everything in the request but the user's text.
        text: what is embedded.
        prints: the fingerprints of its content.
    """

    partition: str
    text: str
    prints: Prints


def read_prompt(
    tenant: str,
    endpoint: str,
    target: str,
    effort: str | None,
    fields: Mapping[str, Any],
    *,
    secret: bytes = b"",
) -> Prompt | None:
    """Read a request; None if it is not a single turn of text without tools, or the gate cannot read it.

    Args:
        tenant: whose request it is.
        endpoint: its path.
        target: who will answer.
        effort: the thinking that will be applied.
        fields: the request's fields, `msgspec.Raw` values included.
        secret: goes into the fingerprints, so that who reads the store cannot guess at them.
    """
    if endpoint != _ENDPOINT or any(_is_set(fields, name) for name in _TOOL_FIELDS):
        return None
    messages = _plain(fields.get("messages"))
    if not isinstance(messages, list) or not messages:
        return None
    *before, last = messages
    if not all(isinstance(one, dict) and one.get("role") in _INSTRUCTING for one in before):
        return None
    text = _text_of(last)
    content = read_content(text) if text is not None else None
    if text is None or content is None:
        return None
    rest = {**last, "content": None}  # a name, for instance, counts
    try:
        key = cache_key(tenant, endpoint, target, effort, {**fields, "messages": [*before, rest]})
    except NotCanonical:
        return None
    partition = _VERSION + key[key.index(":") :]
    return Prompt(partition, text, content.print_of(secret + partition.encode()))


def _text_of(message: Any) -> str | None:
    """Give the user's text, in one part or several; None where there is anything else."""
    if not isinstance(message, dict) or message.get("role") != "user":
        return None
    content = message.get("content")
    if isinstance(content, list):
        if not all(isinstance(part, dict) and part.keys() == {"type", "text"} for part in content):
            return None
        return "\n".join(str(part["text"]) for part in content) if content else None
    return content if isinstance(content, str) else None


def _is_set(fields: Mapping[str, Any], name: str) -> bool:
    return name in fields and bool(_plain(fields[name]))


def _plain(value: Any) -> Any:
    try:
        return msgspec.json.decode(value) if isinstance(value, msgspec.Raw) else value
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
