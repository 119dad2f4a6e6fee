"""docs/conformance.md, written from results."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from router.types import Effort
from tests.conformance.peer import VERSION
from tests.conformance.running import Result, Side
from tests.conformance.standins import provider_for
from tests.conformance.trials import ASKED, LOST, Told

_NOT_THINKING = frozenset({
    "model", "messages", "stream", "stream_options", "temperature", "max_tokens", "max_completion_tokens", "contents",
    "system", "maxOutputTokens", "max_output_tokens", "usage",
})  # fmt: skip
"""Fields that say nothing of thinking; all others are shown as sent."""

_WIDEST = 110
"""Characters of a reason in a table."""

_HEAD = f"""# Conformance

Every dialect row, tried against a strict stand-in that behaves as the provider documents, refusals included
(`tests/conformance/standins`), through the gateway and, in the same run, through LiteLLM {VERSION} in its place. **No
real provider was called.** What a real engine says to the same fields is checked by `make conformance-vllm`, see below.
This page is written by `make conformance`; `pytest tests/conformance` runs the gateway's trials in every test run.

## What is tried

- **Efforts**: a question at every effort and at none said, plain and streamed. It passes when the provider takes the
  request; when thinking is off where it was to be off and can be, and on where it was to be on and can be; when the
  provider works at the very effort wherever it has one of that name; and when its reasoning arrives whole, once, as
  `reasoning_content`, and not in the text. Of the gateway it is also demanded that `x-thalamus-thinking` tells the
  effort at which the provider works.
- **Loop**: four requests with two tool calls and a further question, at `high`, plain and streamed, by a client that
  sends OpenAI's typed fields alone back (**dropping** the reasoning) and by one that sends back all it got
  (**keeping** it).

## How LiteLLM was asked

As its documentation says: `litellm.acompletion` with the provider's prefix and a real model id,
`reasoning_effort`, and `drop_params=True`. Its proxy makes the same call. Where it speaks a provider's own API
(Anthropic, Gemini), the stand-in speaks it too. (The gateway reaches Anthropic through litellm as well, with fields
that its own dialect compiled and reasoning that its own vault restored.) It is judged more mildly than the gateway:

- its stand-ins forgive what a provider documents as ignored (for the gateway, sending that is a failure), and reasoning
  that is missing or replaced where no provider would notice: that is marked **LOST** rather than **FAIL**;
- it is not asked with `temperature`, which many refuse while thinking and with which the gateway is asked;
- nobody asks it what it applied, since it does not say.

What it is judged by is ours all the same, and so are the stand-ins: they were written from documentation, not from
recordings. A user who writes each provider's own fields (`extra_body`, `thinking` …) by hand gets further with it than
`reasoning_effort` does; that is the work this table is about. SGLang and StepFun have no provider in LiteLLM and are
reached as `openai/…`, with all that this prefix does. Engines are played without a reasoning parser for DeepSeek R1,
Kimi K2 Thinking, MiniMax, Qwen3 and Step, so that their reasoning comes inside the text, with or without its opening
tag; with a parser it would come in a field, which LiteLLM reads. `elsewhere` is a host that no row describes.

"""
_COLUMNS = (
    "| family | host | row | asked → worked at | efforts | loop, dropping | loop, keeping | LiteLLM: efforts "
    "| dropping | keeping |\n|---|---|---|---|---|---|---|---|---|---|\n"
)
_DETAIL_COLUMNS = (
    "| host | asked | sent | worked at | given → returned | LiteLLM sent | worked at | returned |\n"
    "|---|---|---|---|---|---|---|---|\n"
)
_ENGINE = """
## A real engine

`make conformance-vllm` installs vLLM's build for the CPU (some 4 GB, under `.cache/vllm`), makes tiny Qwen3-MoE and
GLM-4-MoE models with random weights, and runs the gateway before them: the switches reach the chat template (which the
engine's own token counts tell), reasoning, streams, usage, tools, structured outputs and cancellation. Templates and
parsers are per family; only these two were tried, with vLLM 0.32.0: on 2026-11-27 all 30 trials passed. No GPU was
involved, and SGLang was not run.
"""


def write_page(results: Sequence[Result]) -> str:
    """Write the whole page."""
    families = groupby(results, key=lambda result: result.row.family)
    details = "".join(_details(family, list(rows)) for family, rows in families)
    return (
        f"{_HEAD}## Results\n\n{_summary(results)}\n\n{_COLUMNS}{''.join(map(_line, results))}{_ENGINE}\n"
        f"## What was asked, sent and returned\n\nStreamed, by effort. `–`: nothing about thinking; `default`: no "
        f"effort was asked for.\n\n{details}"
    )


def _summary(results: Sequence[Result]) -> str:
    theirs = [result.theirs for result in results if result.theirs]
    return (
        f"{len(results)} rows: the gateway passes everything on {sum(result.ours.passes for result in results)}. "
        f"LiteLLM, tried on {len(theirs)}: everything on {sum(side.passes for side in theirs)}, "
        f"efforts on {sum(not side.efforts for side in theirs)}, "
        f"the loop of a client that drops reasoning on {_passing([side.dropping for side in theirs])}, "
        f"of one that keeps it on {_passing([side.keeping for side in theirs])}."
    )


def _passing(verdicts: Sequence[Sequence[str] | None]) -> str:
    tried = [faults for faults in verdicts if faults is not None]
    return f"{sum(not faults for faults in tried)} of {len(tried)}"


def _line(result: Result) -> str:
    dialect = result.row.dialect
    cells = (
        result.row.family,
        _host(result),
        f"{dialect.checked.isoformat()} {_linked(dialect.source)}",
        _ladder(result.ours),
        *_verdicts(result.ours),
        *(_verdicts(result.theirs) if result.theirs else (result.untried, "", "")),
    )
    return "| " + " | ".join(cells) + " |\n"


def _linked(source: str) -> str:
    """Write a row's source with its addresses as links."""
    return re.sub(r"https://\S*[^\s.,;)]", lambda found: f"[source]({found[0]})", source)


def _host(result: Result) -> str:
    return result.row.host.replace("*", "elsewhere")


def _verdicts(side: Side) -> tuple[str, str, str]:
    return (_by_effort(side), _verdict(side.dropping), _verdict(side.keeping))


def _by_effort(side: Side) -> str:
    """Name the efforts that fail and the first reason."""
    if not side.efforts:
        return "pass"
    failing = ", ".join(_name(effort) for effort in side.efforts)
    return f"**FAIL** {failing}: {_short(next(iter(side.efforts.values()))[0])}"


def _verdict(faults: Sequence[str] | None) -> str:
    if faults is None:
        return "not tried: through the Responses API"
    if not faults:
        return "pass"
    lost = all(fault.startswith(LOST) for fault in faults)
    return f"{'**LOST**' if lost else '**FAIL**'} {_short(faults[0])}"


def _short(reason: str) -> str:
    """Give a reason's core: an error as the provider worded it, without its wrapping."""
    if found := re.search(r'"message": ?"([^"]+)"', reason):
        reason = found[1]
    reason = reason.removeprefix(f"{LOST}: ")
    reason = re.sub(r"^(\d* ?litellm\.\w+: )?(\w+Exception(?: \w+Error)? - )?", "", reason.splitlines()[0])
    return reason.replace("|", "/")[:_WIDEST]


def _ladder(side: Side) -> str:
    """Write the efforts that became others; the rest is said in one word."""
    changed = [
        f"{effort}→{applied}"
        for effort, told in side.streamed.items()
        if effort is not None and (applied := told.thinking.get("applied", "?")) != effort
    ]
    return ", ".join(changed) or "as asked"


def _details(family: str, results: Sequence[Result]) -> str:
    lines = "".join(line for result in results for line in _detail_lines(result))
    return f"<details><summary>{family}</summary>\n\n{_DETAIL_COLUMNS}{lines}\n</details>\n\n"


def _detail_lines(result: Result) -> Iterator[str]:
    """Write a line for each run of efforts that came to the same."""
    given = _given(result)
    rows = [(effort, _cells(result, effort, given)) for effort in ASKED]
    for cells, run in groupby(rows, key=lambda pair: pair[1]):
        asked = ", ".join(_name(effort) for effort, _ in run)
        yield "| " + " | ".join((_host(result), asked, *cells)) + " |\n"


def _cells(result: Result, effort: Effort | None, given: str) -> tuple[str, ...]:
    ours = result.ours.streamed[effort]
    theirs = result.theirs.streamed[effort] if result.theirs else None
    return (_sent(ours), _mind(ours), _returned(ours, given), *_their_cells(theirs))


def _their_cells(told: Told | None) -> tuple[str, str, str]:
    if told is None:
        return ("", "", "")
    return (_sent(told), "refused" if told.fault else _mind(told), "" if told.fault else _returned(told))


def _given(result: Result) -> str:
    """Say where the provider puts its reasoning."""
    message: dict[str, Any] = {"content": ""}
    provider = provider_for(result.row.family, result.row.host)
    if result.row.host == "gemini":
        provider.tag = "thought"
    provider.carry("x", message)
    names = ("thinking_blocks", "reasoning_details", "reasoning", "reasoning_content")
    places = [f"`{name}`" for name in names if name in message]
    if "</" in message["content"]:
        places = [f"`{message['content'].partition('x')[0]}…</{provider.tag}>` in the text"]
    return places[0] if places else ""


def _returned(told: Told, given: str = "") -> str:
    if not told.mind.thinks:
        return "answer"
    got = "`reasoning_content`" if told.message.get("reasoning_content") else "answer"
    return f"{given} → {got}" if given and got != "answer" else got


def _mind(told: Told) -> str:
    if told.mind.effort == "none":
        return "off"
    return f"{told.mind.budget} tokens" if told.mind.budget is not None else told.mind.effort


def _sent(told: Told) -> str:
    fields = _about_thinking(told.sent)
    return f"`{json.dumps(fields)}`" if fields else "–"


def _about_thinking(sent: Mapping[str, Any]) -> dict[str, Any]:
    fields = {name: value for name, value in sent.items() if name not in _NOT_THINKING}
    if "generationConfig" in fields:
        inner = _about_thinking(fields["generationConfig"])
        fields = {name: value for name, value in fields.items() if name != "generationConfig"}
        fields |= {"generationConfig": inner} if inner else {}
    return fields


def _name(effort: Effort | None) -> str:
    return effort.value if effort else "default"
