"""Look the options, parsers and metrics of flags.yaml up in the engines' own packages: `python -m deploy.moe.lookup`.

It fetches 300 MB of wheels, unpacks nothing and runs nothing of them. A name counts as found where the sources write it
as a text: a flag by itself or as the field of which the command line is made, a parser as a key of its register.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from deploy.moe.options import documented

_OPTIONS = re.compile(r"/(arg_utils|cli_args|server_args)\.py$|/entrypoints/cli/|/arg_groups/")
_PARSERS = re.compile(r"/(tool_parsers|reasoning|function_call|parser)/")
_METRICS = re.compile(r"/(metrics|observability)/")


def missing(wheel: Path, engine: dict[str, Any]) -> Iterator[str]:
    """Give what a wheel does not have of an engine's flags, values and metrics."""
    options, parsers, metrics = (_sources(wheel, part) for part in (_OPTIONS, _PARSERS, _METRICS))
    for flag, values in engine["flags"].items():
        field = flag.removeprefix("--").replace("-", "_")
        if f'"{flag}"' not in options and not re.search(rf"^\s+{field}\s*:", options, re.MULTILINE):
            yield flag
        if flag.endswith("-parser"):
            yield from (f"{flag} {value}" for value in values if f'"{value}":' not in parsers)
    yield from (name for name in engine.get("metrics", {}).values() if f'"{name}"' not in metrics)


def _sources(wheel: Path, wanted: re.Pattern[str]) -> str:
    with zipfile.ZipFile(wheel) as files:
        names = [name for name in files.namelist() if name.endswith(".py") and wanted.search(name)]
        return "\n".join(files.read(name).decode() for name in names)


def _fetch(requirement: str, folder: str) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    subprocess.run([*command, "--dest", folder, requirement], check=True)
    return next(Path(folder).glob("*.whl"))


def main() -> int:
    """Print what is missing, by engine."""
    found, faults = documented(), 0
    for name, engine in found.items():
        # Ray Serve takes vLLM's options; which of them its version of vLLM has is the question.
        asked = {"flags": found["vllm"]["flags"]} if name == "ray" else engine
        with tempfile.TemporaryDirectory() as folder:
            gone = list(missing(_fetch(engine["wheel"], folder), asked))
        print(f"{name} {engine['version']} ({engine['wheel']}): {', '.join(gone) or 'everything is there'}")
        faults += len(gone)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
