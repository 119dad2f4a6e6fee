"""Providers that do not speak OpenAI's API (Anthropic, Bedrock, Vertex, Gemini …), through litellm: its only importer.

litellm costs seconds and over 100 MB, so that it is imported when a backend that needs it starts, and not before.
"""

from __future__ import annotations

import asyncio
import functools
import importlib.util
import logging
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import aiohttp
import msgspec

from gateway.errors import (
    UpstreamContentRefused,
    UpstreamContextExceeded,
    UpstreamError,
    UpstreamFailed,
    UpstreamMisconfigured,
    UpstreamRateLimited,
    UpstreamRefused,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from gateway.settings import BackendSettings, SettingsError, TimeoutSettings
from gateway.streaming import carries_output
from gateway.upstream.base import NO_CONTEXT
from gateway.upstream.refusals import kind_of_refusal

CHAT_FIELDS = frozenset({
    "audio", "frequency_penalty", "function_call", "functions", "logit_bias", "logprobs", "max_completion_tokens",
    "max_tokens", "messages", "modalities", "n", "parallel_tool_calls", "prediction", "presence_penalty",
    "prompt_cache_key", "response_format", "safety_identifier", "seed", "service_tier", "stop", "store", "stream",
    "stream_options", "temperature", "tool_choice", "tools", "top_logprobs", "top_p", "user", "verbosity",
    "web_search_options",
})  # fmt: skip
"""OpenAI's fields that litellm translates for every provider, or drops where the provider knows nothing of the kind.

litellm takes its own steering (``api_base``, ``custom_llm_provider``, callbacks, credentials …) from the same keyword
arguments. A caller must not reach those, so that nothing outside these lists becomes one.
"""

NATIVE_FIELDS = frozenset({
    "cache_control", "container", "context_management", "guardrailConfig", "mcp_servers", "output_config",
    "performanceConfig", "reasoning_effort", "requestMetadata", "speed", "thinking", "top_k",
})  # fmt: skip
"""Fields of the providers' own APIs that litellm carries by name. What the dialects compile is among them."""

EMBEDDING_FIELDS = frozenset({"dimensions", "encoding_format", "input", "input_type", "task_type", "truncate", "user"})

_OPENAI = frozenset({"azure", "azure_text", "custom_openai", "openai", "text-completion-openai"})
"""Providers reached through the openai package, as are those that litellm lists as compatible."""

_WITHHELD = frozenset({"model", "azure_ad_token"})
"""Taken from `extra_body` by litellm, and not the caller's to say."""

_ENVIRONMENT = {
    "LITELLM_MODE": "PRODUCTION",  # else a .env file is read
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # else this and the next are fetched from the web
    "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",
}
_NEEDS = {"bedrock": "boto3", "sagemaker": "boto3", "sagemaker_chat": "boto3", "vertex_ai": "google.auth"}
"""What litellm imports for a provider but does not depend on."""

_OUR_FAULT = {HTTPStatus.UNAUTHORIZED, HTTPStatus.PAYMENT_REQUIRED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND}
_PASSED_ON: Mapping[int, HTTPStatus] = {
    HTTPStatus.CONFLICT: HTTPStatus.CONFLICT,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    HTTPStatus.UNPROCESSABLE_ENTITY: HTTPStatus.UNPROCESSABLE_ENTITY,
}
_WORDS: Mapping[type[UpstreamError], str] = {
    UpstreamMisconfigured: "refused the gateway's key, address or model id, or lacks a package",
    UpstreamRateLimited: "is rate-limiting",
    UpstreamUnreachable: "cannot be reached",
    UpstreamTimeout: "did not answer in time",
    UpstreamFailed: "failed, broke off or sent what is not an answer",
}
_FINISH_REASONS = ("received_finish_reason", "intermittent_finish_reason")
"""Where litellm's stream keeps what the provider said of its end. A few providers have a stream without."""

DONE = b"data: [DONE]\n\n"


@dataclass(slots=True)
class _Exchange:
    """What one call sent and received."""

    sent: int = 0
    responses: list[Any] = field(default_factory=list)
    """Kept to be closed with the call: litellm itself leaves most streams to the garbage collector."""


_exchange: ContextVar[_Exchange] = ContextVar("exchange")


@functools.cache
def load_litellm() -> Any:
    """Import litellm, without its fetching, printing, logging, retrying or calling home."""
    os.environ.update(_ENVIRONMENT)
    import litellm

    litellm.suppress_debug_info = True
    litellm.turn_off_message_logging = True
    litellm.redact_messages_in_exceptions = True
    litellm.disable_hf_tokenizer_download = True
    for name in ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy"):
        logger = logging.getLogger(name)  # what it says may hold prompts
        logger.setLevel(logging.CRITICAL + 1)
        logger.handlers.clear()
    return litellm


@functools.cache
def error_map() -> Mapping[type[BaseException], type[UpstreamError]]:
    """Give every exception that litellm raises for a call, and ours. The most specific base class decides."""
    raised = load_litellm().exceptions
    return {
        raised.AuthenticationError: UpstreamMisconfigured,
        raised.PermissionDeniedError: UpstreamMisconfigured,
        raised.PaymentRequiredError: UpstreamMisconfigured,
        raised.NotFoundError: UpstreamMisconfigured,
        raised.LiteLLMUnknownProvider: UpstreamMisconfigured,
        ImportError: UpstreamMisconfigured,
        raised.BadRequestError: UpstreamRefused,
        raised.InvalidRequestError: UpstreamRefused,
        raised.UnprocessableEntityError: UpstreamRefused,
        raised.RateLimitError: UpstreamRateLimited,
        raised.Timeout: UpstreamTimeout,
        TimeoutError: UpstreamTimeout,
        raised.InternalServerError: UpstreamFailed,
        raised.BadGatewayError: UpstreamFailed,
        raised.ServiceUnavailableError: UpstreamFailed,
        raised.APIConnectionError: UpstreamFailed,  # also litellm's word for whatever it did not foresee
        raised.APIResponseValidationError: UpstreamFailed,
        raised.APIError: UpstreamFailed,
        raised.OpenAIError: UpstreamFailed,
        Exception: UpstreamFailed,
    }


class LitellmUpstream:
    """One backend behind litellm. Its `model` is litellm's id, such as ``anthropic/claude-sonnet-4-5``.

    A `url` replaces the address that litellm knows for the provider (Anthropic's is written without ``/v1``).
    What `key` cannot say, litellm reads from the environment as the provider's own tools do: ``AWS_…`` for Bedrock,
    ``GOOGLE_APPLICATION_CREDENTIALS`` and ``VERTEXAI_…`` for Vertex.
    """

    def __init__(self, name: str, settings: BackendSettings) -> None:
        self._name = name
        self._settings = settings
        self._litellm: Any = None
        self._client: Any = None
        self._fields = CHAT_FIELDS
        self._extra_body = False
        self._call: dict[str, Any] = {}
        secrets = (settings.key, *settings.headers.values())
        self._secrets = tuple(secret.get_secret_value() for secret in secrets if secret)

    async def start(self) -> None:
        """Import litellm, off the event loop, and find out how it reaches the provider.

        Raises:
            SettingsError: litellm does not know the provider, or a package for it is missing.
        """
        self._litellm = await asyncio.to_thread(load_litellm)
        provider = self._find_provider()
        speaks_openai = provider in _OPENAI or provider in self._litellm.openai_compatible_providers
        gemini = provider == "gemini" or (provider.startswith("vertex_ai") and "gemini" in self._settings.model)
        self._extra_body = speaks_openai or gemini
        self._call = self._arguments()
        if not speaks_openai:  # those that do go through the openai package, which closes its own connections
            self._fields = CHAT_FIELDS | NATIVE_FIELDS
            self._call["client"] = self._client = self._open_client()

    async def open(
        self, path: str, body: bytes, context: Mapping[str, str] = NO_CONTEXT
    ) -> WholeAnswer | StreamedAnswer:
        """Call the provider and wait for its answer, or for the head of its stream.

        Raises:
            UpstreamError: anything but a success.
        """
        fields = msgspec.json.decode(body, type=dict[str, Any])
        traced = {"extra_headers": {**(self._call["extra_headers"] or {}), **context}} if context else {}
        if path == "chat/completions":
            return await self._call_provider(self._litellm.acompletion, self._chat_arguments(fields) | traced)
        if path == "embeddings":
            named = {name: value for name, value in fields.items() if name in EMBEDDING_FIELDS}
            return await self._call_provider(self._litellm.aembedding, named | traced)
        raise UpstreamRefused(
            f"Backend '{self._name}' serves chat completions and embeddings, and not {path}.",
            backend=self._name,
            status=HTTPStatus.BAD_REQUEST,
        )

    async def close(self) -> None:
        """Close the connections, and stop what litellm runs beside the calls."""
        if self._litellm is None:
            return
        if self._client is not None:
            await self._client.close()
        await self._litellm.close_litellm_async_clients()
        self._litellm.in_memory_llm_clients_cache.flush_cache()
        from litellm.litellm_core_utils.logging_worker import GLOBAL_LOGGING_WORKER

        await GLOBAL_LOGGING_WORKER.flush()
        await GLOBAL_LOGGING_WORKER.stop()

    def _find_provider(self) -> str:
        try:
            provider = str(self._litellm.get_llm_provider(self._settings.model)[1])
        except self._litellm.exceptions.BadRequestError:
            raise SettingsError(
                f"backends.{self._name}.model: litellm knows no provider for '{self._settings.model}'; "
                "write it as provider/model, such as anthropic/claude-sonnet-4-5"
            ) from None
        package = _NEEDS.get(provider)
        if package is not None and not _is_installed(package):
            install = package.replace(".", "-")
            raise SettingsError(f"backends.{self._name}: {provider} needs a package; pip install {install}")
        return provider

    def _arguments(self) -> dict[str, Any]:
        """Give what every call carries."""
        from httpx import Timeout  # comes with litellm

        settings = self._settings
        headers = {name: value.get_secret_value() for name, value in settings.headers.items()}
        return {
            "model": settings.model,
            "api_key": settings.key.get_secret_value() if settings.key else None,
            "api_base": str(settings.url).rstrip("/") if settings.url else None,
            "extra_headers": headers or None,
            "timeout": Timeout(settings.timeouts.total, connect=settings.timeouts.connect),
            "num_retries": 0,
            "drop_params": True,
        }

    def _open_client(self) -> Any:
        """Open a pool of connections that repeats no request, tells a call of its responses and follows no redirect."""
        from litellm.llms.custom_httpx.http_handler import AsyncHTTPHandler

        connect = self._settings.timeouts.connect

        async def before(request: Any) -> None:
            exchange = _exchange.get()
            if exchange.sent > len(exchange.responses):
                raise ConnectionAbortedError  # litellm tries again after a reset; whether we do is not its choice
            exchange.sent += 1
            request.extensions["timeout"]["connect"] = connect  # litellm knows one deadline for most providers

        async def after(response: Any) -> None:
            _exchange.get().responses.append(response)

        hooks = {"request": [before], "response": [after]}
        return AsyncHTTPHandler(event_hooks=hooks, follow_redirects=False)

    def _chat_arguments(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Sort a request's fields: litellm's to translate, the provider's own, and those that lead nowhere."""
        arguments = {name: value for name, value in fields.items() if name in self._fields}
        taken = self._fields | _WITHHELD
        others = {name: value for name, value in fields.items() if name not in taken}
        if self._extra_body and others:
            arguments["extra_body"] = others if self._client is None else _native_gemini(others)
        # Compiled by the dialects already: litellm's opinion of what a model can do must not drop it.
        arguments["allowed_openai_params"] = ["thinking"]
        arguments["_skip_mcp_handler"] = True  # tools named like those of litellm's proxy are the provider's business
        return arguments

    async def _call_provider(self, call: Any, arguments: dict[str, Any]) -> WholeAnswer | StreamedAnswer:
        timeouts = self._settings.timeouts
        try:
            # A plain answer begins when it is complete, so that the first deadline holds for all of it.
            async with _exchanging() as exchange, asyncio.timeout(min(timeouts.first_token, timeouts.total)):
                answer = await call(**(self._call | arguments))
        except Exception as error:
            raise self._translate(error) from error
        if arguments.get("stream"):
            return StreamedAnswer(answer, exchange.responses, timeouts, self._translate)
        return WholeAnswer(_encode(answer))

    def _translate(self, error: BaseException) -> UpstreamError:
        return translate(error, self._name, self._secrets)


class WholeAnswer:
    """An answer that came in one piece, in OpenAI's shape."""

    def __init__(self, body: bytes) -> None:
        self.headers: Mapping[str, str] = {"content-type": "application/json"}
        self._body = body

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """Give the whole body, as one piece."""
        yield self._body

    def abort(self, error: UpstreamError) -> None:
        """Nothing to stop: the body has been read."""

    async def close(self) -> None:
        """Nothing to let go of: the body has been read."""


class StreamedAnswer:
    """An answer being streamed: litellm's chunks, written as OpenAI's server-sent events."""

    def __init__(
        self, stream: Any, responses: list[Any], timeouts: TimeoutSettings, translate: Callable[..., UpstreamError]
    ) -> None:
        self.headers: Mapping[str, str] = {"content-type": "text/event-stream"}
        self._stream = stream
        self._responses = responses
        self._timeouts = timeouts
        self._translate = translate
        self._waiting: asyncio.Timeout | None = None
        self._aborted: UpstreamError | None = None

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """Read the events one by one, each within the idle deadline, all within the total one.

        Until the first output a model may think in silence for as long as before any answer.
        """
        loop, timeouts = asyncio.get_running_loop(), self._timeouts
        end, patience_s = loop.time() + timeouts.total, max(timeouts.idle, timeouts.first_token)
        try:
            while True:
                async with asyncio.timeout_at(min(end, loop.time() + patience_s)) as self._waiting:
                    chunk = await anext(self._stream, None)
                self._waiting = None
                if self._aborted is not None:
                    raise self._aborted  # noqa: TRY301  one way out for all that ends the stream early
                if chunk is None:
                    break
                frame = b"data: " + self._encode_chunk(chunk) + b"\n\n"
                if carries_output(frame):
                    patience_s = timeouts.idle
                yield frame
        except Exception as error:
            raise self._aborted or self._translate(error) from error
        finally:
            await self.close()
        yield DONE

    def abort(self, error: UpstreamError) -> None:
        """Make the reader raise this error."""
        self._aborted = error
        if self._waiting is not None:
            self._waiting.reschedule(asyncio.get_running_loop().time())

    async def close(self) -> None:
        """Cut the connection, unless it has been given back."""
        await self._stream.aclose()
        await _close_all(self._responses)

    def _encode_chunk(self, chunk: Any) -> bytes:
        """Write one chunk.

        Raises:
            EOFError: the stream broke off; litellm would end it with a finish reason of its own making.
        """
        finished = any(choice.finish_reason for choice in chunk.choices)
        if finished and not any(getattr(self._stream, name, True) for name in _FINISH_REASONS):
            raise EOFError
        return _encode(chunk)


@asynccontextmanager
async def _exchanging() -> AsyncIterator[_Exchange]:
    """Watch one call; when it fails or is cancelled, close what it received."""
    exchange = _Exchange()
    token = _exchange.set(exchange)
    try:
        yield exchange
    except BaseException:
        await _close_all(exchange.responses)
        raise
    finally:
        _exchange.reset(token)


async def _close_all(responses: Iterable[Any]) -> None:
    for response in responses:
        await response.aclose()


def translate(error: BaseException, backend: str, secrets: Iterable[str] = ()) -> UpstreamError:
    """Map one of litellm's exceptions to ours. A refusal keeps the provider's own words, unless they hold a secret.

    litellm's messages are not used: they hold prompts, paths and advice.
    """
    cause = getattr(error, "original_exception", None) or error  # litellm wraps what breaks a stream
    kind = next(kind for base in type(cause).__mro__ if (kind := error_map().get(base)) is not None)
    if kind is UpstreamRefused:
        if (status := _status(cause)) not in _OUR_FAULT:
            return _refusal(cause, _PASSED_ON.get(status, HTTPStatus.BAD_REQUEST), backend, secrets)
        kind = UpstreamMisconfigured
    if kind in (UpstreamFailed, UpstreamTimeout) and _could_not_connect(cause):
        kind = UpstreamUnreachable
    failure = kind(f"Backend '{backend}' {_WORDS[kind]} ({type(cause).__name__}).", backend=backend)
    if kind is UpstreamRateLimited and (retry_after := _response_headers(cause).get("retry-after")):
        failure.headers["retry-after"] = retry_after
    return failure


def _refusal(error: BaseException, status: HTTPStatus, backend: str, secrets: Iterable[str]) -> UpstreamRefused:
    raised = load_litellm().exceptions
    message, kind = f"Backend '{backend}' refused the request ({type(error).__name__}).", UpstreamRefused
    words = next(_provider_words(error), None)
    if isinstance(error, raised.ContextWindowExceededError):
        message, kind = f"The request exceeds the context window of backend '{backend}'.", UpstreamContextExceeded
    elif isinstance(error, raised.ContentPolicyViolationError):
        kind = UpstreamContentRefused
    elif words is not None:
        kind = kind_of_refusal(words.encode())
    if words is None or any(secret in words for secret in secrets):
        words = message
    answer = {"message": words, "type": UpstreamRefused.type, "param": None, "code": kind.code}
    return kind(message, backend=backend, status=status, answer=msgspec.json.encode({"error": answer}))


class _ErrorObject(msgspec.Struct):
    message: str


class _ErrorBody(msgspec.Struct):
    """An error as providers write it: OpenAI, Anthropic and Google with an object inside, Bedrock without."""

    error: _ErrorObject | None = None
    message: str | None = None


_error_bodies = msgspec.json.Decoder(_ErrorBody)


def _provider_words(error: BaseException) -> Iterator[str]:
    """Find what the provider itself said, in the exception or in those that led to it."""
    for cause in _causes(error):
        match getattr(cause, "body", None), getattr(cause, "message", None):
            case {"message": str(words)}, _:
                yield words
            case _, str(text):
                yield from _words_in(text.encode())
            case _, bytes(text):
                yield from _words_in(text)


def _words_in(text: bytes) -> Iterator[str]:
    """Find the words in an error body, which litellm may have put something before."""
    try:
        said = _error_bodies.decode(text[text.find(b"{") :])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return
    if words := said.error.message if said.error else said.message:
        yield words


def _could_not_connect(error: BaseException) -> bool:
    failures = aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError  # litellm's httpx runs on aiohttp
    return any(isinstance(cause, failures) for cause in _causes(error))


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and what led to it, the latest first."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def _status(error: BaseException) -> int:
    """Give the provider's own status: litellm's exceptions carry those of their class."""
    statuses = [status for cause in _causes(error) if isinstance(status := getattr(cause, "status_code", None), int)]
    return statuses[-1] if statuses else HTTPStatus.BAD_REQUEST


def _response_headers(error: BaseException) -> Mapping[str, str]:
    headers: Mapping[str, str] | None = getattr(error, "litellm_response_headers", None)
    return headers or getattr(getattr(error, "response", None), "headers", {})


def _encode(answer: Any) -> bytes:
    """Write litellm's object as OpenAI would: nulls only where the API has them, nothing twice."""
    fields = answer.model_dump(exclude_none=True)
    for choice in fields.get("choices", ()):
        choice.setdefault("finish_reason", None)
        if "message" in choice:
            choice["message"].setdefault("content", None)
        part = choice.get("message") or choice.get("delta") or {}
        own = part.pop("provider_specific_fields", None) or {}
        if own := {name: value for name, value in own.items() if value and name not in part}:
            part["provider_specific_fields"] = own
    if "usage" in fields:
        fields["usage"].pop("cost", None)  # litellm's guess; the gateway has its own prices
        if fields["object"] == "chat.completion.chunk":
            fields["choices"] = []
    return msgspec.json.encode(fields)


def _native_gemini(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Move what the dialects write for Google's OpenAI-compatible endpoint to its place in Gemini's own API."""
    native = {name: value for name, value in fields.items() if name != "extra_body"}
    match fields.get("extra_body"):
        case {"google": {"thinking_config": thinking}}:
            native["generationConfig"] = {"thinkingConfig": thinking}
    return native


def _is_installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:  # its parent is missing
        return False
