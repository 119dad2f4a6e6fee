"""Models: answers, streams, structured outputs, reasoning."""

from llama_index.core.llms import ChatMessage
from llama_index.core.prompts import PromptTemplate
from pydantic import BaseModel
from world import anthropic, behave, body_seen, check, like_openai, openai, responses, same

TALK = [ChatMessage(role="system", content="Be brief."), ChatMessage(role="user", content="I love 编程 🎉")]


class Album(BaseModel):
    """An album."""

    name: str
    artist: str


def thought_in(message: ChatMessage) -> str:
    """Give the reasoning that a message shows."""
    return "".join(block.content or "" for block in message.blocks if block.block_type == "thinking")


@check("a model answers and completes, with usage")
def answer() -> None:
    for llm in (openai(), like_openai()):
        answer = llm.chat(TALK)
        assert answer.message.content.endswith("I love 编程 🎉"), answer
        assert answer.raw.usage.completion_tokens > 0, answer
        same([message["role"] for message in body_seen()["messages"]], ["system", "user"])
        assert llm.complete("Paul Graham is ").text.endswith("Paul Graham is "), llm


@check("a model streams, and its pieces add up")
def stream() -> None:
    pieces = [piece.delta for piece in like_openai().stream_chat(TALK)]
    assert len(pieces) > 3, pieces
    same("".join(pieces), like_openai().chat(TALK).message.content)
    same(
        "".join(piece.delta for piece in openai().stream_complete("Hello there")), openai().complete("Hello there").text
    )


@check("the asynchronous calls answer")
async def asynchronous() -> None:
    assert (await like_openai().acomplete("four")).text.endswith("four")
    pieces = await like_openai().astream_chat(TALK)
    assert "".join([piece.delta async for piece in pieces]).endswith("I love 编程 🎉")


@check("a structured output parses into its type")
def structured() -> None:
    prompt = PromptTemplate("Write about {film}")
    for llm in (openai(), like_openai(should_use_structured_outputs=True), like_openai()):
        same(type(llm.structured_predict(Album, prompt, film="The Shining")), Album)
    same(type(openai().as_structured_llm(Album).chat(TALK).raw), Album)


@check("reasoning effort is passed on")
def effort() -> None:
    like_openai("sage", additional_kwargs={"reasoning_effort": "high"}).chat(TALK)
    same(body_seen()["reasoning_effort"], "high")


@check("reasoning is shown, plain and streamed")
def reasoning() -> None:
    behave(thinking="always", thinking_field="reasoning")
    plain = thought_in(like_openai("deep").chat(TALK).message)
    assert plain.startswith("Let me think"), plain
    same(thought_in(list(like_openai("deep").stream_chat(TALK))[-1].message), plain)


@check("the Responses API answers, streams and goes on by the previous response")
def responses_api() -> None:
    assert responses().chat(TALK).message.content.endswith("I love 编程 🎉")
    assert "".join(piece.delta or "" for piece in responses().stream_chat(TALK)).endswith("I love 编程 🎉")
    tracking = responses(track_previous_responses=True)
    tracking.chat([ChatMessage(role="user", content="I am Bob")])
    tracking.chat([ChatMessage(role="user", content="Who am I?")])
    same([message["role"] for message in body_seen()["messages"]], ["user", "assistant", "user"])


@check("Anthropic's model answers, streams and thinks")
def messages_api() -> None:
    assert anthropic().chat(TALK).message.content.endswith("I love 编程 🎉")
    assert "".join(piece.delta or "" for piece in anthropic().stream_chat(TALK)).endswith("I love 编程 🎉")
    behave(thinking="always")
    llm = anthropic(max_tokens=8000, thinking_dict={"type": "enabled", "budget_tokens": 4000}, temperature=1.0)
    assert thought_in(llm.chat(TALK).message).startswith("Let me think")
