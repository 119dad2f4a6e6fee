"""OpenAI, Anthropic, Google, xAI and OpenRouter."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from tests.conformance.standins.base import (
    Body,
    Message,
    Mind,
    Provider,
    Refused,
    choose,
    in_loop,
    refuse,
    refuse_forced_tool,
)

LOW_TO_HIGH = ("low", "medium", "high")
SAMPLING = ("temperature", "top_p", "presence_penalty", "frequency_penalty", "logprobs", "top_logprobs", "logit_bias")


class OpenAI(Provider):
    """https://developers.openai.com/api/docs/guides/reasoning: no text of it, and unknown fields are 400s."""

    text_field = None

    _LEVELS: Mapping[str, Sequence[str]] = {
        "gpt-4o": (), "gpt-5-fixed": (), "gpt-5-pro": ("high",), "gpt-5.x-pro": ("medium", "high", "xhigh"),
        "o-series": LOW_TO_HIGH, "gpt-5": ("minimal", *LOW_TO_HIGH), "gpt-5.1": ("none", *LOW_TO_HIGH),
        "gpt-5.2": ("none", *LOW_TO_HIGH, "xhigh"), "gpt-5.5": ("none", *LOW_TO_HIGH, "xhigh"),
        "gpt-5.6": ("none", *LOW_TO_HIGH, "xhigh", "max"), "gpt-6": (*LOW_TO_HIGH, "xhigh", "max"),
    }  # fmt: skip
    _DEFAULTS: Mapping[str, str] = {"gpt-4o": "none", "gpt-5-pro": "high", "gpt-5.1": "none", "gpt-5.2": "none"}
    _UNKNOWN = ("thinking", "enable_thinking", "chat_template_kwargs", "reasoning", "extra_body", "top_k")

    def mind(self, body: Body) -> Mind:
        refuse(body, self._UNKNOWN, "unrecognized request argument supplied")
        default = self._DEFAULTS.get(self.family, "medium")
        if "reasoning_effort" in body:
            return Mind(choose(body["reasoning_effort"], self._LEVELS[self.family], "reasoning_effort"))
        return Mind(default)

    def check(self, body: Body, mind: Mind) -> None:
        if self.family == "gpt-4o":
            return
        refuse(body, ("max_tokens",), "not supported with this model: use max_completion_tokens")
        if mind.thinks:
            refuse(body, SAMPLING, "not supported with this model")

    def check_history(self, messages: Sequence[Message], mind: Mind) -> None:
        self.refuse_reasoning(messages)


class Claude(Provider):
    """https://platform.claude.com/docs/en/build-with-claude/extended-thinking and …/adaptive-thinking

    Takes what the gateway hands to litellm: the Messages API's switches, and thinking blocks beside the content.
    """

    def mind(self, body: Body) -> Mind:
        refuse(body, ("reasoning_effort", "chat_template_kwargs", "enable_thinking"), "extra inputs are not permitted")
        thinking = body.get("thinking")
        level = (body.get("output_config") or {}).get("effort")
        if self.family == "claude-3":
            refuse(body, ("thinking", "output_config"), "this model does not think")
            return Mind("none")
        if self.family == "claude-4.5":
            return self._budgeted(body, thinking)
        levels = LOW_TO_HIGH if self.family == "claude-4.6" else (*LOW_TO_HIGH, "xhigh", "max")
        if level is not None:
            choose(level, levels, "output_config.effort")
        kind = choose((thinking or {}).get("type", "adaptive"), self._kinds(), "thinking.type")
        off = kind in ("disabled", "between_tools") or (thinking is None and self._defaults_to_off())
        return Mind("none" if off else level or "high")

    def _budgeted(self, body: Body, thinking: Mapping[str, Any] | None) -> Mind:
        refuse(body, ("output_config",), "extra inputs are not permitted")
        if thinking is None or choose(thinking.get("type"), ("enabled", "disabled"), "thinking.type") == "disabled":
            return Mind("none")
        budget = thinking.get("budget_tokens", 0)
        if budget < 1024 or budget >= body.get("max_tokens", 0):
            raise Refused("thinking.budget_tokens: at least 1024 and below max_tokens")
        return Mind("on", budget)

    def _kinds(self) -> tuple[str, ...]:
        if self.family == "claude-always":
            return ("adaptive",)
        return ("adaptive", "between_tools") if self.family == "claude-sonnet-5.5" else ("adaptive", "disabled")

    def _defaults_to_off(self) -> bool:
        return self.family in ("claude-4.6", "claude-4.7")

    def check(self, body: Body, mind: Mind) -> None:
        sampling = ("temperature", "top_k", "top_p")
        if mind.thinks or self.family in ("claude-4.7", "claude-5", "claude-sonnet-5.5", "claude-always"):
            refuse(body, sampling, "not supported while thinking")
        if mind.budget is not None or self.family in ("claude-sonnet-5.5", "claude-always"):
            refuse_forced_tool(body, ("auto", "none"))

    def check_history(self, messages: Sequence[Message], mind: Mind) -> None:
        for position, message in enumerate(messages):
            for block in message.get("thinking_blocks") or ():
                if block.get("signature") != self._sign(block.get("thinking", "")):
                    raise Refused(f"messages[{position}]: invalid signature in thinking block")
        if mind.thinks:
            for position in in_loop(messages):
                held = messages[position].get("thinking_blocks")
                self.demand(messages, position, held, always=mind.budget is not None)

    def carry(self, thought: str, message: Message) -> Any:
        block = {"type": "thinking", "thinking": thought, "signature": self._sign(thought)}
        message |= {"reasoning_content": thought, "thinking_blocks": [block]}
        return [dict(block)]

    def _sign(self, thought: str) -> str:
        return hashlib.sha256(f"{self.family}/{self.host}/{thought}".encode()).hexdigest()

    def call_id(self, number: int) -> str:
        return super().call_id(number).replace("call", "toolu")


class Gemini(Provider):
    """https://ai.google.dev/gemini-api/docs/thinking and …/thought-signatures, on the OpenAI-compatible endpoint."""

    text_field = None
    _BYPASSES = ("skip_thought_signature_validator", "context_engineering_is_the_way_to_go")
    _BUDGETS: Mapping[str, tuple[int, int]] = {
        "gemini-2.5-pro": (128, 32768), "gemini-2.5-flash": (1, 24576), "gemini-2.5-flash-lite": (512, 24576),
    }  # fmt: skip
    _LEVELS: Mapping[str, Sequence[str]] = {
        "gemini-3-flash": ("minimal", *LOW_TO_HIGH), "gemini-3.7-flash": LOW_TO_HIGH, "gemini-3-pro": LOW_TO_HIGH,
    }  # fmt: skip

    def mind(self, body: Body) -> Mind:
        refuse(body, ("thinking", "chat_template_kwargs", "enable_thinking"), "unknown name")
        config = ((body.get("extra_body") or {}).get("google") or {}).get("thinking_config") or {}
        self.tag = "thought" if config.get("include_thoughts") else None
        if config and "reasoning_effort" in body:
            raise Refused("reasoning_effort and thinking_config cannot be set together")
        if "thinking_budget" in config and "thinking_level" in config:
            raise Refused("thinking_budget and thinking_level cannot be set together")
        if self.family in self._LEVELS:
            if "thinking_budget" in config:
                raise Refused("thinking_budget is not taken by this model")
            level = choose(config.get("thinking_level", "high"), self._LEVELS[self.family], "thinking_level")
            return Mind(level, shown=config.get("include_thoughts", False))
        return self._budgeted(config)

    def _budgeted(self, config: Mapping[str, Any]) -> Mind:
        if "thinking_level" in config:
            raise Refused("thinking_level is not taken by this model")
        least, most = self._BUDGETS[self.family]
        budget = config.get("thinking_budget", -1)
        if budget == 0 and self.family != "gemini-2.5-pro":
            return Mind("none", 0)
        if budget != -1 and not least <= budget <= most:
            raise Refused(f"thinking_budget: must be from {least} to {most}")
        return Mind("on", budget, shown=config.get("include_thoughts", False))

    def check_history(self, messages: Sequence[Message], mind: Mind) -> None:
        for position, message in enumerate(messages):
            for signature in _signatures(message):
                if signature not in self._BYPASSES and signature != self.thought_of(messages, position):
                    raise Refused(f"messages[{position}]: thought signature is not valid")
        if self.family in self._LEVELS:
            for position in in_loop(messages):
                if not _signatures(messages[position]):
                    raise Refused(f"messages[{position}]: function call is missing a thought_signature")

    def carry(self, thought: str, message: Message) -> Any:
        super().carry(thought, message)
        if not message.get("tool_calls"):
            return None
        signature = hashlib.sha256(thought.encode()).hexdigest()
        message["tool_calls"][0]["extra_content"] = {"google": {"thought_signature": signature}}
        return signature


class Grok(Provider):
    """https://docs.x.ai/docs/guides/reasoning: text from Grok 3 mini alone."""

    _LEVELS: Mapping[str, Sequence[str]] = {
        "grok-3-mini": ("low", "high"), "grok-4.3": ("none", *LOW_TO_HIGH), "grok-4.5": LOW_TO_HIGH,
    }  # fmt: skip
    _DEFAULTS: Mapping[str, str] = {"grok-non-reasoning": "none", "grok-3-mini": "low", "grok-4.3": "low"}

    def __init__(self, family: str, host: str) -> None:
        super().__init__(family, host)
        self.text_field = "reasoning_content" if family == "grok-3-mini" else None

    def mind(self, body: Body) -> Mind:
        if self.family not in self._LEVELS:
            refuse(body, ("reasoning_effort",), "not supported by this model")
        default = self._DEFAULTS.get(self.family, "high")
        return Mind(
            choose(body.get("reasoning_effort", default), (*self._LEVELS.get(self.family, ()), default), "effort")
        )

    def check(self, body: Body, mind: Mind) -> None:
        if mind.thinks:
            refuse(body, ("presence_penalty", "frequency_penalty", "stop"), "not supported by reasoning models")

    def check_history(self, messages: Sequence[Message], mind: Mind) -> None:
        self.waste_reasoning(messages)


class OpenRouter(Provider):
    """https://openrouter.ai/docs/use-cases/reasoning-tokens"""

    _EFFORTS = ("none", "minimal", *LOW_TO_HIGH, "xhigh", "max")
    _NEVER = ("gpt-4o", "kimi-k2", "deepseek-v3")
    _ALWAYS = ("deepseek-r1", "gemini-3-pro", "minimax-m2", "o-series")

    def mind(self, body: Body) -> Mind:
        self.waste(body, ("thinking", "chat_template_kwargs"), "use reasoning")
        asked = body.get("reasoning") or {}
        if "effort" in asked and "max_tokens" in asked:
            raise Refused("reasoning: only one of effort and max_tokens can be specified")
        shorthand = body.get("reasoning_effort", asked.get("effort", "medium"))
        effort = choose(asked.get("effort", shorthand), self._EFFORTS, "reasoning.effort")
        if effort != shorthand:
            raise Refused("reasoning.effort and reasoning_effort differ")
        if self.family in self._NEVER:
            return Mind("none")
        if effort == "none" and self.family in self._ALWAYS:
            raise Refused("reasoning: is mandatory for this endpoint and cannot be disabled")
        return Mind(effort)

    def check_history(self, messages: Sequence[Message], mind: Mind) -> None:
        if mind.thinks:
            for position in in_loop(messages):
                self.demand(messages, position, messages[position].get("reasoning_details"), always=False)

    def carry(self, thought: str, message: Message) -> Any:
        detail = {"type": "reasoning.text", "text": thought, "signature": "s-" + thought[-8:], "format": "unknown",
                  "index": 0}  # fmt: skip
        message |= {"reasoning": thought, "reasoning_details": [detail]}
        return [dict(detail)]


def _signatures(message: Message) -> list[str]:
    return [
        call["extra_content"]["google"]["thought_signature"]
        for call in message.get("tool_calls") or ()
        if "extra_content" in call
    ]
