"""Streamed messages."""

from world import ask, behave, check, client, same, wait_until_left


@check("a stream's events come in the documented order and add up to the plain message")
def raw_events() -> None:
    plain = client().messages.create(**ask())
    events = list(client().messages.create(**ask(), stream=True))
    kinds = [event.type for event in events if event.type != "content_block_delta"]
    same(kinds, ["message_start", "content_block_start", "content_block_stop", "message_delta", "message_stop"])
    text = "".join(event.delta.text for event in events if event.type == "content_block_delta")
    same(text, plain.content[0].text)
    same(events[-2].usage.output_tokens, plain.usage.output_tokens)


@check("the stream helper gathers the final message")
def stream_helper() -> None:
    plain = client().messages.create(**ask())
    with client().messages.stream(**ask()) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    same(text, plain.content[0].text)
    same(final.content[0].text, text)
    same((final.stop_reason, final.usage.input_tokens), (plain.stop_reason, plain.usage.input_tokens))


@check("oddly framed streams read like any other")
def odd_framing() -> None:
    for framing in ("crlf", "coalesced", "split", "bom", "named", "commented"):
        behave(framing=[framing])
        with client().messages.stream(**ask()) as stream:
            assert stream.get_final_text().endswith(": Hello there"), framing


@check("leaving a stream stops the backend")
def leaving() -> None:
    behave(tokens=1000, token_ms=20)
    with client().messages.stream(**ask()) as stream:
        next(iter(stream.text_stream))
    wait_until_left()
