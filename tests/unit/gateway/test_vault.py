"""The vault: what is kept of an answer is found again in a stripped history, and put back where the family wants it."""

import json
import secrets
from typing import Any

import msgspec
import pytest
from pydantic import SecretStr
from redis.asyncio import Redis

from gateway.cache.redis_guard import open_redis
from gateway.cache.redis_store import RedisStore
from gateway.cache.settings import RedisSettings
from gateway.cache.store import MemoryStore, StoreUnavailable
from gateway.reasoning import ReasoningOptions
from gateway.upstream.dialects import load_dialects
from gateway.vault import History, Listener, Origin, Vault, mend, will_think
from gateway.vault.identity import name_messages
from gateway.vault.keepsake import Keepsake
from gateway.wire.body import parse
from gateway.wire.chat import ChatRequest
from router.types import Effort
from tests.unit.gateway.redis_server import running_redis

DIALECTS = load_dialects()
UNIQUE = "call_00_9f8e7d6c5b4a39281706"
TOOLS = [{"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}]
USER = {"role": "user", "content": "Weather in Paris? 巴黎天气如何?"}
RESULT = {"role": "tool", "tool_call_id": UNIQUE, "content": "18 °C"}
THOUGHT = "The user wants Paris. 想一想。"
DETAILS = [
    {"type": "reasoning.text", "text": THOUGHT, "signature": "sig-1", "format": "anthropic-claude-v1", "index": 0}
]
BLOCKS = [{"type": "thinking", "thinking": THOUGHT, "signature": "sig-1"}]
SIGNED = {"google": {"thought_signature": "sig-1"}}


def call(identifier: str = UNIQUE, arguments: str = '{"city": "Paris"}', **extra: Any) -> dict[str, Any]:
    return {"id": identifier, "type": "function", "function": {"name": "get_weather", "arguments": arguments}, **extra}


def calling(*calls: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": None, "tool_calls": list(calls or (call(),)), **fields}


def saying(content: str, **fields: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": content, **fields}


def chat_of(*messages: dict[str, Any], **fields: Any):
    body = {"model": "auto", "messages": messages, "tools": TOOLS, **fields}
    return parse(json.dumps(body).encode(), ChatRequest)


def history_of(*messages: dict[str, Any], kept: dict[int, Keepsake] | None = None) -> History:
    chat = chat_of(*messages)
    return History(chat.typed.messages, chat.fields["messages"], kept or {})


def keepsake(family: str, host: str, *, text: str = THOUGHT, sealed: Any = None, calls: Any = None) -> Keepsake:
    return Keepsake(Origin(family, host), text, sealed or {}, calls or [])


def mended_messages(mended: Any) -> list[dict[str, Any]]:
    return json.loads(msgspec.json.encode(mended.messages))


def mended(family: str, host: str, history: History, *, thinks: bool = True):
    dialect = DIALECTS.find(family, host)
    return mend(history, dialect, Origin.of(dialect, "model-1"), thinks=thinks)


def vault_over(store: Any, **options: Any) -> Vault:
    return Vault(store, **{"ttl_s": 60, "max_bytes": 1 << 20, "tenant_quota_bytes": None, **options})


def body_of(message: dict[str, Any]) -> bytes:
    return json.dumps({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}).encode()


def frames_of(*deltas: dict[str, Any]) -> list[bytes]:
    events = [{"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    return [b"data: " + json.dumps(event).encode() + b"\n\n" for event in events]


async def keep_answer(vault: Vault, tenant: str, chat: Any, message: dict[str, Any], family: str, host: str) -> None:
    dialect = DIALECTS.find(family, host)
    listener = vault.listen(chat, dialect, "model-1", ReasoningOptions.of_dialect(dialect))
    assert listener is not None
    listener.hear_answer(body_of(message))
    await vault.keep(tenant, listener)


SAME_MESSAGE = {
    "the text is null or empty": (calling(call("call_0")), calling(call("call_0"), content="")),
    "arguments are written anew": (
        calling(call("call_0", '{"b":1, "a":"é"}')),
        calling(call("call_0", '{"a": "\\u00e9", "b": 1}')),
    ),
    "only the random id is left": (calling(), calling(call(arguments="{}"), content="Let me see.")),
    "text comes in parts": (saying("Sunny."), saying([{"type": "text", "text": "Sunny."}])),
    "white space around it is lost": (saying("\n\nSunny."), saying("Sunny.")),
}


@pytest.mark.parametrize("case", SAME_MESSAGE)
def test_a_message_keeps_its_name_when(case):
    written, returned = SAME_MESSAGE[case]
    names = [dict(name_messages(chat_of(USER, message).typed.messages, "")) for message in (written, returned)]
    assert names[0] == names[1] != {}


OTHER_MESSAGE = {
    "the question was another": ((USER, saying("Yes.")), ({**USER, "content": "Rome?"}, saying("Yes."))),
    "an earlier question was another": (
        ({**USER, "content": "Hi"}, saying("Hi."), USER, saying("Yes.")),
        ({**USER, "content": "Hello"}, saying("Hi."), USER, saying("Yes.")),
    ),
    "its counted id comes in another conversation": (
        (USER, calling(call("functions.get_weather:0"))),
        ({**USER, "content": "Rome?"}, calling(call("functions.get_weather:0"))),
    ),
    "the same call comes a second time": (
        (USER, calling(call("call_0"))),
        (USER, saying("Wait."), calling(call("call_0"))),
    ),
    "the arguments differ": ((USER, calling(call("call_0"))), (USER, calling(call("call_0", "{}")))),
}


@pytest.mark.parametrize("case", OTHER_MESSAGE)
def test_a_message_has_another_name_when(case):
    names = [list(name_messages(chat_of(*messages).typed.messages, ""))[-1][1] for messages in OTHER_MESSAGE[case]]
    assert names[0] != names[1]


def test_one_end_users_message_is_not_anothers():
    messages = chat_of(USER, saying("Yes.")).typed.messages
    assert dict(name_messages(messages, "anna")) != dict(name_messages(messages, "ben"))


RESTORED = {
    "deepseek": ("deepseek-v4", "deepseek", keepsake("deepseek-v4", "deepseek"), {"reasoning_content": THOUGHT}),
    "kimi": ("kimi-k2.5", "moonshot", keepsake("kimi-k2.5", "moonshot"), {"reasoning_content": THOUGHT}),
    "glm": ("glm-4.7", "zai", keepsake("glm-4.7", "zai"), {"reasoning_content": THOUGHT}),
    "gpt-oss on vllm": ("gpt-oss", "vllm", keepsake("gpt-oss", "vllm"), {"reasoning": THOUGHT}),
    "the same family on another host": ("glm-4.7", "vllm", keepsake("glm-4.7", "zai"), {"reasoning": THOUGHT}),
    "minimax": (
        "minimax-m2", "minimax",
        keepsake("minimax-m2", "minimax", sealed={"reasoning_details": DETAILS}), {"reasoning_details": DETAILS},
    ),
    "claude": (
        "claude-4.5", "anthropic",
        keepsake("claude-4.5", "anthropic", sealed={"thinking_blocks": BLOCKS}), {"thinking_blocks": BLOCKS},
    ),
    "gemini": (
        "gemini-3-pro", "gemini",
        keepsake("gemini-3-pro", "gemini", calls=[{"extra_content": SIGNED}]),
        {"tool_calls": [call(extra_content=SIGNED)]},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", RESTORED)
def test_reasoning_is_put_back_for(case):
    family, host, kept, expected = RESTORED[case]
    outcome = mended(family, host, history_of(USER, calling(), RESULT, kept={1: kept}))
    assert mended_messages(outcome) == [USER, calling() | expected, RESULT]
    assert (outcome.restored, outcome.missing, outcome.stripped) == (1, 0, 0)


STRIPPED = {
    "R1 refuses it": ("deepseek-r1", "deepseek", {"reasoning_content": THOUGHT}),
    "Qwen does without": ("qwen3", "vllm", {"reasoning": THOUGHT}),
    "OpenAI knows no such field": ("gpt-4o", "openai", {"reasoning_content": THOUGHT, "thinking_blocks": BLOCKS}),
    "DeepSeek called no tools": ("deepseek-v4", "deepseek", {"reasoning_content": THOUGHT}),
}


@pytest.mark.parametrize("case", STRIPPED)
def test_reasoning_is_taken_out_because(case):
    family, host, carried = STRIPPED[case]
    outcome = mended(family, host, history_of(USER, saying("Sunny.", **carried), USER))
    assert mended_messages(outcome) == [USER, saying("Sunny."), USER]
    assert outcome.stripped == 1


FOREIGN = {
    "Claude's signature to another Claude family": (
        "claude-4.6", "anthropic", {"thinking_blocks": BLOCKS}, keepsake("claude-4.5", "anthropic"), {},
    ),
    "Claude's signature to GLM": (
        "glm-4.7", "zai", {"thinking_blocks": BLOCKS, "reasoning_content": THOUGHT},
        keepsake("claude-4.5", "anthropic"), {},
    ),
    "OpenRouter's details to another of its models": (
        "glm-4.7", "openrouter", {"reasoning_details": DETAILS}, keepsake("claude-4.6", "openrouter"), {},
    ),
    "what another wrote to an unknown model": (
        None, None, {"reasoning_content": THOUGHT}, keepsake("glm-4.7", "zai"), {},
    ),
    "Kimi takes any text": (
        "kimi-k3", "moonshot", {"reasoning_content": THOUGHT}, keepsake("glm-4.7", "zai"),
        {"reasoning_content": THOUGHT},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", FOREIGN)
def test_on_a_switch_of_models_foreign_reasoning_goes(case):
    family, host, carried, kept, left = FOREIGN[case]
    outcome = mended(family, host, history_of(USER, calling(**carried), RESULT, kept={1: kept}))
    messages = mended_messages(outcome) if outcome.messages else [USER, calling(**carried), RESULT]
    assert messages == [USER, calling(**left), RESULT]


def test_geminis_signature_does_not_go_to_another_family():
    signed = calling(call(extra_content=SIGNED))
    outcome = mended("glm-4.7", "zai", history_of(USER, signed, RESULT, kept={1: keepsake("gemini-3-pro", "gemini")}))
    assert mended_messages(outcome) == [USER, calling(), RESULT]


def test_gemini_3_is_told_in_its_own_words_that_another_model_called():
    outcome = mended("gemini-3-pro", "gemini", history_of(USER, calling(), RESULT))
    (made,) = mended_messages(outcome)[1]["tool_calls"]
    assert made["extra_content"] == {"google": {"thought_signature": "skip_thought_signature_validator"}}
    assert outcome.missing == 1


REFUSING = {
    ("deepseek-v4", "deepseek"): True,
    ("kimi-k2.5", "moonshot"): True,
    ("claude-4.5", "anthropic"): True,
    ("claude-4.6", "anthropic"): False,
    ("deepseek-v4", "vllm"): False,
    ("glm-4.7", "zai"): False,
}


@pytest.mark.parametrize(("backend", "refuses"), REFUSING.items(), ids=str)
def test_what_is_missing_is_told_where_the_backend_would_refuse(backend, refuses):
    outcome = mended(*backend, history_of(USER, calling(), RESULT))
    assert outcome.refused is refuses
    assert outcome.messages is None  # nothing is invented


@pytest.mark.parametrize("empty", ["", None])
def test_kimi_never_gets_an_empty_reasoning(empty):
    outcome = mended("kimi-k2.5", "moonshot", history_of(USER, calling(reasoning_content=empty), RESULT))
    assert mended_messages(outcome) == [USER, calling(), RESULT]
    assert outcome.refused


def test_nothing_is_restored_for_a_backend_that_will_not_think():
    kept = {1: keepsake("deepseek-v4", "deepseek")}
    outcome = mended("deepseek-v4", "deepseek", history_of(USER, calling(), RESULT, kept=kept), thinks=False)
    assert (outcome.messages, outcome.note) == (None, "")


def test_messages_that_need_nothing_keep_their_bytes():
    history = history_of(USER, calling(reasoning_content=THOUGHT), RESULT)
    outcome = mended("deepseek-v4", "deepseek", history)
    assert outcome.messages is None


def test_deepseek_gets_the_reasoning_of_answers_given_after_tool_calls_too():
    kept = {position: keepsake("deepseek-v4", "deepseek") for position in (1, 3)}
    outcome = mended("deepseek-v4", "deepseek", history_of(USER, calling(), RESULT, saying("Sunny."), USER, kept=kept))
    assert [message.get("reasoning_content") for message in mended_messages(outcome)] == [
        None, THOUGHT, None, THOUGHT, None,
    ]  # fmt: skip


def test_what_was_done_is_said_in_one_word_each():
    kept = {1: keepsake("kimi-k2.5", "moonshot")}
    outcome = mended("kimi-k2.5", "moonshot", history_of(USER, calling(), RESULT, calling(), RESULT, kept=kept))
    assert outcome.note == "restored:1,missing:1"


@pytest.mark.parametrize(
    ("family", "effort", "thinks"),
    [
        ("deepseek-v4", None, True), ("deepseek-v4", Effort.NONE, False), ("gpt-5.1", None, False),
        ("kimi-k3", None, True), ("gpt-4o", None, False), ("glm-4.7", Effort.HIGH, True),
    ],
)  # fmt: skip
def test_whether_a_backend_will_think(family, effort, thinks):
    dialect = DIALECTS.find(family, {"deepseek-v4": "deepseek"}.get(family))
    assert will_think(dialect, effort) is thinks


PLAIN = {
    "reasoning_content": ({"reasoning_content": THOUGHT}, "deepseek-v4", "deepseek"),
    "reasoning": ({"reasoning": THOUGHT}, "gpt-oss", "vllm"),
    "inline tags": ({"content": f"<think>{THOUGHT}</think>"}, "minimax-m2", "vllm"),
}


@pytest.mark.parametrize("case", PLAIN)
async def test_the_vault_keeps_what_a_plain_answer_thought(case):
    fields, family, host = PLAIN[case]
    vault = vault_over(MemoryStore(1 << 20))
    await keep_answer(vault, "acme", chat_of(USER), calling(**fields), family, host)
    found = await vault.recall("acme", chat_of(USER, calling(), RESULT), [DIALECTS.find(family, host)])
    assert found == {1: Keepsake(Origin(family, host), THOUGHT, {}, [{}])}


async def test_the_vault_puts_a_streamed_answer_together_again():
    deltas = (
        {"role": "assistant", "content": "", "reasoning_content": "The user "},
        {"reasoning_content": "wants Paris. 想一想。"},
        {"thinking_blocks": [{"type": "thinking", "thinking": "The user ", "signature": ""}]},
        {"thinking_blocks": [{"type": "thinking", "thinking": "wants Paris. 想一想。", "signature": ""}]},
        {"thinking_blocks": [{"type": "thinking", "thinking": "", "signature": "sig-1"}]},
        {"thinking_blocks": [{"type": "redacted_thinking", "data": "c2VhbGVk"}]},
        {"tool_calls": [{"index": 0, **call(arguments=""), "extra_content": SIGNED}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"city": '}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '"Paris"}'}}]},
    )
    listener = Listener(Origin("claude-4.6", "anthropic"), ReasoningOptions(), chat_of(USER).typed.messages, "")
    rewrite = listener.around(_Passing())
    assert [rewrite(frame) for frame in frames_of(*deltas)] == frames_of(*deltas)
    ((name, kept),) = listener.keepsakes()
    assert kept.text == THOUGHT
    assert kept.sealed == {"thinking_blocks": [*BLOCKS, {"type": "redacted_thinking", "data": "c2VhbGVk"}]}
    assert kept.calls == [{"extra_content": SIGNED}]
    assert name == dict(name_messages(chat_of(USER, calling()).typed.messages, ""))[1]


class _Passing:
    def __call__(self, frame: bytes) -> bytes:
        return frame

    def flush(self) -> bytes:
        return b""


async def test_streamed_and_plain_answers_have_the_same_name_without_a_random_id():
    names = []
    for streamed in (False, True):
        listener = Listener(Origin("kimi-k3", "moonshot"), ReasoningOptions(), chat_of(USER).typed.messages, "")
        message = calling(call("functions.get_weather:0"), reasoning_content=THOUGHT)
        if streamed:
            pieces = [{"index": 0, **call("functions.get_weather:0")}]
            for frame in frames_of({"reasoning_content": THOUGHT}, {"tool_calls": pieces}):
                listener.hear_frame(frame)
        else:
            listener.hear_answer(body_of(message))
        names += [name for name, _ in listener.keepsakes()]
    assert len(names) == 2
    assert names[0] == names[1]


async def test_nothing_crosses_tenants():
    vault = vault_over(MemoryStore(1 << 20))
    message = calling(reasoning_content=THOUGHT)
    await keep_answer(vault, "acme", chat_of(USER), message, "deepseek-v4", "deepseek")
    chat, dialects = chat_of(USER, calling(), RESULT), [DIALECTS.find("deepseek-v4", "deepseek")]
    assert await vault.recall("globex", chat, dialects) == {}
    assert await vault.erase("globex") == 0
    assert await vault.erase("acme") == 1
    assert await vault.recall("acme", chat, dialects) == {}


async def test_reasoning_is_forgotten_when_its_time_is_over():
    now = [0.0]
    vault = vault_over(MemoryStore(1 << 20, clock=lambda: now[0]), clock=lambda: now[0])
    await keep_answer(vault, "acme", chat_of(USER), calling(reasoning_content=THOUGHT), "kimi-k3", "moonshot")
    now[0] = 61.0
    assert await vault.recall("acme", chat_of(USER, calling()), [DIALECTS.find("kimi-k3", "moonshot")]) == {}


async def test_a_tenants_own_oldest_reasoning_makes_room_and_nobody_elses():
    dialects = [DIALECTS.find("kimi-k3", "moonshot")]
    vault = vault_over(MemoryStore(1 << 20), tenant_quota_bytes=20_000)
    thought = {"reasoning_content": secrets.token_hex(1500)}  # which cannot be compressed
    calls = [call(f"call_00_9f8e7d6c5b4a392817{number:02d}") for number in range(12)]
    await keep_answer(vault, "globex", chat_of(USER), calling(**thought), "kimi-k3", "moonshot")
    for one in calls:
        await keep_answer(vault, "acme", chat_of(USER), calling(one, **thought), "kimi-k3", "moonshot")
    found = [bool(await vault.recall("acme", chat_of(USER, calling(one)), dialects)) for one in calls]
    assert (found[0], found[-1]) == (False, True)
    assert found == sorted(found)
    assert await vault.recall("globex", chat_of(USER, calling()), dialects)


async def test_what_one_process_keeps_in_redis_another_puts_back_and_redis_forgets_in_time():
    dialects = [DIALECTS.find("deepseek-v4", "deepseek")]
    with running_redis() as server:
        settings = RedisSettings(url=SecretStr(server.url), deadline_ms=1000)
        async with open_redis(settings) as one, open_redis(settings) as another:
            stores = [RedisStore(redis, key_prefix="test:") for redis in (one, another)]
            keeping, recalling = (vault_over(store, encryption_key=b"k" * 32) for store in stores)
            message = calling(reasoning_content=THOUGHT)
            await keep_answer(keeping, "acme", chat_of(USER), message, "deepseek-v4", "deepseek")
            found = await recalling.recall("acme", chat_of(USER, calling(), RESULT), dialects)
            assert found[1].text == THOUGHT
            assert await recalling.recall("globex", chat_of(USER, calling(), RESULT), dialects) == {}
            raw = Redis.from_url(server.url)
            lives = [await raw.pttl(key) async for key in raw.scan_iter("test:*")]
            await raw.aclose()
    assert 0 < min(lives) <= 60_000, "reasoning outlives vault.ttl_s; lists of keys may, and expire too"


async def test_sealed_reasoning_is_not_in_the_store_as_text():
    store = _Spying()
    vault = vault_over(store, encryption_key=b"k" * 32)
    await keep_answer(vault, "acme", chat_of(USER), calling(reasoning_content=THOUGHT), "kimi-k3", "moonshot")
    ((_, value),) = store.values.items()
    assert THOUGHT.encode() not in value
    found = await vault.recall("acme", chat_of(USER, calling()), [DIALECTS.find("kimi-k3", "moonshot")])
    assert found[1].text == THOUGHT


class _Spying:
    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}

    async def get(self, key: str) -> bytes | None:
        return self.values.get(key)

    async def put(self, key: str, value: bytes, **_options: Any) -> bool:
        self.values[key] = value
        return True


class _Away:
    async def get(self, key: str) -> bytes | None:
        raise StoreUnavailable("timeout")

    async def put(self, key: str, value: bytes, **_options: Any) -> bool:
        raise StoreUnavailable("timeout")


async def test_a_store_that_is_away_costs_the_reasoning_and_not_the_request():
    vault = vault_over(_Away())
    await keep_answer(vault, "acme", chat_of(USER), calling(reasoning_content=THOUGHT), "kimi-k3", "moonshot")
    assert await vault.recall("acme", chat_of(USER, calling()), [DIALECTS.find("kimi-k3", "moonshot")]) == {}


@pytest.mark.parametrize(
    ("family", "host", "tools", "listens"),
    [
        ("gpt-4o", "openai", TOOLS, False), ("deepseek-v4", "deepseek", [], False),
        ("deepseek-v4", "deepseek", TOOLS, True), ("glm-4.7", "zai", [], True), ("qwen3", "vllm", [], False),
    ],
)  # fmt: skip
def test_only_answers_whose_reasoning_may_be_wanted_are_listened_to(family, host, tools, listens):
    vault = vault_over(MemoryStore(1 << 20))
    chat = chat_of(USER, tools=tools)
    assert (vault.listen(chat, DIALECTS.find(family, host), "m", ReasoningOptions()) is not None) is listens
