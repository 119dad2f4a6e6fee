"""The Responses API as OpenAI's own SDK uses it, every answer checked against the SDK's types."""

import time
from typing import Any

import openai
from pydantic import BaseModel
from world import behave, body_seen, check, client, options, raises, same, seen, standin, wait_until_left

WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather in a city",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}
THINKING = standin(thinking="always")


class Place(BaseModel):
    city: str
    population: int


def ask(text: Any = "Hello there", **fields: Any) -> Any:
    """Create a response."""
    return client().responses.create(model="sage", input=text, **fields)


@check("a response has text, usage and its decision")
def plain() -> None:
    raw = client().responses.with_raw_response.create(
        model="auto", input="你好 🌍", instructions="Be brief.", metadata={"team": "blue"}, temperature=0.5
    )
    response = raw.parse()
    assert raw.headers["x-thalamus-decision-id"].startswith("dec_")
    assert response.output_text.endswith("你好 🌍"), response
    same((response.status, response.metadata, response.temperature), ("completed", {"team": "blue"}, 0.5))
    same(response.usage.total_tokens, response.usage.input_tokens + response.usage.output_tokens)
    same(client().responses.retrieve(response.id), response)


@check("a streamed response adds up to its final one")
def streamed() -> None:
    for summary, kind in ((None, "response.reasoning_text.delta"), ("auto", "response.reasoning_summary_text.delta")):
        reasoning = {"reasoning": {"summary": summary}} if summary else {}
        events = list(ask(stream=True, extra_body=THINKING, **reasoning))
        same([event.sequence_number for event in events], list(range(len(events))))
        same([events[0].type, events[1].type], ["response.created", "response.in_progress"])
        same(events[-1].type, "response.completed")
        final = events[-1].response
        said = "".join(event.delta for event in events if event.type == "response.output_text.delta")
        same(said, final.output_text)
        thought = "".join(event.delta for event in events if event.type == kind)
        item = final.output[0]
        same(thought, (item.summary if summary else item.content)[0].text)


@check("the stream helper gathers the final response")
def helper() -> None:
    with client().responses.stream(model="auto", input="Where is Paris?", text_format=Place) as stream:
        final = stream.get_final_response()
    same(type(final.output_parsed), Place)


@check("a response parses into a pydantic type")
def parsed() -> None:
    response = client().responses.parse(model="auto", input="Where is Paris?", text_format=Place)
    same(type(response.output_parsed), Place)
    same(body_seen()["response_format"]["json_schema"]["strict"], True)


@check("a tool loop goes on by the previous response")
def loop() -> None:
    first = ask("How is the weather in Paris?", tools=[WEATHER], extra_body=THINKING)
    (call,) = [item for item in first.output if item.type == "function_call"]
    second = ask(
        [{"type": "function_call_output", "call_id": call.call_id, "output": "rain"}],
        previous_response_id=first.id,
        tools=[WEATHER],
    )
    assert second.output_text.endswith("rain"), second
    same([message["role"] for message in body_seen()["messages"]], ["user", "assistant", "tool"])


@check("a tool loop goes on with encrypted reasoning alone")
def carried() -> None:
    fields: dict[str, Any] = {
        "tools": [WEATHER],
        "store": False,
        "include": ["reasoning.encrypted_content"],
        "extra_body": THINKING,
    }
    talk: list[Any] = [{"role": "user", "content": "How is the weather in Paris?"}]
    first = ask(talk, **fields)
    assert first.output[0].encrypted_content, first
    talk += [item.to_dict() for item in first.output]
    talk.append({"type": "function_call_output", "call_id": first.output[-1].call_id, "output": "rain"})
    second = ask(talk, **fields)
    assert second.output_text.endswith("rain"), second
    with raises(openai.NotFoundError):
        client().responses.retrieve(first.id)


@check("a background response is polled until it is done")
def background() -> None:
    behave(tokens=10, token_ms=20)
    response = ask(background=True)
    same(response.status, "queued")
    deadline = time.monotonic() + 5
    while response.status in ("queued", "in_progress"):
        assert time.monotonic() < deadline, response
        time.sleep(0.05)
        response = client().responses.retrieve(response.id)
    same(response.status, "completed")
    assert response.output_text, response


@check("a background response is cancelled and its backend left")
def cancelled() -> None:
    behave(tokens=1000, token_ms=20)
    response = ask(background=True)
    while not seen():
        time.sleep(0.02)
    same(client().responses.cancel(response.id).status, "cancelled")
    wait_until_left()
    same(client().responses.retrieve(response.id).status, "cancelled")


@check("a background response is streamed, left, and followed from any event on")
def followed() -> None:
    behave(tokens=20, token_ms=20)
    with ask(background=True, stream=True) as stream:
        seen_first = [next(stream) for _ in range(4)]
    same([event.type for event in seen_first[:3]], ["response.created", "response.queued", "response.in_progress"])
    response_id = seen_first[0].response.id
    same(seen_first[0].response.status, "queued")
    rest = list(client().responses.retrieve(response_id, stream=True, starting_after=3))
    numbers = [event.sequence_number for event in (*seen_first, *rest)]
    same(numbers, list(range(len(numbers))))
    same(rest[-1].type, "response.completed")
    again = list(client().responses.retrieve(response_id, stream=True))
    same([event.to_dict() for event in again], [event.to_dict() for event in (*seen_first, *rest)])
    same(client().responses.retrieve(response_id), rest[-1].response)


@check("the stream helper goes on with a background response")
def helped_on() -> None:
    behave(tokens=20, token_ms=10)
    with client().responses.stream(model="sage", input="Hello there", background=True) as stream:
        first = next(stream)
    with client().responses.stream(response_id=first.response.id, starting_after=2) as stream:
        numbers = [event.sequence_number for event in stream]
        final = stream.get_final_response()
    same(numbers[0], 3)
    same(final.status, "completed")


@check("a response is deleted")
def deleted() -> None:
    response = ask()
    client().responses.delete(response.id)
    with raises(openai.NotFoundError):
        client().responses.retrieve(response.id)
    with raises(openai.BadRequestError) as caught:
        ask(previous_response_id=response.id)
    same(caught[0].code, "previous_response_not_found")


@check("input items are listed, page by page")
def listed() -> None:
    response = ask([{"role": "user", "content": str(number)} for number in range(5)])
    items = list(client().responses.input_items.list(response.id, limit=2, order="asc"))
    same([item.content[0].text for item in items], ["0", "1", "2", "3", "4"])


@check("what is wrong raises the SDK's own errors")
def errors() -> None:
    with raises(openai.BadRequestError) as caught:
        ask(tools=[{"type": "web_search"}])
    same(caught[0].param, "tools[0].type")
    with raises(openai.NotFoundError) as missing:
        client().responses.create(model="gpt-17", input="x")
    same(missing[0].code, "model_not_found")
    with raises(openai.AuthenticationError):
        client(api_key="sk-nobody").responses.create(model="auto", input="x")
    same(seen(), [])
    behave(faults=["status-429"])
    with raises(openai.RateLimitError):
        ask(stream=True)
    behave(faults=["close-mid-stream"], tokens=10)
    same(list(ask(stream=True))[-1].type, "response.failed")


@check("the asynchronous client answers and streams responses")
async def asynchronous() -> None:
    async with openai.AsyncOpenAI(**options()) as nearby:
        response = await nearby.responses.create(model="auto", input="Hello")
        assert response.output_text.endswith("Hello"), response
        stream = await nearby.responses.create(model="auto", input="Hello", stream=True)
        events = [event async for event in stream]
        same(events[-1].type, "response.completed")
