"""Writes every dashboard as JSON that Grafana imports: `python -m dashboards`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from dashboards.backends import backends
from dashboards.cache_and_limits import cache_and_limits
from dashboards.cost import cost
from dashboards.overview import overview
from dashboards.routing import routing

GENERATED = Path(__file__).parent / "generated"


def written() -> Mapping[str, str]:
    """Give each dashboard's JSON by the name of its file."""
    encoder = JSONEncoder(sort_keys=True, indent=2)
    boards = {
        "overview": overview(),
        "routing": routing(),
        "cost": cost(),
        "backends": backends(),
        "cache-and-limits": cache_and_limits(),
    }
    return {f"{name}.json": encoder.encode(board.build()) + "\n" for name, board in boards.items()}


def main() -> None:
    """Replace what is in `generated/`."""
    files = written()
    for path in GENERATED.glob("*.json"):
        if path.name not in files:
            path.unlink()
    for name, text in files.items():
        (GENERATED / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
