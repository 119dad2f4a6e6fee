"""The written form of dialects, as TOML and ``thalamus.yaml`` have it, and its checks.

Unknown keys are refused, so that a misspelt switch is an error at start and not a model that thinks all night.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from datetime import date
from typing import Any, Literal

import msgspec

from router.types import Effort

ThinkingKind = Literal["switch", "always", "never", "unknown"]
Action = Literal["drop", "set", "rename", "at-least", "switch-off"]
During = Literal["thinking", "not-thinking", "always"]
Replay = Literal[
    "none", "drop", "strip", "keep", "keep-if-tools", "require-nonempty", "keep-unmodified", "signed", "encrypted"
]


class DialectError(ValueError):
    """A row cannot be used; the message names file and path, what is wrong and what would be right."""


class WrittenContinuation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a host is told to go on with an assistant message that has begun, where it can be."""

    source: str
    request: dict[str, Any] = {}
    """Fields of the request."""
    message: dict[str, Any] = {}
    """Fields of the message that is gone on with, the last one."""
    url: str = ""
    """What the backend's URL must hold."""


class WrittenHost(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where models are served: a vendor's API, a reseller or an engine."""

    name: str
    title: str
    domains: tuple[str, ...] = ()
    """Host names in a URL that mean this host; subdomains count. Engines have none."""
    reasoning_field: str = "reasoning_content"
    """Where its answers carry reasoning, unless a row says otherwise."""
    continuation: WrittenContinuation | None = None
    responses: bool = False
    """Whether it serves OpenAI's Responses API itself."""


class WrittenFamily(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Models that are switched alike."""

    name: str
    title: str
    ids: tuple[str, ...] = ()
    """Regular expressions searched in the lower-cased model id, its folder dropped. First family wins."""


class WrittenRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is done to one or more request fields so that the backend takes the request."""

    fields: tuple[str, ...]
    action: Action
    why: str
    during: During = "thinking"
    value: Any = None
    """For `set` and `at-least`."""
    to: str | None = None
    unless: tuple[Any, ...] = ()
    """Values that may stay as they are."""
    absent: bool = False
    """Whether the rule also holds when the field was not sent."""


class WrittenBudget(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Limits of a thinking budget in tokens, for families that take a number and not a word."""

    field: str
    """Dotted path of the budget inside the request, such as ``thinking.budget_tokens``."""
    least: int
    most: int
    below_max_tokens: bool = False
    """Whether the backend demands ``budget < max_tokens``."""
    output_limit: int | None = None
    """`max_tokens` is never raised above this; the budget shrinks instead."""
    answer_room: int = 8192
    """Tokens left for the answer where the caller named no `max_tokens`."""


class WrittenDialect(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One row: a family (or several) on a host (or several). ``*`` stands for any."""

    families: tuple[str, ...]
    hosts: tuple[str, ...]
    checked: date
    source: str
    thinking: ThinkingKind
    verified: bool = True
    """False where no vendor page or source was read: recalled, or told by others."""
    default: Effort | None = None
    """What the backend does when nothing is sent; None when unknown or left to the model."""
    efforts: dict[Effort, dict[str, Any]] = {}
    """For each effort that the backend tells apart, the exact fields. On/off models list on as `high`."""
    aliases: dict[Effort, Effort] = {}
    """Efforts that the vendor documents as another one; all others go to the nearest, ties upward."""
    always: dict[str, Any] = {}
    """Fields sent with every request, whatever the effort."""
    budget: WrittenBudget | None = None
    policies: tuple[str, ...] = ()
    """Names of shared lists of rules, which come before the row's own."""
    rules: tuple[WrittenRule, ...] = ()
    reasoning_field: str | None = None
    """Where reasoning comes back; None means the host's usual field."""
    inline_tag: str | None = None
    """Tag name if reasoning comes inside the content, such as ``think``."""
    opener_missing_on: tuple[str, ...] = ()
    """Hosts whose answers may start as reasoning with no opening tag, because the chat template has written it."""
    replay: Replay = "drop"
    """What to do with earlier reasoning when a conversation goes on."""
    replay_field: str | None = None
    responses_on: tuple[str, ...] = ()
    """Hosts that serve these models over the Responses API themselves, although not all their models."""
    note: str = ""


class WrittenFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One TOML file, or the `dialects` section of ``thalamus.yaml``."""

    hosts: tuple[WrittenHost, ...] = ()
    families: tuple[WrittenFamily, ...] = ()
    policies: dict[str, tuple[WrittenRule, ...]] = {}
    rows: tuple[WrittenDialect, ...] = ()


def read_written(data: Mapping[str, Any], where: str) -> WrittenFile:
    """Check one file's data.

    Args:
        data: what the TOML or YAML reader gave.
        where: the file's name, for messages.

    Raises:
        DialectError: a key is unknown or missing, a value is of the wrong type, or a row contradicts itself.
    """
    try:
        written = msgspec.convert(dict(data), WrittenFile)
    except msgspec.ValidationError as error:
        raise DialectError(f"{where}: {_explain(str(error))}") from None
    for name, rules in written.policies.items():
        for index, rule in enumerate(rules):
            _check_rule(rule, f"{where}: policies.{name}[{index}]")
    for index, row in enumerate(written.rows):
        _check_row(row, f"{where}: rows[{index}] ({'/'.join(row.families)} on {'/'.join(row.hosts)})")
    for index, family in enumerate(written.families):
        _check_patterns(family, f"{where}: families[{index}] ({family.name})")
    return written


def _explain(message: str) -> str:
    """Turn msgspec's "Object contains unknown field `x` - at `$.rows[0]`" into path, fault and fix."""
    what, _, path = message.partition(" - at `")
    path = path.rstrip("`").removeprefix("$").removeprefix(".") or "top level"
    unknown = re.fullmatch(r"Object contains unknown field `(.+)`", what)
    if not unknown:
        return f"{path}: {what}."
    known = _known_keys(path)
    close = difflib.get_close_matches(unknown[1], known, n=1)
    fix = f"Did you mean '{close[0]}'?" if close else f"Known keys: {', '.join(known)}."
    return f"{path}: unknown key '{unknown[1]}'. {fix}"


def _known_keys(path: str) -> tuple[str, ...]:
    """List the keys that the shape at a path such as ``rows[0].rules[1]`` takes."""
    place = re.sub(r"\[.*?\]", "", path).rsplit(".", 1)[-1]
    shape = {
        "hosts": WrittenHost, "families": WrittenFamily, "rows": WrittenDialect,
        "rules": WrittenRule, "policies": WrittenRule, "budget": WrittenBudget, "continuation": WrittenContinuation,
    }.get(place, WrittenFile)  # fmt: skip
    return shape.__struct_fields__


def _check_row(row: WrittenDialect, where: str) -> None:
    """Refuse rows whose parts contradict each other."""
    efforts = set(row.efforts)
    fault: str | None = None
    if row.thinking == "unknown" and (efforts or row.rules or row.always):
        fault = "thinking is 'unknown', so nothing may be sent: remove efforts, rules and always"
    elif row.thinking == "never" and efforts - {Effort.NONE}:
        fault = "thinking is 'never', so only efforts.none may be listed"
    elif row.thinking == "always" and (Effort.NONE in efforts or not efforts):
        fault = "thinking is 'always': list at least one effort and not 'none'"
    elif row.thinking == "switch" and not (Effort.NONE in efforts and len(efforts) > 1):
        fault = "thinking is 'switch': list efforts.none and at least one other"
    elif stray := set(row.aliases.values()) - efforts:
        fault = f"aliases point to efforts that are not listed: {', '.join(sorted(stray))}"
    if fault:
        raise DialectError(f"{where}: {fault}.")
    for index, rule in enumerate(row.rules):
        _check_rule(rule, f"{where}: rules[{index}]")


def _check_rule(rule: WrittenRule, where: str) -> None:
    needs = {"rename": ("to", rule.to), "set": ("value", rule.value), "at-least": ("value", rule.value)}
    key, value = needs.get(rule.action, ("", ""))
    if value is None:
        raise DialectError(f"{where}: action '{rule.action}' needs '{key}'.")


def _check_patterns(family: WrittenFamily, where: str) -> None:
    for pattern in family.ids:
        try:
            re.compile(pattern)
        except re.error as error:
            raise DialectError(f"{where}: ids: '{pattern}' is not a regular expression: {error}.") from None
