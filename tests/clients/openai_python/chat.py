"""Plain chat completions."""

import base64

import openai
from world import PLACE, body_seen, check, client, raises, same, seen, user

PIXEL = "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(64)).decode()


@check("a plain answer has text, a finish reason and token counts")
def plain_answer() -> None:
    answer = client().chat.completions.create(model="auto", messages=user("Say hello"))
    same(answer.object, "chat.completion")
    same(answer.choices[0].message.role, "assistant")
    assert answer.choices[0].message.content.endswith(": Say hello"), answer
    same(answer.choices[0].finish_reason, "stop")
    usage = answer.usage
    assert usage.prompt_tokens > 0 < usage.completion_tokens, usage
    same(usage.total_tokens, usage.prompt_tokens + usage.completion_tokens)


@check("the whole conversation reaches the backend as it was written")
def whole_conversation() -> None:
    messages = [
        {"role": "developer", "content": "Be brief."},
        {"role": "system", "content": [{"type": "text", "text": "In two parts."}]},
        {"role": "user", "content": "First", "name": "ada"},
        {"role": "assistant", "content": "Yes?", "refusal": None},
        {"role": "user", "content": [{"type": "text", "text": "Second "}, {"type": "text", "text": "\u0000\t\\ \"'"}]},
    ]
    client().chat.completions.create(model="swift", messages=messages)
    same(body_seen()["messages"], messages)
    same(body_seen()["model"], "swift-1")


@check("n choices come back as n choices")
def many_choices() -> None:
    answer = client().chat.completions.create(model="auto", messages=user("Again"), n=3)
    same([choice.index for choice in answer.choices], [0, 1, 2])
    same(len({choice.message.content for choice in answer.choices}), 3)


@check("log probabilities come with each token")
def logprobs() -> None:
    answer = client().chat.completions.create(
        model="auto", messages=user("One two"), logprobs=True, top_logprobs=4, seed=7
    )
    tokens = answer.choices[0].logprobs.content
    same("".join(token.token for token in tokens), answer.choices[0].message.content)
    same({len(token.top_logprobs) for token in tokens}, {4})
    assert all(token.logprob <= 0 for token in tokens), tokens


@check("sampling fields and fields of other vendors reach the backend")
def fields_travel() -> None:
    ours = {
        "seed": 9007199254740993,
        "temperature": 0.25,
        "top_p": 0.5,
        "presence_penalty": -1.5,
        "frequency_penalty": 2,
        "logit_bias": {"50256": -100},
        "metadata": {"team": "search"},
        "store": False,
        "stop": ["###"],
        "user": "u-1",
    }
    theirs = {"top_k": 20, "repetition_penalty": 1.05, "guided_regex": "a+", "vendor": {"deep": [1, None, "思"]}}
    client().chat.completions.create(model="swift", messages=user("Fields"), extra_body=theirs, **ours)
    reached = body_seen()
    same({name: reached[name] for name in ours | theirs}, ours | theirs)


@check("an image and a sound reach a backend that can take them")
def image_and_sound() -> None:
    parts = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": PIXEL, "detail": "low"}},
        {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
    ]
    messages = [{"role": "user", "content": parts}]
    client().chat.completions.create(model="auto", messages=messages)
    same(body_seen()["messages"], messages)


@check("an image for a backend that cannot see is a bad request")
def blind_backend() -> None:
    messages = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": PIXEL}}]}]
    with raises(openai.BadRequestError) as caught:
        client().chat.completions.create(model="blind", messages=messages)
    same(caught[0].code, "no_capable_backend")
    same(seen(), [])


@check("an answer that is cut says so")
def cut_answer() -> None:
    for limit in ("max_tokens", "max_completion_tokens"):
        answer = client().chat.completions.create(model="swift", messages=user("A long story"), **{limit: 2})
        same(answer.choices[0].finish_reason, "length")
        same(answer.usage.completion_tokens, 2)


@check("reasoning effort is applied and reported")
def reasoning_effort() -> None:
    raw = client().chat.completions.with_raw_response.create(
        model="auto", messages=user("Why?"), reasoning_effort="high"
    )
    same(raw.headers["x-thalamus-tier"], "deep")
    same(raw.headers["x-thalamus-reason"], "client")
    assert raw.headers["x-thalamus-thinking"].startswith("asked=high applied="), raw.headers
    quick = client().chat.completions.with_raw_response.create(
        model="auto", messages=user("Why?"), reasoning_effort="none"
    )
    same(quick.headers["x-thalamus-tier"], "fast")


@check("Chinese and emoji survive both ways")
def other_scripts() -> None:
    said = "仔细想想：为什么天空是蓝色的？ 👩🏽‍🚀 é \u2028"
    answer = client().chat.completions.create(model="auto", messages=user(said))
    same(body_seen()["messages"][0]["content"], said)
    assert answer.choices[0].message.content.endswith(said), answer


@check("an alias serves like the model it stands for")
def alias() -> None:
    answer = client().chat.completions.create(model="gpt-4o", messages=user("Who are you?"))
    assert answer.choices[0].message.content.endswith("Who are you?"), answer


@check("raw responses carry the decision in their headers")
def decision_headers() -> None:
    raw = client().chat.completions.with_raw_response.create(model="auto", messages=user("Decide"))
    headers = raw.headers
    same(headers["content-type"], "application/json")
    assert headers["x-thalamus-tier"] in ("fast", "deep"), headers
    assert headers["x-thalamus-backend"] in ("swift", "sage"), headers
    assert 0 <= float(headers["x-thalamus-difficulty"]) <= 1, headers
    assert headers["x-thalamus-decision-id"].startswith("dec_"), headers
    for name in ("reason", "effort", "cache", "thinking"):
        assert headers[f"x-thalamus-{name}"], headers
    same(raw.parse().choices[0].finish_reason, "stop")


@check("a header chooses the tier")
def route_header() -> None:
    for tier, backend in (("fast", "swift"), ("deep", "sage")):
        raw = client().chat.completions.with_raw_response.create(
            model="auto", messages=user("Go"), extra_headers={"x-thalamus-route": tier}
        )
        same(raw.headers["x-thalamus-backend"], backend)
    same({request["authorization_present"] for request in seen()}, {False})
    assert PLACE["key"] not in str(seen()), "the caller's key reached a backend"
