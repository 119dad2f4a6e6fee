"""Claude Code: the program itself, headless, and the shapes of its requests, against the real gateway.

The program comes from the npm registry and is not ours to pass on; it runs with a home of its own, and a proxy to
nowhere for whatever it might want of others than the gateway.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.standin import RunningStandin
from tests.clients.environments import HERE, Sdk, installed
from tests.conformance.rows import Row
from tests.conformance.serving import running_standins
from tests.conformance.world import backends
from tests.gateway.serving import RunningGateway, running_gateway, settings_over

Json = dict[str, Any]

KEY = "sk-claude-code"
SONNET, HAIKU = "claude-sonnet-4-6", "claude-haiku-4-5-20251001"
ROWS = (
    Row("deepseek-v4", "deepseek"),
    Row("kimi-k2.5", "moonshot"),
    Row("claude-4.6", "anthropic"),
    Row("gemini-3-pro", "gemini"),
)
by_row = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)


@pytest.fixture(scope="module")
def strict() -> Iterator[str]:
    with running_standins(ROWS) as url:
        yield url


@pytest.fixture(scope="module")
def gateway(
    session_standin: RunningStandin, strict: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningGateway]:
    """A gateway with the aliases that docs/messages.md tells users of Claude Code to write."""
    aliases = {SONNET: "auto", HAIKU: "fast"}
    settings = settings_over(session_standin.url, aliases=aliases, keys=[{"name": "coder", "key": KEY}])
    settings["backends"] |= backends(ROWS, strict)
    with running_gateway(settings, tmp_path_factory.mktemp("claude-code")) as running:
        yield running


def bodies(standin: RunningStandin) -> list[Json]:
    return [request["body"] for request in standin.requests() if request["path"] == "/v1/chat/completions"]


class Program:
    """The program, in an empty folder."""

    def __init__(self, home: Path, gateway: RunningGateway, folder: Path) -> None:
        (self._binary,) = home.glob("node_modules/@anthropic-ai/claude-code-*/claude")
        self._folder = folder
        nowhere = "http://127.0.0.1:9"  # the discard port: nobody listens
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "ANTHROPIC_BASE_URL": gateway.url,
            "ANTHROPIC_AUTH_TOKEN": KEY,
            "ANTHROPIC_MODEL": SONNET,
            "ANTHROPIC_DEFAULT_HAIKU_MODEL": HAIKU,
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "DISABLE_AUTOUPDATER": "1",
            "ENABLE_TOOL_SEARCH": "false",
            "HTTPS_PROXY": nowhere,
            "HTTP_PROXY": nowhere,
            "NO_PROXY": "127.0.0.1",
        }

    def ask(self, prompt: str, *options: str) -> list[Json]:
        """Run it on one prompt; give what it reports, message by message."""
        command = [str(self._binary), "-p", prompt, "--output-format", "stream-json", "--verbose", *options]
        ended = subprocess.run(
            command, cwd=self._folder, env=self._environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=120, check=False,
        )  # fmt: skip
        assert ended.returncode == 0, ended.stdout[-4000:] + ended.stderr[-4000:]
        return [json.loads(line) for line in ended.stdout.splitlines()]


@pytest.fixture
def program(gateway: RunningGateway, tmp_path: Path) -> Program:
    home = installed(Sdk("claude_code", checks="claude_code", node=True))
    return Program(home, gateway, tmp_path)


@pytest.mark.clients
def test_the_program_is_answered_by_an_alias(
    program: Program, standin: RunningStandin, gateway: RunningGateway
) -> None:
    standin.behave(thinking="always", tool_calls=0, answer="Four. 四。")
    report = program.ask("What is 2 + 2?")
    assert (report[-1]["subtype"], report[-1]["is_error"]) == ("success", False)
    assert report[-1]["result"] == "Four. 四。"
    assert report[-1]["usage"]["output_tokens"] > 0
    assert bodies(standin)[-1]["model"] in ("swift-1", "sage-1")
    assert {event["endpoint"] for event in gateway.records(1)} == {"messages"}


@pytest.mark.clients
@by_row
def test_the_programs_tool_loop_ends_well_on_a_family_that_wants_its_reasoning_back(
    program: Program, strict: str, row: Row
) -> None:
    server = {
        "mcpServers": {"weather": {"command": sys.executable, "args": [str(HERE / "claude_code/weather_server.py")]}}
    }
    report = program.ask(
        "Compare the weather in Paris and 罗马.", "--model", row.name, "--effort", "high",
        "--strict-mcp-config", "--mcp-config", json.dumps(server), "--allowedTools", "mcp__weather__get_weather",
    )  # fmt: skip
    assert "天气温和" in report[-1]["result"], report[-1]
    blocks = [block for line in report if line["type"] == "assistant" for block in line["message"]["content"]]
    assert [block["type"] for block in blocks] == ["thinking", "tool_use"] * 2 + ["thinking", "text"]
    assert [block["input"]["city"] for block in blocks if block["type"] == "tool_use"] == ["Paris", "罗马"]
    sent = httpx.get(f"{strict}/{row.name}").json()[-1]["messages"]
    assert [message["role"] for message in sent if message["role"] != "system"] == [
        "user", "assistant", "tool", "assistant", "tool",
    ]  # fmt: skip


BETAS = {
    "anthropic-version": "2023-06-01",
    "anthropic-beta": "claude-code-20250219,interleaved-thinking-2025-05-14,fine-grained-tool-streaming-2025-05-14,"
    "context-management-2025-06-27,prompt-caching-scope-2026-01-05,effort-2025-11-24",
    "anthropic-dangerous-direct-browser-access": "true",
    "x-app": "cli",
    "x-stainless-lang": "js",
    "user-agent": "claude-cli/2.1.197 (external, cli)",
}
SESSION = {"device_id": "d" * 64, "account_uuid": "", "session_id": "0b9e2c51-7c2a-4d2c-a3f7-1a7d1b6f2f10"}
CACHED = {"type": "ephemeral", "ttl": "1h"}
TOOLS = [
    {
        "name": name,
        "description": f"{name} things. " * 100,
        "input_schema": {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": {"file_path": {"type": "string"}, "limit": {"type": "integer", "exclusiveMinimum": 0}},
            "required": ["file_path"],
            "additionalProperties": False,
        },
        "eager_input_streaming": True,
    }
    for name in ("Task", "Bash", "Glob", "Grep", "Read", "Edit", "Write", "NotebookEdit", "WebFetch", "TodoWrite")
]


def coding(*turns: Json, **fields: Any) -> Json:
    """Give a request of a coding session, in the fields and blocks that Anthropic documents for such a client."""
    return {
        "model": SONNET,
        "max_tokens": 32000,
        "system": [
            {
                "type": "text",
                "text": "x-anthropic-billing-header: cc_version=2.1.197.abc; cc_entrypoint=cli; cch=1f3d2;",
            },
            {"type": "text", "text": "You are a coding agent.", "cache_control": CACHED},
            {"type": "text", "text": "# Rules\n" + "Mind the house style. " * 800, "cache_control": CACHED},
        ],
        "messages": list(turns),
        "tools": TOOLS,
        "metadata": {"user_id": json.dumps(SESSION)},
        "thinking": {"type": "enabled", "budget_tokens": 10000},
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        "stream": True,
        **fields,
    }


def said(text: str) -> Json:
    reminder = {"type": "text", "text": "<system-reminder>Nothing has changed.</system-reminder>"}
    return {"role": "user", "content": [reminder, {"type": "text", "text": text, "cache_control": CACHED}]}


def result(use: Json, content: Any, **fields: Any) -> Json:
    return {"type": "tool_result", "tool_use_id": use["id"], "content": content, **fields}


def tell(gateway: RunningGateway, body: Json, path: str = "/v1/messages?beta=true") -> httpx.Response:
    with gateway.client(headers={**BETAS, "authorization": f"Bearer {KEY}"}) as client:
        reply = client.post(path, json=body)
    assert reply.is_success, reply.text
    return reply


def message_of(reply: httpx.Response) -> Json:
    """Put a streamed message together, as the SDK does."""
    message: Json = {}
    for line in reply.text.splitlines():
        event = json.loads(line[6:]) if line.startswith("data: ") else {}
        match event.get("type"):
            case "message_start":
                message = event["message"]
            case "content_block_start":
                message["content"].append({**event["content_block"], "input_json": ""})
            case "content_block_delta":
                block, delta = message["content"][event["index"]], event["delta"]
                for name, target in (("text", "text"), ("thinking", "thinking"), ("partial_json", "input_json")):
                    if name in delta:
                        block[target] = block.get(target, "") + delta[name]
                if "signature" in delta:
                    block["signature"] = delta["signature"]
            case "message_delta":
                message |= event["delta"]
    for block in message["content"]:
        arguments = block.pop("input_json")
        if block["type"] == "tool_use":
            block["input"] = json.loads(arguments or "{}")
    return message


def test_a_coding_sessions_requests_are_served(gateway: RunningGateway, standin: RunningStandin) -> None:
    standin.behave(thinking="always")
    first = tell(gateway, coding(said("Please grep and read everything about the router")))
    calls = message_of(first)
    assert [block["type"] for block in calls["content"]] == ["thinking", "tool_use", "tool_use"]
    assert calls["stop_reason"] == "tool_use"
    assert calls["content"][0]["signature"]
    sent = bodies(standin)[-1]
    assert [message["role"] for message in sent["messages"]] == ["system", "user"]
    assert "billing" not in sent["messages"][0]["content"]
    assert len(sent["user"]) <= 64
    assert [tool["function"]["name"] for tool in sent["tools"]] == [tool["name"] for tool in TOOLS]
    assert not {"cache_control", "context_management", "metadata"} & set(sent)
    assert "cache_control" not in json.dumps(sent["messages"])

    _, grep, read = calls["content"]
    large = "router/engine.py:1: something\n" * 5_000
    results = [
        result(grep, [{"type": "text", "text": large}]),
        result(read, "No such file", is_error=True, cache_control=CACHED),
    ]
    history = [
        said("Please grep and read everything about the router"),
        {"role": "assistant", "content": calls["content"]},
    ]
    second = message_of(
        tell(gateway, coding(*history, {"role": "user", "content": results}, stop_sequences=["</stop>"]))
    )
    assert second["stop_reason"] == "end_turn"
    sent = bodies(standin)[-1]
    assert [message["role"] for message in sent["messages"]] == ["system", "user", "assistant", "tool", "tool"]
    assert [call["id"] for call in sent["messages"][2]["tool_calls"]] == [grep["id"], read["id"]]
    assert sent["messages"][3]["content"] == large
    assert sent["messages"][4]["content"] == "Error:\nNo such file"
    assert sent["stop"] == ["</stop>"]


def test_a_conversation_that_fits_nowhere_is_told_in_the_words_at_which_it_is_compacted(
    gateway: RunningGateway, standin: RunningStandin
) -> None:
    with gateway.client(headers={**BETAS, "authorization": f"Bearer {KEY}"}) as client:
        reply = client.post("/v1/messages?beta=true", json=coding(said("x " * 400_000)))
    assert (reply.status_code, reply.json()["error"]["type"]) == (400, "invalid_request_error")
    assert reply.json()["error"]["message"].startswith("prompt is too long: ")
    assert bodies(standin) == []


def test_a_sessions_turns_are_one_conversation(gateway: RunningGateway, standin: RunningStandin) -> None:
    """The line with a checksum and the user's long id change from request to request; the prompt must not."""
    one, other = coding(said("Hello")), coding(said("Hello"))
    other["system"][0] = {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1.197.abc; cch=99999;"}
    for body in (one, other):
        tell(gateway, body)
    first, second = bodies(standin)[-2:]
    assert first["messages"] == second["messages"]
    assert first["user"] == second["user"]


def test_the_small_requests_beside_a_session_go_to_the_fast_tier(
    gateway: RunningGateway, standin: RunningStandin
) -> None:
    title = {
        "model": HAIKU,
        "max_tokens": 512,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Make the router faster"}]}],
        "system": [{"type": "text", "text": "Give a title for this coding session."}],
        "tools": [],
        "metadata": {"user_id": json.dumps(SESSION)},
        "temperature": 1,
        "output_config": {
            "format": {
                "type": "json_schema",
                "schema": {"type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"],
                           "additionalProperties": False},
            }
        },
        "stream": True,
    }  # fmt: skip
    reply = tell(gateway, title)
    assert reply.headers["x-thalamus-tier"] == "fast"
    assert set(json.loads(message_of(reply)["content"][0]["text"])) == {"title"}
    quota = {"model": HAIKU, "max_tokens": 1, "messages": [{"role": "user", "content": "quota"}]}
    assert tell(gateway, quota).json()["stop_reason"] == "max_tokens"


def test_tokens_are_counted_with_tools_and_thinking(gateway: RunningGateway, standin: RunningStandin) -> None:
    whole = coding(said("Hello"))
    asked = {name: whole[name] for name in ("model", "system", "messages", "tools", "thinking")}
    counted = tell(gateway, asked, "/v1/messages/count_tokens?beta=true").json()["input_tokens"]
    bare = tell(gateway, {**asked, "tools": []}, "/v1/messages/count_tokens?beta=true").json()["input_tokens"]
    assert counted > bare + 1000 > 1000
    assert bodies(standin) == []


@by_row
def test_thinking_between_tool_calls_comes_back_to_the_model_that_thought(gateway: RunningGateway, row: Row) -> None:
    """The strict stand-ins refuse a call whose reasoning is missing or altered: blocks must survive both ways."""
    tool = {"name": "get_weather", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}}
    turns = [said("Compare the weather in Paris and 罗马.")]
    for _ in range(2):
        called = message_of(tell(gateway, coding(*turns, model=row.name, tools=[tool])))
        thought, use = called["content"]
        assert (thought["type"], use["type"]) == ("thinking", "tool_use")
        turns += [
            {"role": "assistant", "content": called["content"]},
            {"role": "user", "content": [result(use, [{"type": "text", "text": "18 °C"}], cache_control=CACHED)]},
        ]
    final = message_of(tell(gateway, coding(*turns, model=row.name, tools=[tool])))
    assert [block["type"] for block in final["content"]] == ["thinking", "text"]
