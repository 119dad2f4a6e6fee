"""LiteLLM in the gateway's place: the same questions, the same stand-ins, asked as its documentation says.

That is ``litellm.acompletion`` with the provider's prefix before the model's id, ``reasoning_effort``, and
``drop_params=True``, by which it leaves out what a model does not take. Its proxy makes the same call. A stream is put
together by its own ``stream_chunk_builder``, and a client that keeps reasoning sends back what that gave it.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from gateway.upstream.litellm import load_litellm
from tests.conformance.rows import Row
from tests.conformance.trials import Told
from tests.conformance.world import World

VERSION = version("litellm")

_PREFIX = {
    "anthropic": "anthropic", "azure": "azure", "dashscope": "dashscope", "deepseek": "deepseek", "gemini": "gemini",
    "minimax": "minimax", "moonshot": "moonshot", "openai": "openai", "openrouter": "openrouter", "vllm": "hosted_vllm",
    "xai": "xai", "zai": "zai",
    # No provider of its own: reached as anything that speaks as OpenAI does.
    "sglang": "openai", "stepfun": "openai",
}  # fmt: skip
"""https://docs.litellm.ai/docs/providers. A host that nobody describes is not tried."""

_BASE = {"anthropic": "", "azure": "", "gemini": "/v1beta"}
"""What follows the row's name in the address; ``/v1`` at all others."""


_THROUGH_RESPONSES = frozenset({"gpt-5-pro", "gpt-5.x-pro"})
_TOOLS_THROUGH_RESPONSES = frozenset({"gpt-5.5", "gpt-5.6", "gpt-6"})
"""Families that it asks through the Responses API, which the stand-ins do not speak: always, or with tools."""


def why_untried(row: Row) -> str:
    """Say why LiteLLM is not tried on a row; "" if it is."""
    if row.host not in _PREFIX:
        return "nobody documents this host"
    if row.family in _THROUGH_RESPONSES and row.host in ("openai", "azure"):
        return "it asks these through the Responses API, which the stand-in does not speak"
    return ""


def loops_are_tried(row: Row) -> bool:
    """Whether LiteLLM is tried on a row's tool loops."""
    return row.family not in _TOOLS_THROUGH_RESPONSES or row.host not in ("openai", "azure")


async def ask_litellm(world: World, row: Row, messages: list[dict[str, Any]], *, stream: bool, **fields: Any) -> Told:
    """Ask a row's stand-in through LiteLLM, in the manner of `trials.ask`; its errors are its answer's fault."""
    litellm = load_litellm()
    before = len(world.bodies[row.name])
    try:
        answer = await litellm.acompletion(
            model=f"{_PREFIX[row.host]}/{row.model}",
            api_base=f"{world.url}/{row.name}{_BASE.get(row.host, '/v1')}",
            api_key="key",
            api_version="2024-12-01-preview" if row.host == "azure" else None,
            messages=messages,
            stream=stream,
            drop_params=True,
            num_retries=0,
            _skip_mcp_handler=True,  # else it wants a package for tools of its proxy, which these are not
            **fields,
        )
        if stream:
            answer = litellm.stream_chunk_builder([chunk async for chunk in answer], messages=messages)
    except Exception as error:  # noqa: BLE001  whatever it raises is what its caller gets
        return Told(sent=_sent(world, row, before), fault=_fault(error))
    message = {"content": None, **answer.choices[0].message.model_dump(exclude_none=True)}
    provider = world.providers[row.name]
    return Told(message, {}, _sent(world, row, before), provider.minds[-1], lost=provider.lost)


def _sent(world: World, row: Row, before: int) -> dict[str, Any]:
    return world.bodies[row.name][-1] if len(world.bodies[row.name]) > before else {}


def _fault(error: Exception) -> str:
    return f"{getattr(error, 'status_code', '')} {getattr(error, 'message', error)}".strip()
