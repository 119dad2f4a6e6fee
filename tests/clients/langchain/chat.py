"""Chat models: answers, streams, structured outputs, reasoning, embeddings."""

from langchain.messages import HumanMessage, SystemMessage
from langchain_openai import OpenAIEmbeddings
from pydantic import BaseModel, Field
from world import PLACE, V1, behave, body_seen, check, deepseek, openai, same, seen


class Movie(BaseModel):
    """A movie with details."""

    title: str = Field(description="The title of the movie")
    year: int = Field(description="The year the movie was released")


@check("a chat model answers, with usage")
def answer() -> None:
    answer = openai().invoke([SystemMessage("Translate to French."), HumanMessage("I love 编程 🎉")])
    assert answer.text.endswith("I love 编程 🎉"), answer
    same(answer.response_metadata["finish_reason"], "stop")
    assert answer.usage_metadata["input_tokens"] > 0 < answer.usage_metadata["output_tokens"], answer
    same([message["role"] for message in body_seen()["messages"]], ["system", "user"])


@check("an alias serves like the model it stands for")
def alias() -> None:
    assert openai("gpt-4o").invoke("Hello").text.endswith("Hello")


@check("a chat model streams, and its pieces add up")
def stream() -> None:
    pieces = list(openai(stream_usage=True).stream("Hello over there"))
    whole = pieces[0]
    for piece in pieces[1:]:
        whole += piece
    same(whole.text, openai().invoke("Hello over there").text)
    assert len(pieces) > 3, pieces
    assert whole.usage_metadata["output_tokens"] > 0, whole


@check("a batch and the asynchronous calls answer")
async def asynchronous() -> None:
    answers = openai().batch(["one", "two", "three"])
    same([answer.text.rpartition(" ")[2] for answer in answers], ["one", "two", "three"])
    assert (await openai().ainvoke("four")).text.endswith("four")
    assert "".join([piece.text async for piece in openai().astream("five")]).endswith("five")


@check("a structured output parses into its type")
def structured() -> None:
    movie = openai().with_structured_output(Movie).invoke("Tell me about the movie Inception")
    same(type(movie), Movie)
    same(body_seen()["response_format"]["type"], "json_schema")
    by_tool = openai().with_structured_output(Movie, method="function_calling").invoke("Tell me about Inception")
    same(type(by_tool), Movie)
    same(body_seen()["tool_choice"]["function"]["name"], "Movie")


@check("reasoning effort is passed on")
def effort() -> None:
    openai("sage", reasoning_effort="high").invoke("Hello")
    same(body_seen()["reasoning_effort"], "high")


@check("reasoning is shown where the integration shows it")
def reasoning() -> None:
    behave(thinking="always", thinking_field="reasoning")
    plain = deepseek("deep").invoke("Hello")
    assert plain.additional_kwargs["reasoning_content"].startswith("Let me think"), plain
    pieces = list(deepseek("deep").stream("Hello"))
    streamed = "".join(piece.additional_kwargs.get("reasoning_content", "") for piece in pieces)
    same(streamed, plain.additional_kwargs["reasoning_content"])
    same([block["type"] for block in plain.content_blocks], ["reasoning", "text"])


@check("embeddings are served")
def embeddings() -> None:
    # Off, as its page says for other providers than OpenAI: else texts are sent as tokens of OpenAI's vocabulary.
    model = OpenAIEmbeddings(
        base_url=V1, api_key=PLACE["key"], model="text-embedding-3-small", check_embedding_ctx_length=False
    )
    one, two = model.embed_documents(["one", "two"])
    same(len(one), 1536)
    assert one != two
    same(len(seen()), 1)
