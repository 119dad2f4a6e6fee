"""How deeply a JSON body may nest, found out before anybody reads it."""

from __future__ import annotations

import re

from gateway.errors import MalformedBody

_STRINGS = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_PAIRS = re.compile(rb"\[\]|\{\}")
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def check_nesting(body: bytes, most: int) -> None:
    """Refuse a body that nests deeper than `most`. One with fewer brackets than that is not looked at.

    Raises:
        MalformedBody: it does.
    """
    if body.count(b"[") + body.count(b"{") <= most:
        return
    brackets = _STRINGS.sub(b"", body).translate(None, delete=_NO_BRACKETS)
    for _ in range(most):
        if not brackets:
            return
        shorter = _PAIRS.sub(b"", brackets)
        if len(shorter) == len(brackets):
            return  # not balanced: the parser says better what is wrong
        brackets = shorter
    if brackets:
        raise MalformedBody(f"The body is nested more than {most} deep (server.max_nesting).")
