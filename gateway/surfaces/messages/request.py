"""A Messages request, written as a chat request."""

from __future__ import annotations

import hashlib
from typing import Any

from gateway.errors import InvalidField, ThreadUnsupported
from gateway.surfaces.messages.content import write_messages
from gateway.wire.messages import MessagesRequest, OutputConfig, Prompt, Thinking, Tool, ToolChoice

LONGEST_USER = 64
"""Characters that OpenAI takes in `user`; Claude Code's name for a session is longer."""

_URGENT = frozenset({"xhigh", "max"})
_CHOICES = {"auto": "auto", "any": "required", "none": "none"}


def write_prompt(prompt: Prompt) -> dict[str, Any]:
    """Write what the model is given to read: `messages` and, if there are any, `tools`.

    Raises:
        InvalidField: something in it can only be had from Anthropic, or has no place where it stands.
    """
    written: dict[str, Any] = {"messages": write_messages(prompt.system, prompt.messages)}
    if prompt.tools:
        written["tools"] = [_write_tool(index, tool) for index, tool in enumerate(prompt.tools)]
    return written


def write_chat(request: MessagesRequest, *, routed: bool) -> dict[str, Any]:
    """Write the chat request that asks for the same.

    Args:
        request: as the client sent it.
        routed: whether the router chooses the model. It then also answers ``thinking: adaptive``, which leaves it to
            the model when to think: an effort sent with it (Claude Code always sends one) does not force the deep
            tier, unless it is above ``high``.

    Raises:
        InvalidField: something in it can only be had from Anthropic, or has no place where it stands.
        ThreadUnsupported: Anthropic is to hold the conversation.
    """
    _refuse_what_needs_anthropic(request)
    chat: dict[str, Any] = {"model": request.model, **write_prompt(request), "max_tokens": request.max_tokens}
    sampling = {"temperature": request.temperature, "top_p": request.top_p, "top_k": request.top_k}
    chat |= {name: value for name, value in sampling.items() if value is not None}
    if request.stop_sequences:
        chat["stop"] = request.stop_sequences
    if request.stream:
        chat |= {"stream": True, "stream_options": {"include_usage": True}}
    if request.metadata and request.metadata.user_id:
        chat["user"] = _shortened(request.metadata.user_id)
    if request.tools and request.tool_choice:
        chat |= _write_choice(request.tool_choice)
    chat |= _write_thinking(request.thinking)
    return chat | _write_output(request.output_config, adaptive=routed and _is_adaptive(request.thinking))


def _refuse_what_needs_anthropic(request: MessagesRequest) -> None:
    """Refuse fields that would change the answer and cannot be left unread."""
    if request.mcp_servers:
        raise InvalidField("'mcp_servers': MCP servers are not called from here.", param="mcp_servers")
    if request.compaction is not None:
        raise InvalidField("'compaction': conversations are not summarised here.", param="compaction")
    if request.thread is not None:
        raise ThreadUnsupported("'thread': conversations are not held here. Send all of it.", param="thread")


def _write_tool(index: int, tool: Tool) -> dict[str, Any]:
    path = f"tools[{index}]"
    if tool.type not in (None, "custom"):
        raise InvalidField(
            f"'{path}.type': the tool '{tool.type}' is Anthropic's own. Only tools with an 'input_schema' work here.",
            param=f"{path}.type",
        )
    if tool.name is None or tool.input_schema is None:
        raise InvalidField(f"'{path}': a tool needs 'name' and 'input_schema'.", param=path)
    function: dict[str, Any] = {"name": tool.name, "parameters": tool.input_schema}
    if tool.description is not None:
        function["description"] = tool.description
    if tool.strict is not None:
        function["strict"] = tool.strict
    return {"type": "function", "function": function}


def _write_choice(choice: ToolChoice) -> dict[str, Any]:
    written: dict[str, Any] = {}
    if choice.type == "tool":
        if choice.name is None:
            raise InvalidField("'tool_choice.name': name the tool.", param="tool_choice.name")
        written["tool_choice"] = {"type": "function", "function": {"name": choice.name}}
    else:
        written["tool_choice"] = _CHOICES[choice.type]
    if choice.disable_parallel_tool_use:
        written["parallel_tool_calls"] = False
    return written


def _is_adaptive(thinking: Thinking | None) -> bool:
    return thinking is not None and thinking.type == "adaptive"


def _write_thinking(thinking: Thinking | None) -> dict[str, Any]:
    """Write whether to think. ``adaptive`` says nothing: whoever answers decides."""
    if thinking is None or thinking.type == "adaptive":
        return {}
    if thinking.type != "enabled":
        return {"thinking": {"type": "disabled"}}
    if thinking.budget_tokens is None:
        raise InvalidField("'thinking.budget_tokens': enabled thinking needs a budget.", param="thinking.budget_tokens")
    return {"thinking": {"type": "enabled", "budget_tokens": thinking.budget_tokens}}


def _write_output(config: OutputConfig | None, *, adaptive: bool) -> dict[str, Any]:
    written: dict[str, Any] = {}
    if config is None:
        return written
    if config.effort is not None and (config.effort in _URGENT or not adaptive):
        written["reasoning_effort"] = config.effort
    if config.format is not None:
        schema = {"name": "output", "schema": config.format.schema, "strict": True}
        written["response_format"] = {"type": "json_schema", "json_schema": schema}
    return written


def _shortened(user_id: str) -> str:
    """Give a user's id as it is, or a digest of it that every backend takes."""
    if len(user_id) <= LONGEST_USER:
        return user_id
    return hashlib.blake2b(user_id.encode(errors="replace"), digest_size=24).hexdigest()
