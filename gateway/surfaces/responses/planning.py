"""All that is settled of a response before anybody is asked: its id, its items, and the chat completion to send."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from gateway.errors import InvalidField
from gateway.exchange import Call
from gateway.show import Show
from gateway.showing import choose_show
from gateway.surfaces.responses.answering import Asked, Told
from gateway.surfaces.responses.asking import BYTES_PER_TOKEN, check_request, truncate, write_chat
from gateway.surfaces.responses.history import Placed, Transcript, write_messages
from gateway.surfaces.responses.items import Dictionary, listed_item, new_response_id
from gateway.surfaces.responses.keeping import Kept, Past, Said
from gateway.surfaces.responses.sealing import Sealed
from gateway.wire.body import Parsed, parse
from gateway.wire.chat import ChatRequest
from gateway.wire.responses import ItemReference, ReasoningItem, ResponsesRequest, read_item
from router.engine import ANSWER_RESERVE

SEALED = "reasoning.encrypted_content"

CHARS_PER_TOKEN = 4
"""A middling estimate, for telling a length; what a prompt may need at most is estimated higher."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One response to be.

    Attributes:
        asked: the request and the response's id.
        parsed: the request as it came.
        items: the caller's own items, as they are kept and listed.
        past: what came before them.
        placed: all items that are answered, those before the caller's own included.
        transcript: the same as messages, as far as there is room for them.
        chat: the chat completion request.
    """

    asked: Asked
    parsed: Parsed[ResponsesRequest]
    items: Sequence[Dictionary]
    past: Past
    placed: Sequence[Placed]
    transcript: Transcript
    chat: Parsed[ChatRequest]

    @property
    def is_kept(self) -> bool:
        """Whether the caller wants the response kept."""
        return self.asked.request.store is not False

    def kept(self, told: Told) -> Kept:
        """Give what is kept of a response to this."""
        return Kept(told.response, list(self.items), list(self.past.ids), dict(told.hidden), told.origin)


async def plan_response(call: Call) -> Plan:
    """Read a request, look up what it refers to, and write it as a chat completion.

    Raises:
        RequestError: it cannot be served, or refers to what is not kept.
        StateUnavailable: the store of responses is away.
    """
    parsed = parse(call.body, ResponsesRequest)
    request = parsed.typed
    check_request(request)
    room, tenant = call.rooms.responses, call.caller.tenant
    past = await room.store.past(tenant, request.previous_response_id)
    asked = Asked(
        id=new_response_id(),
        request=request,
        tenant=tenant,
        first_number=len(request.input) if isinstance(request.input, list) else 1,
        seal=room.seal if SEALED in (request.include or ()) or request.store is False else None,
        created_at=int(time.time()),
        show=choose_show(call, _wish(request)),
    )
    own, items = await _read_input(call, asked)
    if not (past.said or items):
        raise InvalidField("Missing required parameter: 'input'.", param="input")
    placed = [*(_kept(call, said) for said in past.said), *own]
    transcript = write_messages(request.instructions, placed)
    if request.truncation == "auto":
        transcript = truncate(transcript, _room_tokens(call, parsed))
    chat = parse(
        write_chat(parsed, transcript.messages, stream=bool(request.stream or request.background)), ChatRequest
    )
    asked = replace(asked, prompt_tokens=len(bytes(chat.fields["messages"])) // CHARS_PER_TOKEN)
    return Plan(asked, parsed, items, past, placed, transcript, chat)


def _wish(request: ResponsesRequest) -> Show | None:
    """Read whether the caller wants to see any reasoning, in OpenRouter's or vLLM's words for it."""
    excluded = request.reasoning is not None and request.reasoning.exclude is True
    return Show.HIDE if excluded or request.include_reasoning is False else None


async def _read_input(call: Call, asked: Asked) -> tuple[list[Placed], list[Dictionary]]:
    """Give the caller's own items, checked, and as they are kept."""
    written = asked.request.input
    if isinstance(written, str):
        written = [{"role": "user", "content": written}]
    placed, items = [], []
    for number, item in enumerate(written):
        one, listed = await _read_one(call, item, f"input[{number}]")
        placed.append(one)
        items.append(listed or listed_item(item, asked.id, number))
    return placed, items


async def _read_one(call: Call, written: Dictionary, place: str) -> tuple[Placed, Dictionary | None]:
    """Give one item of the caller's, and where it is a reference the kept item that it stands for."""
    item = read_item(written, place)
    match item:
        case ItemReference(id=identity):
            found = await call.rooms.responses.store.item(call.caller.tenant, identity, f"{place}.id")
            return _kept(call, found, place), found.item
        case ReasoningItem():
            thought, sealed = _carried(call, item)
            if thought is None and sealed is None and item.encrypted_content and not item.content:
                param = f"{place}.encrypted_content"
                raise InvalidField(f"The encrypted content could not be verified ('{param}').", param=param)
            return Placed(item, written, place, thought or _texts(item), sealed), None
        case _:
            return Placed(item, written, place), None


def _carried(call: Call, item: ReasoningItem) -> tuple[str | None, Sealed | None]:
    """Open the reasoning that a caller carries: text that was sealed here, or what a backend encrypted itself."""
    if not item.encrypted_content:
        return None, None
    seal, tenant = call.rooms.responses.seal, call.caller.tenant
    sealed = seal.unlabel(item.encrypted_content, tenant)
    return (None, sealed) if sealed is not None else (seal.open(item.encrypted_content, tenant), None)


def _kept(call: Call, said: Said, place: str = "previous_response_id") -> Placed:
    """Place an item that was kept here. What such an item shows as a summary is the reasoning in full, if made here."""
    item = read_item(said.item, place)
    if not isinstance(item, ReasoningItem):
        return Placed(item, said.item, place)
    thought, sealed = _carried(call, item)
    hidden = said.hidden
    if hidden is not None and hidden.sealed and hidden.id and said.origin is not None:
        sealed = Sealed(said.origin, hidden.id, hidden.sealed)
    shown = _texts(item, summary=said.origin is None)  # a backend's own summary is not what it thought
    return Placed(item, said.item, place, (hidden and hidden.text) or thought or shown, sealed)


def _texts(item: ReasoningItem, *, summary: bool = False) -> str:
    return "".join(part.text for part in item.content or (item.summary if summary else ()))


def _room_tokens(call: Call, parsed: Parsed[ResponsesRequest]) -> int:
    """Give how long the messages may be for the widest backend that the model's name can stand for."""
    request = parsed.typed
    name = call.rooms.engine.policy.aliases.get(request.model, request.model)
    named = call.rooms.backends.get(name)
    backends = [named] if named is not None else list(call.rooms.backends.values())
    window = max(backend.settings.context_window for backend in backends)
    tools = len(bytes(parsed.fields.get("tools", b""))) // BYTES_PER_TOKEN
    answer = ANSWER_RESERVE if request.max_output_tokens is None else request.max_output_tokens
    return window - tools - min(answer, window // 2)
