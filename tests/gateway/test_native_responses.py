"""Backends that speak the Responses API themselves: asked in its words, answered in theirs, under the gateway's ids."""

from __future__ import annotations

import json
import time

import pytest

from tests.gateway.native_standin import CITIES, running_native
from tests.gateway.serving import running_gateway, settings_over

QUESTION = "How is the weather in Paris and in Rome?"
WEATHER = {
    "type": "function",
    "name": "get_weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}
TOOL_LOOP = {"tools": [WEATHER], "reasoning": {"effort": "high"}}


@pytest.fixture(scope="module")
def providers():
    """A provider that encrypts its reasoning, one that gives it as text, and one whose model does not reason."""
    with (
        running_native() as gpt,
        running_native(plain_text=True, event_names=False) as oss,
        running_native(reasons=False) as plain,
    ):
        yield {"gpt": gpt, "oss": oss, "plain": plain}


@pytest.fixture(autouse=True)
def healthy(providers):
    for provider in providers.values():
        provider.bodies.clear()
        provider.faults.clear()
        provider.pause_s, provider.thinks_s, provider.left = 0.0, 0.0, 0


def settings_with(providers, standin_url, **changes):
    settings = settings_over(standin_url, **changes)
    natives = {
        "gpt": {"url": providers["gpt"].url, "model": "gpt-5.5", "host": "openai"},
        "oss": {"url": providers["oss"].url, "model": "openai/gpt-oss-120b", "host": "vllm"},
        "plain": {"url": providers["plain"].url, "model": "gpt-4o", "host": "openai"},
    }
    forgiving = settings["backends"]["swift"]["breaker"]  # one test's failures are not held against the next
    settings["backends"] |= {name: {**backend, "breaker": forgiving} for name, backend in natives.items()}
    return settings


@pytest.fixture(scope="module")
def native(providers, session_standin, tmp_path_factory):
    """The gateway over the three providers and two backends that speak chat completions alone."""
    with running_gateway(settings_with(providers, session_standin.url), tmp_path_factory.mktemp("native")) as running:
        yield running


def ask(gateway, model="gpt", *, stream=False, headers=None, **fields):
    """Give the final response, and the answer that it came in."""
    body = {"model": model, "input": QUESTION, "stream": stream, **fields}
    with gateway.client() as client:
        answer = client.post("/v1/responses", json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    return (events_of(answer.text)[-1]["response"] if stream else answer.json()), answer


def events_of(text):
    """Give the events of a stream, each checked to be named as its data says, and numbered from 0."""
    events = []
    for frame in text.split("\n\n"):
        lines = dict(line.split(": ", 1) for line in frame.splitlines() if not line.startswith(":"))
        if lines:
            event = json.loads(lines["data"])
            assert event["type"] == lines["event"]
            events.append(event)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    return events


def kinds(response):
    return [item["type"] for item in response["output"]]


def text_of(response):
    return "".join(part["text"] for item in response["output"] if item["type"] == "message" for part in item["content"])


by_stream = pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])


@by_stream
def test_only_what_must_change_is_changed_on_the_way(native, providers, stream):
    asked = {
        "instructions": "Be brief. 简短。",
        "metadata": {"team": "blue"},
        "text": {"format": {"type": "text"}, "verbosity": "low"},
        "reasoning": {"effort": "high", "summary": "auto"},
        "prompt_cache_key": "k1",
        "truncation": "auto",
    }
    response, answer = ask(native, stream=stream, **asked)
    (sent,) = providers["gpt"].bodies
    ours = {"model": "gpt-5.5", "input": QUESTION, "store": False, "include": ["reasoning.encrypted_content"]}
    assert sent == {**asked, **ours, **({"stream": True} if stream else {})}
    assert answer.headers["x-thalamus-backend"] == "gpt"
    assert answer.headers["x-thalamus-thinking"] == "asked=high applied=high"
    assert (response["status"], response["store"], response["metadata"]) == ("completed", True, {"team": "blue"})
    assert response["model"] == "gpt-5.5-2025-11-13"
    assert response["instructions"] == asked["instructions"]
    assert kinds(response) == ["reasoning", "message"]
    assert response["output"][0]["summary"][0]["text"].startswith("**Thinking**")
    assert "encrypted_content" not in response["output"][0]
    assert response["usage"]["output_tokens_details"] == {"reasoning_tokens": 40}


def test_efforts_and_what_goes_not_with_them_are_policed_as_everywhere(native, providers):
    cases = [
        ({"reasoning": {"effort": "none"}, "temperature": 0.5}, "none", True),
        ({"reasoning": {"effort": "low"}, "temperature": 0.5}, "low", False),
        ({"reasoning": {"effort": "max"}, "temperature": 0.5}, "xhigh", False),
        ({"temperature": 0.5}, None, False),
    ]
    for fields, effort, tempered in cases:
        _, answer = ask(native, **fields)
        sent = providers["gpt"].bodies[-1]
        assert (sent.get("reasoning") or {}).get("effort") == effort
        assert ("temperature" in sent) is tempered
        assert f"applied={effort or 'default'}" in answer.headers["x-thalamus-thinking"]


def test_a_model_that_does_not_reason_is_not_asked_for_encrypted_reasoning(native, providers):
    fields = {"include": ["reasoning.encrypted_content"], "reasoning": {"effort": "high"}, "temperature": 0.5}
    response, _ = ask(native, "plain", **fields)
    assert kinds(response) == ["message"]
    sent = providers["plain"].bodies[-1]
    assert (sent.get("include"), sent.get("reasoning"), sent["temperature"]) == (None, None, 0.5)


def test_the_events_are_the_backends_in_its_order_under_our_ids(native, providers):
    providers["gpt"].pause_s = 0.001
    response, answer = ask(native, stream=True, reasoning={"summary": "auto", "effort": "high"})
    events = events_of(answer.text)
    told = providers["gpt"].events(response, obfuscated=True)
    assert [event["type"] for event in events] == [event["type"] for event in told]
    identity = response["id"].removeprefix("resp_")
    ids = {event["item_id"] for event in events if "item_id" in event}
    ids |= {event["item"]["id"] for event in events if "item" in event}
    assert ids == {item["id"] for item in response["output"]}
    assert all(identity in item["id"] for item in response["output"])
    assert {event["response"]["id"] for event in events if "response" in event} == {response["id"]}
    deltas = [event["delta"] for event in events if event["type"] == "response.output_text.delta"]
    assert "".join(deltas) == text_of(response)
    assert "☀" in text_of(response)
    with native.client() as client:
        assert client.get(f"/v1/responses/{response['id']}").json() == response


def go_on(habit, response, items):
    """Give the next request of a loop as clients of one habit make it."""
    call = next(item for item in response["output"] if item["type"] == "function_call")
    output = {"type": "function_call_output", "call_id": call["call_id"], "output": "18 °C"}
    if habit == "chains":
        return {"previous_response_id": response["id"], "input": [output]}
    carried = [item for item in response["output"] if habit == "carries" or item["type"] != "reasoning"]
    items += [*carried, output]
    return {"input": list(items)}


HABITS = ("chains", "carries", "drops")


@by_stream
@pytest.mark.parametrize("habit", HABITS)
@pytest.mark.parametrize("model", ["gpt", "oss"])
def test_a_three_turn_tool_loop_ends_well_with_a_client_that(native, providers, model, habit, stream):
    how = TOOL_LOOP | ({"store": False, "include": ["reasoning.encrypted_content"]} if habit != "chains" else {})
    items = [{"role": "user", "content": f"{QUESTION} ({model}, {habit}, {stream})"}]
    response, answer = ask(native, model, stream=stream, input=items, **how)
    for city in CITIES:
        assert kinds(response) == ["reasoning", "function_call"]
        assert json.loads(response["output"][1]["arguments"]) == {"city": city}
        response, answer = ask(native, model, stream=stream, **how, **go_on(habit, response, items))
        assert answer.headers["x-thalamus-backend"] == model
    assert kinds(response) == ["reasoning", "message"]
    note = answer.headers["x-thalamus-thinking"]
    assert ("history=restored:2" in note) is (habit == "drops"), note
    sent = providers[model].bodies[-1]["input"]
    loop = ["reasoning", "function_call", "function_call_output"] * len(CITIES)
    assert [item.get("type", "message") for item in sent] == ["message", *loop]
    assert not any("id" in item for item in sent if item.get("type") != "reasoning")


@by_stream
def test_a_loop_without_its_vault_goes_on_as_far_as_the_backend_takes_it(serve, providers, standin, stream):
    gateway = serve(settings_with(providers, standin.url, vault={"enabled": False}))
    items = [{"role": "user", "content": QUESTION}]
    first, _ = ask(gateway, stream=stream, input=items, store=False, **TOOL_LOOP)
    body = {"model": "gpt", **TOOL_LOOP, "store": False, **go_on("drops", first, items)}
    with gateway.client() as client:
        refused = client.post("/v1/responses", json=body)
    assert refused.status_code == 400
    assert "without its required 'reasoning' item" in refused.json()["error"]["message"]


def test_chains_cross_between_backends_and_no_reasoning_goes_to_whoever_did_not_write_it(native, providers, standin):
    first, _ = ask(native, "gpt", **TOOL_LOOP)
    second, _ = ask(native, "sage", **TOOL_LOOP, **go_on("chains", first, []))
    assert all("reasoning_content" not in message for message in standin.requests()[-1]["body"]["messages"])
    third, _ = ask(native, "gpt", input="And tomorrow?", previous_response_id=second["id"], reasoning={"effort": "low"})
    sent = providers["gpt"].bodies[-1]["input"]
    assert [item.get("type") for item in sent].count("reasoning") == 1
    fourth, _ = ask(native, "oss", input="Thanks", previous_response_id=third["id"])
    assert not [item for item in providers["oss"].bodies[-1]["input"] if item.get("type") == "reasoning"]
    with native.client() as client:
        listed = client.get(f"/v1/responses/{fourth['id']}/input_items?order=asc&limit=50").json()["data"]
    assert [item["type"] for item in listed].count("reasoning") == 3
    assert len({item["id"] for item in listed}) == len(listed)


def test_what_a_client_carries_from_another_backend_is_left_out(native, providers):
    items = [{"role": "user", "content": QUESTION}]
    first, _ = ask(native, "oss", input=items, store=False)
    assert first["output"][0]["content"][0]["text"].startswith("Effort medium")
    talk = [*items, *first["output"], {"role": "user", "content": "And now?"}]
    _, answer = ask(native, "gpt", input=talk, store=False)
    assert "history=stripped:1" in answer.headers["x-thalamus-thinking"]
    second, _ = ask(native, "gpt", input=items, store=False)
    talk = [*items, *second["output"], {"role": "user", "content": "And now?"}]
    ask(native, "oss", input=talk, store=False)
    assert not [item for item in providers["oss"].bodies[-1]["input"] if item.get("type") == "reasoning"]


def test_items_are_referred_to_listed_and_deleted_as_any(native, providers):
    first, _ = ask(native)
    reference = {"type": "item_reference", "id": first["output"][1]["id"]}
    ask(native, input=[{"role": "user", "content": QUESTION}, reference, {"role": "user", "content": "More"}])
    said = providers["gpt"].bodies[-1]["input"][1]
    assert said == {"type": "message", "role": "assistant", "content": text_of(first)}
    with native.client() as client:
        listed = client.get(f"/v1/responses/{first['id']}/input_items").json()["data"]
        assert [item["content"][0]["text"] for item in listed] == [QUESTION]
        assert client.delete(f"/v1/responses/{first['id']}").json()["deleted"]
        assert client.get(f"/v1/responses/{first['id']}").status_code == 404
        gone = client.post("/v1/responses", json={"model": "gpt", "input": [reference]})
    assert (gone.status_code, gone.json()["error"]["param"]) == (400, "input[0].id")


def wait_for(condition, timeout_s=5.0):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that in time"
        time.sleep(0.01)


def fetch(gateway, response_id):
    with gateway.client() as client:
        return client.get(f"/v1/responses/{response_id}").json()


def test_the_background_is_polled_gone_on_from_and_cancelled(native, providers):
    queued, _ = ask(native, background=True, **TOOL_LOOP)
    assert queued["status"] == "queued"
    wait_for(lambda: fetch(native, queued["id"])["status"] == "completed")
    done = fetch(native, queued["id"])
    assert kinds(done) == ["reasoning", "function_call"]
    ask(native, **TOOL_LOOP, **go_on("chains", done, []))
    providers["gpt"].pause_s = 0.3
    queued, _ = ask(native, background=True)
    wait_for(lambda: fetch(native, queued["id"])["status"] == "in_progress" and len(providers["gpt"].bodies) == 3)
    time.sleep(0.3)
    with native.client() as client:
        cancelled = client.post(f"/v1/responses/{queued['id']}/cancel").json()
    assert cancelled["status"] == "cancelled"
    wait_for(lambda: providers["gpt"].left == 1)


def test_a_background_stream_is_the_backends_behind_its_announcement(native, providers):
    response, answer = ask(native, stream=True, background=True, **TOOL_LOOP)
    events = events_of(answer.text)
    assert [event["type"].removeprefix("response.") for event in events[:4]] == [
        "created",
        "queued",
        "in_progress",
        "output_item.added",
    ]
    with native.client() as client:
        again = client.get(f"/v1/responses/{response['id']}?stream=true&starting_after=3").text
    assert [json.loads(line[6:]) for line in again.splitlines() if line.startswith("data: ")] == events[4:]


def test_a_client_that_leaves_ends_the_backends_call(native, providers):
    providers["gpt"].pause_s = 0.3
    body = {"model": "gpt", "input": QUESTION, "stream": True}
    with native.client() as client, client.stream("POST", "/v1/responses", json=body) as answer:
        next(answer.iter_lines())
    wait_for(lambda: providers["gpt"].left == 1)


def test_a_model_may_think_in_silence_longer_than_the_idle_deadline(serve, providers, standin):
    settings = settings_with(providers, standin.url)
    settings["backends"]["gpt"]["timeouts"] = {"idle": 0.3, "first_token": 5.0}
    gateway = serve(settings)
    providers["gpt"].thinks_s = 1.0
    response, _ = ask(gateway, stream=True, reasoning={"effort": "high"})
    assert response["status"] == "completed"


@pytest.fixture(scope="module")
def falling_back(providers, session_standin, tmp_path_factory):
    """A gateway whose deep tier prefers the native backend and has another behind it."""
    settings = settings_with(providers, session_standin.url)
    settings["tiers"]["deep"] = ["gpt", "sage"]
    with running_gateway(settings, tmp_path_factory.mktemp("falling-back")) as running:
        yield running


@pytest.mark.parametrize(
    ("fault", "stream"),
    [("status-429", False), ("status-429", True), ("failed-whole", False), ("fails-at-once", True)],
)
def test_a_backend_that_fails_before_it_says_anything_is_routed_around(falling_back, providers, standin, fault, stream):
    providers["gpt"].faults.append(fault)
    response, answer = ask(falling_back, "deep", stream=stream)
    assert answer.headers["x-thalamus-backend"] == "sage"
    assert answer.headers["x-thalamus-attempts"].startswith("gpt=upstream_")
    assert text_of(response)
    assert "secret trouble" not in answer.text


@pytest.mark.parametrize("fault", ["breaks-off", "error-event"])
def test_what_breaks_off_ends_in_a_failed_response_with_what_was_said(falling_back, providers, standin, fault):
    providers["gpt"].faults.append(fault)
    response, answer = ask(falling_back, "deep", stream=True, reasoning={"effort": "none"})
    events = events_of(answer.text)
    assert events[-1]["type"] == "response.failed"
    assert response["error"]["code"] == "server_error"
    deltas = "".join(event["delta"] for event in events if event["type"] == "response.output_text.delta")
    assert text_of(response) == deltas != ""
    assert response["output"][-1]["status"] == "incomplete"
    assert "secret trouble" not in answer.text
    assert fetch(falling_back, response["id"]) == response


def test_an_answer_that_is_cut_is_incomplete(native):
    response, _ = ask(native, "plain", max_output_tokens=3)  # it does not think, so that its cap stays
    assert (response["status"], response["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})


def test_what_the_backend_refuses_is_refused_in_its_words(native):
    with native.client() as client:
        refused = client.post("/v1/responses", json={"model": "gpt", "input": QUESTION, "no_such_field": 1})
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "no_such_field")


@by_stream
@pytest.mark.parametrize("show", ["hide", "count"])
def test_hidden_reasoning_is_an_item_without_text_that_still_comes_back_to_its_model(native, providers, show, stream):
    hiding = {"headers": {"x-thalamus-reasoning": show}, "reasoning": {"summary": "auto", "effort": "high"}}
    for model in ("gpt", "oss"):
        items = [{"role": "user", "content": f"{QUESTION} ({show}, {stream})"}]
        first, answer = ask(native, model, stream=stream, input=items, tools=[WEATHER], **hiding)
        assert kinds(first) == ["reasoning", "function_call"]
        assert first["output"][0]["summary"] == []
        assert "content" not in first["output"][0]
        assert "Thinking" not in answer.text
        assert "thought" not in answer.text
        assert first["usage"]["output_tokens_details"]["reasoning_tokens"] == 40
        if stream:
            assert not [event for event in events_of(answer.text) if event["type"].startswith("response.reasoning")]
        ask(native, model, stream=stream, tools=[WEATHER], **hiding, **go_on("chains", first, []))
        ask(native, model, stream=stream, tools=[WEATHER], **hiding, **go_on("drops", first, items))
        assert [item for item in providers[model].bodies[-1]["input"] if item.get("type") == "reasoning"]


@by_stream
def test_reasoning_that_the_backend_does_not_count_is_estimated_and_marked(native, providers, stream):
    providers["oss"].faults.append("no-usage-details")
    response, _ = ask(native, "oss", stream=stream)
    details = response["usage"]["output_tokens_details"]
    assert details["reasoning_tokens_estimated"] is True
    assert 3 <= details["reasoning_tokens"] <= 30


def test_the_record_counts_what_the_backend_counted(native):
    before = native.settled()
    ask(native, stream=True)
    record = native.records(before + 1)[-1]
    assert (record["endpoint"], record["backend"], record["outcome"]) == ("responses", "gpt", "done")
    assert (record["tokens_in"], record["tokens_out"]) == (20, 60)
    assert record["first_token_ms"] > 0


@pytest.mark.parametrize("how", ["translate", "auto"])
def test_each_backend_can_be_asked_otherwise(serve, providers, standin, how):
    settings = settings_over(standin.url)
    settings["backends"]["sage"] |= {"model": "gpt-5.5", "host": "openai", "responses": how}
    if how == "auto":  # thinking is switched by template variables, which the Responses API has not
        settings["backends"]["sage"] |= {"model": "Qwen/Qwen3-32B", "host": "vllm"}
    gateway = serve(settings)
    response, _ = ask(gateway, "sage")
    assert text_of(response)
    assert standin.requests()[-1]["path"] == "/v1/chat/completions"


def test_a_backend_can_be_said_to_speak_it(serve, providers, standin):
    settings = settings_over(standin.url)
    settings["backends"]["sage"] = {"url": providers["oss"].url, "model": "house-7b", "responses": "native"}
    response, answer = ask(serve(settings), "sage", reasoning={"effort": "high"})
    assert text_of(response)
    assert providers["oss"].bodies[-1]["reasoning"] == {"effort": "high"}
    assert answer.headers["x-thalamus-thinking"] == "asked=high applied=default"


def test_no_tenant_gets_at_anothers_responses_or_reasoning(serve, providers, standin):
    keys = [{"name": name, "key": f"secret-{name}", "tenant": name} for name in ("a", "b")]
    gateway = serve(settings_with(providers, standin.url, keys=keys))
    ours, theirs = ({"authorization": f"Bearer secret-{name}"} for name in ("a", "b"))
    first, _ = ask(gateway, headers=ours, include=["reasoning.encrypted_content"])
    thought = first["output"][0]
    assert thought["encrypted_content"].startswith("tn2.")
    talk = [{"role": "user", "content": QUESTION}, *first["output"], {"role": "user", "content": "More"}]
    with gateway.client() as client:
        stolen = client.post("/v1/responses", json={"model": "gpt", "input": talk}, headers=theirs)
        chained = {"model": "gpt", "input": "More", "previous_response_id": first["id"]}
        refused = client.post("/v1/responses", json=chained, headers=theirs)
        raw = {**thought, "encrypted_content": thought["encrypted_content"].rpartition(".")[2]}
        bare = client.post("/v1/responses", json={"model": "gpt", "input": [talk[0], raw, *talk[2:]]}, headers=theirs)
    for answer in (stolen, bare):
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "input[1].encrypted_content")
    assert refused.json()["error"]["code"] == "previous_response_not_found"
    ask(gateway, headers=ours, input=talk)


def test_kept_answers_are_given_to_every_surface_and_calls_are_not_kept(serve, providers, standin):
    gateway = serve(settings_with(providers, standin.url, cache={"mode": "exact", "store": "all"}))
    effort = {"reasoning": {"effort": "high"}}
    first, answer = ask(gateway, "oss", **effort)
    assert answer.headers["x-thalamus-cache"] == "miss"
    again, answer = ask(gateway, "oss", stream=True, **effort)
    assert answer.headers["x-thalamus-cache"] == "hit-exact"
    assert (text_of(again), kinds(again)) == (text_of(first), ["reasoning", "message"])
    assert again["id"] != first["id"]
    _, answer = ask(gateway, "oss", headers={"x-thalamus-reasoning": "hide"}, **effort)
    assert answer.headers["x-thalamus-cache"] == "hit-exact"
    assert "thought" not in answer.text
    chat = {"model": "oss", "messages": [{"role": "user", "content": QUESTION}], "reasoning_effort": "high"}
    with gateway.client() as client:
        answer = client.post("/v1/chat/completions", json=chat)
    assert answer.headers["x-thalamus-cache"] == "hit-exact"
    assert answer.json()["choices"][0]["message"]["content"] == text_of(first)
    assert len(providers["oss"].bodies) == 1
    for _ in range(2):
        _, answer = ask(gateway, "oss", **TOOL_LOOP)
        assert answer.headers["x-thalamus-cache"] == "miss"


def test_a_cap_that_thinking_would_eat_is_raised_and_that_is_told(falling_back, providers):
    _, answer = ask(falling_back, "auto", input="Think hard: prove that there are infinitely many primes.",
                    max_output_tokens=64)  # fmt: skip
    sent = providers["gpt"].bodies[-1]
    assert answer.headers["x-thalamus-backend"] == "gpt"
    assert sent["max_output_tokens"] > 64
    assert f"max_tokens={sent['max_output_tokens']}" in answer.headers["x-thalamus-thinking"]
    assert "max_tokens" not in sent


def test_limits_hand_over_to_the_mini(serve, providers, standin):
    settings = settings_with(providers, standin.url)
    settings["tiers"] |= {"deep": "gpt", "deep-mini": "sage"}
    settings["limits"] = [{"tier": "deep", "window_s": 604800, "calls": 1}]
    gateway = serve(settings)
    served = [ask(gateway, "deep", stream=True)[1].headers["x-thalamus-backend"] for _ in range(2)]
    assert served == ["gpt", "sage"]


def test_a_cascade_checks_a_chat_completion_and_goes_deep_in_the_backends_own_words(serve, providers, standin):
    settings = settings_with(providers, standin.url)
    settings["backends"]["swift"]["model"] += "@answer=I am not sure."
    settings["tiers"]["deep"] = "gpt"
    settings["routing"] = {"thresholds": {"balanced": 1.0}, "cascade": {"min_confidence": 0.0}}
    response, answer = ask(serve(settings), "auto", input="What is the capital of France?")
    assert answer.headers["x-thalamus-reason"] == "cascade"
    assert kinds(response) == ["reasoning", "message"]
    assert len(providers["gpt"].bodies) == 1
