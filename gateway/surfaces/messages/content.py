"""Turns and their blocks, written as chat messages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

import msgspec

from gateway.errors import InvalidField
from gateway.surfaces.messages.thoughts import is_ours, sign
from gateway.wire.messages import (
    Base64Source,
    Block,
    ContentSource,
    DocumentBlock,
    FileSource,
    ImageBlock,
    PlainSource,
    RedactedThinkingBlock,
    SearchResultBlock,
    TextBlock,
    ThinkingBlock,
    ToolReferenceBlock,
    ToolResultBlock,
    ToolUseBlock,
    Turn,
    UrlSource,
)

ATTRIBUTION = "x-anthropic-billing-header:"
"""How the line begins that Claude Code puts before its instructions, with a checksum that changes every time.

It is addressed to Anthropic's servers. Any other server reads it as text at the very start of the prompt, where it
keeps the whole prompt from being found in a prefix cache, and a conversation from being known again.
"""

Message = dict[str, Any]
Part = dict[str, Any]
Placed = tuple[str, Block]
"""A block and its path in the request, for errors."""


def write_messages(system: str | Sequence[TextBlock] | None, turns: Sequence[Turn]) -> list[Message]:
    """Write a whole prompt. Turns of one role in a row are one turn, as the API's reference says.

    Raises:
        InvalidField: a block has no place in its turn, or needs a file that only Anthropic has.
    """
    messages: list[Message] = []
    if instructions := _instructions(system):
        messages.append({"role": "system", "content": instructions})
    for role, placed in _merged(turns):
        if role == "user":
            messages += _write_user(placed)
        elif role == "assistant":
            messages.append(_write_assistant(placed))
        else:
            messages.append({"role": "system", "content": "\n\n".join(_texts_only(placed))})
    return messages


def _instructions(system: str | Sequence[TextBlock] | None) -> str:
    if system is None:
        return ""
    texts = [system] if isinstance(system, str) else [block.text for block in system]
    if texts and texts[0].startswith(ATTRIBUTION):
        texts[0] = texts[0].partition("\n")[2]
    return "\n\n".join(text for text in texts if text)


def _merged(turns: Sequence[Turn]) -> Iterator[tuple[str, list[Placed]]]:
    """Yield each role's run of turns with all their blocks."""
    for role, run in groupby(enumerate(turns), key=lambda numbered: numbered[1].role):
        yield role, [placed for index, turn in run for placed in _blocks(turn, f"messages[{index}].content")]


def _blocks(turn: Turn, path: str) -> list[Placed]:
    if isinstance(turn.content, str):
        return [(path, TextBlock(turn.content))]
    return [(f"{path}[{index}]", block) for index, block in enumerate(turn.content)]


def _write_user(placed: Sequence[Placed]) -> Iterator[Message]:
    """Yield a turn's tool results, which must follow their calls at once, and then what the user says and shows."""
    parts: list[Part] = []
    for path, block in placed:
        if isinstance(block, ToolResultBlock):
            message, media = _write_result(path, block)
            yield message
            parts += media
        else:
            parts += _write_parts(path, block)
    if parts or not any(isinstance(block, ToolResultBlock) for _, block in placed):
        yield {"role": "user", "content": _simplest(parts)}


def _write_result(path: str, result: ToolResultBlock) -> tuple[Message, list[Part]]:
    """Write a tool's result, and apart from it the media that chat's tool messages cannot hold."""
    parts = [{"type": "text", "text": "Error:"}] if result.is_error else []
    if isinstance(result.content, str):
        parts.append({"type": "text", "text": result.content})
    else:
        for index, block in enumerate(result.content or ()):
            parts += _write_parts(f"{path}.content[{index}]", block)
    media = [part for part in parts if part["type"] != "text"]
    text = "\n".join(part["text"] for part in parts if part["type"] == "text")
    if media:
        media.insert(0, {"type": "text", "text": f"[media from the result of tool call {result.tool_use_id}]"})
    return {"role": "tool", "tool_call_id": result.tool_use_id, "content": text}, media


def _write_parts(path: str, block: Block | ToolReferenceBlock) -> list[Part]:
    """Write a block as parts of a user's message."""
    match block:
        case TextBlock():
            return [{"type": "text", "text": block.text}]
        case ImageBlock():
            return [_write_image(path, block)]
        case DocumentBlock():
            return _write_document(path, block)
        case SearchResultBlock():
            found = "\n".join(part.text for part in block.content)
            return [{"type": "text", "text": f"{block.title}\n{block.source}\n\n{found}"}]
        case ToolReferenceBlock():
            return [{"type": "text", "text": f"Tool: {block.tool_name}"}]
        case _:
            raise _misplaced(path, block, "a user's message")


def _write_image(path: str, block: ImageBlock) -> Part:
    match block.source:
        case Base64Source(media_type=media_type, data=data):
            url = f"data:{media_type};base64,{data}"
        case UrlSource(url=url):
            pass
        case FileSource():
            raise _uploaded(path)
    return {"type": "image_url", "image_url": {"url": url}}


def _write_document(path: str, block: DocumentBlock) -> list[Part]:
    """Write a document, its title and context before it."""
    heading = [{"type": "text", "text": text} for text in (block.title, block.context) if text]
    match block.source:
        case PlainSource(data=text) | ContentSource(content=str(text)):
            return [*heading, {"type": "text", "text": text}]
        case ContentSource(content=list(blocks)):
            inside = [part for index, one in enumerate(blocks) for part in _write_parts(f"{path}.source[{index}]", one)]
            return [*heading, *inside]
        case Base64Source(media_type=media_type, data=data):
            file = {"filename": block.title or "document", "file_data": f"data:{media_type};base64,{data}"}
            return [*heading, {"type": "file", "file": file}]
        case UrlSource():
            raise InvalidField(
                f"'{path}': a document cannot be fetched from a URL here. Send it as base64 or text.", param=path
            )
        case _:
            raise _uploaded(path)


def _simplest(parts: Sequence[Part]) -> str | list[Part]:
    """Write a single text as a string, which every backend can read."""
    if not parts:
        return ""
    if len(parts) == 1 and parts[0]["type"] == "text":
        return str(parts[0]["text"])
    return list(parts)


def _write_assistant(placed: Sequence[Placed]) -> Message:
    """Write the model's own turn: text, tool calls, and the reasoning that led to them."""
    text: list[str] = []
    calls: list[dict[str, Any]] = []
    thoughts: list[str] = []
    signed: list[dict[str, str]] = []
    for path, block in placed:
        match block:
            case TextBlock():
                text.append(block.text)
            case ToolUseBlock():
                calls.append(_write_call(block))
            case ThinkingBlock():
                thoughts += _trusted(block)
                signed += _signed(block)
            case RedactedThinkingBlock():
                signed.append({"type": "redacted_thinking", "data": block.data})
            case _:
                raise _misplaced(path, block, "an assistant's message")
    message: Message = {"role": "assistant", "content": "".join(text) or (None if calls else "")}
    if calls:
        message["tool_calls"] = calls
    if any(thoughts):
        message["reasoning_content"] = "\n".join(thoughts)
    if signed:
        message["thinking_blocks"] = signed
    return message


def _write_call(block: ToolUseBlock) -> dict[str, Any]:
    arguments = msgspec.json.encode(block.input).decode()
    return {"id": block.id, "type": "function", "function": {"name": block.name, "arguments": arguments}}


def _trusted(block: ThinkingBlock) -> list[str]:
    """Give a block's reasoning, unless it was altered after the gateway had signed it."""
    altered = is_ours(block.signature) and sign(block.thinking) != block.signature
    return [] if altered else [block.thinking]


def _signed(block: ThinkingBlock) -> list[dict[str, str]]:
    """Give a block that a model signed in the form that it wants back."""
    if not block.signature or is_ours(block.signature):
        return []
    return [{"type": "thinking", "thinking": block.thinking, "signature": block.signature}]


def _texts_only(placed: Iterable[Placed]) -> Iterator[str]:
    for path, block in placed:
        if not isinstance(block, TextBlock):
            raise _misplaced(path, block, "a system message")
        yield block.text


def _misplaced(path: str, block: msgspec.Struct, where: str) -> InvalidField:
    return InvalidField(
        f"'{path}': a block of type '{block.__struct_config__.tag}' has no place in {where}.", param=path
    )


def _uploaded(path: str) -> InvalidField:
    return InvalidField(f"'{path}': files uploaded to Anthropic cannot be read here. Send the content.", param=path)
