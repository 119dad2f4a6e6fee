"""Reads dashboards as Grafana does, from their JSON: panels, queries with their variables filled in, names in them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from gateway.metrics.catalogue import CATALOGUE

FOLDER = Path(__file__).parents[2] / "dashboards"
RULES = sorted((FOLDER / "rules").glob("*.yaml"))
ENGINES = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted((FOLDER / "engines").glob("*.yaml"))]
_SUFFIXES = {"histogram": ("_bucket", "_sum", "_count"), "summary": ("_sum", "_count")}
_NAME = re.compile(r"\b(?:thalamus[_:]|vllm:|sglang:)[\w:]+")


@dataclass(frozen=True)
class Panel:
    """One panel: which dashboard and part it stands in, and its queries as Prometheus takes them."""

    board: str
    title: str
    kind: str
    unit: str
    queries: tuple[tuple[str, str], ...]


def boards() -> Mapping[str, Any]:
    """Give every committed dashboard by its name."""
    return {path.stem: json.loads(path.read_text("utf-8")) for path in sorted((FOLDER / "generated").glob("*.json"))}


def raw_panels(board: Any) -> Iterator[Any]:
    """Give a dashboard's panels, those within rows included, without the rows themselves."""
    for panel in board["panels"]:
        if panel["type"] == "row":
            yield from panel["panels"]
        else:
            yield panel


def panels() -> list[Panel]:
    """Give every panel of every dashboard."""
    return [
        Panel(
            name,
            panel["title"],
            panel["type"],
            panel["fieldConfig"]["defaults"].get("unit", "short"),
            tuple((filled_in(target["expr"]), target.get("legendFormat") or "") for target in panel["targets"]),
        )
        for name, board in boards().items()
        for panel in raw_panels(board)
    ]


def filled_in(expression: str, window: str = "5m") -> str:
    """Fill variables in as Grafana does when all of each is chosen."""
    filled = expression.replace("$__rate_interval", window)
    return re.sub(r"\$(cluster|tenant|tier|backend)\b", ".*", filled)


def rules() -> list[Mapping[str, Any]]:
    """Give every rule, in order."""
    files = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in RULES]
    return [rule for file in files for group in file["groups"] for rule in group["rules"]]


def names_in(expression: str) -> set[str]:
    """Give the metric names of an expression: the gateway's, recorded ones, engines'."""
    return set(_NAME.findall(expression))


def known_names() -> set[str]:
    """Give every name that may be asked for."""
    known = {rule["record"] for rule in rules() if "record" in rule}
    metrics = [(metric.exported, metric.type) for metric in CATALOGUE]
    metrics += [(name, kind) for engine in ENGINES for name, kind in engine["metrics"].items()]
    for name, kind in metrics:
        known |= {name + suffix for suffix in _SUFFIXES.get(kind, ("",))}
    return known
