"""LlamaIndex's models as its pages show them, with nothing but the address changed."""

import sys
from pathlib import Path
from typing import Any

from llama_index.llms.anthropic import Anthropic
from llama_index.llms.openai import OpenAI, OpenAIResponses
from llama_index.llms.openai_like import OpenAILike

sys.path.append(str(Path(__file__).parents[1] / "common"))

from checks import (
    PLACE,
    behave,
    body_seen,
    check,
    run_all,
    same,
    seen,
    thoughts_sent_back,
)

__all__ = [
    "PLACE", "anthropic", "behave", "body_seen", "check", "get_weather", "like_openai", "openai", "responses",
    "run_all", "same", "seen", "thoughts_sent_back",
]  # fmt: skip

OURS = {"api_base": f"{PLACE['gateway']}/v1", "api_key": PLACE["key"], "max_retries": 0}


def openai(**chosen: Any) -> OpenAI:
    """Give OpenAI's model, which knows OpenAI's names alone: an alias of `auto`."""
    return OpenAI(**{"model": "gpt-4o", **OURS, **chosen})


def like_openai(model: str = "auto", **chosen: Any) -> OpenAILike:
    """Give the model for addresses that speak as OpenAI does."""
    return OpenAILike(
        model=model, is_chat_model=True, is_function_calling_model=True, context_window=128_000, **OURS, **chosen
    )


def responses(**chosen: Any) -> OpenAIResponses:
    """Give OpenAI's model over the Responses API, by the alias."""
    return OpenAIResponses(**{"model": "gpt-4o", **OURS, **chosen})


def anthropic(model: str = "claude-sonnet-4-5", **chosen: Any) -> Anthropic:
    """Give Anthropic's model."""
    return Anthropic(model=model, base_url=PLACE["gateway"], api_key=PLACE["key"], max_retries=0, **chosen)


def get_weather(city: str) -> str:
    """Say what the weather is."""
    return f"{city}: 18 °C"
