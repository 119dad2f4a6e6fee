"""``POST /v1/messages`` and ``/v1/messages/count_tokens``: Anthropic's Messages API, as far as the gateway reads it.

Written from Anthropic's API reference (platform.claude.com/docs/en/api/messages, read 2026-11). Fields that are not
listed are not read: cache markers, service tiers, context management and whatever a beta adds have no meaning for
most backends, and must not keep a client from being served.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from gateway.wire.chat import Count, Name

Object = dict[str, msgspec.Raw]
"""A JSON object whose values travel unread."""


class TextBlock(msgspec.Struct, tag="text"):
    """Text."""

    text: str


class Base64Source(msgspec.Struct, tag="base64"):
    """Bytes in the request itself."""

    media_type: Annotated[str, Meta(pattern=r"^[\w.+-]+/[\w.+-]+$")]
    data: str


class UrlSource(msgspec.Struct, tag="url"):
    """Bytes that the backend is to fetch."""

    url: str


class FileSource(msgspec.Struct, tag="file"):
    """A file uploaded to Anthropic."""

    file_id: str


class PlainSource(msgspec.Struct, tag="text"):
    """A document that is plain text."""

    data: str


class ImageBlock(msgspec.Struct, tag="image"):
    """A picture."""

    source: Base64Source | UrlSource | FileSource


class ContentSource(msgspec.Struct, tag="content"):
    """A document written as blocks."""

    content: str | list[TextBlock | ImageBlock]


class DocumentBlock(msgspec.Struct, tag="document"):
    """A document: a PDF, plain text or blocks."""

    source: Base64Source | UrlSource | FileSource | PlainSource | ContentSource
    title: str | None = None
    context: str | None = None


class SearchResultBlock(msgspec.Struct, tag="search_result"):
    """One hit of a search that the client made."""

    title: str
    source: str
    content: list[TextBlock]


class ToolReferenceBlock(msgspec.Struct, tag="tool_reference"):
    """A tool that the client's own tool search found."""

    tool_name: str


class ThinkingBlock(msgspec.Struct, tag="thinking"):
    """Earlier reasoning, with the signature it came with."""

    thinking: str
    signature: str


class RedactedThinkingBlock(msgspec.Struct, tag="redacted_thinking"):
    """Earlier reasoning that only Anthropic can read."""

    data: str


class ToolUseBlock(msgspec.Struct, tag="tool_use"):
    """A tool call that the model made."""

    id: str
    name: str
    input: Object


ResultBlock = TextBlock | ImageBlock | DocumentBlock | SearchResultBlock | ToolReferenceBlock


class ToolResultBlock(msgspec.Struct, tag="tool_result"):
    """What a tool gave back."""

    tool_use_id: str
    content: str | list[ResultBlock] | None = None
    is_error: bool | None = None


Block = (
    TextBlock
    | ImageBlock
    | DocumentBlock
    | SearchResultBlock
    | ThinkingBlock
    | RedactedThinkingBlock
    | ToolUseBlock
    | ToolResultBlock
)


class Turn(msgspec.Struct):
    """One message of the conversation."""

    role: Literal["user", "assistant", "system"]
    content: str | list[Block]


class Tool(msgspec.Struct):
    """A tool of the client (no `type`, or ``custom``), or one that Anthropic defines (any other `type`)."""

    name: str | None = None
    type: str | None = None
    description: str | None = None
    input_schema: Object | None = None
    strict: bool | None = None


class ToolChoice(msgspec.Struct):
    """Whether tools may, must or must not be called."""

    type: Literal["auto", "any", "tool", "none"]
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


class Thinking(msgspec.Struct):
    """How the model is to think, and whether the client sees it."""

    type: Literal["enabled", "disabled", "adaptive", "between_tools"]
    budget_tokens: Annotated[int, Meta(ge=1024, le=1 << 31)] | None = None
    display: Literal["summarized", "omitted"] | None = None


class OutputFormat(msgspec.Struct):
    """A schema that the answer has to fit."""

    type: Literal["json_schema"]
    schema: dict[str, msgspec.Raw]


class OutputConfig(msgspec.Struct):
    """How much work goes into the answer, and what form it has."""

    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = None
    format: OutputFormat | None = None


class Metadata(msgspec.Struct):
    """About the request."""

    user_id: str | None = None


class Prompt(msgspec.Struct, kw_only=True):
    """What the model is given to read."""

    model: Name
    messages: Annotated[list[Turn], Meta(min_length=1)]
    system: str | list[TextBlock] | None = None
    tools: list[Tool] | None = None


class CountTokensRequest(Prompt, kw_only=True):
    """A question about the length of a prompt."""


class MessagesRequest(Prompt, kw_only=True):
    """A request for a message."""

    max_tokens: Count
    tool_choice: ToolChoice | None = None
    thinking: Thinking | None = None
    output_config: OutputConfig | None = None
    stop_sequences: list[str] | None = None
    stream: bool | None = None
    temperature: Annotated[float, Meta(ge=0, le=1)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    top_k: Annotated[int, Meta(ge=0, le=1 << 31)] | None = None
    metadata: Metadata | None = None
    mcp_servers: list[Any] | None = None
    thread: dict[str, Any] | None = None
    compaction: dict[str, Any] | None = None
