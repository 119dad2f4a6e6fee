"""All that is settled of a response before anybody is asked: its id, its items, and the chat completion to send."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.errors import InvalidField
from gateway.exchange import Call
from gateway.surfaces.responses.answering import Asked
from gateway.surfaces.responses.asking import BYTES_PER_TOKEN, check_request, truncate, write_chat
from gateway.surfaces.responses.history import Placed, write_messages
from gateway.surfaces.responses.items import Dictionary, listed_item, new_response_id
from gateway.surfaces.responses.keeping import Kept, Past
from gateway.wire.body import Parsed, parse
from gateway.wire.responses import ItemReference, ReasoningItem, ResponsesRequest, read_item
from router.engine import ANSWER_RESERVE

SEALED = "reasoning.encrypted_content"


@dataclass(frozen=True, slots=True)
class Plan:
    """One response to be.

    Attributes:
        asked: the request and the response's id.
        items: the caller's own items, as they are kept and listed.
        past: what came before them.
        chat: the chat completion request.
    """

    asked: Asked
    items: Sequence[Dictionary]
    past: Past
    chat: bytes

    @property
    def is_kept(self) -> bool:
        """Whether the caller wants the response kept."""
        return self.asked.request.store is not False

    def kept(self, response: Dictionary) -> Kept:
        """Give what is kept of a response to this."""
        return Kept(response, list(self.items), list(self.past.ids))


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
        seal=room.seal if SEALED in (request.include or ()) else None,
        created_at=int(time.time()),
    )
    placed, items = await _read_input(call, asked)
    if not (past.items or items):
        raise InvalidField("Missing required parameter: 'input'.", param="input")
    messages = write_messages(request.instructions, [*map(_kept, past.items), *placed])
    if request.truncation == "auto":
        messages = truncate(messages, _room_tokens(call, parsed))
    chat = write_chat(parsed, messages, stream=bool(request.stream or request.background))
    return Plan(asked, items, past, chat)


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
            return _kept(found, place), found
        case ReasoningItem():
            return Placed(item, place, _sent_thought(call, item, place)), None
        case _:
            return Placed(item, place), None


def _sent_thought(call: Call, item: ReasoningItem, place: str) -> str:
    """Give the reasoning that a caller sends back: as it was sealed, else as it was shown.

    Raises:
        InvalidField: it was sealed, but not here or not for this tenant, and the item does not show it.
    """
    if item.encrypted_content:
        thought = call.rooms.responses.seal.open(item.encrypted_content, call.caller.tenant)
        if thought is not None:
            return thought
    if item.encrypted_content and not item.content:
        param = f"{place}.encrypted_content"
        raise InvalidField(f"The encrypted content could not be verified ('{param}').", param=param)
    return "".join(part.text for part in item.content or ())


def _kept(written: Dictionary, place: str = "previous_response_id") -> Placed:
    """Place an item that was kept here. What such an item shows as a summary is the reasoning in full."""
    item = read_item(written, place)
    if isinstance(item, ReasoningItem):
        return Placed(item, place, "".join(part.text for part in item.content or item.summary))
    return Placed(item, place)


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
