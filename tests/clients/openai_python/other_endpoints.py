"""Text completions, embeddings and models."""

import math

from world import body_seen, check, client, same

LENIENT = {"_strict_response_validation": False}
"""For what OpenAI's own answers fail as well: null finish reasons in streamed texts, vectors still in base64."""


@check("a text completion continues its prompt")
def completion() -> None:
    answer = client().completions.create(model="auto", prompt="Once upon", max_tokens=50)
    same(answer.object, "text_completion")
    assert answer.choices[0].text.endswith("Once upon"), answer
    assert answer.usage.completion_tokens > 0, answer


@check("a streamed text completion adds up")
def streamed_completion() -> None:
    chunks = list(client(**LENIENT).completions.create(model="auto", prompt="Once upon", max_tokens=50, stream=True))
    assert "".join(chunk.choices[0].text for chunk in chunks).endswith("Once upon"), chunks
    assert all("usage" not in chunk.model_fields_set for chunk in chunks), chunks
    *_, last = client(**LENIENT).completions.create(
        model="auto", prompt="Once", stream=True, stream_options={"include_usage": True}
    )
    same(last.choices, [])
    assert last.usage.total_tokens > 0, last


@check("text completions take many prompts, token ids and log probabilities")
def prompts() -> None:
    answer = client().completions.create(model="auto", prompt=["one", "two"], n=2, logprobs=3, echo=True)
    same([choice.index for choice in answer.choices], [0, 1, 2, 3])
    assert answer.choices[2].text.startswith("two"), answer
    assert answer.choices[0].logprobs.token_logprobs, answer
    for prompt in ([1, 2, 3], [[1, 2], [3]]):
        client().completions.create(model="auto", prompt=prompt)
        same(body_seen()["prompt"], prompt)


@check("embeddings come as numbers, decoded from base64")
def embedding() -> None:
    answer = client(**LENIENT).embeddings.create(model="text-embedding-3-small", input="the stars")
    same(body_seen()["encoding_format"], "base64")
    vector = answer.data[0].embedding
    same(len(vector), 1536)
    assert math.isclose(math.hypot(*vector), 1, abs_tol=1e-3), math.hypot(*vector)
    assert answer.usage.prompt_tokens > 0, answer


@check("embeddings take many inputs, dimensions and plain floats")
def embeddings() -> None:
    create = client(**LENIENT).embeddings.create
    many = create(model="swift", input=["stars", "夜空", "stars"], dimensions=8, encoding_format="float")
    same([len(item.embedding) for item in many.data], [8, 8, 8])
    same(many.data[0].embedding, many.data[2].embedding)
    tokens = create(model="swift", input=[[1, 2, 3], [4]], dimensions=8)
    same(len(tokens.data), 2)


@check("models are listed: the router, tiers, backends and aliases")
def models() -> None:
    listed = [model.id for model in client().models.list()]
    for name in ("auto", "fast", "deep", "swift", "sage", "gpt-4o", "vendor/model:free"):
        assert name in listed, listed
    same({model.object for model in client().models.list()}, {"model"})


@check("a model is described by its name")
def model() -> None:
    for name in ("auto", "deep", "swift", "gpt-4o", "vendor/model:free"):
        same(client().models.retrieve(name).id, name)
