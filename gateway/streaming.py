"""Server-sent events, relayed frame by frame without building objects unless a frame has to be read.

`Relay` does no I/O: bytes go in, bytes come out, so that every cut of a stream can be tested. Frames pass untouched;
the exceptions are the usage frame that the caller did not ask for and whatever a `rewrite` is for.
"""

from __future__ import annotations

import re
from typing import Protocol

import msgspec

from gateway.errors import ThalamusError, UpstreamFailed
from gateway.records.prices import Usage
from gateway.wire.usage import UsageFields, read_usage

MAX_FRAME_BYTES = 16 * 1024 * 1024
"""A frame that grows beyond this is not a frame."""

DONE = b"data: [DONE]\n\n"
_DONE_MARK = b"[DONE]"
_NO_ERROR = (b"", b"null")
_BOUNDARY = re.compile(rb"\r?\n\r?\n")
_USAGE_NULL = re.compile(rb',\s*"usage":\s*null')
_FINISHED = (b'"finish_reason":"', b'"finish_reason": "')
_OUTPUT = re.compile(
    rb'"(?:content|reasoning_content|reasoning|text|refusal|arguments|name|thinking|data|transcript)":\s*"[^"]'
)


class Rewrite(Protocol):
    """Changes frames on their way, and may hold some of their text back for a while."""

    def __call__(self, frame: bytes) -> bytes:
        """Give what to send in place of one complete frame, possibly nothing."""
        ...

    def flush(self) -> bytes:
        """Give what is still held back when the stream ends, as a frame; empty if nothing is."""
        ...


class _Frame(msgspec.Struct):
    """What is read of a frame that has to be read."""

    choices: list[msgspec.Raw] | None = None
    usage: UsageFields | None = None
    error: msgspec.Raw = msgspec.Raw()


_frames = msgspec.json.Decoder(_Frame)


class Relay:
    """One stream on its way from a backend to a client.

    Attributes:
        usage: tokens as the backend counted them, once it has said so.
        output_seen: whether any frame carried output (text, reasoning, a tool call) since it was last cleared.
        frames: how many frames with output or other data were passed, about as many as tokens.
        done: whether there is nothing more to come: the backend ended the stream, or spoilt it.
    """

    def __init__(self, backend: str, *, usage_asked: bool, rewrite: Rewrite | None = None) -> None:
        self.usage: Usage | None = None
        self.output_seen = False
        self.done = False
        self.frames = 0
        self._backend = backend
        self._usage_asked = usage_asked
        self._rewrite = rewrite
        self._rest = b""
        self._finish_seen = False
        self._failure: ThalamusError | None = None

    @property
    def reasoned(self) -> bool:
        """Whether reasoning was seen: never here, a rewriter looks for it."""
        return False

    def feed(self, chunk: bytes) -> bytes:
        """Take what arrived and give what can be sent on: whole frames only.

        Raises:
            UpstreamFailed: the backend reports an error or sends what is no event stream.
        """
        data = self._rest + chunk if self._rest else chunk
        if data.endswith(b"\n\n"):
            self._rest = b""
            if data.find(b"\n\n") == len(data) - 2 and b"\r" not in data:
                return self._pass(data)
            return self._pass_all(split_frames(data)[0])
        frames, self._rest = split_frames(data)
        if len(self._rest) > MAX_FRAME_BYTES:
            raise self._broken("sent an endless event")
        return self._pass_all(frames)

    def finish(self) -> bytes:
        """Say that the backend's stream has ended, and give what is still to be sent.

        Raises:
            UpstreamFailed: it ended in the middle.
        """
        if self._failure is not None:
            raise self._failure.again()
        last = b""
        if self._rest.strip():
            last = self._pass(self._rest.rstrip(b"\r\n") + b"\n\n")
            self._rest = b""
        if self.done:
            return last
        if not self._finish_seen:
            raise self._broken("broke off in the middle of its answer")
        self.done = True
        return last + self._end()

    def _end(self) -> bytes:
        return (self._rewrite.flush() if self._rewrite is not None else b"") + DONE

    def _pass_all(self, frames: list[bytes]) -> bytes:
        """Pass several frames. What came before a spoilt one is still sent; the failure is raised by `finish`."""
        passed = b""
        for frame in frames:
            try:
                passed += self._pass(frame)
            except ThalamusError as failure:
                if not passed:
                    raise
                self._failure, self.done = failure.again(), True
                break
        return passed

    def _pass(self, frame: bytes) -> bytes:
        """Look at one frame as little as possible."""
        self.frames += 1
        if not frame.isascii():
            self._check_is_text(frame)
        if not self.output_seen and _OUTPUT.search(frame):
            self.output_seen = True
        if not self._finish_seen and (_FINISHED[0] in frame or _FINISHED[1] in frame):
            self._finish_seen = True
        whole = frame.startswith(b"data: {") and frame.endswith((b"}\n\n", b"}\r\n\r\n"))
        if not whole or b'"error"' in frame:
            return self._read(frame)
        if b'"usage"' in frame:
            frame = self._take_usage(frame)
        return self._rewrite(frame) if self._rewrite is not None and frame else frame

    def _read(self, frame: bytes) -> bytes:
        """Read a frame that is not plainly a JSON object: a comment, an event name, the end, or damage."""
        data = event_data(frame)
        if data is None:
            return frame
        if data == _DONE_MARK:
            self.done = True
            return self._end()
        try:
            read = _frames.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise self._broken("sent an event that is not JSON") from None
        if bytes(read.error) not in _NO_ERROR and not read.choices:
            raise self._broken("reported an error in the middle of its answer")
        if b'"usage"' in data:
            frame = self._take_usage(frame)
        return self._rewrite(frame) if self._rewrite is not None and frame else frame

    def _take_usage(self, frame: bytes) -> bytes:
        """Keep the usage that a frame carries; drop it from the frame if the caller did not ask for it."""
        # Quotes inside strings are escaped, so that only a field can match.
        without = frame.replace(b',"usage":null', b"")
        if b'"usage"' in without:
            without = _USAGE_NULL.sub(b"", without)
        if b'"usage"' not in without:
            return frame if self._usage_asked else without
        data = event_data(frame)
        try:
            read = _frames.decode(data or b"")
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise self._broken("sent an event that is not JSON") from None
        if read.usage is not None:
            self.usage = read_usage(read.usage)
            if not self._usage_asked and not read.choices:
                return b""
        return frame

    def _check_is_text(self, frame: bytes) -> None:
        try:
            frame.decode()
        except UnicodeDecodeError:
            raise self._broken("sent an event that is not UTF-8") from None

    def _broken(self, what: str) -> ThalamusError:
        return UpstreamFailed(f"Backend '{self._backend}' {what}.", backend=self._backend)


def carries_output(data: bytes) -> bool:
    """Whether frames carry text, reasoning or a tool call: something of use to the client."""
    return _OUTPUT.search(data) is not None


def split_frames(data: bytes) -> tuple[list[bytes], bytes]:
    """Cut bytes into complete frames, each with the blank line that ends it, and the rest."""
    if b"\r" not in data:
        *whole, rest = data.split(b"\n\n")
        return [frame + b"\n\n" for frame in whole], rest
    frames, start = [], 0
    for boundary in _BOUNDARY.finditer(data):
        frames.append(data[start : boundary.end()])
        start = boundary.end()
    return frames, data[start:]


def event_data(frame: bytes) -> bytes | None:
    """Give a frame's data, its lines joined as the standard says; None for comments and empty frames."""
    lines = [
        line[5:].removeprefix(b" ")
        for line in frame.removeprefix(b"\xef\xbb\xbf").splitlines()
        if line.startswith(b"data:")
    ]
    return b"\n".join(lines).strip() if lines else None


def error_frame(error: ThalamusError) -> bytes:
    """Write a failure as the last event of a stream, in the shape that OpenAI's clients raise on."""
    return b"data: " + error.body().replace(b"\n", b" ") + b"\n\n"
