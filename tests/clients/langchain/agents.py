"""Agents: tool loops, on models that think and refuse a history without their reasoning."""

from typing import Any

from langchain.agents import create_agent
from pydantic import BaseModel
from world import PLACE, anthropic, body_seen, check, get_weather, openai, same, thoughts_sent_back

QUESTION = {"messages": [{"role": "user", "content": "Compare the weather in Paris and 罗马."}]}
THANKS = {"role": "user", "content": "Thank you. And tomorrow? 明天呢?"}


class Report(BaseModel):
    """A weather report."""

    city: str


def turns(messages: list[Any]) -> list[str]:
    """Give who spoke, in order."""
    return [message.type for message in messages]


LOOP = ["human", "ai", "tool", "ai", "tool", "ai"]


@check("an agent's loop ends well on every thinking family, though its client drops the reasoning")
def loops() -> None:
    for backend in PLACE["thinking"]:
        agent = create_agent(openai(backend, reasoning_effort="high"), tools=[get_weather], system_prompt="Be brief.")
        said = agent.invoke(QUESTION)["messages"]
        same(turns(said), LOOP)
        assert not any("reasoning_content" in message.additional_kwargs for message in said), said
        same(thoughts_sent_back(backend), [True, True])
        same(turns(agent.invoke({"messages": [*said, THANKS]})["messages"]), [*LOOP, "human", "ai"])


@check("a streamed agent's loop ends well on every thinking family")
def streamed_loops() -> None:
    for backend in PLACE["thinking"]:
        agent = create_agent(openai(backend, reasoning_effort="high", streaming=True), tools=[get_weather])
        pieces = list(agent.stream(QUESTION, stream_mode="messages"))
        assert len({piece.id for piece, _ in pieces if piece.type == "AIMessageChunk"}) == 3, pieces
        same(thoughts_sent_back(backend), [True, True])


@check("an agent gives its answer as a type")
def structured() -> None:
    agent = create_agent(openai(), tools=[get_weather], response_format=Report)
    result = agent.invoke({"messages": [{"role": "user", "content": "Write a report"}]})
    same(type(result["structured_response"]), Report)


@check("an agent over the Responses API loops and shows the reasoning")
def responses() -> None:
    # gpt-oss on vLLM: the only one of these whose reasoning is text that the API may show
    model = openai("gpt-oss@vllm", use_responses_api=True, reasoning={"effort": "high", "summary": "auto"})
    said = create_agent(model, tools=[get_weather]).invoke(QUESTION)["messages"]
    same(turns(said), LOOP)
    thought = [block for block in said[1].content_blocks if block["type"] == "reasoning"]
    assert "想一想" in str(thought), said[1]
    same(thoughts_sent_back("gpt-oss@vllm"), [True, True])


@check("a conversation over the Responses API goes on by the previous response")
def previous_response() -> None:
    model = openai(use_responses_api=True, use_previous_response_id=True)
    first = model.invoke("I am Bob")
    assert first.response_metadata["id"].startswith("resp_"), first
    model.invoke([{"role": "user", "content": "I am Bob"}, first, {"role": "user", "content": "Who am I?"}])
    same([message["role"] for message in body_seen()["messages"]], ["user", "assistant", "user"])
    pieces = list(model.stream("Hello there"))
    assert "".join(piece.text for piece in pieces).endswith("Hello there"), pieces


@check("Anthropic's chat model answers, streams, thinks and calls tools")
def messages_api() -> None:
    assert anthropic().invoke("Hello").text.endswith("Hello")
    assert "".join(piece.text for piece in anthropic().stream("Hello there")).endswith("Hello there")
    for backend in PLACE["thinking"]:
        model = anthropic(backend, max_tokens=8000, thinking={"type": "enabled", "budget_tokens": 5000})
        said = create_agent(model, tools=[get_weather]).invoke(QUESTION)["messages"]
        same(turns(said), LOOP)
        thought = [block for block in said[1].content_blocks if block["type"] == "reasoning"]
        assert "想一想" in str(thought), said[1]
        same(thoughts_sent_back(backend), [True, True])
    same(type(anthropic().with_structured_output(Report).invoke("Where?")), Report)
