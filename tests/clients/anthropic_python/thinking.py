"""Thinking blocks: asked for, shown, signed, sent back."""

from typing import Any

from world import ask, behave, body_seen, check, client, same

THINKING = {"type": "enabled", "budget_tokens": 2048}
WEATHER = {"name": "get_weather", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}}


def deep(text: str = "Hello there", **fields: Any) -> dict[str, Any]:
    """Give a request that the deep tier answers with thinking."""
    return ask(text, **{"model": "deep", "max_tokens": 4000, "thinking": THINKING, **fields})


@check("thinking comes first, signed, and the text after it")
def shown() -> None:
    behave(thinking="always")
    thought, text = client().messages.create(**deep()).content
    same((thought.type, text.type), ("thinking", "text"))
    assert thought.thinking.startswith("Let me think"), thought
    assert thought.signature, thought


@check("streamed thinking adds up to the plain message's")
def streamed() -> None:
    behave(thinking="always")
    plain = client().messages.create(**deep())
    with client().messages.stream(**deep()) as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_message()
    same(final.content[0], plain.content[0])
    same(final.content[1].text, plain.content[1].text)
    same(kinds.count("signature"), 1)
    assert kinds.count("thinking") > 1, kinds


@check("who asks for no thinking sees none")
def hidden() -> None:
    behave(thinking="always")
    for thinking in ({"type": "disabled"}, None):
        fields = {} if thinking is None else {"thinking": thinking}
        message = client().messages.create(**ask(model="deep", max_tokens=4000, **fields))
        same([block.type for block in message.content], ["text"])


@check("adaptive thinking and effort are taken")
def adaptive() -> None:
    behave(thinking="always")
    asked = {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}}
    raw = client().messages.with_raw_response.create(**deep(**asked))
    assert raw.headers["x-thalamus-thinking"].startswith("asked=high"), raw.headers
    same(raw.parse().content[0].type, "thinking")


@check("a tool loop takes its thinking blocks back")
def tool_loop() -> None:
    behave(thinking="always")
    request = deep("What is the weather in Paris?", tools=[WEATHER])
    called = client().messages.create(**request)
    thought, use = called.content
    same((thought.type, use.type, called.stop_reason), ("thinking", "tool_use", "tool_use"))
    result = {"type": "tool_result", "tool_use_id": use.id, "content": "Rain"}
    turns = [*request["messages"], called.to_param(), {"role": "user", "content": [result]}]
    answered = client().messages.create(**{**request, "messages": turns})
    same(answered.stop_reason, "end_turn")
    assert "Rain" in answered.content[-1].text, answered
    same([turn["role"] for turn in body_seen()["messages"]], ["user", "assistant", "tool"])
