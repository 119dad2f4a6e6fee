"""Runs every check with LangChain and prints the report: `python langchain '{"gateway": …}'`."""

import agents  # noqa: F401  registers its checks, as does the other
import chat  # noqa: F401
from world import run_all

run_all("langchain")
