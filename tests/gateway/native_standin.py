"""A strict stand-in for a provider's own Responses API, written from OpenAI's documentation.

It thinks before every answer, calls tools for as many cities as the conversation still lacks, and refuses what OpenAI
refuses: unknown fields, encrypted content that is not its own or not asked for rightly, calls without the reasoning
that led to them, reasoning without what follows it, outputs without calls. Sources: the API reference ("Responses",
"Streaming events"), the guides on reasoning, conversation state and streaming, and the API's own error messages.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import uvicorn

Dictionary = dict[str, Any]

CITIES = ("Paris", "罗马")
"""Asked for one after the other: a loop makes as many calls, then answers."""

FIELDS = frozenset({
    "background", "include", "input", "instructions", "max_output_tokens", "max_tool_calls", "metadata", "model",
    "parallel_tool_calls", "previous_response_id", "prompt_cache_key", "reasoning", "safety_identifier",
    "service_tier", "store", "stream", "stream_options", "temperature", "text", "tool_choice", "tools",
    "top_logprobs", "top_p", "truncation", "user",
})  # fmt: skip
EFFORTS = ("none", "low", "medium", "high", "xhigh")
SAMPLING = ("temperature", "top_p", "top_logprobs")
DELTAS = 5
"""Pieces of a streamed text."""


class Refused(Exception):
    """A 4xx in OpenAI's words."""

    def __init__(self, message: str, param: str | None = None, code: str | None = None, status: int = 400) -> None:
        super().__init__(message)
        self.status = status
        error = {"message": message, "type": "invalid_request_error", "param": param, "code": code}
        self.body = {"error": error}


class NativeStandin:
    """The provider.

    Attributes:
        url: its base, with ``/v1``.
        bodies: what it was sent, the latest last.
        faults: what goes wrong with the next requests: ``status-429``, ``fails-at-once``, ``fails-midway``,
            ``error-event``, ``breaks-off``, ``no-usage-details``, ``failed-whole``.
        left: how many clients left before their stream had ended.
        pause_s: behind every delta of a stream; `thinks_s`: in silence, once an item of reasoning has begun.
    """

    def __init__(self, *, reasons: bool = True, plain_text: bool = False, event_names: bool = True) -> None:
        """Begin.

        Args:
            reasons: whether the model reasons at all (GPT-4o does not).
            plain_text: whether reasoning is given as text, and none is encrypted, as vLLM does with gpt-oss.
            event_names: whether events have their ``event:`` line; some servers leave it out.
        """
        self.url = ""
        self.bodies: list[Dictionary] = []
        self.faults: list[str] = []
        self.left = 0
        self.pause_s = 0.0
        self.thinks_s = 0.0
        self._reasons = reasons
        self._plain_text = plain_text
        self._event_names = event_names
        self._thoughts: dict[str, str] = {}
        self._led_to: dict[str, Dictionary] = {}
        self._count = 0

    # --- what it understands, and refuses ---------------------------------------------------------------------------

    def check(self, body: Dictionary) -> None:
        """Refuse what OpenAI refuses."""
        for name in body:
            if name not in FIELDS:
                raise Refused(f"Unknown parameter: '{name}'.", name, "unknown_parameter")
        if body.get("background") and body.get("store") is False:
            raise Refused("Background mode requires 'store' to be true.", "store")
        if body.get("stream_options") and not body.get("stream"):
            raise Refused("The 'stream_options' parameter is only allowed when 'stream' is enabled.", "stream_options")
        self._check_reasoning(body)
        if isinstance(body.get("input"), list):
            self._check_items(body["input"], stored=body.get("store") is not False)

    def _check_reasoning(self, body: Dictionary) -> None:
        reasoning = body.get("reasoning") or {}
        for name in reasoning:
            if name not in ("effort", "summary"):
                raise Refused(f"Unknown parameter: 'reasoning.{name}'.", f"reasoning.{name}", "unknown_parameter")
        sealing = "reasoning.encrypted_content" in (body.get("include") or ())
        if not self._reasons:
            if reasoning.get("effort"):
                raise Refused("Unsupported parameter: 'reasoning.effort'.", "reasoning.effort", "unsupported_parameter")
            if sealing:
                raise Refused("Encrypted content is not supported with this model.", "include")
            return
        if reasoning.get("effort") is not None and reasoning["effort"] not in EFFORTS:
            raise Refused("Invalid value: 'reasoning.effort'.", "reasoning.effort", "invalid_value")
        if self.effort(body) != "none":
            for name in SAMPLING:
                if name in body:
                    raise Refused(f"Unsupported parameter: '{name}' is not supported with this model.", name)

    def _check_items(self, items: Sequence[Dictionary], *, stored: bool) -> None:
        called: set[str] = set()
        for place, item in enumerate(items):
            kind = item.get("type") or ("message" if "role" in item else "item_reference")
            where = f"input[{place}]"
            if kind == "item_reference":
                raise Refused(f"Item with id '{item.get('id')}' not found.", where, status=404)
            if kind == "reasoning":
                self._check_thought(items, place, stored=stored)
            elif kind == "function_call":
                self._check_call(items, place)
                called.add(item["call_id"])
            elif kind == "function_call_output" and item["call_id"] not in called:
                raise Refused(f"No tool call found for function call output with call_id {item['call_id']}.", where)
            elif kind == "message":
                self._check_message(item, where)
        answered = {item["call_id"] for item in items if item.get("type") == "function_call_output"}
        if lacking := called - answered:
            raise Refused(f"No tool output found for function call {lacking.pop()}.", "input")

    def _check_message(self, item: Dictionary, where: str) -> None:
        if str(item.get("id", "msg_")).partition("_")[0] != "msg":
            raise Refused(f"Invalid '{where}.id': expected an ID that begins with 'msg'.", where)
        own = "output_text" if item["role"] == "assistant" else "input_text"
        for part in item["content"] if isinstance(item["content"], list) else ():
            if part["type"] not in (own, "refusal", "input_image", "input_file"):
                raise Refused(f"Invalid value: '{part['type']}'.", f"{where}.content", "invalid_value")

    def _check_thought(self, items: Sequence[Dictionary], place: int, *, stored: bool) -> None:
        item, where = items[place], f"input[{place}]"
        if not str(item.get("id")).startswith("rs_"):
            raise Refused(f"Invalid '{where}.id': expected an ID that begins with 'rs'.", where)
        if "summary" not in item:
            raise Refused(f"Missing required parameter: '{where}.summary'.", where, "missing_required_parameter")
        if self._plain_text:
            if item.get("encrypted_content"):
                raise Refused("Encrypted content is not supported.", where)
        elif not item.get("encrypted_content"):
            told = "Items are not persisted when `store` is set to false." if not stored else ""
            raise Refused(f"Item with id '{item['id']}' not found. {told}", where, status=404)
        elif self._thoughts.get(item["id"]) != item["encrypted_content"]:
            raise Refused("The encrypted content could not be verified.", None, "invalid_encrypted_content")
        after = items[place + 1] if place + 1 < len(items) else {}
        if after.get("type") not in ("function_call", "reasoning") and after.get("role") != "assistant":
            told = "of type 'reasoning' was provided without its required following item."
            raise Refused(f"Item '{item['id']}' {told}", where)

    def _check_call(self, items: Sequence[Dictionary], place: int) -> None:
        call = items[place]
        thought = self._led_to.get(call["call_id"])
        if thought is None:
            return
        before = place - 1
        while before >= 0 and items[before].get("type") == "function_call":
            before -= 1
        found = items[before] if before >= 0 else {}
        kept = found.get("content") == thought["content"] if self._plain_text else found.get("id") == thought["id"]
        if found.get("type") != "reasoning" or not kept:
            raise Refused(
                f"Item 'fc_{call['call_id']}' of type 'function_call' was provided without its required "
                f"'reasoning' item: '{thought['id']}'.",
                f"input[{place}]",
            )

    # --- what it answers --------------------------------------------------------------------------------------------

    def effort(self, body: Dictionary) -> str:
        """Say how hard it thinks about a request."""
        return str((body.get("reasoning") or {}).get("effort") or "medium") if self._reasons else "none"

    def answer(self, body: Dictionary) -> Dictionary:
        """Give the finished response."""
        self._count += 1
        items = body["input"] if isinstance(body["input"], list) else [{"role": "user", "content": body["input"]}]
        output: list[Dictionary] = []
        if self.effort(body) != "none":
            output.append(self._think(body))
        done = 0
        for item in reversed(items):
            if item.get("role") == "user":
                break
            done += item.get("type") == "function_call_output"
        if body.get("tools") and done < len(CITIES):
            call_id = f"call_{hashlib.sha256(f'{self._count}'.encode()).hexdigest()[:24]}"
            arguments = json.dumps({"city": CITIES[done]}, ensure_ascii=False)
            call = {"type": "function_call", "id": f"fc_{self._count}", "call_id": call_id, "name": "get_weather"}
            output.append({**call, "arguments": arguments, "status": "completed"})
            if output[0]["type"] == "reasoning":
                self._led_to[call_id] = output[0]
        else:
            text = f"Answer {self._count}: 晴 ☀ to {len(items)} items"
            part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
            message = {"type": "message", "id": f"msg_{self._count}", "role": "assistant", "status": "completed"}
            output.append({**message, "content": [part]})
        return self._response(body, output)

    def _think(self, body: Dictionary) -> Dictionary:
        thought = f"Effort {self.effort(body)}, thought {self._count}: 想一想"
        item: Dictionary = {"type": "reasoning", "id": f"rs_{self._count}", "summary": []}
        if (body.get("reasoning") or {}).get("summary"):
            item["summary"] = [{"type": "summary_text", "text": f"**Thinking** about {self._count}"}]
        if self._plain_text:
            return {**item, "content": [{"type": "reasoning_text", "text": thought}], "status": None}
        sealed = f"gAAAA{hashlib.sha256(thought.encode()).hexdigest()}"
        self._thoughts[item["id"]] = sealed
        asked = "reasoning.encrypted_content" in (body.get("include") or ())
        return {**item, "encrypted_content": sealed} if asked else item

    def _response(self, body: Dictionary, output: list[Dictionary]) -> Dictionary:
        limit = body.get("max_output_tokens")
        status = "incomplete" if limit is not None and limit < 16 else "completed"
        details: Dictionary = {} if "no-usage-details" in self.faults else {"reasoning_tokens": 40}
        return {
            "id": f"resp_{self._count:048x}",
            "object": "response",
            "created_at": int(time.time()),
            "status": status,
            "background": False,
            "error": None,
            "incomplete_details": {"reason": "max_output_tokens"} if status == "incomplete" else None,
            "instructions": body.get("instructions"),
            "max_output_tokens": limit,
            "metadata": body.get("metadata") or {},
            "model": f"{body['model']}-2025-11-13",
            "output": output,
            "parallel_tool_calls": True,
            "previous_response_id": None,
            "reasoning": {"effort": self.effort(body), "summary": (body.get("reasoning") or {}).get("summary")},
            "store": body.get("store") is not False,
            "temperature": body.get("temperature", 1.0),
            "text": {"format": {"type": "text"}, "verbosity": "medium"},
            "tool_choice": body.get("tool_choice", "auto"),
            "tools": body.get("tools") or [],
            "top_p": 1.0,
            "truncation": "disabled",
            "usage": {
                "input_tokens": 20,
                "input_tokens_details": {"cached_tokens": 4},
                "output_tokens": 60,
                "output_tokens_details": details,
                "total_tokens": 80,
            },
            "user": None,
        }

    def events(self, response: Dictionary, *, obfuscated: bool) -> Iterator[Dictionary]:
        """Yield the events of a stream in OpenAI's order, numbered."""
        for number, (kind, fields) in enumerate(self._told(response)):
            noise = {"obfuscation": "x" * (number % 7)} if obfuscated and kind.endswith(".delta") else {}
            yield {"type": f"response.{kind}", "sequence_number": number, **fields, **noise}

    def _told(self, response: Dictionary) -> Iterator[tuple[str, Dictionary]]:
        begun = {**response, "status": "in_progress", "output": [], "usage": None, "incomplete_details": None}
        yield "created", {"response": begun}
        yield "in_progress", {"response": begun}
        if "fails-at-once" in self.faults:
            yield "failed", {"response": _failed(begun, "server_error")}
            return
        for index, item in enumerate(response["output"]):
            yield from self._told_item(item, index)
        yield response["status"], {"response": response}

    def _told_item(self, item: Dictionary, index: int) -> Iterator[tuple[str, Dictionary]]:
        place = {"item_id": item["id"], "output_index": index}
        empty = {"reasoning": {"summary": []}, "message": {"content": []}, "function_call": {"arguments": ""}}
        begun = {**item, **empty[item["type"]], "status": "in_progress"}
        if item["type"] == "reasoning":
            begun.pop("content", None)
            begun.pop("status")
        yield "output_item.added", {"output_index": index, "item": begun}
        if item["type"] == "reasoning":
            for number, part in enumerate(item["summary"]):
                yield from _told_part("reasoning_summary_part", "reasoning_summary_text", part,
                                      {**place, "summary_index": number})  # fmt: skip
            for number, part in enumerate(item.get("content") or ()):
                at = {**place, "content_index": number}
                yield from _told_part("reasoning_part", "reasoning_text", part, at)
        elif item["type"] == "message":
            for number, part in enumerate(item["content"]):
                at = {**place, "content_index": number}
                yield from _told_part("content_part", "output_text", part, at)
        else:
            for piece in _pieces(item["arguments"]):
                yield "function_call_arguments.delta", {**place, "delta": piece}
            done = {"name": item["name"], "arguments": item["arguments"]}
            yield "function_call_arguments.done", {**place, **done}
        yield "output_item.done", {"output_index": index, "item": item}

    # --- how it is served -------------------------------------------------------------------------------------------

    async def serve(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one request: the ASGI application."""
        body = json.loads(await _read(receive))
        self.bodies.append(body)
        if scope["path"] != "/v1/responses":
            await _send(send, 404, {"error": {"message": f"Not served: {scope['path']}", "type": "x"}})
            return
        if "status-429" in self.faults:
            await _send(send, 429, {"error": {"message": "Slow down.", "type": "requests", "code": "rate_limit"}})
            return
        try:
            self.check(body)
        except Refused as refusal:
            await _send(send, refusal.status, refusal.body)
            return
        response = self.answer(body)
        if not body.get("stream"):
            await _send(send, 200, _failed(response, "server_error") if "failed-whole" in self.faults else response)
            return
        await self._stream(response, body, receive, send)

    async def _stream(self, response: Dictionary, body: Dictionary, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
        obfuscated = (body.get("stream_options") or {}).get("include_obfuscation") is not False
        leaving = asyncio.create_task(_until_left(receive))
        deltas = 0
        for event in self.events(response, obfuscated=obfuscated):
            deltas += event["type"].endswith(".delta")
            if deltas == DELTAS and "breaks-off" in self.faults:
                break
            if deltas == DELTAS and "error-event" in self.faults:
                error = {"type": "server_error", "code": "server_error", "message": "secret trouble", "param": None}
                await self._write(send, {"type": "error", "sequence_number": event["sequence_number"], "error": error})
                break
            await self._write(send, event)
            if self.thinks_s and event["type"].endswith("added") and event.get("item", {}).get("type") == "reasoning":
                await asyncio.sleep(self.thinks_s)
            if self.pause_s and event["type"].endswith(".delta"):
                done, _ = await asyncio.wait((leaving,), timeout=self.pause_s)
                if done:
                    self.left += 1
                    return
        leaving.cancel()
        await send({"type": "http.response.body", "body": b""})

    async def _write(self, send: Any, event: Dictionary) -> None:
        data = b"data: " + json.dumps(event, ensure_ascii=False).encode() + b"\n\n"
        name = b"event: " + event["type"].encode() + b"\n" if self._event_names else b""
        await send({"type": "http.response.body", "body": name + data, "more_body": True})


@contextmanager
def running_native(**options: Any) -> Iterator[NativeStandin]:
    """Run a stand-in on a loopback port until the block ends."""
    standin = NativeStandin(**options)
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        standin.url = f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        server = uvicorn.Server(uvicorn.Config(standin.serve, interface="asgi3", lifespan="off", log_level="error"))
        thread = threading.Thread(target=server.run, args=([listening],), name="native-standin")
        thread.start()
        try:
            while not server.started:
                time.sleep(0.005)
            yield standin
        finally:
            server.should_exit = True
            thread.join()


def _told_part(part_event: str, text_event: str, part: Mapping[str, Any], at: Dictionary) -> Iterator[Any]:
    yield f"{part_event}.added", {**at, "part": {**part, "text": ""}}
    more = {"logprobs": []} if text_event == "output_text" else {}
    for piece in _pieces(part["text"]):
        yield f"{text_event}.delta", {**at, "delta": piece, **more}
    yield f"{text_event}.done", {**at, "text": part["text"], **more}
    yield f"{part_event}.done", {**at, "part": part}


def _pieces(text: str) -> Iterator[str]:
    size = max(1, -(-len(text) // DELTAS))
    for start in range(0, len(text), size):
        yield text[start : start + size]


def _failed(response: Dictionary, code: str) -> Dictionary:
    return {**response, "status": "failed", "output": [], "error": {"code": code, "message": "secret trouble"}}


async def _read(receive: Any) -> bytes:
    body, more = b"", True
    while more:
        event = await receive()
        body, more = body + event.get("body", b""), event.get("more_body", False)
    return body


async def _until_left(receive: Any) -> None:
    with contextlib.suppress(asyncio.CancelledError):
        while (await receive())["type"] != "http.disconnect":
            pass


async def _send(send: Any, status: int, body: Dictionary) -> None:
    encoded = json.dumps(body, ensure_ascii=False).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(encoded)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": encoded})
