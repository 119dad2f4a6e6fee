"""Answers that were cut before they said anything: thinking had used up `max_tokens`."""

from __future__ import annotations

import re

import msgspec

CUT = re.compile(rb'"finish_reason":\s*"length"')
"""In an answer, or in an event of one."""

_NOTHING = (b"", b"null", b'""', b"[]")


class _Message(msgspec.Struct):
    content: msgspec.Raw = msgspec.Raw()
    tool_calls: msgspec.Raw = msgspec.Raw()


class _Choice(msgspec.Struct):
    message: _Message = msgspec.field(default_factory=_Message)


class _Completion(msgspec.Struct):
    choices: list[_Choice] = []


_completions = msgspec.json.Decoder(_Completion)


def says_nothing(completion: bytes) -> bool:
    """Whether a chat completion was cut before its answer began, in every one of its choices."""
    if not CUT.search(completion):
        return False
    messages = [choice.message for choice in _completions.decode(completion).choices]
    return all(bytes(message.content) in _NOTHING and bytes(message.tool_calls) in _NOTHING for message in messages)
