"""Token counts as backends report them. Sources: OpenAI's API reference; DeepSeek's for its cache fields."""

from __future__ import annotations

import msgspec

from gateway.records.prices import Usage


class _PromptDetails(msgspec.Struct):
    cached_tokens: int | None = None


class _CompletionDetails(msgspec.Struct):
    reasoning_tokens: int | None = None
    reasoning_tokens_estimated: bool | None = None


class UsageFields(msgspec.Struct):
    """The ``usage`` object; any part of it may be missing."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _CompletionDetails | None = None
    prompt_cache_hit_tokens: int | None = None


class _WithUsage(msgspec.Struct):
    usage: UsageFields | None = None


_answers = msgspec.json.Decoder(_WithUsage)


def read_usage(fields: UsageFields) -> Usage:
    """Read a usage object; what is missing counts as zero."""
    prompt, completion = fields.prompt_tokens_details, fields.completion_tokens_details
    return Usage(
        input=fields.prompt_tokens or 0,
        output=fields.completion_tokens or 0,
        cached=(prompt and prompt.cached_tokens) or fields.prompt_cache_hit_tokens or 0,
        reasoning=(completion and completion.reasoning_tokens) or 0,
        reasoning_estimated=bool(completion and completion.reasoning_tokens_estimated),
    )


def usage_of(answer: bytes) -> Usage | None:
    """Read the usage of a whole JSON answer, None when it has none.

    Raises:
        ValueError: the answer is not a JSON object in UTF-8, or its usage is not one.
    """
    answer.decode()  # the fields that nobody reads must be text, too: clients will read them
    try:
        fields = _answers.decode(answer).usage
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(str(error)) from None
    return None if fields is None else read_usage(fields)
