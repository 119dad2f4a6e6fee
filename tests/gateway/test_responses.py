"""The Responses API of the real gateway: kept and fetched, streamed, in the background, and refused."""

from __future__ import annotations

import json
import time

import pytest

from tests.gateway.serving import settings_over

ASK = {"model": "sage", "input": "Hello there"}
THINK = {**ASK, "standin": {"thinking": "always"}}
WEATHER = {
    "type": "function",
    "name": "get_weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}


def sent(standin):
    return standin.requests()[-1]["body"]


def events_of(text):
    """Give the events of a stream, each checked to be named as its data says."""
    events = []
    for frame in text.split("\n\n"):
        lines = dict(line.split(": ", 1) for line in frame.splitlines() if not line.startswith(":"))
        if lines:
            event = json.loads(lines["data"])
            assert event["type"] == lines["event"]
            events.append(event)
    return events


def poll(client, response_id, *, until=("completed", "failed", "cancelled", "incomplete"), headers=None):
    deadline = time.monotonic() + 5
    while True:
        response = client.get(f"/v1/responses/{response_id}", headers=headers).json()
        if response["status"] in until:
            return response
        assert time.monotonic() < deadline, response
        time.sleep(0.02)


def text_of(response):
    return "".join(part["text"] for item in response["output"] if item["type"] == "message" for part in item["content"])


def test_a_response_comes_with_the_decision_and_can_be_fetched_and_deleted(gateway, standin):
    with gateway.client() as client:
        answer = client.post("/v1/responses", json={**ASK, "instructions": "Be brief.", "top_k": 4})
        response = answer.json()
        fetched = client.get(f"/v1/responses/{response['id']}")
        deleted = client.delete(f"/v1/responses/{response['id']}").json()
        gone = client.get(f"/v1/responses/{response['id']}")
    assert answer.headers["x-thalamus-backend"] == "sage"
    assert (response["object"], response["status"], response["model"]) == ("response", "completed", "sage-1")
    assert text_of(response).endswith("Hello there")
    assert response["usage"]["total_tokens"] > 0
    assert fetched.json() == response
    assert deleted == {"id": response["id"], "object": "response", "deleted": True}
    assert (gone.status_code, gone.json()["error"]["code"]) == (404, "response_not_found")
    assert sent(standin)["top_k"] == 4
    assert [message["role"] for message in sent(standin)["messages"]] == ["system", "user"]


def test_a_stream_has_the_official_events_in_order_and_ends_with_what_is_kept(gateway, standin):
    with gateway.client() as client:
        answer = client.post("/v1/responses", json={**THINK, "stream": True})
        events = events_of(answer.text)
        kept = client.get(f"/v1/responses/{events[0]['response']['id']}").json()
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    kinds = [event["type"].removeprefix("response.") for event in events]
    assert list(dict.fromkeys(kinds)) == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "reasoning_text.delta",
        "reasoning_text.done",
        "content_part.done",
        "output_item.done",
        "output_text.delta",
        "output_text.done",
        "completed",
    ]
    assert events[-1]["response"] == kept
    assert [item["type"] for item in kept["output"]] == ["reasoning", "message"]
    deltas = "".join(event["delta"] for event in events if event["type"] == "response.output_text.delta")
    assert deltas == text_of(kept)


def test_a_tool_loop_goes_on_by_the_previous_response_and_the_reasoning_comes_back(gateway, standin):
    with gateway.client() as client:
        first = client.post("/v1/responses", json={**THINK, "input": "Paris weather?", "tools": [WEATHER]}).json()
        thought, call = first["output"]
        output = {"type": "function_call_output", "call_id": call["call_id"], "output": "rain"}
        again = {**ASK, "input": [output], "previous_response_id": first["id"], "tools": [WEATHER]}
        second = client.post("/v1/responses", json=again).json()
        messages = sent(standin)["messages"]
        third = client.post("/v1/responses", json={**ASK, "input": "Thanks", "previous_response_id": second["id"]})
        listed = client.get(f"/v1/responses/{third.json()['id']}/input_items?order=asc").json()
        page = client.get(f"/v1/responses/{third.json()['id']}/input_items?limit=2").json()
    assert (thought["type"], call["type"], call["name"]) == ("reasoning", "function_call", "get_weather")
    assert [message["role"] for message in messages] == ["user", "assistant", "tool"]
    assert messages[1]["tool_calls"][0]["id"] == call["call_id"]
    assert second["status"] == "completed"
    kinds = ["message", "reasoning", "function_call", "function_call_output", "message", "message"]
    assert [item["type"] for item in listed["data"]] == kinds
    assert len({item["id"] for item in listed["data"]}) == len(kinds)
    assert [item["id"] for item in page["data"]] == [item["id"] for item in reversed(listed["data"])][:2]
    assert page["has_more"]


def test_an_item_can_be_sent_as_a_reference(gateway, standin):
    with gateway.client() as client:
        first = client.post("/v1/responses", json=ASK).json()
        referred = [{"type": "item_reference", "id": first["output"][0]["id"]}, {"role": "user", "content": "More"}]
        answer = client.post("/v1/responses", json={**ASK, "input": referred})
        nowhere = [{"type": "item_reference", "id": "msg_nowhere"}]
        refused = client.post("/v1/responses", json={**ASK, "input": nowhere})
    assert answer.status_code == 200
    assert sent(standin)["messages"][0] == {"role": "assistant", "content": text_of(first)}
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "input[0].id")


def test_what_is_not_stored_cannot_be_fetched_and_its_reasoning_is_carried_sealed(gateway, standin):
    sealed = {"include": ["reasoning.encrypted_content"], "store": False}
    with gateway.client() as client:
        first = client.post("/v1/responses", json={**THINK, **sealed, "reasoning": {"summary": "auto"}}).json()
        thought = first["output"][0]
        assert thought["summary"][0]["text"]
        assert "content" not in thought
        missing = client.get(f"/v1/responses/{first['id']}")
        carried = [{**thought, "summary": []}, first["output"][1], {"role": "user", "content": "And now?"}]
        again = client.post("/v1/responses", json={**ASK, "input": carried, "store": False})
        spoilt = [{**thought, "encrypted_content": "ts1.AAAA"}, *carried[1:]]
        refused = client.post("/v1/responses", json={**ASK, "input": spoilt, "store": False})
    assert (first["store"], missing.status_code, again.status_code) == (False, 404, 200)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "input[0].encrypted_content")


def test_the_background_works_on_and_is_polled(gateway, standin):
    standin.behave(tokens=10, token_ms=20)
    with gateway.client() as client:
        started = client.post("/v1/responses", json={**ASK, "background": True}).json()
        assert started["status"] == "queued"
        done = poll(client, started["id"])
    assert done["status"] == "completed"
    assert text_of(done)
    record = next(event for event in reversed(gateway.events()) if event["endpoint"] == "responses-background")
    assert (record["outcome"], record["tokens_out"]) == ("done", done["usage"]["output_tokens"])


def test_cancelling_the_background_closes_the_backend(gateway, standin):
    standin.behave(tokens=1000, token_ms=20)
    with gateway.client() as client:
        started = client.post("/v1/responses", json={**ASK, "background": True}).json()
        poll(client, started["id"], until=("in_progress",))
        while not standin.requests():
            time.sleep(0.01)
        cancelled = client.post(f"/v1/responses/{started['id']}/cancel").json()
        again = client.post(f"/v1/responses/{started['id']}/cancel").json()
        kept = client.get(f"/v1/responses/{started['id']}").json()
    assert cancelled["status"] == "cancelled"
    assert kept == again == cancelled
    deadline = time.monotonic() + 1
    while not standin.requests()[-1]["client_left"]:
        assert time.monotonic() < deadline, "the backend's call was still open"
        time.sleep(0.01)


def test_a_background_response_that_fails_says_why(gateway, standin):
    standin.behave(faults=["status-429"])
    with gateway.client() as client:
        failed = poll(client, client.post("/v1/responses", json={**ASK, "background": True}).json()["id"])
    assert (failed["status"], failed["error"]["code"]) == ("failed", "rate_limit_exceeded")


def test_the_shutdown_waits_for_the_background_and_then_ends_it(serve, standin):
    standin.behave(tokens=1000, token_ms=20)
    gateway = serve(settings_over(standin.url, server={"drain_s": 1}))
    with gateway.client() as client:
        client.post("/v1/responses", json={**ASK, "background": True})
    gateway.stop()
    record = next(event for event in gateway.events() if event["endpoint"] == "responses-background")
    assert (record["outcome"], record["error"]) == ("dropped", "shutdown")


def test_a_stream_that_breaks_ends_in_a_failed_response_with_what_was_said(gateway, standin):
    standin.behave(faults=["close-mid-stream"], tokens=10)
    before = gateway.settled()
    with gateway.client() as client:
        events = events_of(client.post("/v1/responses", json={**ASK, "stream": True}).text)
    failed = events[-1]["response"]
    assert (events[-1]["type"], failed["error"]["code"]) == ("response.failed", "server_error")
    assert failed["output"][0]["status"] == "incomplete"
    assert text_of(failed)
    record = gateway.records(before + 1)[-1]
    assert (record["endpoint"], record["outcome"], record["error"]) == ("responses", "failed", "upstream_failed")


def test_an_answer_that_is_cut_is_incomplete(gateway, standin):
    with gateway.client() as client:
        cut = client.post("/v1/responses", json={**ASK, "max_output_tokens": 2}).json()
    assert (cut["status"], cut["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
    assert cut["output"][-1]["status"] == "incomplete"


def test_no_tenant_sees_anothers_responses(serve, standin):
    keys = [{"name": name, "key": f"secret-{name}", "tenant": name} for name in ("a", "b")]
    gateway = serve(settings_over(standin.url, keys=keys))
    ours, theirs = ({"authorization": f"Bearer secret-{name}"} for name in ("a", "b"))
    sealed = {**THINK, "include": ["reasoning.encrypted_content"]}
    with gateway.client() as client:
        response = client.post("/v1/responses", json=sealed, headers=ours).json()
        place = f"/v1/responses/{response['id']}"
        assert client.get(place, headers=ours).status_code == 200
        for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/cancel"), ("GET", "/input_items")):
            assert client.request(method, place + path, headers=theirs).status_code == 404
            assert client.request(method, place + path).status_code == 401
        chained = {**ASK, "previous_response_id": response["id"]}
        refused = client.post("/v1/responses", json=chained, headers=theirs)
        thought = {**response["output"][0], "content": None}
        stolen = client.post("/v1/responses", json={**ASK, "input": [thought]}, headers=theirs)
    assert refused.json()["error"]["code"] == "previous_response_not_found"
    assert stolen.json()["error"]["param"] == "input[0].encrypted_content"


REFUSED = [
    ({"model": "gpt-9"}, 404, "model"),
    ({"model": "gpt-9", "background": True}, 404, "model"),
    ({"input": []}, 400, "input"),
    ({"input": [{"type": "web_search_call", "id": "ws_1"}]}, 400, "input[0].type"),
    ({"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]}, 400, "input[0].content[0]"),
    ({"input": [{"type": "function_call_output", "call_id": "c", "output": "x"}]}, 400, "input[0]"),
    ({"tools": [{"type": "web_search"}]}, 400, "tools[0].type"),
    ({"tool_choice": {"type": "function", "name": "nobody"}, "tools": [WEATHER]}, 400, "tool_choice"),
    ({"reasoning": {"effort": "enormous"}}, 400, "reasoning.effort"),
    ({"text": {"format": {"type": "json_schema"}}}, 400, "text.format"),
    ({"conversation": "conv_1"}, 400, "conversation"),
    ({"prompt": {"id": "pmpt_1"}}, 400, "prompt"),
    ({"previous_response_id": "resp_nobody"}, 400, "previous_response_id"),
    ({"background": True, "store": False}, 400, "store"),
    ({"include": ["everything"]}, 400, "include[0]"),
    ({"max_output_tokens": 0}, 400, "max_output_tokens"),
]


@pytest.mark.parametrize(("change", "status", "param"), REFUSED)
def test_what_cannot_be_done_is_refused_by_name_and_nobody_is_asked(gateway, standin, change, status, param):
    with gateway.client() as client:
        answer = client.post("/v1/responses", json={**ASK, **change})
    assert (answer.status_code, answer.json()["error"]["param"]) == (status, param)
    assert not standin.requests()


def test_the_oldest_messages_are_dropped_where_that_is_wanted(serve, standin):
    settings = settings_over(standin.url)
    for backend in settings["backends"].values():
        backend["context_window"] = 1500
    gateway = serve(settings)
    talk = [{"role": "user", "content": f"{number} " + "x" * 1000} for number in range(6)]
    with gateway.client() as client:
        refused = client.post("/v1/responses", json={**ASK, "input": talk})
        answer = client.post("/v1/responses", json={**ASK, "input": talk, "truncation": "auto"})
    assert refused.json()["error"]["code"] == "context_length_exceeded"
    assert answer.status_code == 200
    assert [message["content"][0] for message in sent(standin)["messages"]] == ["4", "5"]


@pytest.mark.parametrize("stored", [True, False])
def test_reasoning_returns_to_a_family_that_wants_it_back(serve, standin, stored):
    settings = settings_over(standin.url, vault={"enabled": False})
    settings["backends"]["sage"] |= {"model": "deepseek-reasoner", "family": "deepseek-v3.2", "host": "deepseek"}
    gateway = serve(settings)
    ask = {**THINK, "input": "Paris weather?", "tools": [WEATHER], "store": stored}
    with gateway.client() as client:
        first = client.post("/v1/responses", json={**ask, "include": ["reasoning.encrypted_content"]}).json()
        thought, call = first["output"]
        output = {"type": "function_call_output", "call_id": call["call_id"], "output": "rain"}
        if stored:
            again = {"input": [output], "previous_response_id": first["id"]}
        else:
            sealed = {name: value for name, value in thought.items() if name != "content"}
            again = {"input": [{"role": "user", "content": "Paris weather?"}, sealed, call, output]}
        client.post("/v1/responses", json={**ask, **again})
    assert sent(standin)["messages"][1]["reasoning_content"] == thought["content"][0]["text"]


@pytest.mark.parametrize("query", ["limit=0", "limit=x", "order=sideways", "after=msg_nowhere"])
def test_a_wrong_parameter_of_a_list_is_refused_by_name(gateway, standin, query):
    with gateway.client() as client:
        response = client.post("/v1/responses", json=ASK).json()
        answer = client.get(f"/v1/responses/{response['id']}/input_items?{query}")
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, query.partition("=")[0])
