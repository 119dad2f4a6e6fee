"""Runs every check with LlamaIndex and prints the report: `python llama_index '{"gateway": …}'`."""

import agents  # noqa: F401  registers its checks, as does the other
import chat  # noqa: F401
from world import run_all

run_all("llama-index-core")
