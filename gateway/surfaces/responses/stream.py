"""A streamed chat completion, told as the events of a response.

`ResponseStream` does no I/O: bytes go in, however they are cut, and events come out, in the order and with the numbers
that OpenAI's API reference gives them.
"""

from __future__ import annotations

import msgspec

from gateway.errors import ThalamusError, UpstreamFailed
from gateway.streaming import event_data, split_frames
from gateway.surfaces.responses.answering import (
    CUT_SHORT,
    Asked,
    Logprobs,
    Told,
    describe_response,
    describe_usage,
    failed,
    finish,
    with_usage,
)
from gateway.surfaces.responses.items import Dictionary, Status
from gateway.surfaces.responses.keeping import Hidden
from gateway.surfaces.responses.opening import Events, OpenCall, OpenItem, OpenMessage, OpenReasoning
from gateway.wire.usage import UsageFields, read_usage

_DONE = b"[DONE]"


class _Function(msgspec.Struct):
    name: str | None = None
    arguments: str | None = None


class _CallDelta(msgspec.Struct):
    index: int = 0
    id: str | None = None
    function: _Function = msgspec.field(default_factory=_Function)


class _Delta(msgspec.Struct):
    content: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[_CallDelta] | None = None


class _Choice(msgspec.Struct):
    delta: _Delta = msgspec.field(default_factory=_Delta)
    finish_reason: str | None = None
    logprobs: Logprobs | None = None


class _Chunk(msgspec.Struct):
    choices: list[_Choice] = []
    model: str | None = None
    usage: UsageFields | None = None


_chunks = msgspec.json.Decoder(_Chunk)


class ResponseStream:
    """One answer on its way from a chat completion to a response.

    Attributes:
        response: the response object as far as it has come; final once `finish` or `fail` was called.
        hidden: what the caller does not see of it, by the ids of output items.
    """

    def __init__(self, asked: Asked, events: Events | None = None) -> None:
        """Prepare for one answer; `events` may have announced it already."""
        self.response: Dictionary = describe_response(asked, "in_progress")
        self.hidden: dict[str, Hidden] = {}
        self._asked = asked
        self._events = events or Events()
        self._rest = b""
        self._begun = False
        self._reason: str | None = None
        self._items: dict[int, Dictionary] = {}
        self._count = 0
        self._thoughts: list[str] = []
        self._speech: OpenMessage | OpenReasoning | None = None
        self._calls: dict[int, OpenCall] = {}
        self._whole_calls: set[int] = set()

    def feed(self, data: bytes) -> bytes:
        """Take a piece of the chat completion's stream and give the events that it makes.

        Raises:
            UpstreamFailed: an event is no part of a chat completion.
        """
        frames, self._rest = split_frames(self._rest + data)
        for frame in frames:
            self._read(frame)
        return self._events.take()

    def finish(self) -> bytes:
        """Say that the stream has ended and give the events that close the output; the last one is `last`'s to give."""
        self._begin(None)
        self._end_items()
        whole = with_usage(self._asked, {**self.response, "output": self._output()}, "".join(self._thoughts))
        self.response = finish(whole, self._reason)
        return self._events.take()

    def fail(self, error: ThalamusError) -> None:
        """Say that the stream has broken off, or never began. What was said so far stays, marked as incomplete."""
        self.response = failed(self._break_off(), error)

    def cancel(self) -> None:
        """Say that the caller wants no more of it."""
        self.response = {**self._break_off(), "status": "cancelled"}

    @property
    def told(self) -> Told:
        """What was told so far, and what was not."""
        return Told(self.response, self.hidden)

    def last(self, response: Dictionary) -> bytes:
        """Give the event that ends the stream: completed, incomplete or failed, as the response's status says."""
        self._events.write(f"response.{response['status']}", {"response": response})
        return self._events.take()

    def _break_off(self) -> Dictionary:
        self._begin(None)
        for item in (*self._calls.values(), *([self._speech] if self._speech else ())):
            self._items[item.index] = item.item("incomplete")
            self._hide(item)
        return {**self.response, "output": self._output()}

    def _read(self, frame: bytes) -> None:
        data = event_data(frame)
        if data is None:
            self._events.comment(frame)
            return
        if data == _DONE:
            return
        try:
            chunk = _chunks.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise _broken() from None
        self._begin(chunk.model)
        if chunk.usage is not None:
            self.response["usage"] = describe_usage(read_usage(chunk.usage))
        for choice in chunk.choices:
            self._take(choice)

    def _begin(self, model: str | None) -> None:
        """Announce the response, once it is known who answers."""
        if self._begun:
            return
        self._begun = True
        if model is not None:
            self.response["model"] = model
        if not self._events.announced:
            self._events.write("response.created", {"response": self.response})
        self._events.write("response.in_progress", {"response": self.response})

    def _take(self, choice: _Choice) -> None:
        delta = choice.delta
        if delta.reasoning_content:
            self._thoughts.append(delta.reasoning_content)
            self._reasoning().add(delta.reasoning_content)
        if delta.content:
            self._message().add_text(delta.content, (choice.logprobs and choice.logprobs.content) or [])
        if delta.refusal:
            self._message().add_refusal(delta.refusal)
        for call in delta.tool_calls or ():
            self._take_call(call)
        if choice.finish_reason is not None:
            self._reason = choice.finish_reason

    def _take_call(self, delta: _CallDelta) -> None:
        call = self._calls.get(delta.index)
        if call is None and delta.index in self._whole_calls and not delta.function.name:
            return  # its arguments were complete JSON, after which only white space can come
        # Some backends give every call the same index, and only a new id with a name tells them apart.
        if call is None or (delta.function.name and delta.id and delta.id != call.call_id):
            self._end_speech()
            self._end_whole_calls()
            self._end_call(delta.index)
            call = OpenCall(self._asked, self._events, self._next(), delta.id, delta.function.name or "")
            self._calls[delta.index] = call
        if delta.function.arguments:
            call.add(delta.function.arguments)

    def _reasoning(self) -> OpenReasoning:
        if not isinstance(self._speech, OpenReasoning):
            self._end_speech()
            self._end_whole_calls()
            self._speech = OpenReasoning(self._asked, self._events, self._next())
        return self._speech

    def _message(self) -> OpenMessage:
        if not isinstance(self._speech, OpenMessage):
            self._end_speech()
            self._end_whole_calls()
            self._speech = OpenMessage(self._asked, self._events, self._next())
        return self._speech

    def _next(self) -> int:
        self._count += 1
        return self._count - 1

    def _end_speech(self, status: Status = "completed") -> None:
        if self._speech is not None:
            self._items[self._speech.index] = self._speech.end(status)
            self._hide(self._speech)
            self._speech = None

    def _end_whole_calls(self) -> None:
        """End the calls to which nothing can be added; backends may go on with the others later."""
        for number, call in list(self._calls.items()):
            if call.is_whole:
                self._whole_calls.add(number)
                self._end_call(number)

    def _end_call(self, number: int, status: Status = "completed") -> None:
        call = self._calls.pop(number, None)
        if call is not None:
            self._items[call.index] = call.end(status)

    def _end_items(self) -> None:
        """End what is still open with the stream; only that can have been cut short."""
        last: Status = "incomplete" if self._reason in CUT_SHORT else "completed"
        self._end_whole_calls()
        for number in list(self._calls):
            self._end_call(number, last)
        self._end_speech(last)

    def _hide(self, item: OpenItem) -> None:
        """Keep reasoning that the caller is not shown."""
        if self._asked.hides and isinstance(item, OpenReasoning):
            self.hidden[item.id] = Hidden(text=item.text)

    def _output(self) -> list[Dictionary]:
        return [self._items[index] for index in sorted(self._items)]


def _broken() -> UpstreamFailed:
    return UpstreamFailed("The backend sent an event that is no part of a chat completion.", backend="")
