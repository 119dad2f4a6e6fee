"""How deeply a JSON body may nest, found out before anybody reads it."""

from __future__ import annotations

import re

from gateway.errors import MalformedBody

_STRINGS = re.compile(rb'"[^"]*"')
_REST = bytes(set(range(256)) - set(b'[]{}"'))
_ONE_KIND = bytes.maketrans(b"[]{}", b"()()")


def check_nesting(body: bytes, most: int) -> None:
    """Refuse a body that nests deeper than `most`. One with fewer brackets than that is not looked at.

    Strings are dropped, then innermost pairs again and again: each time is a level. Bytes' own methods do it, so that a
    body of megabytes that is made to be slow is not.

    Raises:
        MalformedBody: it does.
    """
    if body.count(b"[") + body.count(b"{") <= most:
        return
    brackets = _STRINGS.sub(b"", _quotes_and_brackets(body)).translate(_ONE_KIND)
    too_deep = b"(" * (most + 1)
    for _ in range(most):
        if too_deep in brackets:
            break
        shallower = brackets.replace(b"()", b"")
        if len(shallower) == len(brackets):
            return  # nothing is left; or it is not balanced, and the parser says better what is wrong
        brackets = shallower
    else:
        if not brackets:
            return
    raise MalformedBody(f"The body is nested more than {most} deep (server.max_nesting).")


def _quotes_and_brackets(body: bytes) -> bytes:
    """Leave quotes and brackets alone: first of what is escaped, so that every quote left begins or ends a string."""
    unescaped = body.replace(b"\\\\", b"").replace(b'\\"', b"") if b"\\" in body else body
    return unescaped.translate(None, delete=_REST).replace(b'""', b"")
