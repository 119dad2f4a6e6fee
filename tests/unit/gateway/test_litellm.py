"""Providers behind litellm: the real litellm against stand-ins for Anthropic and for OpenAI-compatible servers."""

import asyncio
import importlib.util
import inspect
import json
import socket
import struct
import subprocess
import sys
import time
from contextlib import aclosing, asynccontextmanager, suppress

import pytest

from gateway.errors import (
    UpstreamContentRefused,
    UpstreamContextExceeded,
    UpstreamError,
    UpstreamFailed,
    UpstreamMisconfigured,
    UpstreamRateLimited,
    UpstreamRefused,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from gateway.settings import BackendSettings, SettingsError
from gateway.standin import running_standin
from gateway.streaming import Relay, carries_output
from gateway.upstream.base import read_whole
from gateway.upstream.dialects import compile_thinking, load_dialects
from gateway.upstream.litellm import CHAT_FIELDS, NATIVE_FIELDS, LitellmUpstream, error_map, load_litellm, translate
from gateway.wire.usage import usage_of
from router.types import Effort
from tests.unit.gateway.anthropic_standin import KEY, SIGNATURE, Refusal, Script, running_anthropic

# litellm ignores these two for the whole process when it is imported; pytest undoes that after each test.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*`ReadOnly` qualifier.*:UserWarning"),
    pytest.mark.filterwarnings("ignore:Accessing the 'model_.*' attribute on the instance:DeprecationWarning"),
]

CLAUDE = "anthropic/claude-sonnet-4-5"
PROMPT = "What is the weather in Paris? 巴黎天气如何?"
USER = [{"role": "user", "content": PROMPT}]
TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Say what the weather is.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
CALLING = [
    {"type": "thinking", "thinking": "Paris it is. 想一想。", "signature": SIGNATURE},
    {"type": "text", "text": "One moment."},
    {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Paris"}},
]

ONE_CALL = """
import asyncio, json, sys
from gateway.settings import BackendSettings
from gateway.upstream.base import read_whole
from gateway.upstream.litellm import LitellmUpstream

def report(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo") and "127.0.0.1" not in str(arguments):
        print(event, arguments, flush=True)

async def main(url, key):
    settings = {"transport": "litellm", "url": url, "model": "anthropic/claude-sonnet-4-5", "key": key}
    upstream = LitellmUpstream("claude", BackendSettings.model_validate(settings))
    await upstream.start()
    fields = {"context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]}}  # needs the header list
    body = json.dumps({"messages": [{"role": "user", "content": "Hi"}], **fields})
    answer = await upstream.open("chat/completions", body.encode())
    print(json.loads(await read_whole(answer))["choices"][0]["message"]["content"])
    await upstream.close()

sys.addaudithook(report)
asyncio.run(main(*sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def running():
    with running_anthropic() as standin:
        yield standin


@pytest.fixture
def anthropic(running):
    yield running
    running.reset()


@pytest.fixture(scope="module")
def running_openai():
    with running_standin() as standin:
        yield standin


@pytest.fixture
def openai(running_openai):
    yield running_openai
    running_openai.reset()


@asynccontextmanager
async def started(url, model=CLAUDE, **settings):
    settings = {"key": KEY, **settings}
    backend = BackendSettings.model_validate({"transport": "litellm", "url": url, "model": model, **settings})
    upstream = LitellmUpstream("claude", backend)
    await upstream.start()
    try:
        yield upstream
    finally:
        await upstream.close()


@pytest.fixture
async def claude(anthropic):
    async with started(anthropic.url) as upstream:
        yield upstream


@pytest.fixture
async def compatible(openai):
    """A provider with OpenAI's API, reached through litellm."""
    async with started(openai.url + "/v1", "openai/some-model") as upstream:
        yield upstream


def body(**fields):
    return json.dumps({"model": "ignored", "messages": USER, "max_tokens": 4096, **fields}).encode()


def streaming(**fields):
    return body(stream=True, stream_options={"include_usage": True}, **fields)


async def chat(upstream, **fields):
    answer = await upstream.open("chat/completions", body(**fields))
    try:
        return json.loads(await read_whole(answer))
    finally:
        await answer.close()


async def stream(upstream, **fields):
    """The chunks of a stream, each as JSON, after a check of how they are framed."""
    answer = await upstream.open("chat/completions", streaming(**fields))
    async with aclosing(answer.chunks()) as chunks:
        frames = [chunk async for chunk in chunks]
    assert answer.headers["content-type"] == "text/event-stream"
    assert frames.pop() == b"data: [DONE]\n\n"
    assert all(frame.startswith(b"data: {") and frame.endswith(b"}\n\n") for frame in frames)
    return [json.loads(frame.removeprefix(b"data: ")) for frame in frames]


def deltas(chunks, field):
    return [choice["delta"][field] for chunk in chunks for choice in chunk["choices"] if choice["delta"].get(field)]


async def until(condition, seconds=1.0):
    """Wait for something that a stand-in brings about."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.01)


class TestImport:
    def test_litellm_is_not_imported_before_a_backend_starts(self):
        code = "import sys, gateway.upstream.litellm; sys.exit('litellm' in sys.modules)"
        assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

    def test_a_process_that_uses_it_connects_to_the_backend_alone_and_says_nothing(self, anthropic):
        """No price map or header list is fetched, nobody is called home, nothing is printed and no warning raised."""
        command = [sys.executable, "-W", "error", "-c", ONE_CALL, anthropic.url, KEY]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (run.stderr, run.stdout) == ("", "Good day, 世界.\n")

    async def test_a_provider_that_litellm_does_not_know_is_refused_at_start(self):
        with pytest.raises(SettingsError, match="write it as provider/model"):
            async with started("http://127.0.0.1:9", "nobody-knows-this"):
                pass

    @pytest.mark.parametrize(
        ("model", "module", "package"),
        [("vertex_ai/gemini-2.5-flash", "google.auth", "google-auth"), ("bedrock/amazon.nova", "boto3", "boto3")],
    )
    async def test_a_missing_package_is_named_at_start(self, model, module, package):
        with suppress(ModuleNotFoundError):
            if importlib.util.find_spec(module):
                pytest.skip(f"{package} is installed")
        with pytest.raises(SettingsError, match=f"pip install {package}"):
            async with started(None, model):
                pass


class TestAnswers:
    async def test_a_plain_answer_has_openais_shape(self, claude):
        answer = await chat(claude)
        assert answer["object"] == "chat.completion"
        [choice] = answer["choices"]
        assert choice["message"]["role"] == "assistant"
        assert choice["message"]["content"] == "Good day, 世界."
        assert choice["finish_reason"] == "stop"
        assert "provider_specific_fields" not in choice["message"]

    async def test_a_stream_adds_up_to_the_plain_answer(self, claude):
        chunks = await stream(claude)
        assert "".join(deltas(chunks, "content")) == "Good day, 世界."
        assert [choice["finish_reason"] for chunk in chunks[-2:] for choice in chunk["choices"]] == ["stop"]
        assert all(choice["finish_reason"] is None for chunk in chunks[:-2] for choice in chunk["choices"])

    async def test_cached_and_reasoning_tokens_are_counted(self, claude, anthropic):
        anthropic.script = Script(content=CALLING, stop_reason="tool_use")
        anthropic.script.usage = {
            "input_tokens": 11,
            "cache_read_input_tokens": 100,
            "cache_creation_input_tokens": 0,
            "output_tokens": 30,
        }
        plain = usage_of(json.dumps(await chat(claude, tools=[TOOL])).encode())
        assert (plain.input, plain.cached, plain.output) == (111, 100, 30)
        assert 0 < plain.reasoning < 30
        last = (await stream(claude, tools=[TOOL]))[-1]
        assert last["choices"] == []
        assert usage_of(json.dumps(last).encode()) == plain

    async def test_the_relay_takes_the_stream_and_hides_the_usage_that_was_not_asked_for(self, claude):
        relay = Relay("claude", usage_asked=False)
        answer = await claude.open("chat/completions", streaming())
        async with aclosing(answer.chunks()) as chunks:
            sent = b"".join([relay.feed(chunk) async for chunk in chunks]) + relay.finish()
        assert relay.done
        assert relay.output_seen
        assert relay.usage.output == 7
        assert b'"usage"' not in sent

    async def test_reading_a_stream_whole_gives_its_events(self, claude):
        answer = await claude.open("chat/completions", streaming())
        assert (await read_whole(answer)).endswith(b"data: [DONE]\n\n")

    async def test_a_compatible_provider_answers_plain_and_streamed(self, compatible):
        plain = await chat(compatible)
        text = plain["choices"][0]["message"]["content"]
        assert text.startswith("Echo ")
        chunks = await stream(compatible)
        assert "".join(deltas(chunks, "content")) == text
        assert chunks[-1]["usage"]["completion_tokens"] == plain["usage"]["completion_tokens"]

    @pytest.mark.parametrize("model", ["azure_ai/x", "custom_openai/x", "databricks/x", "openrouter/x/y", "xai/grok-4"])
    async def test_providers_are_reached_in_litellms_own_ways(self, openai, model):
        """Some through the openai package, some through litellm's own client; neither takes the other's."""
        async with started(openai.url + "/v1", model) as upstream:
            plain = await chat(upstream)
            assert "".join(deltas(await stream(upstream), "content")) == plain["choices"][0]["message"]["content"]

    async def test_key_and_headers_reach_the_provider(self, anthropic):
        async with started(anthropic.url, headers={"x-team": "blue"}) as upstream:
            await chat(upstream)
        [request] = anthropic.requests
        assert (request.headers["x-api-key"], request.headers["x-team"]) == (KEY, "blue")

    async def test_the_trace_goes_on_at_the_provider_beside_the_backends_own_headers(self, anthropic, openai):
        context = {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01", "tracestate": "vendor=x"}
        body = json.dumps({"messages": USER}).encode()
        async with started(anthropic.url, headers={"x-team": "blue"}) as upstream:
            await read_whole(await upstream.open("chat/completions", body, context))
            await read_whole(await upstream.open("chat/completions", body))
        async with started(openai.url + "/v1", "openai/some-model") as upstream:
            await read_whole(await upstream.open("chat/completions", body, context))
        with_it, without = (dict(request.headers) for request in anthropic.requests[-2:])
        sent = (with_it, openai.requests()[-1]["headers"])
        assert [{name: headers[name] for name in context} for headers in sent] == [context, context]
        assert (with_it["x-team"], without["x-team"], "traceparent" in without) == ("blue", "blue", False)

    async def test_embeddings_are_served(self, compatible, openai):
        answer = await compatible.open("embeddings", b'{"model": "x", "input": ["a", "b"], "encoding_format": "float"}')
        vectors = json.loads(await read_whole(answer))["data"]
        assert [len(item["embedding"]) for item in vectors] == [1536, 1536]
        assert openai.requests()[-1]["path"] == "/v1/embeddings"

    async def test_text_completions_are_refused_in_words(self, claude):
        with pytest.raises(UpstreamRefused, match="chat completions and embeddings, and not completions"):
            await claude.open("completions", b'{"model": "x", "prompt": "Once"}')


class TestTools:
    @pytest.fixture(autouse=True)
    def calling(self, anthropic):
        anthropic.script = Script(content=CALLING, stop_reason="tool_use")

    async def test_a_plain_call_comes_with_its_thinking_and_the_signature(self, claude):
        [choice] = (await chat(claude, tools=[TOOL]))["choices"]
        message = choice["message"]
        assert choice["finish_reason"] == "tool_calls"
        assert message["tool_calls"][0]["function"]["name"] == "get_weather"
        assert json.loads(message["tool_calls"][0]["function"]["arguments"]) == {"city": "Paris"}
        assert message["reasoning_content"] == CALLING[0]["thinking"]
        assert message["thinking_blocks"] == [CALLING[0]]

    async def test_a_streamed_call_adds_up_to_the_same(self, claude):
        chunks = await stream(claude, tools=[TOOL])
        calls = [call for group in deltas(chunks, "tool_calls") for call in group]
        assert calls[0]["function"]["name"] == "get_weather"
        assert json.loads("".join(call["function"]["arguments"] for call in calls)) == {"city": "Paris"}
        assert "".join(deltas(chunks, "reasoning_content")) == CALLING[0]["thinking"]
        blocks = [block for group in deltas(chunks, "thinking_blocks") for block in group]
        assert [block["signature"] for block in blocks if block.get("signature")] == [SIGNATURE]

    async def test_the_answer_can_be_sent_back_with_the_tools_result(self, claude, anthropic):
        thinking = {"type": "enabled", "budget_tokens": 2048}
        said = (await chat(claude, tools=[TOOL], thinking=thinking))["choices"][0]["message"]
        result = {"role": "tool", "tool_call_id": said["tool_calls"][0]["id"], "content": "sunny, 晴"}
        await chat(claude, tools=[TOOL], thinking=thinking, messages=[*USER, said, result])
        turns = anthropic.requests[-1].body["messages"]
        assert turns[1]["content"][0] == CALLING[0]
        assert turns[2]["content"][0]["content"] == "sunny, 晴"


def claude_efforts():
    """Every effort of every Claude that the dialects know, as a request's fields."""
    dialects = load_dialects()
    models = ("claude-3-5-sonnet-latest", "claude-3-7-sonnet-latest", "claude-sonnet-4-5", "claude-opus-4-6",
              "claude-opus-4-7", "claude-opus-4-8", "claude-sonnet-5", "claude-haiku-5-5", "claude-sonnet-5-5",
              "claude-opus-5-5", "claude-fable-5")  # fmt: skip
    for model in models:
        dialect = dialects.find(dialects.guess_family(model), "anthropic")
        for effort in dialect.efforts:
            thinking = compile_thinking(dialect, effort, {"max_tokens": 4096})
            yield pytest.param(model, {"max_tokens": 4096, **thinking.set}, id=f"{model}-{effort}")


class TestFields:
    @pytest.mark.parametrize(("model", "fields"), list(claude_efforts()))
    async def test_compiled_thinking_reaches_the_wire_untouched(self, anthropic, model, fields):
        async with started(anthropic.url, f"anthropic/{model}") as upstream:
            await chat(upstream, **fields)
        sent = anthropic.requests[-1].body
        names = ("thinking", "output_config", "max_tokens")
        assert {name: sent.get(name) for name in names} == {name: fields.get(name) for name in names}
        assert sent["model"] == model

    async def test_a_compatible_provider_gets_every_field_that_the_caller_sent(self, compatible, openai):
        fields = {
            "thinking": {"type": "disabled"},
            "reasoning_effort": "none",
            "chat_template_kwargs": {"enable_thinking": False, "thinking": False},
            "min_p": 0.1,
            "metadata": {"team": "blue"},
            "temperature": 0.3,
        }
        await chat(compatible, **fields)
        sent = openai.requests()[-1]["body"]
        assert {name: sent.get(name) for name in fields} == fields
        assert sent["model"] == "some-model"

    @pytest.mark.parametrize(
        "model", ["mistral/x", "databricks/x", "openrouter/x/y", "moonshot/kimi-k2.6", "zai/glm-4.6"]
    )
    async def test_litellms_opinion_of_a_model_does_not_stop_its_switch(self, openai, model):
        async with started(openai.url + "/v1", model) as upstream:
            await chat(upstream, thinking={"type": "disabled"})
        assert openai.requests()[-1]["body"]["thinking"] == {"type": "disabled"}

    async def test_what_anthropic_does_not_know_is_left_out(self, claude, anthropic):
        await chat(claude, min_p=0.1, logit_bias={"5": 1}, seed=7, frequency_penalty=0.5, chat_template_kwargs={})
        assert anthropic.requests[-1].body.keys() == {"model", "messages", "max_tokens"}

    async def test_a_caller_cannot_steer_litellm(self, claude, anthropic):
        """A body that names another address, key, provider, answer or callback changes nothing at all."""
        litellm = load_litellm()
        names = {*inspect.signature(litellm.acompletion).parameters, *litellm.types.utils.all_litellm_params}
        names |= {"success_callback", "callbacks", "http_client", "custom_endpoint", "url", "aws_sts_endpoint"}
        steering = dict.fromkeys(names - CHAT_FIELDS - NATIVE_FIELDS, "http://127.0.0.1:9/stolen")
        assert {
            "api_base",
            "base_url",
            "api_key",
            "custom_llm_provider",
            "mock_response",
            "fallbacks",
        } <= steering.keys()
        answer = await chat(claude, **steering)
        assert answer["choices"][0]["message"]["content"] == "Good day, 世界."
        [request] = anthropic.requests
        assert request.body.keys() == {"model", "messages", "max_tokens"}
        assert "stolen" not in json.dumps([request.body, request.headers])

    async def test_tools_that_look_like_litellms_proxy_are_the_providers_business(self, compatible):
        """litellm would load its proxy for them."""
        tool = {"type": "mcp", "server_label": "x", "server_url": "https://example.com/mcp/x"}
        with pytest.raises(UpstreamRefused):
            await chat(compatible, tools=[tool])
        assert "litellm.proxy._experimental.mcp_server.server" not in sys.modules

    @pytest.mark.parametrize("extra", ["text", [], {"google": 5}, {"google": {"thinking_config": "text"}}, None])
    async def test_an_odd_extra_body_is_no_defect(self, extra):
        async with started("http://127.0.0.1:9", "gemini/gemini-2.5-flash") as upstream:
            with pytest.raises(UpstreamError):
                await chat(upstream, extra_body=extra)

    async def test_gemini_gets_its_thinking_where_its_own_api_has_it(self):
        sent = asyncio.get_running_loop().create_future()
        answer = {
            "candidates": [{"content": {"role": "model", "parts": [{"text": "Hi"}]}, "finishReason": "STOP"}],
            "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 1, "totalTokenCount": 4},
        }

        async def serve(reader, writer):
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(line for line in head.lower().splitlines() if line.startswith(b"content-length"))
            sent.set_result(json.loads(await reader.readexactly(int(length.split(b":")[1]))))
            data = json.dumps(answer).encode()
            head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(data)}\r\n\r\n"
            writer.write(head.encode() + data)
            await writer.drain()
            writer.close()

        dialects = load_dialects()
        thinking = compile_thinking(dialects.find("gemini-2.5-flash", "generic"), Effort.NONE, {})
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            async with started(url, "gemini/gemini-2.5-flash") as upstream:
                said = await chat(upstream, **thinking.set)
        assert said["choices"][0]["message"]["content"] == "Hi"
        assert (await sent)["generationConfig"]["thinkingConfig"] == {"thinking_budget": 0}
        assert "extra_body" not in await sent


REFUSALS = [
    (Refusal(400, "invalid_request_error", "max_tokens: 9 > 8"), UpstreamRefused, 400, "upstream_refused"),
    (Refusal(400, "invalid_request_error", "prompt is too long: 9 tokens > 8 maximum"), UpstreamContextExceeded, 400,
     "context_length_exceeded"),
    (Refusal(400, "invalid_request_error", "Output blocked by content filtering policy"), UpstreamContentRefused, 400,
     "content_policy_violation"),
    (Refusal(413, "request_too_large", "Request exceeds the maximum size"), UpstreamRefused, 413, "upstream_refused"),
    (Refusal(401, "authentication_error", "invalid x-api-key"), UpstreamMisconfigured, 502, "upstream_misconfigured"),
    (Refusal(403, "permission_error", "not yours"), UpstreamMisconfigured, 502, "upstream_misconfigured"),
    (Refusal(404, "not_found_error", "model: claude-x"), UpstreamMisconfigured, 502, "upstream_misconfigured"),
    (Refusal(429, "rate_limit_error", "slow down"), UpstreamRateLimited, 429, "upstream_rate_limited"),
    (Refusal(500, "api_error", "Internal server error"), UpstreamFailed, 502, "upstream_failed"),
    (Refusal(529, "overloaded_error", "Overloaded"), UpstreamFailed, 502, "upstream_failed"),
]  # fmt: skip


class TestErrors:
    @pytest.mark.parametrize("call", [chat, stream], ids=["plain", "streamed"])
    @pytest.mark.parametrize(
        ("refusal", "kind", "status", "code"), REFUSALS, ids=[f"{row[0].status}-{row[3]}" for row in REFUSALS]
    )
    async def test_a_refusal_becomes_ours(self, claude, anthropic, call, refusal, kind, status, code):
        anthropic.script.refusal = refusal
        with pytest.raises(UpstreamError) as caught:
            await call(claude)
        error = caught.value
        assert (type(error), error.status, error.backend) == (kind, status, "claude")
        said = json.loads(error.body())["error"]
        assert said["code"] == code
        if issubclass(kind, UpstreamRefused):
            assert said["message"] == str(refusal)
        assert PROMPT not in error.message
        assert KEY not in error.message
        assert len(anthropic.requests) == 1, "litellm must not try again by itself"

    async def test_retry_after_is_kept(self, claude, anthropic):
        anthropic.script.refusal = Refusal(429, "rate_limit_error", "slow down", retry_after="17")
        with pytest.raises(UpstreamRateLimited) as caught:
            await chat(claude)
        assert caught.value.headers["retry-after"] == "17"

    async def test_words_that_hold_a_secret_are_not_passed_on(self, anthropic):
        anthropic.script.refusal = Refusal(400, "invalid_request_error", "odd team blue-and-private")
        async with started(anthropic.url, headers={"x-team": "blue-and-private"}) as upstream:
            with pytest.raises(UpstreamRefused) as caught:
                await chat(upstream)
        assert "blue-and-private" not in caught.value.body().decode()

    @pytest.mark.parametrize(
        ("fault", "kind"),
        [
            ("status-400", UpstreamRefused),
            ("status-401", UpstreamMisconfigured),
            ("status-403", UpstreamMisconfigured),
            ("status-404", UpstreamMisconfigured),
            ("status-408", UpstreamTimeout),
            ("status-422", UpstreamRefused),
            ("status-429", UpstreamRateLimited),
            ("status-500", UpstreamFailed),
            ("status-502", UpstreamFailed),
            ("status-503", UpstreamFailed),
            ("status-504", UpstreamTimeout),
            ("close-before-headers", UpstreamFailed),
            ("reset-before-headers", UpstreamFailed),
            ("truncated-json", UpstreamFailed),
        ],
    )
    async def test_a_compatible_providers_faults_become_ours(self, compatible, openai, fault, kind):
        openai.behave(faults=[fault])
        with pytest.raises(UpstreamError) as caught:
            await chat(compatible)
        assert type(caught.value) is kind
        assert len(openai.requests()) == 1, "litellm must not try again by itself"
        if kind is UpstreamRefused:
            assert json.loads(caught.value.body())["error"]["message"]
        if kind is UpstreamRateLimited:
            assert caught.value.headers["retry-after"] == "1"

    @pytest.mark.parametrize("model", [CLAUDE, "openai/some-model"])
    async def test_a_closed_port_is_unreachable(self, model):
        async with started("http://127.0.0.1:9", model) as upstream:
            with pytest.raises(UpstreamUnreachable):
                await chat(upstream)

    async def test_a_broken_connection_is_not_tried_again(self):
        """litellm would send the request a second time, and the provider count it twice."""
        connections = []

        async def reset(reader, writer):
            connections.append(await reader.readuntil(b"\r\n\r\n"))
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.close()

        async with await asyncio.start_server(reset, "127.0.0.1", 0) as server:
            url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            async with started(url) as upstream:
                with pytest.raises(UpstreamFailed):
                    await chat(upstream)
        assert len(connections) == 1

    async def test_nothing_is_printed_or_logged(self, claude, anthropic, capfd, caplog):
        caplog.set_level("DEBUG")
        anthropic.script.refusal = Refusal(400, "invalid_request_error", "no")
        with pytest.raises(UpstreamRefused):
            await chat(claude)
        assert capfd.readouterr() == ("", "")
        assert PROMPT not in caplog.text
        assert KEY not in caplog.text

    def test_the_map_is_complete(self):
        """Each of litellm's exceptions is mapped by a class that says something, not by `Exception`."""
        litellm = load_litellm()
        own = vars(litellm.exceptions).values()
        listed = {*litellm.LITELLM_EXCEPTION_TYPES, *(kind for kind in own if is_api_error(kind))}
        assert len(listed) >= 20
        unmapped = [kind.__name__ for kind in listed if first_mapped(kind) in (Exception, None)]
        assert unmapped == ["MockException"], "which only callers of its mock_response meet"

    def test_an_exception_that_nobody_foresaw_is_a_failure_of_the_backend(self):
        error = translate(KeyError(PROMPT), "claude")
        assert type(error) is UpstreamFailed
        assert PROMPT not in error.message


def is_api_error(kind):
    import openai

    return isinstance(kind, type) and issubclass(kind, openai.OpenAIError) and kind.__module__ == "litellm.exceptions"


def first_mapped(kind):
    return next((base for base in kind.__mro__ if base in error_map()), None)


class TestStreamsThatEndBadly:
    @pytest.mark.parametrize(
        "script", [Script(cut=True), Script(error_event="overloaded_error")], ids=["cut", "error event"]
    )
    async def test_a_stream_of_claudes_that_breaks_off_is_a_failure(self, claude, anthropic, script):
        """litellm by itself would end the first one with a `stop` that nobody sent."""
        anthropic.script = script
        with pytest.raises(UpstreamFailed):
            await stream(claude)

    @pytest.mark.parametrize("fault", ["close-mid-stream", "reset-mid-stream", "error-event"])
    async def test_a_compatible_stream_that_breaks_off_is_a_failure(self, compatible, openai, fault):
        openai.behave(faults=[fault])
        with pytest.raises(UpstreamFailed):
            await stream(compatible)


class TestDeadlines:
    @pytest.mark.parametrize("call", [chat, stream], ids=["plain", "streamed"])
    async def test_an_answer_that_does_not_begin_is_a_timeout(self, anthropic, call):
        anthropic.script.wait_s = 5
        async with started(anthropic.url, timeouts={"first_token": 0.2}) as upstream:
            with pytest.raises(UpstreamTimeout):
                await call(upstream)
        await until(lambda: anthropic.requests[-1].client_left)

    @pytest.mark.parametrize(("deadline", "wait"), [("idle", 5), ("total", 0.1)])
    async def test_a_stream_that_stalls_or_does_not_end_is_a_timeout(self, anthropic, deadline, wait):
        anthropic.script.event_wait_s = wait
        anthropic.script.content = [{"type": "text", "text": "word " * 100}]
        async with started(anthropic.url, timeouts={"first_token": 0.3, deadline: 0.3}) as upstream:
            with pytest.raises(UpstreamTimeout):
                await stream(upstream)
        await until(lambda: anthropic.requests[-1].client_left)

    async def test_before_its_first_output_a_stream_may_be_silent_for_longer_than_between_two(self, anthropic):
        anthropic.script.event_wait_s = 0.5
        anthropic.script.content = [{"type": "text", "text": "word " * 100}]
        said = bytearray()

        async def hear(answer) -> None:
            async with aclosing(answer.chunks()) as chunks:
                async for chunk in chunks:
                    said.extend(chunk)

        async with started(anthropic.url, timeouts={"first_token": 30, "idle": 0.2}) as upstream:
            answer = await upstream.open("chat/completions", streaming())
            with pytest.raises(UpstreamTimeout):
                await hear(answer)
        assert carries_output(bytes(said))


class TestClientsThatLeave:
    async def test_closing_a_stream_early_cuts_the_connection_to_anthropic(self, claude, anthropic):
        anthropic.script.event_wait_s = 0.05
        anthropic.script.content = [{"type": "text", "text": "word " * 1000}]
        answer = await claude.open("chat/completions", streaming())
        async with aclosing(answer.chunks()) as chunks:
            await anext(chunks)
        await answer.close()
        await until(lambda: anthropic.requests[-1].client_left)

    @pytest.mark.parametrize("model", ["openai/x", "deepseek/deepseek-chat", "mistral/x", "openrouter/x/y", "groq/x"])
    async def test_closing_a_stream_early_cuts_the_connection_to_a_compatible_provider(self, openai, model):
        openai.behave(token_ms=50, tokens=1000)
        async with started(openai.url + "/v1", model) as upstream:
            answer = await upstream.open("chat/completions", streaming())
            async with aclosing(answer.chunks()) as chunks:
                await anext(chunks)
            await answer.close()
            await until(lambda: openai.requests()[-1]["client_left"])

    async def test_a_stream_that_was_never_read_is_cut_too(self, claude, anthropic):
        anthropic.script.event_wait_s = 0.05
        anthropic.script.content = [{"type": "text", "text": "word " * 1000}]
        answer = await claude.open("chat/completions", streaming())
        await answer.close()
        await answer.close()
        await until(lambda: anthropic.requests[-1].client_left)

    @pytest.mark.parametrize("fields", [body(), streaming()], ids=["plain", "streamed"])
    async def test_cancelling_a_call_cuts_the_connection(self, claude, anthropic, fields):
        anthropic.script.wait_s = 5
        call = asyncio.create_task(claude.open("chat/completions", fields))
        await until(lambda: anthropic.requests, seconds=5)
        call.cancel()
        await asyncio.wait([call])
        assert call.cancelled()
        await until(lambda: anthropic.requests[-1].client_left)

    async def test_the_connection_of_a_finished_answer_is_used_again(self, claude, anthropic):
        await chat(claude)
        await stream(claude)
        await chat(claude)
        assert len({request.port for request in anthropic.requests}) == 1
