"""What the stand-in says: deterministic answers in tokens, with thinking, tool calls and structured outputs."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal
from zlib import crc32

import msgspec

from gateway.standin.behaviour import Behaviour
from gateway.standin.schema import instance_of
from gateway.standin.validate import name_of
from gateway.standin.wire import (
    AllowedChoice,
    AssistantMessage,
    AudioPart,
    ChatRequest,
    CompletionRequest,
    CustomChoice,
    FilePart,
    FunctionChoice,
    FunctionMessage,
    FunctionTool,
    ImagePart,
    JsonObjectFormat,
    JsonSchemaFormat,
    Message,
    TextPart,
    Tool,
    ToolMessage,
    UserMessage,
)

FinishReason = Literal["stop", "length", "tool_calls"]

_TOKEN = re.compile(r"\s?(?:[\u3400-\u9fff]|[^\W\u3400-\u9fff]{1,12}|[^\w\s])|\s")
_THOUGHTS = ("Let", " me", " think", " about", " this", " step", " by", " step", ".", "\n")
_ECHO_TOKENS = 64
"""How much of the last message an answer repeats."""
_MESSAGE_OVERHEAD = 4
_MEDIA_TOKENS = {ImagePart: 85, AudioPart: 50, FilePart: 100}


@dataclass(frozen=True, slots=True)
class Call:
    """One tool call; `arguments` is JSON text for a function and free text for a custom tool."""

    id: str
    kind: Literal["function", "custom"]
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Choice:
    """One answer: what was thought, then text or tool calls."""

    thoughts: tuple[str, ...]
    tokens: tuple[str, ...]
    calls: tuple[Call, ...]
    finish_reason: FinishReason


@dataclass(frozen=True, slots=True)
class Answer:
    """All choices of one request and what they cost, in tokens."""

    choices: tuple[Choice, ...]
    prompt_tokens: int

    @property
    def reasoning_tokens(self) -> int:
        """Tokens of thinking in all choices."""
        return sum(len(choice.thoughts) for choice in self.choices)

    @property
    def completion_tokens(self) -> int:
        """Tokens of thinking, text and tool calls in all choices."""
        return sum(
            len(choice.thoughts) + len(choice.tokens) + sum(count_tokens(call.arguments) for call in choice.calls)
            for choice in self.choices
        )


def tokenise(text: str) -> tuple[str, ...]:
    """Cut text into words, Chinese characters and signs, which join to the text again."""
    return tuple(_TOKEN.findall(text))


def count_tokens(text: str) -> int:
    """Return how many tokens `tokenise` makes."""
    return len(_TOKEN.findall(text))


def answer_chat(request: ChatRequest, behaviour: Behaviour) -> Answer:
    """Return what the stand-in says to a conversation."""
    thinks = behaviour.thinking == "always" or (behaviour.thinking == "asked" and request.asks_to_think())
    thoughts = _repeated(_THOUGHTS, behaviour.thinking_tokens) if thinks else ()
    room = request.max_completion_tokens or request.max_tokens
    calls = _tool_calls(request, behaviour)
    choices = []
    for index in range(request.n or 1):
        if calls:
            choices.append(Choice(thoughts, (), calls, "tool_calls"))
        else:
            said = _text(request, behaviour, index)
            choices.append(_cut(thoughts, said, request.stop, room))
    return Answer(tuple(choices), prompt_tokens(request.messages))


def answer_completion(request: CompletionRequest, behaviour: Behaviour) -> Answer:
    """Return what the stand-in says after each prompt: `n` choices per prompt, in the prompts' order."""
    choices, prompted = [], 0
    for prompt in _prompts(request.prompt):
        prompted += count_tokens(prompt)
        for index in range(request.n or 1):
            said = _sized(behaviour.answer or _echo(prompt, index), behaviour)
            choice = _cut((), said, request.stop, 16 if request.max_tokens is None else request.max_tokens)
            if request.echo:
                choice = Choice((), tokenise(prompt) + choice.tokens, (), choice.finish_reason)
            choices.append(choice)
    return Answer(tuple(choices), prompted)


def prompt_tokens(messages: Sequence[Message]) -> int:
    """Return the size of a conversation in the stand-in's own tokens."""
    total = 0
    for message in messages:
        total += _MESSAGE_OVERHEAD + count_tokens(text_of(message))
        if isinstance(message, UserMessage) and not isinstance(message.content, str):
            total += sum(_MEDIA_TOKENS.get(type(part), 0) for part in message.content)
    return total


def text_of(message: Message) -> str:
    """Return a message's text, its parts joined."""
    content = message.content
    if content is None or isinstance(content, str):
        return content or ""
    return "".join(part.text for part in content if isinstance(part, TextPart))


def logprob_of(token: str) -> float:
    """Return the made-up but repeatable log probability of a token, between -2 and 0."""
    return -(crc32(token.encode()) % 2000) / 1000


def _text(request: ChatRequest, behaviour: Behaviour, index: int) -> tuple[str, ...]:
    wanted = request.response_format
    if isinstance(wanted, JsonSchemaFormat):
        instance = instance_of(wanted.json_schema.schema or {})
        return tokenise(msgspec.json.encode(instance).decode())
    last = text_of(_last_spoken(request.messages))
    if isinstance(wanted, JsonObjectFormat):
        return tokenise(msgspec.json.encode({"echo": _echo(last, index)}).decode())
    return _sized(behaviour.answer or _echo(last, index), behaviour)


def _last_spoken(messages: Sequence[Message]) -> Message:
    """Return the last message that is not the model's own, which the answer is to."""
    spoken = (message for message in reversed(messages) if not isinstance(message, AssistantMessage))
    return next(spoken, messages[-1])


def _echo(text: str, index: int) -> str:
    """Say the text back behind its digest, so that a test can tell what reached the backend."""
    said = tokenise(text)
    shown = "".join(said[:_ECHO_TOKENS]) + ("…" if len(said) > _ECHO_TOKENS else "")
    choice = f" (choice {index})" if index else ""
    return f"Echo {sha256(text.encode()).hexdigest()[:8]}{choice}: {shown}"


def _sized(text: str, behaviour: Behaviour) -> tuple[str, ...]:
    tokens = tokenise(text)
    return tokens if behaviour.tokens is None else _repeated(tokens, behaviour.tokens)


def _repeated(tokens: Sequence[str], count: int) -> tuple[str, ...]:
    return tuple(itertools.islice(itertools.cycle(tokens), count))


def _cut(thoughts: tuple[str, ...], tokens: tuple[str, ...], stop: Any, room: int | None) -> Choice:
    """End the answer at a stop sequence or where the room for thoughts and text together is used up."""
    reason: FinishReason = "stop"
    if stop:
        text = "".join(tokens)
        found = [text.find(sequence) for sequence in ([stop] if isinstance(stop, str) else stop) if sequence]
        ends = [place for place in found if place >= 0]
        tokens = tokenise(text[: min(ends)]) if ends else tokens
    if room is not None and len(thoughts) + len(tokens) > room:
        reason = "length"
        thoughts = thoughts[:room]
        tokens = tokens[: room - len(thoughts)]
    return Choice(thoughts, tokens, (), reason)


def _tool_calls(request: ChatRequest, behaviour: Behaviour) -> tuple[Call, ...]:
    """Call the tools that the choice forces, or those whose names share a word with the last user message."""
    tools, must = _callable_tools(request)
    last = request.messages[-1]
    if not tools or behaviour.tool_calls == 0 or isinstance(last, ToolMessage | FunctionMessage):
        # A tool's result is answered in words, or no tool loop would ever end.
        return ()
    said = text_of(_last_spoken(request.messages))
    wanted = [tool for tool in tools if _mentions(said, name_of(tool))]
    if behaviour.tool_calls is not None:
        wanted = list(itertools.islice(itertools.cycle(wanted or tools), behaviour.tool_calls))
    elif must and not wanted:
        wanted = tools[:1]
    if request.parallel_tool_calls is False:
        wanted = wanted[:1]
    return tuple(_call(tool, index, said) for index, tool in enumerate(wanted))


def _callable_tools(request: ChatRequest) -> tuple[list[Tool], bool]:
    """Return the tools that may be called, and whether one must be."""
    tools = request.tools or []
    match request.tool_choice:
        case "none":
            return [], False
        case None | "auto":
            return tools, False
        case "required":
            return tools, True
        case AllowedChoice(allowed_tools=allowed):
            names = {_chosen_name(chosen) for chosen in allowed.tools}
            return [tool for tool in tools if name_of(tool) in names], allowed.mode == "required"
        case FunctionChoice() | CustomChoice() as chosen:
            return [tool for tool in tools if name_of(tool) == _chosen_name(chosen)], True


def _chosen_name(choice: FunctionChoice | CustomChoice) -> str:
    return choice.function.name if isinstance(choice, FunctionChoice) else choice.custom.name


def _mentions(text: str, tool_name: str) -> bool:
    """Whether the text holds a word of the tool's name, so that "weather in Paris" calls `get_weather`."""
    lowered = text.lower()
    words = re.findall(r"[a-z]{4,}", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", tool_name).lower())
    return tool_name.lower() in lowered or any(word in lowered for word in words)


def _call(tool: Tool, index: int, said: str) -> Call:
    name = name_of(tool)
    identity = f"call_{sha256(f'{name}{index}{said}'.encode()).hexdigest()[:24]}"
    if not isinstance(tool, FunctionTool):
        return Call(identity, "custom", name, said)
    arguments = instance_of(tool.function.parameters or {"type": "object"}, hint=said[:40] or name)
    return Call(identity, "function", name, msgspec.json.encode(arguments).decode())


def _prompts(prompt: str | Sequence[object]) -> list[str]:
    """Return the prompts as texts; token ids stand for themselves."""
    if isinstance(prompt, str):
        return [prompt]
    if all(isinstance(item, int) for item in prompt):
        return [" ".join(str(item) for item in prompt)]
    return [
        item if isinstance(item, str) else " ".join(map(str, item)) for item in prompt if isinstance(item, str | list)
    ]
