"""Runs every check with pydantic-ai and prints the report: `python pydantic_ai '{"gateway": …}'`."""

import agents  # noqa: F401  registers its checks
from world import run_all

run_all("pydantic-ai-slim")
