"""Plain messages and token counts."""

import base64

import anthropic
from pydantic import BaseModel
from world import CLAUDE, PLACE, ask, body_seen, check, client, options, same, seen

PIXEL = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(64)).decode()


class Place(BaseModel):
    city: str


@check("a plain message has text, a stop reason and token counts")
def plain_message() -> None:
    message = client().messages.create(**ask("Say hello"))
    same((message.type, message.role, message.stop_reason), ("message", "assistant", "end_turn"))
    same([block.type for block in message.content], ["text"])
    assert message.content[0].text.endswith(": Say hello"), message
    assert message.usage.input_tokens > 0 < message.usage.output_tokens, message


@check("a whole conversation reaches the backend")
def whole_conversation() -> None:
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}
    turns = [
        {"role": "user", "content": "First"},
        {"role": "assistant", "content": "Yes?"},
        {"role": "user", "content": [{"type": "text", "text": "看 👀"}, image]},
    ]
    system = [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}]
    message = client().messages.create(
        **ask(messages=turns, system=system, stop_sequences=["END"], extra_body={"temperature": 0.5})
    )
    assert "看 👀" in message.content[0].text, message
    body = body_seen()
    same([turn["role"] for turn in body["messages"]], ["system", "user", "assistant", "user"])
    same(body["messages"][3]["content"][1]["image_url"]["url"], f"data:image/png;base64,{PIXEL}")
    same((body["stop"], body["temperature"]), (["END"], 0.5))


@check("an answer that is cut says so")
def cut_answer() -> None:
    message = client().messages.create(**ask(max_tokens=2))
    same((message.stop_reason, message.usage.output_tokens), ("max_tokens", 2))


@check("raw responses carry the decision and a request id")
def raw_response() -> None:
    raw = client().messages.with_raw_response.create(**ask())
    assert raw.headers["x-thalamus-tier"] in ("fast", "deep"), raw.headers
    same(raw.parse()._request_id, raw.headers["x-thalamus-decision-id"])


@check("a bearer token serves like a key")
def bearer_token() -> None:
    bearer = anthropic.Anthropic(**options(api_key=None, auth_token=PLACE["key"]))
    with bearer:
        same(bearer.messages.create(**ask()).stop_reason, "end_turn")


@check("the beta client is served")
def beta_client() -> None:
    message = client().beta.messages.create(**ask(), betas=["interleaved-thinking-2025-05-14"])
    same(message.stop_reason, "end_turn")


@check("a structured output parses into its type")
def structured_output() -> None:
    parsed = client().messages.parse(**ask("Where?"), output_format=Place)
    same(type(parsed.parsed_output), Place)


@check("tokens are counted before anybody is asked")
def count_tokens() -> None:
    short = client().messages.count_tokens(model=CLAUDE, messages=ask()["messages"])
    long = client().messages.count_tokens(model=CLAUDE, messages=ask()["messages"], system="word " * 500)
    assert 0 < short.input_tokens < long.input_tokens - 400, (short, long)
    same(seen(), [])


@check("the asynchronous client answers and streams")
async def asynchronous() -> None:
    async with anthropic.AsyncAnthropic(**options()) as ours:
        message = await ours.messages.create(**ask())
        async with ours.messages.stream(**ask()) as stream:
            text = "".join([piece async for piece in stream.text_stream])
    same(text, message.content[0].text)
