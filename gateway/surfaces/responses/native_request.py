"""A request for a response, written for a backend that speaks this API itself: only what must change is changed.

The backend keeps nothing (`store: false`): the gateway does, so that a chain can go on with any backend, its ids mean
something to this tenant alone, and nothing has to be deleted elsewhere. Reasoning travels in the items, encrypted by
whoever wrote it. Ids of other items are left out: OpenAI holds an item against its id to know whether its reasoning is
missing, and an id that it did not keep says nothing.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from gateway.calls.forward import Outgoing
from gateway.native.answer import REASONING_ITEMS
from gateway.surfaces.responses.history import Placed, said_text
from gateway.surfaces.responses.items import Dictionary
from gateway.surfaces.responses.planning import SEALED, Plan
from gateway.upstream.dialects import Dialect, Thinking
from gateway.upstream.pool import Backend
from gateway.vault import History, Mended, Origin, Vault, will_think
from gateway.vault.keepsake import Keepsake
from gateway.vault.mending import ENGINES
from gateway.wire.responses import (
    FunctionCallItem,
    MessageItem,
    ReasoningItem,
)
from router.types import Target

_OURS = ("previous_response_id", "background", "include_reasoning", "store", "stream", "input", "model")
"""Fields that the gateway answers for itself, or writes anew."""

_CAPS = ("max_tokens", "max_completion_tokens")
_NOT_OF_ITEMS = ("id", "status")
_REMOVING = frozenset({"none", "drop", "strip"})
_DEMANDING = frozenset({"encrypted", "require-nonempty", "keep-if-tools"})
"""Replay rules by which the reasoning of a tool loop has to come back."""


def write_native(
    plan: Plan, backend: Backend, target: Target, raised_max_tokens: int | None, history: History, vault: Vault | None
) -> Outgoing:
    """Write a request for one backend.

    Args:
        plan: the response to be.
        backend: who is to answer.
        target: at which effort.
        raised_max_tokens: a larger cap than the caller's, to leave room for thinking.
        history: the plan's messages, with what the vault holds of their reasoning.
        vault: keeps the answer's reasoning, where it may be wanted again.
    """
    dialect, model = backend.dialect, backend.settings.model
    cap = {} if raised_max_tokens is None else {"max_tokens": raised_max_tokens}
    thinking = backend.compile_thinking(target.effort, plan.chat, cap)
    thinks = will_think(dialect, thinking.applied)
    fields = _fields(plan, dialect, thinking, cap)
    items = _Items(plan, dialect, Origin.of(dialect, model), history, thinks=thinks)
    fields |= {"model": model, "input": items.write(), "store": False}
    if plan.chat.typed.stream:
        fields["stream"] = True
    else:
        fields.pop("stream_options", None)
    told = thinking.header + (f" max_tokens={raised_max_tokens}" if cap else "")
    if items.mended.note:
        told += f" history={items.mended.note}"
    listener = vault.listen(plan.chat, dialect, model, backend.reasoning) if vault else None
    return Outgoing(msgspec.json.encode(fields), told, items.mended, listener, native=True)


def _fields(plan: Plan, dialect: Dialect, thinking: Thinking, cap: Mapping[str, int]) -> dict[str, Any]:
    """Give the caller's fields with the effort in them, less what the model does not take."""
    fields: dict[str, Any] = {name: raw for name, raw in plan.parsed.fields.items() if name not in _OURS}
    written = plan.parsed.decode(("reasoning",)).get("reasoning") or {}
    reasoning = {name: value for name, value in written.items() if name != "exclude"}
    include: list[str] = [entry for entry in plan.asked.request.include or () if entry != SEALED]
    for name in thinking.drop:
        if name == "reasoning_effort":
            reasoning.pop("effort", None)
        elif name == "logprobs":
            include = [entry for entry in include if entry != "message.output_text.logprobs"]
        fields.pop(name, None)
    for name, value in {**cap, **thinking.set}.items():
        if name == "reasoning_effort":
            reasoning["effort"] = value
        elif name == "reasoning":
            reasoning |= value
        else:
            fields["max_output_tokens" if name in _CAPS else name] = value
    if _seals(dialect):
        include.append(SEALED)
    for name, value in (("reasoning", reasoning), ("include", include)):
        fields.pop(name, None)
        if value:
            fields[name] = value
    return fields


def _seals(dialect: Dialect) -> bool:
    """Whether to ask for encrypted reasoning: OpenAI refuses that for models that do not reason, vLLM takes none back.

    Sources: the API's own "Encrypted content is not supported with this model."; vLLM's entrypoints/openai/responses.
    """
    return dialect.thinking != "never" and dialect.host not in ENGINES


class _Items:
    """The items of a conversation on their way to one backend.

    Attributes:
        mended: what was done to their reasoning.
    """

    def __init__(self, plan: Plan, dialect: Dialect, origin: Origin, history: History, *, thinks: bool) -> None:
        self.mended = Mended()
        self._plan = plan
        self._dialect = dialect
        self._origin = origin
        self._history = history
        self._thinks = thinks

    def write(self) -> Any:
        """Give the whole input; a text alone keeps its bytes."""
        plan = self._plan
        if not plan.past.said and isinstance(plan.asked.request.input, str):
            return plan.parsed.fields["input"]
        turns = {first: position for position, first in plan.transcript.starts.items()}
        last_user = max((i for i, placed in enumerate(plan.placed) if _is_user(placed)), default=-1)
        written: list[Dictionary] = []
        for first, end in _stretches(len(plan.placed), sorted(turns)):
            stretch = plan.placed[first:end]
            if first in turns:
                kept = self._history.keepsakes.get(turns[first])
                written += self._turn(stretch, kept, in_loop=first > last_user)
            else:
                written += [item for placed in stretch if (item := self._item(placed, None)) is not None]
        return written

    def _turn(self, turn: Sequence[Placed], kept: Keepsake | None, *, in_loop: bool) -> Iterator[Dictionary]:
        """Yield what was said and called in one turn, with the reasoning that led to it wherever anybody has it."""
        own = [self._item(placed, kept) for placed in turn]
        sent = sum(isinstance(placed.item, ReasoningItem) for placed in turn)
        held = sum(item is not None and item.get("type") == "reasoning" for item in own)
        self.mended.stripped += held < sent
        restored = self._restored(kept) if not held else {}
        calls = any(isinstance(placed.item, FunctionCallItem) for placed in turn)
        if restored:
            self.mended.restored += 1
        elif calls and in_loop and not held and self._thinks and self._dialect.replay in _DEMANDING:
            self.mended.missing += 1
        yield from restored.pop(None, ())
        for placed, item in zip(turn, own, strict=True):
            if isinstance(placed.item, FunctionCallItem):
                yield from restored.pop(placed.item.call_id, ())
            if item is not None:
                yield item

    def _restored(self, kept: Keepsake | None) -> dict[str | None, list[Dictionary]]:
        """Give the reasoning items that this backend once wrote, by the call that each led to."""
        if kept is None or kept.origin != self._origin or self._dialect.replay in _REMOVING:
            return {}
        placed: dict[str | None, list[Dictionary]] = {}
        for entry in kept.sealed.get(REASONING_ITEMS) or ():
            placed.setdefault(entry["before"], []).append(_as_input(entry["item"]))
        return placed

    def _item(self, placed: Placed, kept: Keepsake | None) -> Dictionary | None:
        """Give one item as this backend takes it; None for reasoning that it does not."""
        written = placed.written
        match placed.item:
            case ReasoningItem():
                return self._reasoning(placed, kept)
            case FunctionCallItem(call_id=call_id, name=name, arguments=arguments):
                return {"type": "function_call", "call_id": call_id, "name": name, "arguments": arguments}
            case MessageItem(role="assistant", content=content):
                phase = {"phase": written["phase"]} if written.get("phase") else {}
                said = said_text(content, placed.place)
                return {"type": "message", "role": "assistant", "content": said, **phase}
            case _:
                return {name: value for name, value in written.items() if name not in _NOT_OF_ITEMS}

    def _reasoning(self, placed: Placed, kept: Keepsake | None) -> Dictionary | None:
        """Give a reasoning item if this backend wrote it; text goes to those who take text, whoever sends it."""
        rule, sealed = self._dialect.replay, placed.sealed
        if rule in _REMOVING:
            return None
        summary = list(placed.written.get("summary") or ())
        if sealed is not None:
            own = {"type": "reasoning", "id": sealed.id, "summary": summary, "encrypted_content": sealed.content}
            return own if sealed.origin == self._origin else None
        foreign = kept is not None and kept.origin.family != self._origin.family
        if rule == "encrypted" or foreign or not placed.thought:
            return None
        content = [{"type": "reasoning_text", "text": placed.thought}]
        return {"type": "reasoning", "id": placed.written.get("id") or "rs_0", "summary": [], "content": content}


def _as_input(item: Mapping[str, Any]) -> Dictionary:
    """Give a reasoning item that a backend wrote as it takes it back."""
    return {name: value for name, value in item.items() if name != "status" and value is not None}


def _is_user(placed: Placed) -> bool:
    return isinstance(placed.item, MessageItem) and placed.item.role == "user"


def _stretches(count: int, starts: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Cut the numbers below `count` where a turn begins; what is between a turn and the next belongs to it as well."""
    places = sorted({0, *starts, count})
    yield from itertools.pairwise(places)
