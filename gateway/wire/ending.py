"""Answers that were cut before they said anything: thinking had used up `max_tokens`."""

from __future__ import annotations

import re

import msgspec

CUT = re.compile(rb'"finish_reason":\s*"length"')
"""In an answer, or in an event of one."""

_NOTHING = (b"", b"null", b'""', b"[]")


class _Message(msgspec.Struct):
    content: msgspec.Raw = msgspec.Raw()
    refusal: msgspec.Raw = msgspec.Raw()
    tool_calls: msgspec.Raw = msgspec.Raw()
    function_call: msgspec.Raw = msgspec.Raw()
    audio: msgspec.Raw = msgspec.Raw()

    def says_nothing(self) -> bool:
        said = (self.content, self.refusal, self.tool_calls, self.function_call, self.audio)
        return all(bytes(one) in _NOTHING for one in said)


class _Choice(msgspec.Struct):
    message: _Message = msgspec.field(default_factory=_Message)


class _Completion(msgspec.Struct):
    choices: list[_Choice] = []


_completions = msgspec.json.Decoder(_Completion)


def says_nothing(completion: bytes) -> bool:
    """Whether a chat completion was cut before its answer began, in every one of its choices.

    One of another shape is taken to say something: it is passed on as it is, and not held against its backend here.
    """
    if not CUT.search(completion):
        return False
    try:
        choices = _completions.decode(completion).choices
    except msgspec.DecodeError:
        return False
    return bool(choices) and all(choice.message.says_nothing() for choice in choices)
