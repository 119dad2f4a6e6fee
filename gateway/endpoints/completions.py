"""``POST /v1/completions``: OpenAI's older text completion."""

from __future__ import annotations

import msgspec
from fastapi import APIRouter, Request, Response

from classifiers.types import Conversation
from gateway.calls.errand import Errand, Outgoing
from gateway.calls.forward import forward
from gateway.endpoints.chat import BYTES_PER_TOKEN
from gateway.endpoints.deciding import decide, read_choices
from gateway.exchange import Call, Exchange, Reply, StreamReply
from gateway.upstream.pool import Backend
from gateway.wire.body import Parsed, parse
from gateway.wire.chat import CompletionRequest
from gateway.wire.openapi import describe
from router.types import Needs, RouteRequest

routes = APIRouter(tags=["OpenAI"])


@routes.post("/v1/completions", **describe(CompletionRequest, "Create a text completion", streams=True))
async def completions(request: Request) -> Response:
    """Continue a text with the model that it needs."""
    return Exchange(request, "completions", serve_completion)


async def serve_completion(call: Call) -> Reply | StreamReply:
    """Parse, decide, forward."""
    completion = parse(call.body, CompletionRequest)
    request = completion.typed
    call.wants_stream = bool(request.stream)
    choices = read_choices(call.headers, {})
    asked = RouteRequest(
        model=request.model,
        conversation=Conversation.from_prompt(_text(request)),
        needs=Needs(
            prompt_tokens=len(bytes(completion.fields["prompt"])) // BYTES_PER_TOKEN, max_tokens=request.max_tokens
        ),
        tier=choices.tier,
        dial=choices.dial,
    )
    options = request.stream_options
    errand = Errand(
        path="completions",
        fields=completion.fields,
        prepare=lambda backend, _target: _prepare(completion, backend),
        stream=bool(request.stream),
        usage_asked=bool(options and options.include_usage),
        resume=(lambda backend, _target, said, tokens: _resume(completion, backend, said, tokens))
        if _can_be_resumed(completion)
        else None,
    )
    return await forward(call, await decide(call, asked), errand)


def _can_be_resumed(completion: Parsed[CompletionRequest]) -> bool:
    """Whether prompt and text so far are a prompt for the rest."""
    request = completion.typed
    others = completion.decode(("best_of", "suffix", "echo", "logprobs")).values()
    return bool(request.stream) and isinstance(request.prompt, str) and (request.n or 1) == 1 and not any(others)


def _resume(completion: Parsed[CompletionRequest], backend: Backend, said: str, tokens: int) -> Outgoing:
    """Write the request to go on with a text."""
    request = completion.typed
    changes: dict[str, object] = {"prompt": f"{request.prompt}{said}"}
    if request.max_tokens is not None:
        changes["max_tokens"] = max(1, request.max_tokens - tokens)
    fields = {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in changes.items()}
    return _prepare(Parsed(request, {**completion.fields, **fields}), backend)


def _prepare(completion: Parsed[CompletionRequest], backend: Backend) -> Outgoing:
    """Write the request for one backend. This API has no thinking to switch."""
    changes: dict[str, object] = {"model": backend.settings.model}
    if completion.typed.stream:
        written = completion.decode(("stream_options",)).get("stream_options") or {}
        changes["stream_options"] = {**written, "include_usage": True}
    return Outgoing(completion.with_fields(changes), "")


def _text(request: CompletionRequest) -> str:
    """Give the prompt's text; token ids say nothing to the difficulty model."""
    if isinstance(request.prompt, str):
        return request.prompt
    return "\n".join(prompt for prompt in request.prompt if isinstance(prompt, str))
