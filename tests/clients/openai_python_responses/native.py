"""The same API over a backend that speaks it itself: OpenAI's own SDK, every answer checked against its types."""

from typing import Any

import openai
from responses import WEATHER
from world import check, client, options, raises, same

QUESTION = "How is the weather in Paris and in Rome?"
CITIES = 2
"""How many calls the provider makes, one after the other, before it answers."""

LOOP: dict[str, Any] = {"tools": [WEATHER], "reasoning": {"effort": "high", "summary": "auto"}}


def ask(text: Any = QUESTION, **fields: Any) -> Any:
    """Create a response, over a stream where that is asked for."""
    stream = client().responses.create(model="native", input=text, **fields)
    return list(stream)[-1].response if fields.get("stream") else stream


def output_of(response: Any) -> Any:
    """Answer the response's one call."""
    (call,) = [item for item in response.output if item.type == "function_call"]
    return {"type": "function_call_output", "call_id": call.call_id, "output": "18 °C"}


def both_ways(check_one: Any) -> Any:
    """Run a check plain and streamed."""

    def check_both() -> None:
        for stream in (False, True):
            check_one(stream)

    return check_both


@check("native: a response comes with its reasoning, its usage and its decision")
def plain() -> None:
    raw = client().responses.with_raw_response.create(
        model="native", input=QUESTION, reasoning={"effort": "high", "summary": "auto"}
    )
    response = raw.parse()
    same(raw.headers["x-thalamus-thinking"], "asked=high applied=high")
    same([item.type for item in response.output], ["reasoning", "message"])
    assert response.output[0].summary[0].text.startswith("**Thinking**"), response
    same(response.usage.output_tokens_details.reasoning_tokens, 40)
    same(client().responses.retrieve(response.id), response)


@check("native: a streamed response adds up to its final one")
def streamed() -> None:
    events = list(client().responses.create(model="native", input=QUESTION, stream=True, **LOOP))
    same([event.sequence_number for event in events], list(range(len(events))))
    final = events[-1].response
    arguments = "".join(event.delta for event in events if event.type == "response.function_call_arguments.delta")
    same(arguments, final.output[-1].arguments)
    same([event.item for event in events if event.type == "response.output_item.done"], final.output)


@check("native: a three-turn tool loop goes on by the previous response")
@both_ways
def chained(stream: bool) -> None:
    response = ask(stream=stream, **LOOP)
    for _ in range(CITIES):
        response = ask([output_of(response)], previous_response_id=response.id, stream=stream, **LOOP)
    assert response.output_text.startswith("Answer"), response
    items = list(client().responses.input_items.list(response.id, order="asc", limit=3))
    same([item.type for item in items], ["message"] + ["reasoning", "function_call", "function_call_output"] * CITIES)


@check("native: a three-turn tool loop goes on with encrypted reasoning alone")
@both_ways
def carried(stream: bool) -> None:
    fields = {**LOOP, "store": False, "include": ["reasoning.encrypted_content"], "stream": stream}
    talk: list[Any] = [{"role": "user", "content": QUESTION}]
    response = ask(talk, **fields)
    for _ in range(CITIES):
        assert response.output[0].encrypted_content, response
        talk += [*(item.to_dict() for item in response.output), output_of(response)]
        response = ask(talk, **fields)
    assert response.output_text.startswith("Answer"), response


@check("native: a three-turn tool loop survives a client that drops the reasoning")
@both_ways
def dropped(stream: bool) -> None:
    talk: list[Any] = [{"role": "user", "content": f"{QUESTION} {stream}"}]
    response = ask(talk, stream=stream, **LOOP)
    for _ in range(CITIES):
        talk += [item.to_dict() for item in response.output if item.type != "reasoning"]
        talk.append(output_of(response))
        response = ask(talk, stream=stream, **LOOP)
    assert response.output_text.startswith("Answer"), response


@check("native: the stream helper gathers the final response")
def helper() -> None:
    with client().responses.stream(model="native", input=QUESTION) as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_response()
    same(kinds[-1], "response.completed")
    assert final.output_text.startswith("Answer"), final


@check("native: a background response is streamed, left and followed")
def background() -> None:
    with client().responses.create(model="native", input=QUESTION, background=True, stream=True) as stream:
        first = [next(stream) for _ in range(4)]
    rest = list(client().responses.retrieve(first[0].response.id, stream=True, starting_after=3))
    numbers = [event.sequence_number for event in (*first, *rest)]
    same(numbers, list(range(len(numbers))))
    same(rest[-1].type, "response.completed")
    client().responses.delete(first[0].response.id)
    with raises(openai.NotFoundError):
        client().responses.retrieve(first[0].response.id)


@check("native: what the backend refuses raises the SDK's own errors")
def refused() -> None:
    with raises(openai.BadRequestError) as caught:
        ask(extra_body={"no_such_field": 1})
    same((caught[0].param, caught[0].code), ("no_such_field", "unknown_parameter"))


@check("native: the asynchronous client answers and streams")
async def asynchronous() -> None:
    async with openai.AsyncOpenAI(**options()) as nearby:
        response = await nearby.responses.create(model="native", input=QUESTION)
        assert response.output_text.startswith("Answer"), response
        stream = await nearby.responses.create(model="native", input=QUESTION, stream=True)
        same([event async for event in stream][-1].type, "response.completed")
