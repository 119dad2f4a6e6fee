"""How much of the reasoning a caller sees: what it asks for, in its header or in its API's words, within its bounds."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.errors import InvalidField
from gateway.exchange import Call
from gateway.show import Show, narrowest
from gateway.wire.body import Parsed
from gateway.wire.chat import ChatRequest

SHOW_HEADER = "x-thalamus-reasoning"

_INCLUDE, _REASONING, _EXCLUDE = "include_reasoning", "reasoning", "exclude"


def choose_show(call: Call, asked: Show | None = None) -> Show:
    """Give how much is shown: the least of what the header, the API's own words (`asked`) and the bounds say.

    Raises:
        InvalidField: the header has no such value.
    """
    caller, settings = call.caller, call.rooms.settings.reasoning
    bound = settings.show if caller.reasoning is None else caller.reasoning
    return narrowest(bound, asked, _read_header(call))


def take_wish(chat: Parsed[ChatRequest]) -> tuple[Parsed[ChatRequest], Show | None]:
    """Take out of a chat request what would keep the backend from giving its reasoning, and say what was wished.

    `include_reasoning: false` is vLLM's word for it, `reasoning: {"exclude": true}` OpenRouter's. The gateway hides the
    reasoning itself: the vault must hear it, and hidden and shown answers are the same one in the cache.
    """
    if _INCLUDE not in chat.fields and _REASONING not in chat.fields:
        return chat, None
    written = chat.decode((_INCLUDE, _REASONING))
    fields = dict(chat.fields)
    if written.get(_INCLUDE) is False:
        del fields[_INCLUDE]
    if excludes(written.get(_REASONING)):
        del fields[_REASONING]
        if rest := {name: value for name, value in written[_REASONING].items() if name != _EXCLUDE}:
            fields[_REASONING] = msgspec.Raw(msgspec.json.encode(rest))
    if len(fields) == len(chat.fields) and fields.get(_REASONING) is chat.fields.get(_REASONING):
        return chat, None
    return Parsed(chat.typed, fields), Show.HIDE


def excludes(reasoning: Any) -> bool:
    """Whether a `reasoning` field asks for the reasoning to be left out."""
    return isinstance(reasoning, dict) and reasoning.get(_EXCLUDE) is True


def _read_header(call: Call) -> Show | None:
    written = call.headers.get(SHOW_HEADER)
    if written is None:
        return None
    try:
        return Show(written)
    except ValueError:
        raise InvalidField(f"The header {SHOW_HEADER} can be {', '.join(Show)}.", param=SHOW_HEADER) from None
