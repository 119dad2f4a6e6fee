"""Answers in OpenAI's shapes: a plain body, or the frames of a stream with their pace."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from string import ascii_lowercase
from typing import Any, Literal, NamedTuple

import msgspec

from gateway.standin.answers import Answer, Call, Choice, logprob_of
from gateway.standin.behaviour import Behaviour
from gateway.standin.wire import ChatRequest, CompletionRequest

_json = msgspec.json.encode
_DONE = b"[DONE]"
_FINGERPRINT = "fp_standin"
_OTHER_TOKENS = tuple(f" {letter}" for letter in ascii_lowercase)
"""Alternatives that logprobs list; more than the twenty that may be asked for, as one can be the token itself."""


class Frame(NamedTuple):
    """One thing to write in a stream, after a wait: an event's data or a comment.

    ``token`` frames carry the answer, ``usage`` and ``done`` close it, ``silence`` only waits.
    """

    wait_ms: float
    kind: Literal["token", "other", "usage", "done", "comment", "silence"]
    data: bytes


@dataclass(frozen=True, slots=True)
class Heading:
    """What every body and every event of one answer repeats."""

    id: str
    created: int
    model: str


def chat_body(heading: Heading, request: ChatRequest, answer: Answer, behaviour: Behaviour) -> dict[str, Any]:
    """Return a whole chat completion."""
    return {
        "id": f"chatcmpl-{heading.id}",
        "object": "chat.completion",
        "created": heading.created,
        "model": heading.model,
        "choices": [
            {
                "index": index,
                "message": _message(choice, behaviour),
                "logprobs": _logprobs(choice.tokens, request),
                "finish_reason": choice.finish_reason,
            }
            for index, choice in enumerate(answer.choices)
        ],
        "usage": _usage(answer, details=behaviour.thinking_counted),
        "service_tier": "default",
        "system_fingerprint": _FINGERPRINT,
    }


def chat_frames(heading: Heading, request: ChatRequest, answer: Answer, behaviour: Behaviour) -> Iterator[Frame]:
    """Yield the frames of a streamed chat completion, the choices side by side."""
    counts = bool(request.stream_options and request.stream_options.include_usage)
    envelope: dict[str, Any] = {
        "id": f"chatcmpl-{heading.id}",
        "object": "chat.completion.chunk",
        "created": heading.created,
        "model": heading.model,
        "service_tier": "default",
        "system_fingerprint": _FINGERPRINT,
    }

    def chunk(choices: list[dict[str, Any]], usage: dict[str, Any] | None = None) -> bytes:
        return _json({**envelope, "choices": choices, "usage": usage} if counts else {**envelope, "choices": choices})

    yield from _hidden_thinking(answer, behaviour)
    streams = [_deltas(index, choice, request, behaviour) for index, choice in enumerate(answer.choices)]
    for side_by_side in zip_longest(*streams):
        # Choices are generated together: only the first of them waits.
        wait_ms: float | None = None
        for step in side_by_side:
            if step is not None:
                pause, kind, choice = step
                yield Frame(pause if wait_ms is None else 0, kind, chunk([choice]))
                wait_ms = pause
    if counts:
        yield Frame(0, "usage", chunk([], _usage(answer, details=behaviour.thinking_counted)))
    yield Frame(0, "done", _DONE)


def completion_body(heading: Heading, request: CompletionRequest, answer: Answer) -> dict[str, Any]:
    """Return a whole text completion."""
    return {
        **_completion_envelope(heading),
        "choices": [
            {
                "index": index,
                "text": "".join(choice.tokens),
                "logprobs": _completion_logprobs(choice.tokens, request.logprobs, 0),
                "finish_reason": choice.finish_reason,
            }
            for index, choice in enumerate(answer.choices)
        ],
        "usage": _usage(answer, details=False),
    }


def completion_frames(
    heading: Heading, request: CompletionRequest, answer: Answer, behaviour: Behaviour
) -> Iterator[Frame]:
    """Yield the frames of a streamed text completion, one choice after the other."""
    counts = bool(request.stream_options and request.stream_options.include_usage)
    envelope = _completion_envelope(heading)

    def chunk(choices: list[dict[str, Any]], usage: dict[str, Any] | None = None) -> bytes:
        return _json({**envelope, "choices": choices, "usage": usage} if counts else {**envelope, "choices": choices})

    for index, choice in enumerate(answer.choices):
        offset = 0
        for token in choice.tokens:
            logprobs = _completion_logprobs((token,), request.logprobs, offset)
            part = {"index": index, "text": token, "logprobs": logprobs, "finish_reason": None}
            yield Frame(behaviour.token_ms, "token", chunk([part]))
            offset += len(token)
        end = {"index": index, "text": "", "logprobs": None, "finish_reason": choice.finish_reason}
        yield Frame(0, "other", chunk([end]))
    if counts:
        yield Frame(0, "usage", chunk([], _usage(answer, details=False)))
    yield Frame(0, "done", _DONE)


def plain_wait_ms(answer: Answer, behaviour: Behaviour) -> float:
    """Return how long a plain answer takes after the first byte's latency."""
    longest = max((len(choice.tokens) for choice in answer.choices), default=0)
    thinking = behaviour.thinking_ms if answer.reasoning_tokens else 0.0
    return behaviour.first_token_ms + thinking + behaviour.token_ms * longest


def _message(choice: Choice, behaviour: Behaviour) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": "".join(choice.tokens), "refusal": None}
    if choice.calls:
        message["content"] = None
        message["tool_calls"] = [_call(call) for call in choice.calls]
    if choice.thoughts and behaviour.thinking_style == "deltas":
        thought = "".join(choice.thoughts)
        if behaviour.thinking_field == "inline":
            message["content"] = f"<think>{thought}</think>{message['content'] or ''}"
        else:
            message[behaviour.thinking_field] = thought
    return message


def _call(call: Call) -> dict[str, Any]:
    if call.kind == "function":
        return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
    return {"id": call.id, "type": "custom", "custom": {"name": call.name, "input": call.arguments}}


Step = tuple[float, Literal["token", "other"], dict[str, Any]]


def _deltas(index: int, choice: Choice, request: ChatRequest, behaviour: Behaviour) -> Iterator[Step]:
    """Yield one choice's wait, kind and chunk choice, from the role to the finish reason."""

    def delta(content: dict[str, Any], tokens: Sequence[str] = (), finish: str | None = None) -> dict[str, Any]:
        return {
            "index": index,
            "delta": content,
            "logprobs": _logprobs(tokens, request) if tokens else None,
            "finish_reason": finish,
        }

    yield 0, "other", delta({"role": "assistant", "content": None if choice.calls else "", "refusal": None})
    if choice.thoughts and behaviour.thinking_style == "deltas":
        pause = behaviour.thinking_ms / len(choice.thoughts)
        for thought in _marked(choice.thoughts, behaviour):
            yield pause, "token", delta({_thinking_key(behaviour): thought})
    for token in choice.tokens:
        yield behaviour.token_ms, "token", delta({"content": token}, (token,))
    for place, call in enumerate(choice.calls):
        for part in _call_parts(place, call):
            yield behaviour.token_ms, "token", delta({"tool_calls": [part]})
    yield 0, "other", delta({}, finish=choice.finish_reason)


def _thinking_key(behaviour: Behaviour) -> str:
    return "content" if behaviour.thinking_field == "inline" else behaviour.thinking_field


def _marked(thoughts: Sequence[str], behaviour: Behaviour) -> Iterator[str]:
    """Yield the thoughts, between `<think>` marks where they are written inline."""
    inline = behaviour.thinking_field == "inline"
    if inline:
        yield "<think>"
    yield from thoughts
    if inline:
        yield "</think>"


def _call_parts(place: int, call: Call) -> Iterator[dict[str, Any]]:
    """Yield a tool call as OpenAI streams it: its name first, then its arguments in pieces."""
    field = "arguments" if call.kind == "function" else "input"
    yield {"index": place, "id": call.id, "type": call.kind, call.kind: {"name": call.name, field: ""}}
    for start in range(0, len(call.arguments), 8):
        yield {"index": place, call.kind: {field: call.arguments[start : start + 8]}}


def _hidden_thinking(answer: Answer, behaviour: Behaviour) -> Iterator[Frame]:
    """Pass the time of thinking that is not shown, in silence or with comments."""
    if not answer.reasoning_tokens or behaviour.thinking_style == "deltas":
        return
    remaining = behaviour.thinking_ms
    if behaviour.thinking_style == "keep-alive":
        for _ in range(math.floor(behaviour.thinking_ms / behaviour.keep_alive_ms)):
            yield Frame(behaviour.keep_alive_ms, "comment", b"keep-alive")
            remaining -= behaviour.keep_alive_ms
    yield Frame(remaining, "silence", b"")


def _usage(answer: Answer, *, details: bool) -> dict[str, Any]:
    usage: dict[str, Any] = {
        "prompt_tokens": answer.prompt_tokens,
        "completion_tokens": answer.completion_tokens,
        "total_tokens": answer.prompt_tokens + answer.completion_tokens,
    }
    if details:
        usage["prompt_tokens_details"] = {"cached_tokens": 0, "audio_tokens": 0}
        usage["completion_tokens_details"] = {
            "reasoning_tokens": answer.reasoning_tokens,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        }
    return usage


def _logprobs(tokens: Sequence[str], request: ChatRequest) -> dict[str, Any] | None:
    if not request.logprobs:
        return None
    wanted = request.top_logprobs or 0
    return {
        "content": [{**_logprob(token), "top_logprobs": _alternatives(token, wanted)} for token in tokens],
        "refusal": None,
    }


def _alternatives(token: str, count: int) -> list[dict[str, Any]]:
    """Return the token itself and less likely ones, most likely first."""
    logprob = logprob_of(token)
    others = [other for other in _OTHER_TOKENS if other != token]
    rest = [_logprob(other, logprob - place - 1) for place, other in enumerate(others)]
    return [_logprob(token), *rest][:count]


def _logprob(token: str, logprob: float | None = None) -> dict[str, Any]:
    value = logprob_of(token) if logprob is None else logprob
    return {"token": token, "logprob": value, "bytes": list(token.encode())}


def _completion_envelope(heading: Heading) -> dict[str, Any]:
    return {
        "id": f"cmpl-{heading.id}",
        "object": "text_completion",
        "created": heading.created,
        "model": heading.model,
        "system_fingerprint": _FINGERPRINT,
    }


def _completion_logprobs(tokens: Sequence[str], wanted: int | None, offset: int) -> dict[str, Any] | None:
    if wanted is None:
        return None
    offsets = []
    for token in tokens:
        offsets.append(offset)
        offset += len(token)
    return {
        "tokens": list(tokens),
        "token_logprobs": [logprob_of(token) for token in tokens],
        "top_logprobs": [
            {other["token"]: other["logprob"] for other in _alternatives(token, max(wanted, 1))} for token in tokens
        ],
        "text_offset": offsets,
    }
