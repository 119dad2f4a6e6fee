"""The checked form of dialects: frozen rows, and how the row for a family on a host is found."""

from __future__ import annotations

import dataclasses
import difflib
import functools
import re
import tomllib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from importlib.resources import files
from typing import Any, Literal
from urllib.parse import urlsplit

from gateway.upstream.dialects.controls import CONTROL_FIELDS
from gateway.upstream.dialects.ladder import Rung, build_ladder
from gateway.upstream.dialects.written import (
    Action,
    DialectError,
    During,
    Replay,
    ThinkingKind,
    WrittenBudget,
    WrittenDialect,
    WrittenFamily,
    WrittenFile,
    WrittenHost,
    WrittenRule,
    read_written,
)
from router.types import Effort, Habit

RESPONSES_FIELDS = frozenset({"reasoning_effort", "reasoning"})
"""Steering fields that the Responses API has, too. Models that are switched by others are asked for completions."""

ANY = "*"
"""Stands for every family or every host in a row's key."""

Match = Literal["exact", "host", "family", "generic"]
"""How a row was found: family and host both; any family on this host; this family on any host; neither."""

_MATCHES: Mapping[tuple[bool, bool], Match] = {
    (False, False): "exact", (True, False): "host", (False, True): "family", (True, True): "generic",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rule:
    """What is done to one request field so that the backend takes the request; see `WrittenRule`."""

    field: str
    action: Action
    why: str
    during: During
    value: Any
    to: str | None
    unless: tuple[Any, ...]
    absent: bool


@dataclass(frozen=True, slots=True)
class Budget:
    """Limits of a thinking budget, in tokens. `path` leads to it inside the request; see `WrittenBudget`."""

    path: tuple[str, ...]
    least: int
    most: int
    below_max_tokens: bool
    output_limit: int | None
    answer_room: int


@dataclass(frozen=True, slots=True, eq=False)
class Dialect:
    """How one family on one host is told to think, and how it answers. Its mappings are not to be changed.

    Attributes:
        thinking: whether thinking can be switched, is always on, never happens, or nothing is known.
        default: what happens when nothing is sent; None when unknown or left to the model.
        efforts: the efforts that the backend tells apart, in rising order.
        ladder: for every effort, and for None (leave it alone), what it becomes.
        blockers: what the backend does not take while thinking, so that thinking yields.
        rules: what else is policed.
        speaks: top-level steering fields that this backend understands.
        watched: request fields that `compile_thinking` needs to see, decoded; others make no difference.
        needs_look: whether even a request without any watched field needs work.
        reasoning_field: where reasoning comes back; `inline_tag` is set if it comes inside the content, and
            `opener_missing` if the opening tag may then be missing.
        replay: what to do with earlier reasoning as a conversation goes on; `replay_field` is where it goes.
        responses: whether this backend can be asked over the Responses API, its efforts included.
        match: how this row was found; anything but ``exact`` is worth telling the operator.
    """

    family: str
    host: str
    checked: date
    source: str
    verified: bool
    thinking: ThinkingKind
    default: Effort | None
    efforts: tuple[Effort, ...]
    ladder: Mapping[Effort | None, Rung]
    budget: Budget | None
    blockers: tuple[Rule, ...]
    rules: tuple[Rule, ...]
    speaks: frozenset[str]
    watched: frozenset[str]
    needs_look: bool
    reasoning_field: str
    inline_tag: str | None
    opener_missing: bool
    replay: Replay
    replay_field: str
    responses: bool
    note: str
    match: Match

    @property
    def habit(self) -> Habit:
        """Whether it thinks unasked; where that is not known, it is taken not to."""
        if self.thinking in ("always", "never"):
            return self.thinking
        return "told" if self.default in (None, Effort.NONE) else "by-default"

    def as_dict(self) -> dict[str, Any]:
        """Give the row as JSON-ready data, the exact fields of each effort included."""
        return {
            "family": self.family,
            "host": self.host,
            "thinking": self.thinking,
            "default": self.default and self.default.value,
            "efforts": {effort.value: self.ladder[effort].fields for effort in self.efforts},
            "budget": self.budget and dataclasses.asdict(self.budget),
            "rules": [dataclasses.asdict(rule) for rule in (*self.blockers, *self.rules)],
            "reasoning_field": self.reasoning_field,
            "inline_tag": self.inline_tag,
            "opener_missing": self.opener_missing,
            "replay": self.replay,
            "replay_field": self.replay_field,
            "responses": self.responses,
            "checked": self.checked.isoformat(),
            "verified": self.verified,
            "source": self.source,
            "note": self.note,
            "match": self.match,
        }


@dataclass(frozen=True, slots=True)
class Dialects:
    """Every known row, family and host. `families` are in the order in which a model id is tried against them."""

    hosts: Mapping[str, WrittenHost]
    families: Mapping[str, WrittenFamily]
    table: Mapping[tuple[str, str], Dialect]

    def find(self, family: str | None, host: str | None) -> Dialect:
        """Find the row for a family on a host; `Dialect.match` says whether something more general stood in.

        The order is: this family on this host, any family on this host (tempered by what the family cannot do),
        this family on any host, and at last the generic row, which sends nothing. None is a family or host that
        nobody could guess.
        """
        family, host = family or ANY, host or ANY
        general = self.table.get((family, ANY))
        if found := self.table.get((family, host)):
            return found
        if on_host := self.table.get((ANY, host)):
            return _tempered(on_host, family, general)
        return dataclasses.replace(general or self.table[ANY, ANY], family=family, host=host)

    def guess_family(self, model_id: str) -> str | None:
        """Guess the family from a model id such as ``deepseek-ai/DeepSeek-V3.1``; None if it tells nothing."""
        name = model_id.lower().rsplit("/", 1)[-1]
        for family in self.families.values():
            if any(re.search(pattern, name) for pattern in family.ids):
                return family.name
        return None

    def guess_host(self, url: str) -> str | None:
        """Guess the host from a base URL; None for engines of your own, which can be anywhere."""
        name = (urlsplit(url if "//" in url else f"//{url}").hostname or "").lower()
        for host in self.hosts.values():
            if any(name == domain or name.endswith(f".{domain}") for domain in host.domains):
                return host.name
        return None

    def rows(self) -> list[dict[str, Any]]:
        """Give the table as JSON-ready data, one item per family and host, as ``thalamus dialects`` prints it."""
        return [self.table[key].as_dict() for key in sorted(self.table)]


def load_dialects(overrides: Mapping[str, Any] | None = None) -> Dialects:
    """Load the built-in rows, then the operator's own, which replace rows of the same family and host.

    Args:
        overrides: the `dialects` section of ``thalamus.yaml``: `hosts`, `families` and `rows` as in the TOML
            files. Own families are tried before the built-in ones when a family is guessed.

    Raises:
        DialectError: an override cannot be used.
    """
    own = (read_written(overrides, "dialects"),) if overrides else ()
    parts = (*_built_in(), *own)
    hosts = {host.name: host for part in parts for host in part.hosts}
    families: dict[str, WrittenFamily] = {}
    for family in (family for part in (*own, *_built_in()) for family in part.families):
        families.setdefault(family.name, family)
    policies = {name: rules for part in parts for name, rules in part.policies.items()}
    table: dict[tuple[str, str], Dialect] = {}
    for row in (row for part in parts for row in part.rows):
        _check_names(row, hosts, families, policies)
        rules = (*(rule for name in row.policies for rule in policies[name]), *row.rules)
        _check_switch_off(row, rules)
        table.update({(dialect.family, dialect.host): dialect for dialect in _checked(row, rules, hosts)})
    return Dialects(hosts, families, table)


@functools.cache
def _built_in() -> tuple[WrittenFile, ...]:
    """Read the package's own TOML files, in alphabetical order."""
    folder = files(__package__)
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".toml"))
    return tuple(read_written(tomllib.loads((folder / name).read_text("utf-8")), name) for name in names)


def _check_names(
    row: WrittenDialect, hosts: Collection[str], families: Collection[str], policies: Collection[str]
) -> None:
    """Refuse rows that speak of what nobody declares: they would never be found, or not police."""
    for place, names, known in (
        ("hosts", row.hosts, hosts), ("families", row.families, families), ("policies", row.policies, policies)
    ):  # fmt: skip
        for name in names:
            if name == ANY or name in known:
                continue
            close = difflib.get_close_matches(name, known, n=1)
            fix = f"Did you mean '{close[0]}'? If not, declare it" if close else "Declare it"
            raise DialectError(f"{_name(row)}: {place}: '{name}' is not declared. {fix} under '{place}'.")


def _check_switch_off(row: WrittenDialect, rules: Iterable[WrittenRule]) -> None:
    if Effort.NONE not in row.efforts and any(rule.action == "switch-off" for rule in rules):
        raise DialectError(f"{_name(row)}: a rule says 'switch-off', but thinking cannot be: list efforts.none.")


def _name(row: WrittenDialect) -> str:
    return f"rows ({'/'.join(row.families)} on {'/'.join(row.hosts)})"


def _checked(
    row: WrittenDialect, written: Iterable[WrittenRule], hosts: Mapping[str, WrittenHost]
) -> Iterable[Dialect]:
    """Yield the frozen dialects that one written row stands for."""
    rules = tuple(_rule(rule, name) for rule in written for name in rule.fields)
    budget = _budget(row.budget) if row.budget else None
    said = (*row.efforts.values(), row.always)
    expressible = all(fields.keys() <= RESPONSES_FIELDS for fields in said)
    for host in row.hosts:
        served = host in row.responses_on or (host in hosts and hosts[host].responses)
        usual = hosts[host].reasoning_field if host in hosts else "reasoning_content"
        for family in row.families:
            yield Dialect(
                family=family,
                host=host,
                checked=row.checked,
                source=row.source,
                verified=row.verified,
                thinking=row.thinking,
                default=row.default,
                efforts=tuple(effort for effort in Effort if effort in row.efforts),
                ladder=build_ladder(row.thinking, row.efforts, row.aliases, row.always),
                budget=budget,
                blockers=tuple(rule for rule in rules if rule.action == "switch-off"),
                rules=tuple(rule for rule in rules if rule.action != "switch-off"),
                speaks=frozenset(name for fields in said for name in fields) & CONTROL_FIELDS,
                watched=_watched(row, rules, budget),
                needs_look=any(rule.absent for rule in rules) or bool(budget and budget.below_max_tokens),
                reasoning_field=row.reasoning_field or usual,
                inline_tag=row.inline_tag,
                opener_missing=host in row.opener_missing_on,
                replay=row.replay,
                replay_field=row.replay_field or row.reasoning_field or usual,
                responses=expressible and served,
                note=row.note,
                match=_MATCHES[family == ANY, host == ANY],
            )


def _rule(written: WrittenRule, name: str) -> Rule:
    return Rule(
        field=name,
        action=written.action,
        why=written.why,
        during=written.during,
        value=written.value,
        to=written.to,
        unless=written.unless,
        absent=written.absent,
    )


def _budget(written: WrittenBudget) -> Budget:
    return Budget(
        path=tuple(written.field.split(".")),
        least=written.least,
        most=written.most,
        below_max_tokens=written.below_max_tokens,
        output_limit=written.output_limit,
        answer_room=written.answer_room,
    )


def _watched(row: WrittenDialect, rules: Iterable[Rule], budget: Budget | None) -> frozenset[str]:
    """Name the request fields that can change what is sent; for an unknown model nothing is touched at all."""
    if row.thinking == "unknown":
        return frozenset()
    caps = {"max_tokens", "max_completion_tokens"} if budget and budget.below_max_tokens else set()
    return CONTROL_FIELDS | {rule.field for rule in rules} | row.always.keys() | caps


def _tempered(on_host: Dialect, family: str, general: Dialect | None) -> Dialect:
    """Give a host's row for any family, less what this family is known not to do: stop thinking, or think."""
    dialect = dataclasses.replace(on_host, family=family)
    if general is None or general.thinking not in ("always", "never"):
        return dialect
    nature = general.thinking
    efforts = tuple(effort for effort in on_host.efforts if (effort is Effort.NONE) == (nature == "never"))
    fields = {effort: on_host.ladder[effort].fields for effort in efforts} if nature == "always" else {}
    return dataclasses.replace(
        dialect, thinking=nature, efforts=efforts, ladder=build_ladder(nature, fields, {}, on_host.ladder[None].fields)
    )
