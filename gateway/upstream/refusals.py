"""Reads why a backend refused a request: some refusals are this backend's alone, and another one may take the request.

No two providers say it alike, and most say it in words only. Seen in answers quoted in public issues, or on the
provider's page (looked up 2026-11-26): DeepSeek ("Content Exists Risk"), DashScope (`data_inspection_failed`, "Input
(text) data may contain inappropriate content"), Zhipu and Z.ai (1301 on docs.z.ai; 1261 "Prompt exceeds max length"
in issues only). Written from memory, and not looked up: OpenAI and Azure (`context_length_exceeded`,
`content_filter`), vLLM and SGLang ("maximum context length"), Anthropic ("prompt is too long"), Gemini ("exceeds the
maximum number of tokens"), DashScope's "Range of input length", Moonshot (`content_filter`). Weakness: words change;
a refusal that is not recognised is passed on as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from gateway.errors import UpstreamContentRefused, UpstreamContextExceeded, UpstreamRefused

_CONTEXT_CODES = frozenset(
    {"context_length_exceeded", "string_above_max_length", "model_context_window_exceeded", "1261"}
)
_CONTENT_CODES = frozenset(
    {"content_filter", "content_policy_violation", "responsibleaipolicyviolation", "data_inspection_failed", "1301"}
)
_CONTEXT_WORDS = re.compile(
    r"(?:maximum|max(?:imum)? model) context length"
    r"|context (?:length|window)[^.]{0,40}exceed|exceed\w*[^.]{0,60}context"
    r"|prompt is too long|input is too long|longer than the (?:model's )?(?:maximum )?context"
    r"|exceeds the maximum number of tokens|prompt exceeds max length|range of input length|maximum prompt length",
    re.IGNORECASE,
)
_CONTENT_WORDS = re.compile(
    r"content (?:exists risk|management policy|policy violation)|content filtering policy"
    r"|data may contain inappropriate"
    r"|不安全或敏感内容",
    re.IGNORECASE,
)


def kind_of_refusal(body: bytes) -> type[UpstreamRefused]:
    """Say which refusal an error body is; plain `UpstreamRefused` where nobody else would take the request either."""
    codes, words = set(), []
    for name, text in _texts(body):
        if name == "message":
            words.append(text)
        else:
            codes.add(text.lower())
    message = " ".join(words)
    if codes & _CONTEXT_CODES or _CONTEXT_WORDS.search(message):
        return UpstreamContextExceeded
    if codes & _CONTENT_CODES or _CONTENT_WORDS.search(message):
        return UpstreamContentRefused
    return UpstreamRefused


def _texts(body: bytes) -> Iterator[tuple[str, str]]:
    """Yield codes, types and messages, wherever in an error body they are."""
    try:
        read = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        yield "message", body.decode("utf-8", "replace")
        return
    yield from _texts_in(read, depth=4)


def _texts_in(value: Any, depth: int) -> Iterator[tuple[str, str]]:
    if not isinstance(value, dict) or not depth:
        return
    for name, inner in value.items():
        if name in ("code", "type", "message") and isinstance(inner, (str, int)):
            yield name, str(inner)
        elif isinstance(inner, dict):  # Azure's `innererror`, OpenAI's `error`
            yield from _texts_in(inner, depth - 1)
