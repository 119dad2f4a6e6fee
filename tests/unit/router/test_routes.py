"""Named routes: checked when they are loaded, safe when they run."""

import pytest

from router.routes import NamedRoute, RouteError, compile_rule

FACTS = {
    "key": "ci-nightly",
    "tenant": "default",
    "model": "auto",
    "kind": "coding",
    "system": "You review code.",
    "difficulty": 0.4,
    "prompt_tokens": 1200,
    "tools": 2,
    "turns": 3,
    "vision": False,
    "metadata": {"team": "search"},
}

RULES = [
    ('kind == "coding"', True),
    ('kind in ["maths", "logic"]', False),
    ('key =~ "ci-.*" and difficulty < 0.5', True),
    ('metadata["team"] == "search"', True),
    ('metadata["floor"] == "3"', False),
    ("tools > 0 and not vision", True),
    ('system =~~ "review"', True),
    ("prompt_tokens > 100000", False),
]


@pytest.mark.parametrize(("rule", "holds"), RULES, ids=[rule for rule, _ in RULES])
def test_a_rule_holds_or_not(rule, holds):
    assert NamedRoute("r", compile_rule(rule)).holds(FACTS) is holds


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("knd == 1", "'knd' is not known; there are: key, tenant"),
        ("kind ==", "not a valid rule"),
        ('difficulty > "a"', "not a valid rule"),
        ('__import__("os")', "not known"),
        ("", "not a valid rule"),
    ],
)
def test_a_wrong_rule_is_refused_when_it_is_loaded(rule, message):
    with pytest.raises(RouteError, match=message):
        compile_rule(rule)
