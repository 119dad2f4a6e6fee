"""What a caller asked of thinking, in whichever vendor's words: read it, and take those words out.

Callers write for one vendor and the request may go to another, so every vocabulary is understood on every route.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from router.types import Effort

ON = Effort.HIGH
"""What a bare "think" means, with no degree given. On/off models list their "on" under the same effort."""


@dataclass(frozen=True, slots=True)
class Control:
    """One top-level field that can steer thinking.

    Attributes:
        paths: paths of the steering keys below the field; one empty path if the field itself steers.
        shared: whether the field also carries what has nothing to do with thinking, which then must survive.
    """

    paths: tuple[tuple[str, ...], ...] = ((),)
    shared: bool = False


_GOOGLE = (
    "thinking_budget",
    "thinking_level",
    "thinkingBudget",
    "thinkingLevel",
    "include_thoughts",
    "includeThoughts",
)


def _below(*prefix: str) -> tuple[tuple[str, ...], ...]:
    return tuple((*prefix, key) for key in _GOOGLE)


CONTROLS: Mapping[str, Control] = {
    "reasoning_effort": Control(),
    "enable_thinking": Control(),
    "thinking_budget": Control(),
    "thinking_token_budget": Control(),
    "thinking": Control((("type",), ("budget_tokens",), ())),
    "reasoning": Control((("effort",), ("max_tokens",), ("enabled",)), shared=True),
    "output_config": Control((("effort",),), shared=True),
    "chat_template_kwargs": Control(
        (("thinking",), ("enable_thinking",), ("reasoning_effort",), ("thinking_mode",), ("thinking_budget",)),
        shared=True,
    ),
    "extra_body": Control(_below("google", "thinking_config"), shared=True),
    "google": Control(_below("thinking_config"), shared=True),
}

CONTROL_FIELDS = frozenset(CONTROLS)

_WORDS: Mapping[str, Effort] = {
    **{effort.value: effort for effort in Effort},
    "off": Effort.NONE, "disable": Effort.NONE, "disabled": Effort.NONE, "between_tools": Effort.NONE,
    "on": ON, "enabled": ON, "adaptive": ON, "ultra": Effort.MAX,
}  # fmt: skip
_BUDGET_STEPS = (
    (0, Effort.NONE), (1024, Effort.MINIMAL), (4096, Effort.LOW), (12288, Effort.MEDIUM),
    (20480, Effort.HIGH), (28672, Effort.XHIGH),
)  # fmt: skip
_SWITCH_KEYS = frozenset({"type", "enabled", "enable_thinking", "thinking", "thinking_mode"})
_BUDGET_KEYS = frozenset({"budget_tokens", "max_tokens", "thinking_budget", "thinking_token_budget", "thinkingBudget"})


def read_client_effort(params: Mapping[str, Any]) -> Effort | None:
    """Read the effort that a caller asks for; None if it asks for none that can be understood.

    Where several fields speak, an explicit "off" wins, then a named effort, then a budget, then a bare "on".
    Nothing here is refused: whatever cannot be read counts as not said.
    """
    if CONTROL_FIELDS.isdisjoint(params):
        return None
    switches, named, budgets = [], [], []
    for key, value in _said(params):
        if key in _SWITCH_KEYS:
            switches.append(_effort_of_switch(value))
        elif key in _BUDGET_KEYS:
            budgets.append(effort_of_budget(value))
        else:
            named.append(_effort_of_word(value))
    heard = [effort for effort in (*named, *budgets, *switches) if effort is not None]
    if Effort.NONE in heard:
        return Effort.NONE
    return heard[0] if heard else None


def read_client_budget(params: Mapping[str, Any]) -> int | None:
    """Read the thinking budget in tokens that a caller names; None if there is none, or it is 0 or "dynamic"."""
    for key, value in _said(params):
        if key in _BUDGET_KEYS and isinstance(value, int) and value > 0:
            return int(value)
    return None


def effort_of_budget(tokens: object) -> Effort | None:
    """Give the effort nearest to a budget in tokens; -1 is the vendors' "decide yourself"."""
    if not isinstance(tokens, int) or isinstance(tokens, bool):
        return None
    if tokens < 0:
        return ON
    return next((effort for limit, effort in _BUDGET_STEPS if tokens <= limit), Effort.MAX)


def without_controls(field: str, value: object) -> dict[str, Any]:
    """Give what a steering field holds besides steering: what must survive when its words are replaced."""
    if not isinstance(value, Mapping):
        return {}
    rest = dict(value)
    for path in CONTROLS[field].paths:
        rest = _without(rest, path) if path else rest
    return rest


def _said(params: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield each steering key that was sent, with its value."""
    for field, control in CONTROLS.items():
        if field not in params:
            continue
        for path in control.paths:
            value = at(params[field], path)
            if value is not None and not isinstance(value, Mapping):
                yield (path[-1] if path else field), value


def at(value: Any, path: tuple[str, ...]) -> Any:
    """Return what lies at a path inside nested objects; None if the path ends early."""
    for key in path:
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
    return value


def _without(tree: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    """Copy a tree less one leaf, and less the branches that this empties."""
    key, *rest = path
    if key not in tree:
        return tree
    pruned = dict(tree)
    below = pruned.pop(key)
    if rest and isinstance(below, Mapping):
        kept = _without(dict(below), tuple(rest))
        if kept:
            pruned[key] = kept
    return pruned


def _effort_of_switch(value: object) -> Effort | None:
    if isinstance(value, bool):
        return ON if value else Effort.NONE
    return _effort_of_word(value)


def _effort_of_word(value: object) -> Effort | None:
    return _WORDS.get(value.strip().lower()) if isinstance(value, str) else None
