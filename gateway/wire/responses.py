"""``POST /v1/responses``: the fields and items that the gateway looks at, after OpenAI's API reference.

Fields of a request that are not listed travel on to the backend unread, as they do in chat completions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from gateway.errors import InvalidField
from gateway.wire.chat import Count, Name

Include = Literal[
    "reasoning.encrypted_content",
    "message.output_text.logprobs",
    # These add to what hosted tools and stored files give, of which there is none here.
    "message.input_image.image_url",
    "file_search_call.results",
    "web_search_call.results",
    "web_search_call.action.sources",
    "computer_call_output.output.image_url",
    "code_interpreter_call.outputs",
]
Metadata = Annotated[dict[str, Annotated[str, Meta(max_length=512)]], Meta(max_length=16)]
ToolName = Annotated[str, Meta(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]


class InputText(Struct, tag="input_text", tag_field="type"):
    """Text from the caller."""

    text: str


class InputImage(Struct, tag="input_image", tag_field="type"):
    """An image by address or as a data URL; `file_id` names a file that only OpenAI has."""

    image_url: str | None = None
    file_id: str | None = None
    detail: str | None = None


class InputFile(Struct, tag="input_file", tag_field="type"):
    """A document as a data URL; the two other forms name what only OpenAI can fetch."""

    file_data: str | None = None
    filename: str | None = None
    file_id: str | None = None
    file_url: str | None = None


class InputAudio(Struct, tag="input_audio", tag_field="type"):
    """A sound: its data in base64 and its format."""

    input_audio: dict[str, Any]


class OutputText(Struct, tag="output_text", tag_field="type"):
    """Text from the model."""

    text: str


class Refusal(Struct, tag="refusal", tag_field="type"):
    """What the model said in place of an answer that it refused."""

    refusal: str


Part = InputText | InputImage | InputFile | InputAudio | OutputText | Refusal


class MessageItem(Struct, tag="message", tag_field="type"):
    """What somebody said."""

    role: Literal["user", "assistant", "system", "developer"]
    content: str | list[Part]


class FunctionCallItem(Struct, tag="function_call", tag_field="type"):
    """The model's call of a function; `arguments` is JSON in a string, as the model wrote it."""

    call_id: str
    name: str
    arguments: str


class FunctionCallOutputItem(Struct, tag="function_call_output", tag_field="type"):
    """What a called function gave."""

    call_id: str
    output: str | list[InputText | InputImage | InputFile]


class ReasoningText(Struct):
    """A piece of reasoning, or of its summary."""

    text: str


class ReasoningItem(Struct, tag="reasoning", tag_field="type"):
    """What the model thought before it spoke or called a function."""

    summary: list[ReasoningText] = []
    content: list[ReasoningText] | None = None
    encrypted_content: str | None = None


class ItemReference(Struct, tag="item_reference", tag_field="type"):
    """An item of a kept response, by its id."""

    id: str


Item = MessageItem | FunctionCallItem | FunctionCallOutputItem | ReasoningItem | ItemReference


class Tool(Struct):
    """A tool. Types other than `function` are hosted by OpenAI and refused."""

    type: str
    name: ToolName | None = None
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class TextFormat(Struct):
    """``text``, ``json_object`` or ``json_schema``."""

    type: Literal["text", "json_object", "json_schema"] = "text"
    name: ToolName | None = None
    schema: dict[str, Any] | None = None
    description: str | None = None
    strict: bool | None = None


class TextOptions(Struct):
    """How the answer is written."""

    format: TextFormat = msgspec.field(default_factory=TextFormat)
    verbosity: Literal["low", "medium", "high"] | None = None


class ReasoningOptions(Struct):
    """How hard to think, and whether the reasoning is wanted as a summary, or not at all (OpenRouter's `exclude`)."""

    effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = None
    summary: Literal["auto", "concise", "detailed"] | None = None
    exclude: bool | None = None


class ResponsesRequest(Struct, kw_only=True):
    """A request for a response."""

    model: Name
    input: str | list[dict[str, Any]] = []
    instructions: str | None = None
    previous_response_id: str | None = None
    stream: bool | None = None
    stream_options: dict[str, Any] | None = None
    background: bool | None = None
    store: bool | None = None
    include: list[Include] | None = None
    tools: list[Tool] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    max_tool_calls: int | None = None
    text: TextOptions | None = None
    reasoning: ReasoningOptions | None = None
    include_reasoning: bool | None = None
    max_output_tokens: Count | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    truncation: Literal["auto", "disabled"] | None = None
    metadata: Metadata | None = None
    user: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: str | None = None
    service_tier: str | None = None
    # What needs state or services that only OpenAI has; refused when given.
    conversation: Any = None
    prompt: Any = None
    context_management: Any = None
    moderation: Any = None


KNOWN_FIELDS = frozenset(ResponsesRequest.__struct_fields__)


def read_item(item: Mapping[str, Any], place: str) -> Item:
    """Check one item of a conversation; `place` is its path in the request, for errors.

    Raises:
        InvalidField: it has no form that is understood here.
    """
    try:
        return msgspec.convert({**item, "type": kind_of(item)}, Item)  # type: ignore[no-any-return]
    except msgspec.ValidationError as error:
        what, _, path = str(error).partition(" - at `$")
        param = place + path.rstrip("`")
        raise InvalidField(f"Invalid request. '{param}': {what.replace('`', chr(39))}.", param=param) from None


def kind_of(item: Mapping[str, Any]) -> Any:
    """Give an item's type. A message may go without, and so may a reference, which is an id alone."""
    return item.get("type") or ("item_reference" if item.keys() <= {"id", "type"} else "message")
