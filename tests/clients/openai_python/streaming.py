"""Streamed chat completions."""

import json

from world import body_seen, check, client, same, standin, user, wait_until_left

TEXT = "Tell me of 夜空 and stars"


@check("a stream adds up to the plain answer")
def adds_up() -> None:
    plain = client().chat.completions.create(model="auto", messages=user(TEXT))
    with client().chat.completions.create(model="auto", messages=user(TEXT), stream=True) as stream:
        chunks = list(stream)
    said = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    same(said, plain.choices[0].message.content)
    same(chunks[0].choices[0].delta.role, "assistant")
    same(chunks[-1].choices[0].finish_reason, "stop")
    same({chunk.object for chunk in chunks}, {"chat.completion.chunk"})
    same(len({chunk.id for chunk in chunks}), 1)


@check("a stream says nothing of usage unless asked")
def no_usage() -> None:
    for asked in ({}, {"stream_options": {"include_usage": False}}):
        chunks = list(client().chat.completions.create(model="auto", messages=user(TEXT), stream=True, **asked))
        assert all(chunk.choices for chunk in chunks), chunks
        assert all("usage" not in chunk.model_fields_set for chunk in chunks), chunks
        same(body_seen()["stream_options"]["include_usage"], True)


@check("a stream ends with usage when asked")
def usage() -> None:
    stream = client().chat.completions.create(
        model="auto", messages=user(TEXT), stream=True, stream_options={"include_usage": True}
    )
    *body, last = list(stream)
    same(last.choices, [])
    assert last.usage.completion_tokens > 0, last
    assert all(chunk.usage is None and chunk.choices for chunk in body), body


@check("a stream of n choices keeps them apart")
def many_choices() -> None:
    said = ["", ""]
    for chunk in client().chat.completions.create(model="auto", messages=user(TEXT), stream=True, n=2):
        for choice in chunk.choices:
            said[choice.index] += choice.delta.content or ""
    assert said[0] != said[1], said
    assert all(text.endswith(TEXT) for text in said), said


@check("a stream carries log probabilities")
def logprobs() -> None:
    stream = client().chat.completions.create(
        model="auto", messages=user(TEXT), stream=True, logprobs=True, top_logprobs=2
    )
    spoken = [chunk.choices[0] for chunk in stream if chunk.choices[0].delta.content]
    for choice in spoken:
        same([token.token for token in choice.logprobs.content], [choice.delta.content])
        same(len(choice.logprobs.content[0].top_logprobs), 2)


@check("a stream shows the reasoning")
def reasoning() -> None:
    stream = client().chat.completions.create(
        model="deep", messages=user("Why?"), stream=True, extra_body=standin(thinking="always", thinking_tokens=5)
    )
    deltas = [chunk.choices[0].delta for chunk in stream]
    thought = "".join(getattr(delta, "reasoning_content", None) or "" for delta in deltas)
    assert thought.startswith("Let me think"), deltas


@check("a stream can be read line by line")
def lines() -> None:
    with client().chat.completions.with_streaming_response.create(
        model="auto", messages=user(TEXT), stream=True
    ) as response:
        same(response.headers["content-type"].partition(";")[0], "text/event-stream")
        read = [line for line in response.iter_lines() if line]
    same(read[-1], "data: [DONE]")
    assert all(line.startswith("data: ") for line in read), read
    same(json.loads(read[0].removeprefix("data: "))["object"], "chat.completion.chunk")
    with client().chat.completions.with_streaming_response.create(model="auto", messages=user(TEXT)) as plain:
        assert plain.parse().choices[0].message.content.endswith(TEXT)


@check("the stream helper gathers the final answer")
def helper() -> None:
    with client().chat.completions.stream(
        model="auto", messages=user(TEXT), stream_options={"include_usage": True}
    ) as stream:
        events = list(stream)
        final = stream.get_final_completion()
    said = "".join(event.delta for event in events if event.type == "content.delta")
    same(said, final.choices[0].message.content)
    assert said.endswith(TEXT), said
    assert final.usage.total_tokens > 0, final


@check("leaving a stream stops the backend")
def leaving() -> None:
    with client().chat.completions.create(
        model="auto", messages=user(TEXT), stream=True, extra_body=standin(token_ms=50, tokens=400)
    ) as stream:
        for _, _ in zip(range(3), stream, strict=False):
            pass
    wait_until_left()


@check("a stream's headers carry the decision")
def decision_headers() -> None:
    raw = client().chat.completions.with_raw_response.create(model="auto", messages=user(TEXT), stream=True)
    assert raw.headers["x-thalamus-backend"] in ("swift", "sage"), raw.headers
    assert raw.headers["x-thalamus-decision-id"].startswith("dec_"), raw.headers
    assert len(list(raw.parse())) > 2


@check("oddly framed and compressed streams read like any other")
def framings() -> None:
    odd = [{"framing": [name]} for name in ("crlf", "coalesced", "split", "bom", "named", "commented")]
    for switches in (*odd, {"framing": ["crlf", "named", "split"]}, {"gzip": True}):
        stream = client().chat.completions.create(
            model="auto", messages=user(TEXT), stream=True, extra_body=standin(**switches)
        )
        said = "".join(chunk.choices[0].delta.content or "" for chunk in stream)
        assert said.endswith(TEXT), (switches, said)
        plain = client().chat.completions.create(model="auto", messages=user(TEXT), extra_body=standin(**switches))
        same(plain.choices[0].message.content, said)
