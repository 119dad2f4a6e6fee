"""The requests that OpenAI's API documents, as types: what each field may be and how large.

Written from the API reference (Chat Completions, Completions, Embeddings). Fields that OpenAI does not
document are passed over by the decoder; the few that switch thinking on in other families are listed.
"""

# ruff: noqa: D101 - the API reference describes these types better than their names could be said again
from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

Name = Annotated[str, Meta(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
Penalty = Annotated[float, Meta(ge=-2, le=2)]
Positive = Annotated[int, Meta(ge=1)]
TokenIds = Annotated[list[Annotated[int, Meta(ge=0)]], Meta(min_length=1)]
TextsOrTokens = Annotated[list[str | int | TokenIds], Meta(min_length=1)]
"""Texts, or one text's token ids, or several texts' token ids; `validate` refuses a mixture."""


class TextPart(Struct, tag="text", tag_field="type"):
    text: str


class ImageUrl(Struct):
    url: Annotated[str, Meta(pattern=r"^(https?://|data:image/)")]
    detail: Literal["auto", "low", "high"] | None = None


class ImagePart(Struct, tag="image_url", tag_field="type"):
    image_url: ImageUrl


class InputAudio(Struct):
    data: Annotated[str, Meta(min_length=1)]
    format: Literal["wav", "mp3"]


class AudioPart(Struct, tag="input_audio", tag_field="type"):
    input_audio: InputAudio


class FilePart(Struct, tag="file", tag_field="type"):
    file: dict[str, Any]


class RefusalPart(Struct, tag="refusal", tag_field="type"):
    refusal: str


UserPart = TextPart | ImagePart | AudioPart | FilePart
Parts = Annotated[list[UserPart], Meta(min_length=1)]
TextParts = Annotated[list[TextPart], Meta(min_length=1)]
AssistantParts = Annotated[list[TextPart | RefusalPart], Meta(min_length=1)]


class CalledFunction(Struct):
    name: str
    arguments: str


class FunctionCall(Struct, tag="function", tag_field="type"):
    id: str
    function: CalledFunction


class CalledCustom(Struct):
    name: str
    input: str


class CustomCall(Struct, tag="custom", tag_field="type"):
    id: str
    custom: CalledCustom


class SystemMessage(Struct, tag="system", tag_field="role"):
    content: str | TextParts
    name: str | None = None


class DeveloperMessage(Struct, tag="developer", tag_field="role"):
    content: str | TextParts
    name: str | None = None


class UserMessage(Struct, tag="user", tag_field="role"):
    content: str | Parts
    name: str | None = None


class AssistantMessage(Struct, tag="assistant", tag_field="role"):
    content: str | AssistantParts | None = None
    name: str | None = None
    refusal: str | None = None
    audio: dict[str, Any] | None = None
    function_call: CalledFunction | None = None
    tool_calls: Annotated[list[FunctionCall | CustomCall], Meta(min_length=1)] | None = None


class ToolMessage(Struct, tag="tool", tag_field="role"):
    tool_call_id: str
    content: str | TextParts


class FunctionMessage(Struct, tag="function", tag_field="role"):
    name: str
    content: str | None


Message = SystemMessage | DeveloperMessage | UserMessage | AssistantMessage | ToolMessage | FunctionMessage


class Function(Struct):
    name: Name
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class FunctionTool(Struct, tag="function", tag_field="type"):
    function: Function


class Custom(Struct):
    name: Name
    description: str | None = None
    format: dict[str, Any] | None = None


class CustomTool(Struct, tag="custom", tag_field="type"):
    custom: Custom


Tool = FunctionTool | CustomTool


class Named(Struct):
    name: str


class FunctionChoice(Struct, tag="function", tag_field="type"):
    function: Named


class CustomChoice(Struct, tag="custom", tag_field="type"):
    custom: Named


class AllowedTools(Struct):
    mode: Literal["auto", "required"]
    tools: Annotated[list[FunctionChoice | CustomChoice], Meta(min_length=1)]


class AllowedChoice(Struct, tag="allowed_tools", tag_field="type"):
    allowed_tools: AllowedTools


ToolChoice = Literal["none", "auto", "required"] | FunctionChoice | CustomChoice | AllowedChoice


class TextFormat(Struct, tag="text", tag_field="type"):
    pass


class JsonObjectFormat(Struct, tag="json_object", tag_field="type"):
    pass


class JsonSchema(Struct):
    name: Name
    description: str | None = None
    schema: dict[str, Any] | None = None
    strict: bool | None = None


class JsonSchemaFormat(Struct, tag="json_schema", tag_field="type"):
    json_schema: JsonSchema


class StreamOptions(Struct):
    include_usage: bool | None = None
    include_obfuscation: bool | None = None


Stop = str | Annotated[list[str], Meta(min_length=1, max_length=4)]
LogitBias = dict[str, Annotated[float, Meta(ge=-100, le=100)]]
Metadata = Annotated[dict[str, str], Meta(max_length=16)]


class ChatRequest(Struct, kw_only=True):
    """The body of `POST /v1/chat/completions`."""

    model: Annotated[str, Meta(min_length=1)]
    messages: Annotated[list[Message], Meta(min_length=1)]
    audio: dict[str, Any] | None = None
    frequency_penalty: Penalty | None = None
    function_call: str | Named | None = None
    functions: Annotated[list[Function], Meta(min_length=1, max_length=128)] | None = None
    logit_bias: LogitBias | None = None
    logprobs: bool | None = None
    max_completion_tokens: Positive | None = None
    max_tokens: Positive | None = None
    metadata: Metadata | None = None
    modalities: list[Literal["text", "audio"]] | None = None
    n: Annotated[int, Meta(ge=1, le=128)] | None = None
    parallel_tool_calls: bool | None = None
    prediction: dict[str, Any] | None = None
    presence_penalty: Penalty | None = None
    prompt_cache_key: str | None = None
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = None
    response_format: TextFormat | JsonObjectFormat | JsonSchemaFormat | None = None
    safety_identifier: str | None = None
    seed: int | None = None
    service_tier: Literal["auto", "default", "flex", "scale", "priority"] | None = None
    stop: Stop | None = None
    store: bool | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    tool_choice: ToolChoice | None = None
    tools: Annotated[list[Tool], Meta(min_length=1, max_length=128)] | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    user: str | None = None
    verbosity: Literal["low", "medium", "high"] | None = None
    web_search_options: dict[str, Any] | None = None
    # How other families switch thinking (DeepSeek, Kimi, GLM; DashScope; vLLM and SGLang; OpenRouter).
    thinking: dict[str, Any] | None = None
    enable_thinking: bool | None = None
    chat_template_kwargs: dict[str, Any] | None = None
    reasoning: dict[str, Any] | None = None
    # The stand-in's own switches for this one request.
    standin: dict[str, Any] | None = None

    def asks_to_think(self) -> bool:
        """Whether any family's switch turns thinking on; OpenAI's effort is asked last, as it is the vaguest."""
        template = self.chat_template_kwargs or {}
        if self.thinking is not None:
            return self.thinking.get("type") != "disabled"
        if self.enable_thinking is not None:
            return self.enable_thinking
        for switch in ("thinking", "enable_thinking"):
            if switch in template:
                return bool(template[switch])
        if self.reasoning is not None:
            return self.reasoning.get("enabled", True) is True and self.reasoning.get("effort") != "none"
        return self.reasoning_effort not in (None, "none")


class CompletionRequest(Struct, kw_only=True):
    """The body of `POST /v1/completions`."""

    model: Annotated[str, Meta(min_length=1)]
    prompt: str | TextsOrTokens
    best_of: Annotated[int, Meta(ge=1, le=20)] | None = None
    echo: bool | None = None
    frequency_penalty: Penalty | None = None
    logit_bias: LogitBias | None = None
    logprobs: Annotated[int, Meta(ge=0, le=5)] | None = None
    max_tokens: Annotated[int, Meta(ge=0)] | None = None
    n: Annotated[int, Meta(ge=1, le=128)] | None = None
    presence_penalty: Penalty | None = None
    seed: int | None = None
    stop: Stop | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    suffix: str | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    user: str | None = None
    standin: dict[str, Any] | None = None


class EmbeddingRequest(Struct, kw_only=True):
    """The body of `POST /v1/embeddings`."""

    model: Annotated[str, Meta(min_length=1)]
    input: Annotated[str, Meta(min_length=1)] | TextsOrTokens
    dimensions: Positive | None = None
    encoding_format: Literal["float", "base64"] | None = None
    user: str | None = None
    standin: dict[str, Any] | None = None
