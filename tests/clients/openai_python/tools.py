"""Tools: calls, parallel calls, choices and the loop around them."""

import json

import openai
from pydantic import BaseModel
from world import body_seen, check, client, same, standin, user

BOTH = "What are the weather and the time in Paris?"


class GetWeather(BaseModel):
    city: str
    metric: bool


class GetTime(BaseModel):
    city: str


TOOLS = [openai.pydantic_function_tool(GetWeather), openai.pydantic_function_tool(GetTime)]


@check("a tool is called with arguments that parse")
def one_call() -> None:
    answer = client().chat.completions.create(model="auto", messages=user("How is the weather?"), tools=TOOLS)
    choice = answer.choices[0]
    same(choice.finish_reason, "tool_calls")
    same(choice.message.content, None)
    (call,) = choice.message.tool_calls
    same(call.function.name, "GetWeather")
    GetWeather.model_validate_json(call.function.arguments)
    same(body_seen()["tools"], json.loads(json.dumps(TOOLS)))


@check("tools are called in parallel")
def parallel_calls() -> None:
    answer = client().chat.completions.create(model="auto", messages=user(BOTH), tools=TOOLS, parallel_tool_calls=True)
    calls = answer.choices[0].message.tool_calls
    same([call.function.name for call in calls], ["GetWeather", "GetTime"])
    same(len({call.id for call in calls}), 2)


@check("parallel tool calls can be switched off")
def one_at_a_time() -> None:
    answer = client().chat.completions.create(model="auto", messages=user(BOTH), tools=TOOLS, parallel_tool_calls=False)
    same(len(answer.choices[0].message.tool_calls), 1)


@check("a tool choice forces, names and forbids")
def tool_choice() -> None:
    def called(choice: object, text: str) -> list[str]:
        answer = client().chat.completions.create(model="auto", messages=user(text), tools=TOOLS, tool_choice=choice)
        return [call.function.name for call in answer.choices[0].message.tool_calls or ()]

    same(called("auto", "Hello"), [])
    same(called("none", BOTH), [])
    same(called("required", "Hello"), ["GetWeather"])
    same(called({"type": "function", "function": {"name": "GetTime"}}, "Hello"), ["GetTime"])


@check("a tool loop ends in words")
def tool_loop() -> None:
    messages: list = user(BOTH)
    rounds = 0
    while True:
        message = client().chat.completions.create(model="auto", messages=messages, tools=TOOLS).choices[0].message
        messages.append(message.model_dump(exclude_none=True))
        if not message.tool_calls:
            break
        rounds += 1
        messages += [
            {"role": "tool", "tool_call_id": call.id, "content": f"{call.function.name}: 21"}
            for call in message.tool_calls
        ]
    same(rounds, 1)
    assert message.content.endswith("GetTime: 21"), message
    same([sent["role"] for sent in body_seen()["messages"]], ["user", "assistant", "tool", "tool"])


@check("a stream of tool calls adds up")
def streamed_calls() -> None:
    calls: dict[int, list[str]] = {}
    finish = None
    for chunk in client().chat.completions.create(model="auto", messages=user(BOTH), tools=TOOLS, stream=True):
        finish = chunk.choices[0].finish_reason or finish
        for part in chunk.choices[0].delta.tool_calls or ():
            name, arguments = calls.setdefault(part.index, ["", ""])
            calls[part.index] = [name + (part.function.name or ""), arguments + (part.function.arguments or "")]
    same(finish, "tool_calls")
    same([name for name, _ in calls.values()], ["GetWeather", "GetTime"])
    GetWeather.model_validate_json(calls[0][1])
    GetTime.model_validate_json(calls[1][1])


@check("the tool helper gathers parsed arguments")
def helper() -> None:
    parsed = client().chat.completions.parse(model="auto", messages=user(BOTH), tools=TOOLS)
    kinds = [type(call.function.parsed_arguments) for call in parsed.choices[0].message.tool_calls]
    same(kinds, [GetWeather, GetTime])
    with client().chat.completions.stream(
        model="auto", messages=user(BOTH), tools=TOOLS, extra_body=standin(token_ms=1)
    ) as stream:
        done = [event for event in stream if event.type == "tool_calls.function.arguments.done"]
    same([event.name for event in done], ["GetWeather", "GetTime"])
    same(type(done[0].parsed_arguments), GetWeather)
