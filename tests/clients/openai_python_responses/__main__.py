"""Runs the Responses API's checks: `python openai_python_responses '{"gateway": …}'`."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "openai_python"))  # where `world` is

import native  # noqa: F401  registers its checks
import responses  # noqa: F401  registers its checks
from world import run_all

run_all("openai")
