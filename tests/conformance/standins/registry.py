"""Which stand-in plays a family on a host."""

from __future__ import annotations

from collections.abc import Mapping

from tests.conformance.standins.american import Claude, Gemini, Grok, OpenAI, OpenRouter
from tests.conformance.standins.base import Provider
from tests.conformance.standins.chinese import DashScope, DeepSeek, DeepSeekR1, Glm, Kimi, MiniMax, Step
from tests.conformance.standins.engines import Engine

_BY_HOST: Mapping[str, type[Provider]] = {
    "deepseek": DeepSeek, "moonshot": Kimi, "zai": Glm, "dashscope": DashScope, "minimax": MiniMax,
    "stepfun": Step, "openai": OpenAI, "azure": OpenAI, "anthropic": Claude, "gemini": Gemini, "xai": Grok,
    "openrouter": OpenRouter, "vllm": Engine, "sglang": Engine,
}  # fmt: skip
_ONLY_AT_VENDORS: Mapping[str, type[Provider]] = {
    "claude": Claude, "gemini": Gemini, "grok": Grok, "gpt": OpenAI, "o-series": OpenAI,
    "minimax-m3.1": MiniMax, "step-3.7": Step,
}  # fmt: skip
"""Families without open weights: whoever resells them passes the vendor's own fields on."""


def provider_for(family: str, host: str) -> Provider:
    """Give a fresh stand-in; the host ``*`` is one that nobody described."""
    if family == "deepseek-r1" and host == "deepseek":
        return DeepSeekR1(family, host)
    if host in _BY_HOST:
        return _BY_HOST[host](family, host)
    if family != "gpt-oss":
        for start, provider in _ONLY_AT_VENDORS.items():
            if family.startswith(start):
                return provider(family, host)
    return Engine(family, host)
