"""Runs every check with the SDK of this environment and prints the report: `python openai_python '{"gateway": …}'`."""

import asynchronous  # noqa: F401  registers its checks, as do all the others
import chat  # noqa: F401
import errors  # noqa: F401
import other_endpoints  # noqa: F401
import streaming  # noqa: F401
import structured  # noqa: F401
import tools  # noqa: F401
from world import run_all

run_all("openai")
