"""How deeply a body nests is found out as the parser would, whatever its strings hold."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import MalformedBody
from gateway.wire.nesting import check_nesting

MOST = 5
strings = st.text(alphabet='[]{}"\\\n,:a', max_size=12)
values = st.recursive(
    strings | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(strings, inner, max_size=3),
    max_leaves=25,
)


def depth(value) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth, value.values()), default=0)
    return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0


@given(values, st.integers(0, 8), st.booleans())
def test_it_is_refused_exactly_if_it_nests_too_deeply(value, deeper, ascii_only):
    for _ in range(deeper):
        value = [{"[": value}, "]}"]
    body = json.dumps([value, *([] for _ in range(MOST))], ensure_ascii=ascii_only).encode()
    if depth(value) + 1 <= MOST:
        check_nesting(body, MOST)
    else:
        with pytest.raises(MalformedBody, match="nested more than 5 deep"):
            check_nesting(body, MOST)


@pytest.mark.parametrize(("levels", "is_refused"), [(MOST, False), (MOST + 1, True), (300, True)])
def test_a_level_beside_others_counts_as_much(levels, is_refused):
    """There is no long run of brackets to be seen: every level has something before what is deeper."""
    value = []
    for _ in range(levels - 1):
        value = [[], value]
    body = json.dumps(value).encode()
    if is_refused:
        with pytest.raises(MalformedBody):
            check_nesting(body, MOST)
    else:
        check_nesting(body, MOST)
