"""The rows under test: every family on every host that a dialect describes, and what OpenRouter resells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.upstream.dialects import Dialect, load_dialects

DIALECTS = load_dialects()

RESOLD = ("claude-4.6", "deepseek-r1", "deepseek-v4", "gemini-3-pro", "glm-4.7", "gpt-5.2", "grok-4.3", "kimi-k2",
          "kimi-k2.5", "minimax-m2", "o-series", "qwen3")  # fmt: skip
"""Families tried on OpenRouter, which has one row for all."""

_WEIGHTS_ON = frozenset({"vllm", "sglang", "*"})
_MODELS: Mapping[str, tuple[str, str]] = {
    # at the vendor, as weights
    "claude-3": ("claude-3-5-haiku-20241022", ""),
    "claude-4.5": ("claude-sonnet-4-5", ""),
    "claude-4.6": ("claude-sonnet-4-6", ""),
    "claude-4.7": ("claude-opus-4-7", ""),
    "claude-5": ("claude-sonnet-5", ""),
    "claude-always": ("claude-opus-5-5", ""),
    "claude-sonnet-5.5": ("claude-sonnet-5-5", ""),
    "deepseek-r1": ("deepseek-r1", "deepseek-ai/DeepSeek-R1"),
    "deepseek-v3": ("deepseek-v3", "deepseek-ai/DeepSeek-V3-0324"),
    "deepseek-v3.1": ("deepseek-v3.1", "deepseek-ai/DeepSeek-V3.1"),
    "deepseek-v3.2": ("deepseek-v3.2", "deepseek-ai/DeepSeek-V3.2"),
    "deepseek-v4": ("deepseek-v4-pro", "deepseek-ai/DeepSeek-V4-Pro"),
    "gemini-2.5-flash": ("gemini-2.5-flash", ""),
    "gemini-2.5-flash-lite": ("gemini-2.5-flash-lite", ""),
    "gemini-2.5-pro": ("gemini-2.5-pro", ""),
    "gemini-3-flash": ("gemini-3-flash-preview", ""),
    "gemini-3-pro": ("gemini-3.1-pro-preview", ""),
    "gemini-3.7-flash": ("gemini-3.7-flash", ""),
    "gemma-4": ("", "google/gemma-4-31b-it"),
    "glm-4.5": ("glm-4.6", "zai-org/GLM-4.6"),
    "glm-4.7": ("glm-4.7", "zai-org/GLM-4.7"),
    "glm-5.2": ("glm-5.2", "zai-org/GLM-5.2"),
    "glm-5.3": ("glm-5.3", "zai-org/GLM-5.3"),
    "gpt-4o": ("gpt-4o", ""),
    "gpt-5": ("gpt-5", ""),
    "gpt-5-fixed": ("gpt-5.2-chat-latest", ""),
    "gpt-5-pro": ("gpt-5-pro", ""),
    "gpt-5.1": ("gpt-5.1", ""),
    "gpt-5.2": ("gpt-5.2", ""),
    "gpt-5.5": ("gpt-5.5", ""),
    "gpt-5.6": ("gpt-5.6", ""),
    "gpt-5.x-pro": ("gpt-5.2-pro", ""),
    "gpt-6": ("gpt-6-sol", ""),
    "gpt-oss": ("", "openai/gpt-oss-120b"),
    "granite": ("", "ibm-granite/granite-4.0-h-small"),
    "grok-3-mini": ("grok-3-mini", ""),
    "grok-4": ("grok-4-0709", ""),
    "grok-4.3": ("grok-4.3", ""),
    "grok-4.5": ("grok-4.5", ""),
    "grok-non-reasoning": ("grok-4-fast-non-reasoning", ""),
    "kimi-k2": ("kimi-k2-0905-preview", "moonshotai/Kimi-K2-Instruct-0905"),
    "kimi-k2-thinking": ("kimi-k2-thinking", "moonshotai/Kimi-K2-Thinking"),
    "kimi-k2.5": ("kimi-k2.5", "moonshotai/Kimi-K2.5"),
    "kimi-k3": ("kimi-k3", "moonshotai/Kimi-K3"),
    "minimax-m2": ("MiniMax-M2.5", "MiniMaxAI/MiniMax-M2.5"),
    "minimax-m3": ("MiniMax-M3", "MiniMaxAI/MiniMax-M3"),
    "minimax-m3.1": ("MiniMax-M3.1", ""),
    "o-series": ("o3", ""),
    "qwen-plus": ("qwen-plus", ""),
    "qwen3": ("qwen3-30b-a3b", "Qwen/Qwen3-235B-A22B"),
    "qwen3-instruct": ("qwen3-235b-a22b-instruct-2507", "Qwen/Qwen3-235B-A22B-Instruct-2507"),
    "qwen3-thinking": ("qwen3-235b-a22b-thinking-2507", "Qwen/Qwen3-235B-A22B-Thinking-2507"),
    "qwen3.8": ("qwen3.8-max", "Qwen/Qwen3.8-35B-A3B"),
    "step-3.5": ("step-3.5-flash", "stepfun-ai/Step-3.5-Flash"),
    "step-3.7": ("step-3.7", ""),
}
"""A model's id of each family, from which the family is guessed: at its vendor's API, and as open weights."""

_MAKERS: Mapping[str, str] = {
    "claude": "anthropic", "deepseek": "deepseek", "gemini": "google", "glm": "z-ai", "gpt": "openai", "grok": "x-ai",
    "kimi": "moonshotai", "minimax": "minimax", "o": "openai", "qwen3": "qwen",
}  # fmt: skip
"""How OpenRouter names the makers, by the first word of the family."""


@dataclass(frozen=True, slots=True)
class Row:
    """A family on a host; ``*`` is a host that nobody described."""

    family: str
    host: str

    @property
    def name(self) -> str:
        """The row's backend in the gateway."""
        return f"{self.family}@{self.host.replace('*', 'elsewhere')}"

    @property
    def model(self) -> str:
        """A model of the family, as its host names it."""
        vendors, weights = _MODELS[self.family]
        if self.host == "openrouter":
            return f"{_MAKERS[self.family.partition('-')[0].partition('.')[0]]}/{vendors.lower()}"
        return (weights or vendors) if self.host in _WEIGHTS_ON else (vendors or weights)

    @property
    def dialect(self) -> Dialect:
        """The dialect that the gateway will use."""
        return DIALECTS.find(self.family, None if self.host == "*" else self.host)


def all_rows() -> list[Row]:
    """List the rows by family, the described hosts first. The row for what is wholly unknown sends nothing."""
    written = (Row(family, host) for family, host in DIALECTS.table if family != "*")
    resold = (Row(family, "openrouter") for family in RESOLD)
    return sorted({*written, *resold}, key=lambda row: (row.family, row.host == "*", row.host))
