"""Agents: tool loops, on models that think and refuse a history without their reasoning."""

from typing import Any

from llama_index.core.agent.workflow import AgentStream, FunctionAgent, ToolCall
from llama_index.core.workflow import Context
from world import PLACE, anthropic, check, get_weather, like_openai, responses, same, thoughts_sent_back

QUESTION = "Compare the weather in Paris and 罗马."


async def loop(llm: Any, *, streaming: bool = True) -> str:
    """Let an agent call its tools to the end and answer a further question; give what it said."""
    agent = FunctionAgent(tools=[get_weather], llm=llm, system_prompt="Be brief.", streaming=streaming)
    context = Context(agent)
    running = agent.run(QUESTION, ctx=context)
    events = [event async for event in running.stream_events()]
    same([event.tool_kwargs["city"] for event in events if isinstance(event, ToolCall)], ["Paris", "罗马"])
    answer = str(await running)
    assert "天气温和" in answer, answer
    assert "天气温和" in str(await agent.run("Thank you. And tomorrow? 明天呢?", ctx=context))
    return "".join(event.thinking_delta or "" for event in events if isinstance(event, AgentStream))


@check("an agent's loop ends well on every thinking family, though its client drops the reasoning")
async def loops() -> None:
    for backend in PLACE["thinking"]:
        await loop(like_openai(backend, additional_kwargs={"reasoning_effort": "high"}), streaming=False)
        same(thoughts_sent_back(backend)[:2], [True, True])


@check("a streamed agent's loop ends well on every thinking family, and shows the reasoning")
async def streamed_loops() -> None:
    for backend in PLACE["thinking"]:
        thought = await loop(like_openai(backend, additional_kwargs={"reasoning_effort": "high"}))
        same(thought.count("想一想"), 3)


@check("an agent over the Responses API loops")
async def over_responses() -> None:
    await loop(responses(model="o3", reasoning_options={"effort": "high", "summary": "auto"}))
    same(thoughts_sent_back("gpt-oss@vllm")[:2], [True, True])


@check("an agent over Anthropic's API loops")
async def over_messages() -> None:
    # an alias of Kimi: the integration asks for Claude's own names
    thinking = {"type": "enabled", "budget_tokens": 5000}
    await loop(anthropic("claude-opus-4-1", max_tokens=8000, temperature=1.0, thinking_dict=thinking))
    same(thoughts_sent_back("kimi-k2.5@moonshot")[:2], [True, True])
