"""Tool calls, plain and streamed, and the loop to the final answer."""

import anthropic
from world import ask, body_seen, check, client, same, seen

WEATHER = {
    "name": "get_weather",
    "description": "Tell the weather",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
TIME = {"name": "read_clock", "input_schema": {"type": "object", "properties": {}}}


@check("a tool is called with input that fits its schema")
def called() -> None:
    message = client().messages.create(**ask("What is the weather?", tools=[WEATHER]))
    (use,) = message.content
    same((message.stop_reason, use.type, use.name), ("tool_use", "tool_use", "get_weather"))
    same(list(use.input), ["city"])


@check("a tool choice forces, names and forbids")
def tool_choice() -> None:
    cases = [({"type": "any"}, True), ({"type": "tool", "name": "get_weather"}, True), ({"type": "none"}, False)]
    for choice, must in cases:
        text = "Hello" if must else "What is the weather?"
        message = client().messages.create(**ask(text, tools=[WEATHER], tool_choice=choice))
        same(message.stop_reason == "tool_use", must)


@check("tools are called in parallel, unless that is switched off")
def parallel() -> None:
    both = ask("The weather and the clock, please", tools=[WEATHER, TIME])
    same([block.name for block in client().messages.create(**both).content], ["get_weather", "read_clock"])
    one = {**both, "tool_choice": {"type": "auto", "disable_parallel_tool_use": True}}
    same(len(client().messages.create(**one).content), 1)


@check("a stream of tool calls adds up")
def streamed() -> None:
    request = ask("The weather and the clock, please", tools=[WEATHER, TIME])
    plain = client().messages.create(**request)
    with client().messages.stream(**request) as stream:
        final = stream.get_final_message()
    same([(block.name, block.input) for block in final.content], [(block.name, block.input) for block in plain.content])
    same(final.stop_reason, "tool_use")


@check("the tool runner loops to an answer in words")
def tool_runner() -> None:
    asked: list[str] = []

    @anthropic.beta_tool
    def get_weather(city: str) -> str:
        """Tell the weather in a city."""
        asked.append(city)
        return "Rain"

    runner = client().beta.messages.tool_runner(**ask("What is the weather?"), tools=[get_weather])
    final = runner.until_done()
    assert "Rain" in final.content[-1].text, final
    same((len(asked), len(seen())), (1, 2))
    same([turn["role"] for turn in body_seen()["messages"]], ["user", "assistant", "tool"])


@check("a tool that only Anthropic runs is a bad request that names it")
def server_tool() -> None:
    try:
        client().messages.create(**ask(tools=[{"type": "web_search_20250305", "name": "web_search"}]))
    except anthropic.BadRequestError as error:
        assert "web_search_20250305" in str(error), error
    else:
        raise AssertionError("the tool was taken")
    same(seen(), [])
