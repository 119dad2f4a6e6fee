"""Puts reasoning back where a dialect wants it, and takes out what must not be sent: pure, and only where needed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

import msgspec

from gateway.upstream.dialects import Dialect
from gateway.vault.keepsake import CALL_SEALS, CARRIERS, SEALED, TEXTS, Keepsake, Origin, call_seals
from gateway.wire.chat import Message
from router.types import Effort

ENGINES = frozenset({"vllm", "sglang"})
"""Hosts that render whatever history they get, and refuse none for lacking reasoning."""

_TRACES = (b'"reasoning', b'"thinking_blocks', b'"extra_content', b'"provider_specific', b"thought_signature",
           b'"encrypted_content')  # fmt: skip
"""What bytes must hold if any carrier is in them."""

_REMOVING = frozenset({"none", "drop", "strip"})
_TEXTUAL_RULES = frozenset({"keep-if-tools", "require-nonempty", "keep-unmodified"})
_DEMANDS_CALL_SIGNATURES = re.compile(r"gemini-[3-9]")
_BYPASS = {"google": {"thought_signature": "skip_thought_signature_validator"}}
"""Google's own word for a call that another model made, https://ai.google.dev/gemini-api/docs/thought-signatures."""

_read_raws = msgspec.json.Decoder(list[msgspec.Raw]).decode
_read_message = msgspec.json.Decoder(dict[str, Any]).decode


class Want(Enum):
    """What a dialect wants of the reasoning in one message."""

    REMOVE = auto()
    """None of it may, or need, be sent."""
    LEAVE = auto()
    """It may stay as it is, unless another model wrote it."""
    RESTORE = auto()
    """The model is better with it."""
    REQUIRE = auto()
    """The backend refuses the history without it."""


@dataclass(frozen=True, slots=True)
class History:
    """A conversation's messages as they came, read and unread, and what the vault holds of them."""

    messages: Sequence[Message]
    raw: bytes
    keepsakes: Mapping[int, Keepsake] = field(default_factory=dict)


@dataclass(slots=True)
class Mended:
    """A history as one backend wants it.

    Attributes:
        messages: all messages, written anew; None if nothing had to change.
        restored: messages that got their reasoning back.
        missing: messages that should have had reasoning that nobody has any more.
        stripped: messages of which something was taken out.
        refused: whether the backend will refuse the history while it thinks, for what is missing.
    """

    messages: list[msgspec.Raw] | None = None
    restored: int = 0
    missing: int = 0
    stripped: int = 0
    refused: bool = False

    @property
    def note(self) -> str:
        """Say what was done, for the response header: ``restored:2,missing:1``; "" if nothing was."""
        counts = (("restored", self.restored), ("missing", self.missing), ("stripped", self.stripped))
        return ",".join(f"{word}:{count}" for word, count in counts if count)


def mend(history: History, dialect: Dialect, origin: Origin, *, thinks: bool) -> Mended:
    """Give a history as a backend wants it.

    Args:
        history: what the client sent, and what is known of it.
        dialect: the backend's.
        origin: who answers there: what others wrote is foreign.
        thinks: whether it will think on this request.
    """
    mended = Mended()
    if not may_need_mending(history, dialect):
        return mended
    raws = _read_raws(history.raw)
    changed = False
    for position, want in _wants(history.messages, dialect, thinks):
        kept = history.keepsakes.get(position)
        if not carries(raws[position]) and not _lacks(want, kept):
            continue
        before = _read_message(raws[position])
        after = _Mending(before, kept, dialect, origin).run(want, mended)
        if after != before:
            raws[position] = msgspec.Raw(msgspec.json.encode(after))
            changed = True
    mended.refused = bool(mended.missing) and _refuses(dialect)
    if changed:
        mended.messages = raws
    return mended


def may_need_mending(history: History, dialect: Dialect) -> bool:
    """Whether there can be anything to do: a test of a few microseconds that says no for most requests."""
    if len(history.messages) == 1:
        return False
    if carries(history.raw):
        return True
    if dialect.replay in _REMOVING or dialect.replay in ("keep", "encrypted"):
        return False
    if dialect.replay == "keep-if-tools":
        return any(message.tool_calls for message in history.messages)
    return any(message.role == "assistant" for message in history.messages)


def will_think(dialect: Dialect, applied: Effort | None) -> bool:
    """Whether a backend will think at an effort; where its default is unknown, it is taken to."""
    if dialect.thinking in ("always", "never"):
        return dialect.thinking == "always"
    return (applied or dialect.default) is not Effort.NONE


def carries(raw: bytes | msgspec.Raw) -> bool:
    """Whether bytes may hold a carrier of reasoning; true in vain where a text speaks of one."""
    data = bytes(raw)
    return any(trace in data for trace in _TRACES)


def _wants(messages: Sequence[Message], dialect: Dialect, thinks: bool) -> Iterator[tuple[int, Want]]:
    """Yield the position of each assistant's message, and what is wanted of its reasoning."""
    tools_called = any(message.tool_calls for message in messages)
    last_user = max((position for position, message in enumerate(messages) if message.role == "user"), default=-1)
    in_tool_turn = _tool_turns(messages) if dialect.replay == "keep-if-tools" else frozenset()
    for position, message in enumerate(messages):
        if message.role != "assistant":
            continue
        if dialect.replay == "keep-if-tools" and not tools_called:
            yield position, Want.REMOVE
            continue
        required = position in in_tool_turn or _is_required(message, dialect, in_loop=position > last_user)
        yield position, _want(dialect, required=required, thinks=thinks)


def _lacks(want: Want, kept: Keepsake | None) -> bool:
    """Whether a message that carries nothing should carry something."""
    return want is Want.REQUIRE or (want is Want.RESTORE and kept is not None)


def _want(dialect: Dialect, *, required: bool, thinks: bool) -> Want:
    rule = dialect.replay
    if rule in _REMOVING:
        return Want.REMOVE
    if rule in ("keep", "encrypted") or not (thinks or _seals_calls(dialect)):
        return Want.LEAVE
    return Want.REQUIRE if required else Want.RESTORE


def _is_required(message: Message, dialect: Dialect, *, in_loop: bool) -> bool:
    """Whether a family's rule demands the reasoning of one message; `in_loop`: no user spoke after it."""
    if not message.tool_calls:
        return False
    if dialect.replay == "require-nonempty":
        return True
    if dialect.replay != "signed" or not in_loop:
        return False
    # Gemini before 3 only warns, and Claude with adaptive thinking takes turns without; with a budget it does not.
    return bool(_DEMANDS_CALL_SIGNATURES.match(dialect.family)) if _seals_calls(dialect) else dialect.budget is not None


def _tool_turns(messages: Sequence[Message]) -> frozenset[int]:
    """Give the positions of assistants' messages between two users' messages between which tools were called."""
    found: set[int] = set()
    turn: list[int] = []
    called = False
    for position, message in enumerate(messages):
        if message.role == "user":
            found.update(turn if called else ())
            turn, called = [], False
        elif message.role == "assistant":
            turn.append(position)
            called = called or bool(message.tool_calls)
    return frozenset(found.union(turn if called else ()))


def _refuses(dialect: Dialect) -> bool:
    """Whether a missing reasoning is an error: at the vendors, not at engines nor at hosts nobody has described."""
    return dialect.replay == "signed" or (dialect.match == "exact" and dialect.host not in ENGINES)


def _seals_calls(dialect: Dialect) -> bool:
    """Whether signatures sit on tool calls (Gemini) and not beside the text."""
    return dialect.replay_field.startswith("extra_content")


class _Mending:
    """One message on its way to one backend."""

    def __init__(self, message: Mapping[str, Any], kept: Keepsake | None, dialect: Dialect, origin: Origin) -> None:
        self._message = dict(message)
        self._kept = kept
        self._dialect = dialect
        self._own = kept is not None and kept.origin == origin
        self._related = kept is not None and kept.origin.family == origin.family

    def run(self, want: Want, mended: Mended) -> dict[str, Any]:
        """Give the message as it is wanted, and count what was done."""
        held = self._weight()
        if want is Want.REMOVE:
            self._strip(CARRIERS, calls=True)
        else:
            self._strip_foreign()
        if want in (Want.RESTORE, Want.REQUIRE):
            self._settle_names()
        mended.stripped += self._weight() < held
        if want in (Want.RESTORE, Want.REQUIRE) and not self._has_wanted():
            mended.restored += self._restore()
            if want is Want.REQUIRE and not self._has_wanted():
                mended.missing += 1
                self._bypass()
        return self._message

    def _strip_foreign(self) -> None:
        """Take out what another model wrote. Kimi takes any text, and refuses to go without."""
        if self._kept is None or self._own:
            return
        texts = () if self._related or self._dialect.replay == "require-nonempty" else TEXTS
        self._strip((*texts, *SEALED), calls=True)

    def _settle_names(self) -> None:
        """Keep only the carriers that this dialect speaks, and text under the name that it reads."""
        message, wanted = self._message, self._carrier()
        text = next((message[name] for name in TEXTS if message.get(name)), None)
        takes_text = self._dialect.replay in _TEXTUAL_RULES
        self._strip([name for name in CARRIERS if name != wanted or not message.get(name)], calls=not self._on_calls())
        if text is not None and takes_text and wanted not in message:
            message[wanted if wanted in TEXTS else "reasoning"] = text

    def _restore(self) -> bool:
        """Put back what was kept, if this model wrote it; say whether there was any."""
        kept = self._kept
        if kept is None or not self._related:
            return False
        wanted = self._carrier()
        if wanted in TEXTS:
            if kept.text:
                self._message[wanted] = kept.text
        elif self._on_calls():
            self._restore_calls(kept)
        elif self._own and wanted in kept.sealed:
            self._strip(TEXTS, calls=False)
            self._message[wanted] = kept.sealed[wanted]
        return self._has_wanted()

    def _restore_calls(self, kept: Keepsake) -> None:
        calls = self._message.get("tool_calls") or []
        if self._own and len(calls) == len(kept.calls):
            pairs = zip(calls, kept.calls, strict=True)
            self._message["tool_calls"] = [{**call, **seals} for call, seals in pairs]

    def _bypass(self) -> None:
        """Say in Google's words that another model made the calls; other vendors have none for it."""
        calls = self._message.get("tool_calls")
        if self._on_calls() and calls:
            self._message["tool_calls"] = [{**calls[0], "extra_content": _BYPASS}, *calls[1:]]

    def _has_wanted(self) -> bool:
        if self._on_calls():
            return any(call_seals(call) for call in self._message.get("tool_calls") or ())
        wanted = self._carrier()
        held = self._message.get(wanted)
        sealed = self._kept.sealed.get(wanted) if self._own and self._kept else None
        # Streams bring sealed blocks in pieces, and clients that just list these send back what no signature fits.
        return bool(held) and sealed in (None, held)

    def _carrier(self) -> str:
        """Name the field of a chat message in which this dialect takes reasoning back."""
        field_name = self._dialect.replay_field
        return "thinking_blocks" if field_name == "thinking" else field_name

    def _on_calls(self) -> bool:
        return _seals_calls(self._dialect)

    def _strip(self, names: Sequence[str], *, calls: bool) -> None:
        for name in names:
            self._message.pop(name, None)
        listed = self._message.get("tool_calls")
        if calls and isinstance(listed, list) and any(call_seals(call) for call in listed):
            self._message["tool_calls"] = [
                {name: value for name, value in call.items() if name not in CALL_SEALS} for call in listed
            ]

    def _weight(self) -> int:
        """Count the carriers that hold anything."""
        on_calls = sum(bool(call_seals(call)) for call in self._message.get("tool_calls") or ())
        return on_calls + sum(bool(self._message.get(name)) for name in CARRIERS)
