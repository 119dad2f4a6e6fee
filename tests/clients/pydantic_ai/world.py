"""pydantic-ai's models as its pages show them, with nothing but the address changed."""

import sys
from pathlib import Path
from typing import Any

from anthropic import AsyncAnthropic
from openai import AsyncOpenAI
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.profiles.openai import OpenAIModelProfile
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider

sys.path.append(str(Path(__file__).parents[1] / "common"))

from checks import (
    PLACE,
    behave,
    body_seen,
    check,
    run_all,
    same,
    thoughts_sent_back,
)

__all__ = [
    "DROPPING", "PLACE", "anthropic", "behave", "body_seen", "check", "get_weather", "openai", "responses", "run_all",
    "same", "thoughts_sent_back",
]  # fmt: skip

V1 = f"{PLACE['gateway']}/v1"
DROPPING = OpenAIModelProfile(openai_chat_send_back_thinking_parts=False)
"""Makes pydantic-ai leave the reasoning out of the history; it sends it back by itself."""


def _provider() -> OpenAIProvider:
    """Give the provider of an address of one's own; nothing is retried, so that a refusal is seen."""
    return OpenAIProvider(openai_client=AsyncOpenAI(base_url=V1, api_key=PLACE["key"], max_retries=0))


def openai(model: str = "auto", **chosen: Any) -> OpenAIChatModel:
    """Give the model for addresses that speak as OpenAI does."""
    return OpenAIChatModel(model, provider=_provider(), **chosen)


def responses(model: str = "auto") -> OpenAIResponsesModel:
    """Give OpenAI's model over the Responses API."""
    return OpenAIResponsesModel(model, provider=_provider())


def anthropic(model: str = "claude-sonnet-4-5") -> AnthropicModel:
    """Give Anthropic's model."""
    client = AsyncAnthropic(base_url=PLACE["gateway"], api_key=PLACE["key"], max_retries=0)
    return AnthropicModel(model, provider=AnthropicProvider(anthropic_client=client))


def get_weather(city: str) -> str:
    """Say what the weather is."""
    return f"{city}: 18 °C"
