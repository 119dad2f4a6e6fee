"""Strict checking of requests: what OpenAI refuses is refused, with OpenAI's words, codes and statuses."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from gateway.standin.behaviour import Behaviour
from gateway.standin.schema import SchemaError, check_schema
from gateway.standin.wire import (
    AllowedChoice,
    AssistantMessage,
    ChatRequest,
    CompletionRequest,
    CustomChoice,
    EmbeddingRequest,
    FunctionChoice,
    FunctionTool,
    JsonObjectFormat,
    JsonSchemaFormat,
    Tool,
    ToolMessage,
)


class Refusal(Exception):
    """An error answer in OpenAI's shape."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        kind: str = "invalid_request_error",
        param: str | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"error": {"message": message, "type": kind, "param": param, "code": code}}


ModelRequest = ChatRequest | CompletionRequest | EmbeddingRequest

_DECODERS: dict[type, msgspec.json.Decoder[Any]] = {
    request: msgspec.json.Decoder(request) for request in (ChatRequest, CompletionRequest, EmbeddingRequest)
}
_UNDOCUMENTED = {"thinking", "enable_thinking", "chat_template_kwargs", "reasoning"}
_OWN_FIELD = "standin"


def parse(body: bytes, request_type: type[ModelRequest], *, refuse_unknown: bool = False) -> ModelRequest:
    """Return the checked request.

    Raises:
        Refusal: 400, naming the field, for anything that the API's documentation does not allow.

    """
    try:
        request: ModelRequest = _DECODERS[request_type].decode(body)
    except msgspec.ValidationError as error:
        raise _unfit_field(str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refusal(
            "We could not parse the JSON body of your request. (HINT: This likely means you aren't using "
            "your HTTP library correctly. The OpenAI API expects a JSON payload, but what was sent was not "
            "valid JSON.)"
        ) from error
    if refuse_unknown:
        _check_names(body, request_type)
    if isinstance(request, ChatRequest):
        _check_chat(request)
    elif isinstance(request, CompletionRequest):
        _check_completion(request)
    else:
        _check_same_type(request.input, "input")
    return request


def check_key(authorization: bytes | None, behaviour: Behaviour) -> None:
    """Refuse a missing or wrong bearer token where a key is set."""
    if behaviour.api_key is None:
        return
    if not authorization:
        raise Refusal(
            "You didn't provide an API key. You need to provide your API key in an Authorization header "
            "using Bearer auth (i.e. Authorization: Bearer YOUR_KEY).",
            status=401,
        )
    scheme, _, token = authorization.decode("latin-1").partition(" ")
    if scheme.lower() != "bearer" or token.strip() != behaviour.api_key:
        raise Refusal("Incorrect API key provided.", status=401, code="invalid_api_key")


def check_model(model: str, behaviour: Behaviour) -> None:
    """Refuse a model that does not exist, where a list of models is set."""
    if behaviour.models and model not in behaviour.models:
        raise Refusal(
            f"The model `{model}` does not exist or you do not have access to it.",
            status=404,
            code="model_not_found",
        )


def check_window(prompt_tokens: int, answer_tokens: int | None, behaviour: Behaviour) -> None:
    """Refuse a prompt that, with the room asked for the answer, exceeds the context window."""
    window = behaviour.context_window
    if window is None or prompt_tokens + (answer_tokens or 0) <= window:
        return
    asked = f"your messages resulted in {prompt_tokens} tokens"
    if answer_tokens:
        total = prompt_tokens + answer_tokens
        asked = f"you requested {total} tokens ({prompt_tokens} in the messages, {answer_tokens} in the completion)"
    raise Refusal(
        f"This model's maximum context length is {window} tokens. However, {asked}. "
        "Please reduce the length of the messages or completion.",
        param="messages",
        code="context_length_exceeded",
    )


# What msgspec says of a field, and how OpenAI says it.
_PLACE = re.compile(r" - at `\$\.?(?P<path>[^`]*)`$")
_MISSING = re.compile(r"Object missing required field `(?P<field>[^`]+)`")
_WRONG_TYPE = re.compile(r"Expected `(?P<expected>[^`]+)`, got `(?P<got>[^`]+)`$")
_BOUND = re.compile(r"Expected `(?P<type>int|float)` (?P<bound>[<>]=? .+)$")
_LENGTH = re.compile(r"Expected `(?P<type>\w+)` of length (?P<bound>[<>]=) (?P<size>\d+)$")
_SIDES = {"<": "above_max_value", ">": "below_min_value"}
_KINDS = {"int": "integer", "float": "decimal"}


def _unfit_field(complaint: str) -> Refusal:
    place = _PLACE.search(complaint)
    path = place["path"] if place else ""
    what = complaint[: place.start()] if place else complaint
    if missing := _MISSING.match(what):
        name = f"{path}.{missing['field']}" if path else missing["field"]
        return Refusal(f"Missing required parameter: '{name}'.", param=name, code="missing_required_parameter")
    if wrong := _WRONG_TYPE.match(what):
        told = f"Invalid type for '{path}': expected {wrong['expected']}, but got {wrong['got']} instead."
        return Refusal(told, param=path or None, code="invalid_type")
    return Refusal(f"Invalid '{path}': {what}.", param=path or None, code=_code_of(what))


def _code_of(what: str) -> str:
    if bound := _BOUND.match(what):
        return f"{_KINDS[bound['type']]}_{_SIDES[bound['bound'][0]]}"
    if length := _LENGTH.match(what):
        if length["bound"] == ">=" and length["size"] == "1":
            return f"empty_{length['type']}"
        return f"{length['type']}_{'above_max' if length['bound'] == '<=' else 'below_min'}_length"
    return "invalid_value"


def _check_names(body: bytes, request_type: type) -> None:
    known = {field.name for field in msgspec.structs.fields(request_type)} - _UNDOCUMENTED
    for name in msgspec.json.decode(body):
        if name not in known and name != _OWN_FIELD:
            raise Refusal(f"Unrecognized request argument supplied: {name}", param=name, code="unknown_parameter")


def _check_completion(request: CompletionRequest) -> None:
    _check_same_type(request.prompt, "prompt")
    if request.stream_options is not None and not request.stream:
        raise _STREAM_OPTIONS
    if request.best_of is not None and request.best_of < (request.n or 1):
        raise Refusal("best_of must be greater than or equal to n.", param="best_of")


def _check_same_type(given: str | Sequence[object], field: str) -> None:
    if not isinstance(given, str) and len({type(item) for item in given}) > 1:
        raise Refusal(
            f"Invalid type for '{field}': texts and tokens cannot be mixed.", param=field, code="invalid_type"
        )


def _check_chat(request: ChatRequest) -> None:
    _check_conversation(request)
    _check_tools(request)
    _check_format(request)
    if request.stream_options is not None and not request.stream:
        raise _STREAM_OPTIONS
    if request.top_logprobs is not None and not request.logprobs:
        raise Refusal("'top_logprobs' is only allowed when 'logprobs' is enabled.", param="top_logprobs")
    if request.max_tokens is not None and request.max_completion_tokens is not None:
        raise Refusal(
            "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.",
            param="max_tokens",
            code="invalid_parameter_combination",
        )


_STREAM_OPTIONS = Refusal(
    "The 'stream_options' parameter is only allowed when 'stream' is enabled.", param="stream_options"
)


def _check_conversation(request: ChatRequest) -> None:
    """Each assistant message's tool calls must be answered, all of them, by the tool messages right after it."""
    waiting: set[str] = set()
    open_turn = False
    for index, message in enumerate(request.messages):
        if isinstance(message, ToolMessage):
            if not open_turn:
                raise Refusal(
                    "Invalid parameter: messages with role 'tool' must be a response to a preceding message "
                    "with 'tool_calls'.",
                    param=f"messages.[{index}].role",
                )
            if message.tool_call_id not in waiting:
                raise Refusal(
                    f"Invalid parameter: 'tool_call_id' of '{message.tool_call_id}' not found in 'tool_calls' of "
                    "previous message.",
                    param=f"messages.[{index}].tool_call_id",
                )
            waiting.discard(message.tool_call_id)
            continue
        _check_answered(waiting, index)
        open_turn = False
        if isinstance(message, AssistantMessage):
            _check_says_something(message, index)
            waiting = {call.id for call in message.tool_calls or ()}
            open_turn = bool(waiting)
    _check_answered(waiting, len(request.messages))


def _check_answered(waiting: set[str], index: int) -> None:
    if waiting:
        raise Refusal(
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
            f"'tool_call_id'. The following tool_call_ids did not have response messages: {', '.join(sorted(waiting))}",
            param=f"messages.[{index}].role",
        )


def _check_says_something(message: AssistantMessage, index: int) -> None:
    spoken = (message.content, message.refusal, message.tool_calls, message.function_call, message.audio)
    if all(part is None for part in spoken):
        raise Refusal(
            f"Invalid value for 'content' of messages.[{index}]: expected a string, got null.",
            param=f"messages.[{index}].content",
        )


def name_of(tool: Tool) -> str:
    """Return the name that a tool is called by."""
    return tool.function.name if isinstance(tool, FunctionTool) else tool.custom.name


def _check_tools(request: ChatRequest) -> None:
    if request.tools is None:
        for field in ("tool_choice", "parallel_tool_calls"):
            if getattr(request, field) is not None:
                raise Refusal(f"'{field}' is only allowed when 'tools' are specified.", param=field)
        return
    offered = {name_of(tool) for tool in request.tools}
    for name in _chosen_names(request):
        if name not in offered:
            raise Refusal(f"Tool choice '{name}' not found in 'tools' parameter.", param="tool_choice")
    for index, tool in enumerate(request.tools):
        if isinstance(tool, FunctionTool) and tool.function.parameters is not None:
            function, param = tool.function, f"tools[{index}].function.parameters"
            _check_schema(tool.function.parameters, param, function.name, strict=bool(function.strict))


def _chosen_names(request: ChatRequest) -> Iterator[str]:
    choice = request.tool_choice
    choices = choice.allowed_tools.tools if isinstance(choice, AllowedChoice) else [choice]
    for chosen in choices:
        if isinstance(chosen, FunctionChoice):
            yield chosen.function.name
        elif isinstance(chosen, CustomChoice):
            yield chosen.custom.name


def _check_format(request: ChatRequest) -> None:
    wanted = request.response_format
    if isinstance(wanted, JsonObjectFormat) and b"json" not in msgspec.json.encode(request.messages).lower():
        raise Refusal(
            "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'.",
            param="messages",
        )
    if isinstance(wanted, JsonSchemaFormat):
        schema = wanted.json_schema.schema
        if schema is None:
            raise Refusal(
                "Missing required parameter: 'response_format.json_schema.schema'.",
                param="response_format.json_schema.schema",
                code="missing_required_parameter",
            )
        _check_schema(schema, "response_format", wanted.json_schema.name, strict=bool(wanted.json_schema.strict))


def _check_schema(schema: dict[str, Any], param: str, name: str, *, strict: bool) -> None:
    """Refuse what is no schema and, in strict mode, objects that stay open or leave a property optional."""
    try:
        check_schema(schema)
    except SchemaError as error:
        raise Refusal(f"Invalid schema for '{name}': {error}", param=param, code="invalid_json_schema") from error
    if not strict:
        return
    for place, part in _objects_in(schema, ()):
        context = f"In context={place}, "
        if part.get("additionalProperties") is not False:
            problem = "'additionalProperties' is required to be supplied and to be false."
        elif missing := set(part.get("properties", ())) - set(part.get("required", ())):
            problem = (
                "'required' is required to be supplied and to be an array including every key in properties. "
                f"Missing '{min(missing)}'."
            )
        else:
            continue
        raise Refusal(f"Invalid schema for '{name}': {context}{problem}", param=param, code="invalid_json_schema")


def _objects_in(schema: Any, place: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """Yield every object schema with its place, from the outside in."""
    if isinstance(schema, list):
        for index, item in enumerate(schema):
            yield from _objects_in(item, (*place, str(index)))
    if not isinstance(schema, dict):
        return
    if schema.get("type") == "object" or "properties" in schema:
        yield place, schema
    for keyword in ("items", "anyOf", "allOf", "oneOf"):
        yield from _objects_in(schema.get(keyword), (*place, keyword))
    for keyword in ("properties", "$defs", "definitions"):
        for name, part in schema.get(keyword, {}).items():
            yield from _objects_in(part, (*place, keyword, name))
