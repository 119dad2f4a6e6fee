"""vLLM and SGLang: a chat template reads the switches, and a parser, or none, splits off the reasoning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.conformance.standins.base import Body, Message, Mind, Provider, Refused, choose, in_loop

LOW_HIGH_MAX = ("low", "high", "max")


@dataclass(frozen=True, slots=True)
class Template:
    """What a family's chat template and the engine's usual parser do.

    Attributes:
        switch: the variable that it reads, "" if none; `switched_on` is what it takes for granted.
        either: whether vLLM's own encoder takes either name of the switch for it.
        levels: the efforts that it knows, and what each comes to; empty if none.
        effort_on_top: whether the effort is the request's own field and not the template's variable.
        tag: set where reasoning stays inside the content; `opener` says whether with its opening tag.
        tools_while_thinking: whether tools can be called while thinking.
        history: "keep" where the reasoning of the current tool loop must come back for full quality, "drop" where
            the template drops it, "any" otherwise.
    """

    switch: str = ""
    switched_on: bool = True
    either: bool = False
    levels: Mapping[str, str] = ()  # type: ignore[assignment]
    default: str = "high"
    effort_on_top: bool = False
    tag: str | None = None
    opener: bool = True
    tools_while_thinking: bool = True
    history: str = "keep"


def _levels(*levels: str, **taken_as: str) -> Mapping[str, str]:
    return {**{level: level for level in levels}, **taken_as}


TEMPLATES: Mapping[str, Template] = {
    "deepseek-v3.1": Template("thinking", switched_on=False, tools_while_thinking=False, history="drop"),
    "deepseek-v3.2": Template("thinking", switched_on=False, either=True),
    "deepseek-v4": Template("thinking", either=True,
                            levels=_levels(*LOW_HIGH_MAX, minimal="low", medium="low", xhigh="high")),
    "deepseek-r1": Template(tag="think", opener=False, history="drop"),
    "kimi-k2-thinking": Template(tag="think", opener=False),
    "kimi-k2.5": Template("thinking"),
    "kimi-k3": Template(levels=_levels(*LOW_HIGH_MAX), default="max"),
    "glm-4.5": Template("enable_thinking"),
    "glm-4.7": Template("enable_thinking"),
    "glm-5.2": Template("enable_thinking", levels=_levels("high", "max"), default="max"),
    "glm-5.3": Template(levels=_levels(*LOW_HIGH_MAX), default="max"),
    "qwen3": Template("enable_thinking", tag="think", history="drop"),
    "qwen3.8": Template("enable_thinking", levels=_levels("low", "medium", "xhigh"), default="xhigh", tag="think",
                        history="drop"),
    "qwen3-thinking": Template(tag="think", opener=False, history="drop"),
    "gpt-oss": Template(levels=_levels("low", "medium", "high"), default="medium", effort_on_top=True),
    "minimax-m2": Template(tag="think", opener=False),
    "minimax-m3": Template("thinking_mode", tag="mm:think"),
    "step-3.5": Template(tag="think", opener=False),
    "granite": Template("thinking", switched_on=False, history="any"),
    "gemma-4": Template("enable_thinking", switched_on=False, history="any"),
}  # fmt: skip
"""Families that think; all others have a template that never does.

Sources: https://docs.vllm.ai/en/latest/features/reasoning_outputs/,
https://docs.sglang.io/docs/advanced_features/separate_reasoning, vLLM 0.32.0's ``tokenizers/deepseek_v32.py``,
``tokenizers/deepseek_v4.py`` and ``parser/``, and the models' own templates.
"""


class Engine(Provider):
    """A model of open weights behind an engine."""

    def __init__(self, family: str, host: str) -> None:
        super().__init__(family, host)
        self._template = TEMPLATES.get(family)
        self.text_field = "reasoning" if host == "vllm" else "reasoning_content"
        if self._template is not None:
            self.tag = self._template.tag
            # An address that nobody described has a parser that adds the opener.
            self.opener = self._template.opener or host == "*"

    def mind(self, body: Body) -> Mind:
        template = self._template
        if template is None:
            return Mind("none")
        variables = self._variables(body)
        if not self._is_on(template, variables):
            return Mind("none")
        if not template.levels:
            return Mind("high")
        said = body if template.effort_on_top else variables
        level = choose(said.get("reasoning_effort", template.default), template.levels, "reasoning_effort")
        return Mind(template.levels[level])

    def _variables(self, body: Body) -> Mapping[str, Any]:
        """Give what reaches the template: the request's own effort does too, and "none" means off.

        vLLM: ``ChatCompletionRequest.build_chat_params``, read in 0.32.0 and seen at work by `real_vllm`; SGLang is
        taken to do the same.
        """
        variables = dict(body.get("chat_template_kwargs") or {})
        effort = body.get("reasoning_effort")
        template = self._template
        if effort is None or template is None or template.effort_on_top:
            return variables
        if template.switch == "enable_thinking" or (template.either and self.host == "vllm"):
            variables.setdefault("enable_thinking", effort != "none")
        elif template.switch and self.host == "sglang" and effort == "none":
            variables.setdefault(template.switch, False)
        if effort != "none" and effort in template.levels:
            variables.setdefault("reasoning_effort", effort)
        return variables

    def check(self, body: Body, mind: Mind) -> None:
        self.waste(body, ("thinking", "enable_thinking"), "is not read: use chat_template_kwargs")
        template = self._template
        if template is not None and mind.thinks and body.get("tools") and not template.tools_while_thinking:
            raise Refused("tools: this template calls none while thinking")

    def check_history(self, messages: Sequence[Message], mind: Mind) -> None:
        template = self._template
        if template is None or template.history == "drop":
            self.waste_reasoning(messages)
        elif template.history == "keep" and mind.thinks:
            for position in in_loop(messages):
                held = messages[position].get("reasoning") or messages[position].get("reasoning_content")
                self.demand(messages, position, held, always=False)

    def _is_on(self, template: Template, variables: Mapping[str, Any]) -> bool:
        if not template.switch:
            if {"thinking", "enable_thinking"} & set(variables):
                raise Refused("chat_template_kwargs: this template has no switch, and a false one leaks reasoning")
            return True
        if {"thinking", "enable_thinking"} >= {template.switch}:
            # The parser of one engine reads the one name, the template the other: both must say the same.
            said = {variables[name] for name in ("thinking", "enable_thinking") if name in variables}
            if len(said) > 1:
                raise Refused("chat_template_kwargs: thinking and enable_thinking contradict each other")
            if said and template.either and self.host == "vllm":
                return True in said
            return bool(variables.get(template.switch, template.switched_on))
        return variables.get(template.switch, "enabled") != "disabled"
