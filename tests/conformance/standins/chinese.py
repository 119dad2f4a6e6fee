"""DeepSeek, Kimi, GLM, Qwen, MiniMax and Step on their own APIs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tests.conformance.standins.base import (
    Body,
    Message,
    Mind,
    Provider,
    Refused,
    calling,
    choose,
    in_loop,
    refuse,
    refuse_forced_tool,
    switch_of,
)


class DeepSeek(Provider):
    """https://api-docs.deepseek.com/guides/thinking_mode"""

    _LEVELS: Mapping[str, str] = {
        "minimal": "low",
        "low": "low",
        "medium": "high",
        "high": "high",
        "xhigh": "high",
        "max": "max",
    }

    def mind(self, body: Body) -> Mind:
        if self.family == "deepseek-v3":
            return Mind("none")
        switch = switch_of(body, ("enabled", "disabled"))
        level = choose(body.get("reasoning_effort", "high"), self._LEVELS, "reasoning_effort")
        return Mind("none" if switch == "disabled" else self._LEVELS[level])

    def check(self, body: Body, mind: Mind) -> None:
        if mind.thinks:
            refuse_forced_tool(body)
            self.waste(body, ("temperature", "presence_penalty", "frequency_penalty"), "has no effect while thinking")

    def check_history(self, messages: Sequence[Message], mind: Mind) -> None:
        if mind.thinks:
            for position in _in_turns_with_calls(messages):
                self.demand(messages, position, messages[position].get("reasoning_content"), always=True)


class DeepSeekR1(Provider):
    """https://api-docs.deepseek.com/guides/reasoning_model, as it was: reasoning sent back is a 400."""

    def mind(self, body: Body) -> Mind:
        self.waste(body, ("thinking", "reasoning_effort"), "R1 always thinks")
        return Mind("high")

    def check_history(self, messages: Sequence[Message], mind: Mind) -> None:
        self.refuse_reasoning(messages)


class Kimi(Provider):
    """https://platform.kimi.ai/docs/guide/use-kimi-k2-thinking-model, …/use-reasoning-effort, …/api/models-overview"""

    def mind(self, body: Body) -> Mind:
        if "thinking" in body and "reasoning_effort" in body:
            raise Refused("cannot specify both thinking and reasoning_effort")
        if self.family == "kimi-k2":
            return Mind("none")
        if self.family == "kimi-k3":
            refuse(body, ("thinking",), "is a field of K2")
            return Mind(choose(body.get("reasoning_effort", "max"), ("low", "high", "max"), "reasoning_effort"))
        switch = switch_of(body, ("enabled", "disabled"))
        if switch == "disabled" and self.family == "kimi-k2-thinking":
            raise Refused("thinking: this model always thinks")
        return Mind("none" if switch == "disabled" else "high")

    def check(self, body: Body, mind: Mind) -> None:
        if self.family == "kimi-k2":
            return
        if body.get("temperature", 1) != 1:
            raise Refused("temperature: only 1 is allowed for this model")
        if mind.thinks:
            allowed = ("auto", "none", "required") if self.family == "kimi-k3" else ("auto", "none")
            refuse_forced_tool(body, allowed)

    def check_history(self, messages: Sequence[Message], mind: Mind) -> None:
        if mind.thinks:
            for position in calling(messages):
                self.demand(messages, position, messages[position].get("reasoning_content"), always=True)

    def call_id(self, number: int) -> str:
        return f"functions.get_weather:{number}"


class Glm(Provider):
    """https://docs.z.ai/guides/capabilities/thinking-mode"""

    _LEVELS: Mapping[str, Mapping[str, str]] = {
        "glm-5.2": {"none": "none", "minimal": "high", "low": "high", "medium": "high", "high": "high",
                    "xhigh": "max", "max": "max"},
        "glm-5.3": {"low": "low", "high": "high", "max": "max"},
    }  # fmt: skip

    def mind(self, body: Body) -> Mind:
        switch = switch_of(body, ("enabled", "disabled"))
        levels = self._LEVELS.get(self.family)
        if levels is None:
            self.waste(body, ("reasoning_effort",), "is ignored by this model")
            return Mind("none" if switch == "disabled" else "high")
        if switch == "disabled" and self.family == "glm-5.3":
            raise Refused("thinking: this model always thinks")
        level = choose(body.get("reasoning_effort", "max"), levels, "reasoning_effort")
        return Mind("none" if switch == "disabled" else levels[level])

    def check(self, body: Body, mind: Mind) -> None:
        refuse_forced_tool(body)
        self.waste(body, ("max_completion_tokens",), "unknown: use max_tokens")

    def check_history(self, messages: Sequence[Message], mind: Mind) -> None:
        if mind.thinks:
            for position in in_loop(messages):
                self.demand(messages, position, messages[position].get("reasoning_content"), always=False)


class DashScope(Provider):
    """https://help.aliyun.com/en/model-studio/deep-thinking"""

    def mind(self, body: Body) -> Mind:
        self.waste(body, ("thinking",), "unknown: use enable_thinking")
        budget, level = body.get("thinking_budget"), body.get("reasoning_effort")
        if budget is not None and level is not None:
            raise Refused("thinking_budget cannot be combined with reasoning_effort")
        if budget is not None and (not isinstance(budget, int) or budget < 1):
            raise Refused("thinking_budget: must be a positive integer")
        if self.family != "qwen3.8":
            self.waste(body, ("reasoning_effort",), "unknown for this model")
            level = None
        if level is not None:
            level = choose(level, ("low", "medium", "high", "xhigh"), "reasoning_effort")
        on = body.get("enable_thinking", self.family not in ("qwen-plus", "qwen3-instruct"))
        if self.family == "qwen3-instruct" or (not on and self.family != "qwen3-thinking"):
            return Mind("none")
        effort = ("xhigh" if level == "high" else level) or ("xhigh" if self.family == "qwen3.8" else "on")
        return Mind(effort, budget)

    def check(self, body: Body, mind: Mind) -> None:
        if mind.thinks:
            refuse_forced_tool(body)
            if self.family in ("qwen3", "qwen-plus") and not body.get("stream"):
                raise Refused("enable_thinking must be false for calls that are not streamed")

    def check_history(self, messages: Sequence[Message], mind: Mind) -> None:
        self.waste_reasoning(messages)


class MiniMax(Provider):
    """https://platform.minimax.io/docs/api-reference/text-openai-api"""

    _LEVELS = ("low", "medium", "high", "xhigh", "max")

    def mind(self, body: Body) -> Mind:
        switch = switch_of(body, ("enabled", "disabled", "adaptive"))
        self.tag = None if body.get("reasoning_split") else "think"
        if self.family == "minimax-m3.1":
            if switch == "disabled":
                raise Refused("thinking: this model always thinks (2013)")
            return Mind(choose(body.get("reasoning_effort", "max"), self._LEVELS, "reasoning_effort"))
        off = switch == "disabled" and self.family == "minimax-m3"
        return Mind("none" if off else "high")

    def check(self, body: Body, mind: Mind) -> None:
        self.waste(body, ("max_tokens",), "deprecated: use max_completion_tokens")
        if body.get("temperature", 1) <= 0:
            raise Refused("temperature: must be above 0")

    def check_history(self, messages: Sequence[Message], mind: Mind) -> None:
        if mind.thinks:
            for position in in_loop(messages):
                held = messages[position].get("reasoning_details" if self.host == "minimax" else "reasoning_content")
                self.demand(messages, position, held, always=False)

    def carry(self, thought: str, message: Message) -> Any:
        if self.tag is not None or self.host != "minimax":  # resellers give and take plain text
            return super().carry(thought, message)
        detail = {"type": "reasoning.text", "id": "r-1", "format": "MiniMax-response-v1", "index": 0, "text": thought}
        message["reasoning_details"] = [detail]
        return [dict(detail)]


class Step(Provider):
    """https://platform.stepfun.ai/docs/en/guides/developer/reasoning"""

    def __init__(self, family: str, host: str) -> None:
        super().__init__(family, host)
        self.text_field = "reasoning" if host == "stepfun" else "reasoning_content"

    def mind(self, body: Body) -> Mind:
        self.waste(body, ("thinking", "enable_thinking"), "Step always thinks")
        if self.family == "step-3.5":
            self.waste(body, ("reasoning_effort",), "unknown for this model")
            return Mind("high")
        return Mind(choose(body.get("reasoning_effort", "medium"), ("low", "medium", "high"), "reasoning_effort"))

    def check_history(self, messages: Sequence[Message], mind: Mind) -> None:
        for position in in_loop(messages):
            self.demand(messages, position, messages[position].get(self.text_field), always=False)


def _in_turns_with_calls(messages: Sequence[Message]) -> set[int]:
    """Give the positions of assistants' messages in those turns (from user to user) in which tools were called."""
    demanded: set[int] = set()
    turn: list[int] = []
    for position, message in [*enumerate(messages), (len(messages), {"role": "user"})]:
        if message["role"] == "assistant":
            turn.append(position)
        elif message["role"] == "user":
            if any(messages[earlier].get("tool_calls") for earlier in turn):
                demanded.update(turn)
            turn = []
    return demanded
