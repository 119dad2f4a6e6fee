"""LangChain's models as its pages show them, with nothing but the address changed."""

import sys
from pathlib import Path
from typing import Any

from langchain_anthropic import ChatAnthropic
from langchain_deepseek import ChatDeepSeek
from langchain_openai import ChatOpenAI

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
    "PLACE", "V1", "anthropic", "behave", "body_seen", "check", "deepseek", "get_weather", "openai", "run_all", "same",
    "seen", "thoughts_sent_back",
]  # fmt: skip

V1 = f"{PLACE['gateway']}/v1"


def openai(model: str = "auto", **chosen: Any) -> ChatOpenAI:
    """Give OpenAI's model; nothing is retried, so that a refusal is seen."""
    return ChatOpenAI(base_url=V1, api_key=PLACE["key"], model=model, max_retries=0, **chosen)


def deepseek(model: str = "auto", **chosen: Any) -> ChatDeepSeek:
    """Give DeepSeek's model, which shows reasoning."""
    return ChatDeepSeek(api_base=V1, api_key=PLACE["key"], model=model, max_retries=0, **chosen)


def anthropic(model: str = "claude-sonnet-4-5", **chosen: Any) -> ChatAnthropic:
    """Give Anthropic's model."""
    return ChatAnthropic(base_url=PLACE["gateway"], api_key=PLACE["key"], model=model, max_retries=0, **chosen)


def get_weather(city: str) -> str:
    """Say what the weather is."""
    return f"{city}: 18 °C"
