"""The events of a streamed response on their way: whole frames pass, and are looked at as little as possible.

The counterpart of `gateway.streaming.Relay`, which does the same for chat completions. No I/O happens here.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from gateway.errors import ThalamusError, UpstreamFailed
from gateway.native.answer import NativeAnswer, check_answer, failure_of
from gateway.records.prices import Usage
from gateway.streaming import MAX_FRAME_BYTES, event_data, split_frames

ANNOUNCING = frozenset({"response.created", "response.queued", "response.in_progress"})
ENDING = frozenset({"response.completed", "response.incomplete", "response.failed", "response.cancelled"})

KEEP_ALIVE = "keepalive"
"""What OpenAI sends while nothing happens: no sign that anything does."""

_NAMED = re.compile(rb"event: ?([a-z_.]+)\r?\n")
# Quotes inside strings are escaped, and hardly any nested object's type begins so.
_TYPED = re.compile(rb'"type":\s*"(response\.[a-z_.]+|error)"')
_REASONING = re.compile(rb'"type":\s*"(?:response\.)?reasoning')
_read = msgspec.json.Decoder(dict[str, Any]).decode


def event_kind(frame: bytes) -> str | None:
    """Give an event's type; None for what is no event of this API."""
    found = _NAMED.match(frame) or _TYPED.search(frame)
    return found[1].decode() if found else None


class NativeRelay:
    """One streamed response on its way from a backend.

    What only announces the response is held until something follows it: a backend that fails before it has said
    anything can then still be routed around.

    Attributes:
        usage: tokens as the backend counted them, once it has said so.
        output_seen: whether any event said more than that there will be an answer: an item began, or grew.
        frames: how many such events there were, about as many as tokens.
        reasoned: whether an event told of reasoning.
        done: whether there is nothing more to come.
        answer: the response, once it has ended.
    """

    def __init__(self, backend: str) -> None:
        self.usage: Usage | None = None
        self.output_seen = False
        self.done = False
        self.frames = 0
        self.reasoned = False
        self.answer: NativeAnswer | None = None
        self._backend = backend
        self._rest = b""
        self._held = b""
        self._begun = False
        self._failure: ThalamusError | None = None

    def feed(self, chunk: bytes) -> bytes:
        """Take what arrived and give what can be passed on: whole frames only.

        Raises:
            UpstreamError: the backend reports an error or sends what is no event stream.
        """
        frames, self._rest = split_frames(self._rest + chunk if self._rest else chunk)
        if len(self._rest) > MAX_FRAME_BYTES:
            raise self._broken("sent an endless event")
        passed = b""
        for frame in frames:
            if self.done:
                break
            try:
                passed += self._pass(frame)
            except ThalamusError as failure:
                self._failure, self.done = failure.again(), True
        if self._failure is not None:
            self.done = True
            if not passed:
                raise self._failure.again()
        return passed

    def finish(self) -> bytes:
        """Say that the backend's stream has ended, and give what is still to be sent.

        Raises:
            UpstreamError: it ended in the middle.
        """
        if self._failure is not None:
            raise self._failure.again()
        last = b""
        if self._rest.strip() and not self.done:
            last = self._pass(self._rest.rstrip(b"\r\n") + b"\n\n")
            self._rest = b""
        if self.answer is None:
            raise self._broken("broke off in the middle of its answer")
        self.done = True
        return last

    def _pass(self, frame: bytes) -> bytes:
        if not frame.isascii():
            self._check_is_text(frame)
        kind = event_kind(frame)
        if kind is None:
            return self._pass_other(frame)
        if kind == KEEP_ALIVE:
            return frame if self._begun else b""
        if kind in ANNOUNCING and not self._begun:
            self._held += frame
            return b""
        if kind == "error":  # OpenAI sends the failed response after it, which knows more
            event = self._decode(frame)
            self._failure = failure_of(event.get("error") or event, self._backend)
            return b""
        if kind in ENDING:
            self._end(frame)
        else:
            self.output_seen = True
            self.frames += 1
            self.reasoned = self.reasoned or _REASONING.search(frame) is not None
        self._begun = True
        held, self._held = self._held, b""
        return held + frame

    def _pass_other(self, frame: bytes) -> bytes:
        """Pass comments on, once anything was; what else is no event of this API is left out, unless it is an error."""
        data = event_data(frame)
        if data is None:
            return frame if self._begun else b""
        if data != b"[DONE]":
            event = self._decode(frame)
            if event.get("error"):
                raise failure_of(event["error"], self._backend)
        return b""

    def _end(self, frame: bytes) -> None:
        response = self._decode(frame).get("response")
        try:
            self.answer = check_answer(response if isinstance(response, dict) else {}, self._backend)
        except msgspec.DecodeError:
            raise self._broken("sent an event that is none") from None
        self.usage = self.answer.usage
        self.done = True

    def _decode(self, frame: bytes) -> dict[str, Any]:
        try:
            return _read(event_data(frame) or b"")
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise self._broken("sent an event that is not JSON") from None

    def _check_is_text(self, frame: bytes) -> None:
        try:
            frame.decode()
        except UnicodeDecodeError:
            raise self._broken("sent an event that is not UTF-8") from None

    def _broken(self, what: str) -> UpstreamFailed:
        return UpstreamFailed(f"Backend '{self._backend}' {what}.", backend=self._backend)
