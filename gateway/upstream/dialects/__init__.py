"""How each model family, on each host, is told to think, and how it answers: data first, little code.

`*.toml` hold the rows, dated and with their source. `written` checks them, `table` finds the right one,
`controls` reads what a caller asked in whichever vendor's words, `thinking` turns an effort into wire fields.
"""

from gateway.upstream.dialects.controls import read_client_budget, read_client_effort
from gateway.upstream.dialects.table import Budget, Dialect, Dialects, Rule, load_dialects
from gateway.upstream.dialects.thinking import Thinking, compile_thinking
from gateway.upstream.dialects.written import DialectError

__all__ = [
    "Budget",
    "Dialect",
    "DialectError",
    "Dialects",
    "Rule",
    "Thinking",
    "compile_thinking",
    "load_dialects",
    "read_client_budget",
    "read_client_effort",
]
