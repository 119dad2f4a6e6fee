"""Named routes: an operator's own rules, in a small safe expression language, checked when they are loaded.

The language is rule-engine's (https://zerosteiner.github.io/rule-engine/syntax.html): comparisons, `and`, `or`, `not`,
`in`, and regular expressions with `=~`. It has no calls into Python and no loops.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from router.types import AnswerCheck, Effort, Tier

SYMBOLS: Mapping[str, str] = {
    "key": "STRING",
    "tenant": "STRING",
    "model": "STRING",
    "kind": "STRING",
    "system": "STRING",
    "difficulty": "FLOAT",
    "prompt_tokens": "FLOAT",
    "tools": "FLOAT",
    "turns": "FLOAT",
    "vision": "BOOLEAN",
    "metadata": "MAPPING",
}
"""What a rule may ask about, with its type in rule-engine's words."""


class RouteError(Exception):
    """A rule cannot be used; the message says why."""


@dataclass(frozen=True, slots=True)
class NamedRoute:
    """A rule and what follows when it holds."""

    name: str
    rule: Any
    tier: Tier | None = None
    effort: Effort | None = None
    dial: str | None = None
    check: AnswerCheck | None = None
    """What makes it a cascade: fast answers are checked, and those that fail are not shown."""

    def holds(self, facts: Mapping[str, Any]) -> bool:
        """Whether the rule holds for these facts; a rule that fails on them does not."""
        return _holds(self.rule, facts)


@dataclass(frozen=True, slots=True)
class Cascade:
    """Which requests are cascaded, besides those of routes that say so themselves: all, or where the rule holds."""

    check: AnswerCheck
    rule: Any = None

    def holds(self, facts: Mapping[str, Any]) -> bool:
        """Whether a request with these facts is cascaded."""
        return self.rule is None or _holds(self.rule, facts)


def _holds(rule: Any, facts: Mapping[str, Any]) -> bool:
    import rule_engine

    try:
        return bool(rule.matches(facts))
    except rule_engine.errors.EngineError:
        return False


def compile_rule(written: str) -> Any:
    """Check a rule as it is loaded, and give it as a ``rule_engine.Rule``.

    Raises:
        RouteError: it does not parse, or asks about something that does not exist or has another type.
    """
    import rule_engine  # costs a third of a second: for those who have rules

    try:
        return rule_engine.Rule(written, context=_context())
    except rule_engine.errors.SymbolResolutionError as error:
        raise RouteError(f"{error.symbol_name!r} is not known; there are: {', '.join(SYMBOLS)}") from None
    except rule_engine.errors.EngineError as error:
        raise RouteError(f"not a valid rule: {error.message}") from None


@cache
def _context() -> Any:
    import rule_engine

    types = {name: getattr(rule_engine.DataType, kind) for name, kind in SYMBOLS.items()}
    types["metadata"] = rule_engine.DataType.MAPPING(rule_engine.DataType.STRING, rule_engine.DataType.STRING)
    return rule_engine.Context(type_resolver=rule_engine.type_resolver_from_dict(types), default_value="")
