"""Memory per GPU: `python -m deploy.moe.size [MODEL] [--context N] [--concurrency N] [--gpus N] [--json]`."""

from __future__ import annotations

import argparse
import json
from functools import cache
from pathlib import Path
from typing import Any

import yaml

MODELS = Path(__file__).with_name("models.yaml")
GPUS_GB = {"h100": 80, "h200": 141, "b200": 180}
USABLE = 0.9
"""Share of a GPU that engines take (vLLM's --gpu-memory-utilization); graphs and activations need the reserve below."""
RESERVE_GB = 6.0

Row = dict[str, Any]


@cache
def models() -> dict[str, Row]:
    """Give the catalogue, by name."""
    found: dict[str, Row] = yaml.safe_load(MODELS.read_text())
    return found


def kv_bytes_per_token(row: Row, ranks: int, bytes_each: int = 2) -> float:
    """Give the bytes of KV cache that one token costs on one tensor-parallel rank.

    MLA keeps the latent and its rotary part, whole on each rank. Grouped heads are divided over ranks, repeated where
    there are more ranks than heads.
    """
    kept = row["attention"]
    if kept["kind"] == "mla":
        return float(row["layers"] * (kept["kv_lora"] + kept["rope"]) * bytes_each)
    heads = max(kept["kv_heads"] / ranks, 1.0)
    return float(2 * row["layers"] * heads * kept["head_dim"] * bytes_each)


def is_wide(row: Row) -> bool:
    """Whether each GPU serves requests of its own and the experts are divided over all of them."""
    return bool(row.get("layout") == "data")


def experts_gb(row: Row) -> float:
    """Give the GB of the routed experts: three matrices each (gate, up and down)."""
    one = row["experts"]
    return float(one["count"] * one["layers"] * 3 * one["hidden"] * one["inner"] * one["bits"] / 8 / 1e9)


def size(row: Row, context: int | None = None, concurrency: int | None = None, gpus: int | None = None) -> Row:
    """Give GB per GPU: weights, KV cache for `concurrency` requests of `context` tokens each, and what is left.

    By layout: a pipeline's node holds its share of the layers, divided over its GPUs. In a wide group each GPU holds
    its share of the experts and all the rest, and the cache of its share of the requests.
    """
    tokens = (context or row["context"]) * (concurrency or row["concurrency"])
    ranks, nodes = gpus or row["gpus"], row["nodes"]
    if is_wide(row):
        divided = experts_gb(row)
        weights = divided / (ranks * nodes) + row["weights_gb"] - divided
        cache = tokens * kv_bytes_per_token(row, 1) / (ranks * nodes) / 1e9
    else:
        weights = row["weights_gb"] / (ranks * nodes)
        cache = tokens * kv_bytes_per_token(row, ranks) / nodes / 1e9
    usable = GPUS_GB[row["gpu"]] * USABLE - RESERVE_GB
    return {
        "model": row["model"],
        "gpus": f"{nodes}x{ranks} {row['gpu']}{' wide' if is_wide(row) else ''}",
        "context": context or row["context"],
        "concurrency": concurrency or row["concurrency"],
        "weights_gb": round(weights, 1),
        "kv_gb": round(cache, 1),
        "usable_gb": round(usable, 1),
        "fits": weights + cache <= usable,
    }


def table(rows: list[Row]) -> str:
    """Give them as a table in Markdown."""
    head = "| model | GPUs | context | concurrent | weights GB/GPU | KV GB/GPU | usable GB | fits |\n|" + "---|" * 8
    return "\n".join([head, *("| " + " | ".join(str(cell) for cell in row.values()) + " |" for row in rows)])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="?", choices=list(models()))
    parser.add_argument("--context", type=int)
    parser.add_argument("--concurrency", type=int)
    parser.add_argument("--gpus", type=int, help="per node")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    chosen = [row for name, row in models().items() if asked.model in {None, name}]
    rows = [size(row, asked.context, asked.concurrency, asked.gpus) for row in chosen]
    print(json.dumps(rows) if asked.json else table(rows))


if __name__ == "__main__":
    main()
