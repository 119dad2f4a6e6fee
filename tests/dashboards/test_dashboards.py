"""Dashboards as they are committed: in step with their code, described, linked, and without invented names."""

import re

import pytest

from dashboards.__main__ import GENERATED, written
from tests.dashboards.reading import boards, known_names, names_in, raw_panels, rules


def test_what_is_committed_is_what_the_code_says():
    committed = {path.name: path.read_text(encoding="utf-8") for path in GENERATED.glob("*.json")}
    assert committed == dict(written()), "run `make dashboards`"


@pytest.mark.parametrize("name", boards())
def test_every_panel_says_what_good_looks_like_and_fits_beside_its_neighbours(name):
    found = list(raw_panels(boards()[name]))
    assert len({panel["title"] for panel in found}) == len(found)
    cells = [
        (at["x"] + x, at["y"] + y)
        for panel in found
        for at in [panel["gridPos"]]
        for x in range(at["w"])
        for y in range(at["h"])
    ]
    assert len(cells) == len(set(cells)), "panels lie over each other"
    assert max(x for x, _ in cells) < 24
    for panel in found:
        assert len(panel["description"]) >= 10, panel["title"]
        assert panel["description"].endswith("."), panel["title"]
        assert panel["targets"], panel["title"]
        assert panel["datasource"]["uid"] == "${datasource}"
        if panel["type"] == "timeseries":
            assert panel["options"]["legend"]["showLegend"], f"{panel['title']}: nobody could tell its lines apart"


@pytest.mark.parametrize("name", boards())
def test_every_dashboard_has_its_variables_its_links_and_its_marks(name):
    board = boards()[name]
    declared = {variable["name"] for variable in board["templating"]["list"]}
    used = set(re.findall(r"\$(\w+)", "".join(t["expr"] for p in raw_panels(board) for t in p["targets"])))
    assert used - {"__rate_interval"} == declared - {"datasource"}, "every variable is used, and no other"
    assert [(link["type"], link["tags"], link["includeVars"]) for link in board["links"]] == [
        ("dashboards", board["tags"], True)
    ]
    marks = {mark["name"]: mark["expr"] for mark in board["annotations"]["list"]}
    assert "thalamus_build_info" in marks["Deploys"]
    assert "thalamus_difficulty_model_info" in marks["Bundle changes"]


def test_no_panel_mark_variable_or_rule_asks_for_what_nobody_exports():
    known = known_names()
    for rule in rules():
        assert names_in(rule["expr"]) <= known, rule
    for board in boards().values():
        asked = [target["expr"] for panel in raw_panels(board) for target in panel["targets"]]
        asked += [mark["expr"] for mark in board["annotations"]["list"]]
        asked += [variable["query"] for variable in board["templating"]["list"] if variable["type"] == "query"]
        for expression in asked:
            names = names_in(expression)
            assert names or "ALERTS" in expression, expression
            assert names <= known, expression
