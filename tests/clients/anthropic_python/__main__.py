"""Runs every check with Anthropic's SDK and prints the report: `python anthropic_python '{"gateway": …}'`."""

import errors  # noqa: F401  registers its checks, as do all the others
import messages  # noqa: F401
import streaming  # noqa: F401
import thinking  # noqa: F401
import tools  # noqa: F401
from world import run_all

run_all("anthropic")
