"""Command lines of the engines, each option checked against the documented ones in flags.yaml."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml

from deploy.moe.size import Row, is_wide

FLAGS = Path(__file__).with_name("flags.yaml")
PORT = 8000


class UnknownFlagError(ValueError):
    """An option that the engine's version does not have, or not with this value."""


@cache
def documented() -> dict[str, Any]:
    """Give what the engines have, by engine: image, user, flags, metrics."""
    found: dict[str, Any] = yaml.safe_load(FLAGS.read_text(encoding="utf-8"))
    return found


def command(row: Row, engine: str, *, leads: bool = True) -> list[str]:
    """Give the command of one node; `leads` is false for those behind the first."""
    if engine == "vllm":
        return ["vllm", "serve", row["model"], *words(vllm(row, leads=leads), engine)]
    return ["python3", "-m", "sglang.launch_server", *words(sglang(row), engine)]


def words(flags: dict[str, Any], engine: str) -> list[str]:
    """Give options as words; a switch has no value."""
    known, found = documented()[engine]["flags"], []
    for flag, value in flags.items():
        if flag not in known:
            raise UnknownFlagError(f"{engine} has no {flag}")
        if isinstance(known[flag], list) and value not in known[flag]:
            raise UnknownFlagError(f"{engine}'s {flag} has no {value}")
        found += [flag] if value is True else [flag, str(value)]
    return found


def vllm(row: Row, *, leads: bool = True) -> dict[str, Any]:
    """Give vLLM's options. Nodes find each other by the variables that a LeaderWorkerSet sets."""
    flags: dict[str, Any] = {
        "--served-model-name": row["model"],
        "--host": "0.0.0.0",  # noqa: S104 -- a pod's own address; the network policy says who reaches it
        "--port": PORT,
        **_vllm_layout(row),
        "--max-model-len": row["context"],
        "--max-num-seqs": _sequences(row),
        "--gpu-memory-utilization": 0.9,
        "--enable-prefix-caching": True,
        "--scheduling-policy": "priority",
        "--enable-auto-tool-choice": True,
        **_parsers(row, "vllm"),
    }
    if row["nodes"] > 1:
        flags |= {"--nnodes": "$(LWS_GROUP_SIZE)", "--node-rank": "$(LWS_WORKER_INDEX)"}
        flags |= {"--master-addr": "$(LWS_LEADER_ADDRESS)", **({} if leads else {"--headless": True})}
    return flags


def _sequences(row: Row) -> int:
    """Give how many requests a scheduler takes at once: few fill their context. A wide group has one at each GPU."""
    return int(row["concurrency"] * 4 / (row["gpus"] * row["nodes"] if is_wide(row) else 1))


def _vllm_layout(row: Row) -> dict[str, Any]:
    experts = {} if row.get("dense") else {"--enable-expert-parallel": True}
    if is_wide(row):
        # Of --nnodes and --node-rank vLLM infers which ranks are a node's own.
        return {"--tensor-parallel-size": 1, "--data-parallel-size": row["gpus"] * row["nodes"], **experts}
    stages = {"--pipeline-parallel-size": row["nodes"]} if row["nodes"] > 1 else {}
    return {"--tensor-parallel-size": row["gpus"], **stages, **experts}


def sglang(row: Row) -> dict[str, Any]:
    """Give SGLang's options, the same on every node; nodes behind the first answer probes by themselves."""
    flags: dict[str, Any] = {
        "--model-path": row["model"],
        "--served-model-name": row["model"],
        "--host": "0.0.0.0",  # noqa: S104 -- as above
        "--port": PORT,
        **_sglang_layout(row),
        "--context-length": row["context"],
        "--max-running-requests": row["concurrency"] * 4,
        "--mem-fraction-static": 0.85,
        "--enable-metrics": True,
        "--enable-priority-scheduling": True,
        "--schedule-low-priority-values-first": True,  # as vLLM orders them
        **_parsers(row, "sglang"),
    }
    if row["nodes"] > 1:
        flags |= {"--nnodes": "$(LWS_GROUP_SIZE)", "--node-rank": "$(LWS_WORKER_INDEX)"}
        flags |= {"--dist-init-addr": "$(LWS_LEADER_ADDRESS):20000"}
    return flags


def _sglang_layout(row: Row) -> dict[str, Any]:
    everything = row["gpus"] * row["nodes"]
    if is_wide(row):
        return {"--tp-size": everything, "--attn-dp-size": everything, "--ep-size": everything}
    return {"--tp-size": row["gpus"], **({"--pp-size": row["nodes"]} if row["nodes"] > 1 else {})}


def _parsers(row: Row, engine: str) -> dict[str, Any]:
    own = row[engine]
    flags: dict[str, Any] = {"--tool-call-parser": own["tool"]}
    if "reasoning" in own:
        flags["--reasoning-parser"] = own["reasoning"]
    if "template" in own:  # the model's own template does not write tools as its parser reads them
        flags["--chat-template"] = own["template"]
    if row.get("trust_remote_code"):
        flags["--trust-remote-code"] = True
    return flags
