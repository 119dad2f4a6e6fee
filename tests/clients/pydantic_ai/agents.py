"""Agents: answers, streams, typed outputs, reasoning, and tool loops on models that refuse a history without theirs."""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel
from pydantic_ai import Agent, NativeOutput
from pydantic_ai.direct import model_request_stream
from pydantic_ai.messages import ModelMessage, ModelRequest, ThinkingPart, ToolCallPart
from world import (
    DROPPING,
    PLACE,
    anthropic,
    behave,
    body_seen,
    check,
    get_weather,
    openai,
    responses,
    same,
    thoughts_sent_back,
)

QUESTION = "Compare the weather in Paris and 罗马."
THANKS = "Thank you. And tomorrow? 明天呢?"


class CityLocation(BaseModel):
    city: str
    country: str


def parts(messages: Sequence[ModelMessage], kind: type) -> list[Any]:
    """Give all parts of one kind."""
    return [part for message in messages for part in message.parts if isinstance(part, kind)]


async def loop(model: Any, settings: Any, backend: str, *, streamed: bool = False) -> None:
    """Let an agent call its tools to the end, see its reasoning, and ask it once more."""
    agent = Agent(model, tools=[get_weather], instructions="Be brief.", model_settings=settings)
    if streamed:
        async with agent.run_stream(QUESTION) as running:
            answer, said = await running.get_output(), running.all_messages()
    else:
        result = await agent.run(QUESTION)
        answer, said = result.output, result.all_messages()
    assert "天气温和" in answer, answer
    same([call.args_as_dict()["city"] for call in parts(said, ToolCallPart)], ["Paris", "罗马"])
    thoughts = [part.content for part in parts(said, ThinkingPart)]
    same(["想一想" in thought for thought in thoughts], [True] * 3)
    same(thoughts_sent_back(backend)[:2], [True, True])
    assert "天气温和" in (await agent.run(THANKS, message_history=said)).output


@check("an agent answers, with usage")
def answer() -> None:
    result = Agent(openai(), instructions="Be concise.").run_sync("I love 编程 🎉")
    assert result.output.endswith("I love 编程 🎉"), result
    assert result.usage.output_tokens > 0, result.usage
    same([message["role"] for message in body_seen()["messages"]], ["system", "user"])


@check("an agent streams, and its pieces add up")
async def stream() -> None:
    agent = Agent(openai())
    async with agent.run_stream("Hello over there") as running:
        pieces = [piece async for piece in running.stream_text(delta=True, debounce_by=None)]
    assert len(pieces) > 3, pieces
    same("".join(pieces), (await agent.run("Hello over there")).output)


@check("a typed output is asked for by tool and by schema")
async def typed() -> None:
    by_tool = await Agent(openai(), output_type=CityLocation).run("Where were the olympics held in 2012?")
    same(type(by_tool.output), CityLocation)
    same(body_seen()["tool_choice"], "required")
    by_schema = await Agent(openai(), output_type=NativeOutput(CityLocation)).run("Where were they held in 2012?")
    same(type(by_schema.output), CityLocation)
    same(body_seen()["response_format"]["type"], "json_schema")


@check("reasoning effort is passed on and reasoning is shown, plain and streamed")
async def reasoning() -> None:
    behave(thinking="always", thinking_field="reasoning")
    result = await Agent(openai("sage"), model_settings={"openai_reasoning_effort": "high"}).run("Hello")
    same(body_seen()["reasoning_effort"], "high")
    (plain,) = parts(result.new_messages(), ThinkingPart)
    assert plain.content.startswith("Let me think"), plain
    async with model_request_stream(openai("sage"), [ModelRequest.user_text_prompt("Hello")]) as pieces:
        async for _ in pieces:
            pass
        (streamed,) = parts([pieces.get()], ThinkingPart)
    same(streamed.content, plain.content)


@check("an agent's loop ends well on every thinking family, plain and streamed, with a client that drops the reasoning")
async def dropping() -> None:
    settings = {"openai_reasoning_effort": "high"}
    for backend in PLACE["thinking"]:
        for streamed in (False, True):
            await loop(openai(backend, profile=DROPPING), settings, backend, streamed=streamed)


@check("an agent's loop ends well on every thinking family with a client that keeps the reasoning")
async def keeping() -> None:
    for number, backend in enumerate(PLACE["thinking"]):  # every other one streamed: they cost a second each
        await loop(openai(backend), {"openai_reasoning_effort": "high"}, backend, streamed=bool(number % 2))


@check("an agent over the Responses API answers, loops and shows the reasoning")
async def over_responses() -> None:
    assert (await Agent(responses()).run("Hello")).output.endswith("Hello")
    settings = {"openai_reasoning_effort": "high", "openai_reasoning_summary": "auto"}
    for streamed in (False, True):
        await loop(responses("gpt-oss@vllm"), settings, "gpt-oss@vllm", streamed=streamed)


@check("an agent over Anthropic's API answers, loops and shows the reasoning")
async def over_messages() -> None:
    assert (await Agent(anthropic()).run("Hello")).output.endswith("Hello")
    settings = {"anthropic_thinking": {"type": "enabled", "budget_tokens": 5000}, "max_tokens": 8000}
    for number, backend in enumerate(PLACE["thinking"]):
        await loop(anthropic(backend), settings, backend, streamed=bool(number % 2))
