"""Whether an operator's regular expression can be held up by a text.

Python's `re` backtracks. What it may try from one place in a text is bounded by the number of ways in which the
pattern can be divided over it, times its length; both can be counted before it is ever used. Where they are small, a
character costs a bounded time, whatever the text. Weakness: the count takes every variable repeat for ambiguous, and so
refuses patterns that are harmless in fact.
"""

from __future__ import annotations

import re
from re import _constants as constants  # type: ignore[attr-defined]  # the parser that `re` itself uses
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

MOST_CHARS = 256
"""The longest text that a pattern may match."""

MOST_WAYS = 1000
"""In how many ways a pattern may be tried from one place."""

_REPEATS = (constants.MAX_REPEAT, constants.MIN_REPEAT)
_AROUND = (constants.ASSERT, constants.ASSERT_NOT)


class PatternRefused(ValueError):
    """A pattern cannot be used; the message says why, and what would do."""


def check_pattern(pattern: str) -> re.Pattern[str]:
    """Compile a pattern whose cost is bounded.

    Raises:
        PatternRefused: it is no pattern, matches the empty text, has no bound, or too many ways.
    """
    try:
        compiled = re.compile(pattern)
        parsed = parser.parse(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise PatternRefused(f"is no regular expression ({error})") from None
    least, most = parsed.getwidth()
    if least == 0:
        raise PatternRefused("matches the empty text; require at least one character")
    if most > MOST_CHARS:
        raise PatternRefused(
            f"may match more than {MOST_CHARS} characters; bound what repeats, such as {{0,40}} instead of *"
        )
    if (ways := _ways(parsed)) > MOST_WAYS:
        raise PatternRefused(
            f"can be tried in {'many' if ways > 10 * MOST_WAYS else ways} ways from one place, and may in {MOST_WAYS}; "
            "let fewer parts vary in length, and none within another"
        )
    return compiled


def _ways(items: Any) -> int:
    """Count the ways in which a sequence of parsed items can be divided over a text: the product of its items'."""
    product = 1
    for operation, argument in items:
        product *= _ways_of(operation, argument)
        if product > MOST_WAYS:
            return product
    return product


def _ways_of(operation: Any, argument: Any) -> int:
    if operation in _REPEATS:
        return _ways_of_repeat(*argument)
    if operation is constants.BRANCH:
        return sum(_ways(branch) for branch in argument[1])
    if operation is constants.SUBPATTERN:
        return _ways(argument[3])
    if operation in _AROUND:
        if _width(argument[1]) > MOST_CHARS:
            raise PatternRefused("looks around without a bound; bound what repeats there")
        return _ways(argument[1])
    if operation is constants.ATOMIC_GROUP:
        return _ways(argument)
    if operation in (constants.GROUPREF, constants.GROUPREF_EXISTS):
        raise PatternRefused("refers back to a group, which has no bounded cost")
    if operation is constants.POSSESSIVE_REPEAT:
        return _ways_of_repeat(*argument)
    return 1


def _ways_of_repeat(least: Any, most: Any, items: Any) -> int:
    """Count: for every length, each repetition in every way of what repeats."""
    once = _ways(items)
    if int(most) > MOST_CHARS:
        return MOST_WAYS + 1
    if once == 1:
        return int(most) - int(least) + 1
    total = 0
    for times in range(int(least), int(most) + 1):
        total += once**times
        if total > MOST_WAYS:
            break
    return total


def _width(items: Any) -> int:
    return int(items.getwidth()[1])
