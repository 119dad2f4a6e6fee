"""``POST /v1/completions``: OpenAI's older text completion."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from classifiers.types import Conversation
from gateway.endpoints.chat import BYTES_PER_TOKEN
from gateway.endpoints.deciding import decide, read_choices
from gateway.exchange import Call, Exchange, Reply, StreamReply
from gateway.forward import Errand, Outgoing, forward
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
    )
    return await forward(call, await decide(call, asked), errand)


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
