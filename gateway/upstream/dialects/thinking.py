"""From an effort to the exact fields of one request, and a word on all that could not be had."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.upstream.dialects.controls import (
    CONTROLS,
    ON,
    at,
    effort_of_budget,
    read_client_budget,
    read_client_effort,
    without_controls,
)
from gateway.upstream.dialects.ladder import merge
from gateway.upstream.dialects.table import Budget, Dialect, Rule
from router.types import Effort

_CAPS = ("max_completion_tokens", "max_tokens")


@dataclass(frozen=True, slots=True)
class Thinking:
    """What to change in a request. The mappings are shared between requests and not to be changed.

    Attributes:
        set: top-level fields to set; nested ones already hold what the caller had put beside.
        drop: top-level fields to remove.
        asked: the effort that was wanted; None leaves the backend's default alone.
        applied: the effort that the backend will work at; None if nothing was asked or nothing is known.
        notes: what could not be done, and which other parameters were touched, in words fit for a client.
    """

    set: Mapping[str, Any] = field(default_factory=dict)
    drop: frozenset[str] = frozenset()
    asked: Effort | None = None
    applied: Effort | None = None
    notes: tuple[str, ...] = ()

    @property
    def header(self) -> str:
        """The value of ``x-thalamus-thinking``, such as ``asked=high applied=high``."""
        return f"asked={self.asked or 'default'} applied={self.applied or 'default'}"


def compile_thinking(dialect: Dialect, effort: Effort | None, params: Mapping[str, Any]) -> Thinking:
    """Compile an effort into the fields that this dialect wants, and police what does not go with thinking.

    The caller's own steering fields are replaced, never doubled. With effort None they stay, unless this backend
    would not understand them.

    Args:
        dialect: the row for the backend.
        effort: how hard to think; None leaves the backend's own default alone.
        params: the request's top-level fields, decoded; those in `Dialect.watched` suffice.
    """
    if not dialect.needs_look and dialect.watched.isdisjoint(params):
        return _plain(dialect, effort)
    draft = _Draft(dialect, params)
    applied = _apply_effort(draft, effort)
    thinks = _thinks(dialect, applied, params)
    if thinks and dialect.budget and effort is not None:
        _fit_budget(draft, dialect.budget, effort)
    phases = ("always", "thinking" if thinks else "not-thinking")
    for rule in dialect.rules:
        if rule.during in phases and _concerns(rule, draft):
            _apply_rule(draft, rule)
    return draft.finish(effort, applied)


@functools.lru_cache(maxsize=4096)
def _plain(dialect: Dialect, effort: Effort | None) -> Thinking:
    """Give the answer for a request that holds nothing to replace or police: the same every time."""
    rung = dialect.ladder[effort]
    return Thinking(rung.fields, frozenset(), effort, rung.applied, rung.notes)


class _Draft:
    """A request being changed: what was sent, what is set and dropped so far, and the notes."""

    def __init__(self, dialect: Dialect, params: Mapping[str, Any]) -> None:
        self.dialect = dialect
        self.params = params
        self.set: dict[str, Any] = {}
        self.dropped: set[str] = set()
        self.notes: list[str] = []

    def get(self, name: str) -> Any:
        """Return a field as it stands now; None if it is not there."""
        if name in self.dropped:
            return None
        return self.set.get(name, self.params.get(name))

    def put(self, name: str, value: Any) -> None:
        self.set[name] = value
        self.dropped.discard(name)

    def remove(self, name: str) -> None:
        self.set.pop(name, None)
        if name in self.params:
            self.dropped.add(name)

    def finish(self, asked: Effort | None, applied: Effort | None) -> Thinking:
        return Thinking(self.set, frozenset(self.dropped), asked, applied, tuple(self.notes))


def _apply_effort(draft: _Draft, effort: Effort | None) -> Effort | None:
    """Set the effort's fields in place of the caller's own; give the effort that will be applied."""
    dialect = draft.dialect
    rung = dialect.ladder[effort]
    draft.notes.extend(rung.notes)
    blocker = _blocker(draft, rung.applied)
    if blocker:
        rung = dialect.ladder[Effort.NONE]
        draft.notes.append(f"thinking switched off: {blocker.why}")
    replace = effort is not None or blocker is not None or dialect.thinking == "never"
    for name in draft.params:
        if name in CONTROLS and (replace or name not in dialect.speaks):
            _clear_control(draft, name)
    for name, value in rung.fields.items():
        now = draft.get(name)
        draft.put(name, merge(now, value) if isinstance(now, dict) and isinstance(value, dict) else value)
    return rung.applied


def _clear_control(draft: _Draft, name: str) -> None:
    """Take the caller's steering out of one field, and the field with it if nothing else is in there."""
    rest = without_controls(name, draft.params[name])
    if rest and (CONTROLS[name].shared or name in draft.dialect.speaks):
        draft.put(name, rest)
    else:
        draft.remove(name)


def _blocker(draft: _Draft, applied: Effort | None) -> Rule | None:
    """Find the field, if any, that this backend does not take together with thinking."""
    blockers = draft.dialect.blockers
    if not blockers or not _thinks(draft.dialect, applied, draft.params):
        return None
    return next((rule for rule in blockers if _concerns(rule, draft)), None)


def _thinks(dialect: Dialect, applied: Effort | None, params: Mapping[str, Any]) -> bool:
    """Whether the backend will think. Where the default is unknown, assume so: it costs less than a refusal."""
    if dialect.thinking in ("always", "never"):
        return dialect.thinking == "always"
    return (applied or read_client_effort(params) or dialect.default or ON) is not Effort.NONE


def _concerns(rule: Rule, draft: _Draft) -> bool:
    value = draft.get(rule.field)
    if value is None:
        return rule.absent
    return value not in rule.unless


def _apply_rule(draft: _Draft, rule: Rule) -> None:
    """Drop, set, rename or raise one field, and say so."""
    value = draft.get(rule.field)
    if rule.action == "drop":
        draft.remove(rule.field)
        draft.notes.append(f"{rule.field} removed: {rule.why}")
    elif rule.action == "rename":
        _rename(draft, rule)
    elif rule.action == "set" and value != rule.value:
        draft.put(rule.field, rule.value)
        draft.notes.append(f"{rule.field} changed to {rule.value}: {rule.why}")
    elif rule.action == "at-least" and isinstance(value, int | float) and value < rule.value:
        draft.put(rule.field, rule.value)
        draft.notes.append(f"{rule.field} raised from {value} to {rule.value}: {rule.why}")


def _rename(draft: _Draft, rule: Rule) -> None:
    """Move a field to its other name, where a value that is already there wins. Nothing is lost: no note."""
    if rule.to is not None and draft.get(rule.to) is None:
        draft.put(rule.to, draft.get(rule.field))
    draft.remove(rule.field)


def _fit_budget(draft: _Draft, budget: Budget, effort: Effort) -> None:
    """Honour the caller's own budget where it says the same effort, and keep the backend's limits."""
    tokens = at(draft.set, budget.path)
    if not isinstance(tokens, int) or tokens <= 0:
        return
    own = read_client_budget(draft.params)
    if own is not None and effort_of_budget(own) is effort:
        tokens = max(budget.least, min(own, budget.most))
        if tokens != own:
            draft.notes.append(f"thinking budget changed from {own} to {tokens}: outside the model's range")
    if budget.below_max_tokens:
        tokens = _make_room(draft, budget, tokens)
    draft.set = merge(draft.set, _nested(budget.path, tokens))


def _make_room(draft: _Draft, budget: Budget, tokens: int) -> int:
    """Keep ``budget < max_tokens`` by raising the cap, up to the model's limit, then by thinking less."""
    cap_field = next((name for name in _CAPS if draft.get(name) is not None), "max_tokens")
    cap = draft.get(cap_field)
    if isinstance(cap, int) and cap > tokens:
        return tokens
    answer = cap if isinstance(cap, int) else budget.answer_room
    raised = tokens + answer
    if budget.output_limit is not None and raised > budget.output_limit:
        raised = budget.output_limit
        tokens = max(budget.least, raised - answer)
        draft.notes.append(f"thinking budget lowered to {tokens}: the model writes at most {raised} tokens")
    draft.put(cap_field, raised)
    if cap is not None:
        draft.notes.append(f"{cap_field} raised from {cap} to {raised}: it includes up to {tokens} tokens of thinking")
    return tokens


def _nested(path: tuple[str, ...], value: int) -> dict[str, Any]:
    """Give the tree that has one value at a path: ``{"a": {"b": 1}}`` for a path of a and b."""
    tree: Any = value
    for key in reversed(path):
        tree = {key: tree}
    return dict(tree)
