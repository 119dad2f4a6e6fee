"""How the stand-in behaves: pace, thinking and faults, set at start, at run time, or for one request."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

Fault = Literal[
    # Answers with this status instead of serving.
    "status-400",
    "status-401",
    "status-403",
    "status-404",
    "status-408",
    "status-409",
    "status-422",
    "status-429",
    "status-500",
    "status-502",
    "status-503",
    "status-504",
    "status-529",
    # Refuses what was asked for its content, with 400.
    "content-refused",
    # Before the status line: says nothing for ever, hangs up (FIN), breaks the connection (RST).
    "stall-before-headers",
    "close-before-headers",
    "reset-before-headers",
    # After the headers; "mid" is half-way through the tokens, or through a plain body.
    "stall-before-first-token",
    "stall-mid-stream",
    "close-mid-stream",
    "reset-mid-stream",
    # Half-way through the tokens nothing but comments any more, for ever; plain answers are left alone.
    "comments-mid-stream",
    # Complete answers that are not what they should be.
    "not-json",
    "truncated-json",
    "invalid-utf8",
    "huge-event",
    "error-event",
    "no-done",
    "no-usage",
    "wrong-content-type",
    "content-length-long",
    "content-length-short",
    # A right answer, then no answer to the connection's next request, as if it had been idle for too long.
    "stale-connection",
]
"""One thing that goes wrong. Stream-only faults (`error-event`, `no-done`) leave plain answers alone,
and the two `content-length-…` faults leave streams alone."""

Framing = Literal["crlf", "coalesced", "split", "bom", "named", "commented"]
"""A lawful but unusual way to write server-sent events: CRLF line ends; several events in one packet;
every byte in a packet of its own; a byte order mark; `event:` and `id:` lines; comments in between."""

Share = Annotated[float, Meta(ge=0, le=1)]
Milliseconds = Annotated[float, Meta(ge=0)]
Count = Annotated[int, Meta(ge=0)]


class Behaviour(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every switch of the stand-in; the defaults are a fast, healthy, truthful backend."""

    # Who is served.
    models: tuple[str, ...] = ()
    """Names that exist; empty means that any name does."""
    api_key: str | None = None
    """The bearer token that callers must show; None lets everybody in."""
    context_window: int | None = None
    """Tokens of prompt and answer together; None is boundless."""
    refuse_unknown_fields: bool = False
    """Refuse request fields that OpenAI does not document, as OpenAI does and most others do not."""
    healthy: bool = True
    """What `GET /health` says: 200 or 503."""

    # What is said.
    answer: str | None = None
    """The text of every answer; None echoes the last user message."""
    tokens: Count | None = None
    """Exact length of a text answer, which is repeated or cut to fit; None leaves it as long as it is."""
    tool_calls: Count | None = None
    """How many tool calls to make when tools are offered; None follows the prompt's words."""
    embedding_size: Annotated[int, Meta(ge=1)] = 1536

    # At what pace.
    first_byte_ms: Milliseconds = 0
    """From the request to the response's headers."""
    first_token_ms: Milliseconds = 0
    """From the headers to the first event of a stream."""
    token_ms: Milliseconds = 0
    """Between two tokens; a plain answer waits for the sum."""

    # Thinking.
    thinking: Literal["asked", "always", "never"] = "asked"
    """`asked` thinks when the request switches thinking on in any family's dialect."""
    thinking_tokens: Count = 8
    thinking_ms: Milliseconds = 0
    """Time for all of the thinking."""
    thinking_style: Literal["deltas", "silent", "keep-alive"] = "deltas"
    """While thinking, a stream shows reasoning deltas, nothing, or `: keep-alive` comments. The last two
    never show the reasoning. A plain answer's head is sent at once with the last, and empty lines until the rest."""
    thinking_field: Literal["reasoning_content", "reasoning", "inline"] = "reasoning_content"
    """Where the reasoning goes; `inline` wraps it in `<think>` inside the content."""
    thinking_counted: bool = True
    """Whether usage tells tokens of reasoning apart, as many engines do not."""
    keep_alive_ms: Annotated[float, Meta(gt=0)] = 1000
    """Between two comments of the `keep-alive` thinking style."""

    # What goes wrong.
    faults: tuple[Fault, ...] = ()
    """What may go wrong; where there are several, each faulty request draws one."""
    fault_rate: Share = 1.0
    """Share of requests that go wrong."""
    fault_seed: int = 0
    """Seed of the draws: the same seed and the same order of requests give the same faults."""
    fault_limit: Count | None = None
    """Go wrong at most this often since the behaviour was last set; 1 is "fails once, then works"."""
    error_body: Literal["json", "html", "empty"] = "json"
    """What a `status-…` fault carries."""
    retry_after: str | None = "1"
    """The Retry-After header of `status-429` and `status-503`: seconds or an HTTP date; None leaves it out."""

    # How it is written.
    framing: tuple[Framing, ...] = ()
    gzip: bool = False
    """Compress every body and stream, asked or not."""


class SwitchError(ValueError):
    """A switch that does not exist or a value that it cannot take; says which and why."""


_LISTS = frozenset({"models", "faults", "framing"})
_HEADER_PREFIX = b"x-standin-"


def adjusted(behaviour: Behaviour, changes: Mapping[str, Any]) -> Behaviour:
    """Return `behaviour` with `changes`, whose values may be text as in a header: `a+b` is a list of two.

    Naming faults without a rate makes them certain, whatever the rate was.

    Raises:
        SwitchError: for an unknown switch or an unfit value.

    """
    if "faults" in changes and "fault_rate" not in changes:
        changes = {**changes, "fault_rate": 1.0}
    try:
        values = {name: _as_list(name, value) for name, value in changes.items()}
        return msgspec.convert({**msgspec.structs.asdict(behaviour), **values}, Behaviour, strict=False)
    except msgspec.ValidationError as error:
        raise SwitchError(str(error)) from error


def switches_in_headers(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return what `x-standin-token-ms: 20` and its like set."""
    return {
        name[len(_HEADER_PREFIX) :].decode("latin-1").replace("-", "_"): value.decode("latin-1")
        for name, value in headers
        if name.startswith(_HEADER_PREFIX)
    }


def switches_in_model(model: str) -> tuple[str, dict[str, str]]:
    """Split `deep@token_ms=20,faults=status-503+no-done` into the model's name and its switches."""
    name, mark, tail = model.partition("@")
    pairs = [pair.partition("=") for pair in tail.split(",")]
    if not mark or not all(sign for _, sign, _ in pairs):
        return model, {}
    return name, {switch.strip(): value.strip() for switch, _, value in pairs}


def _as_list(name: str, value: Any) -> Any:
    if name in _LISTS and isinstance(value, str):
        return [item for item in value.split("+") if item]
    return value
