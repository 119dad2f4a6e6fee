"""Writes docs/conformance.md from a run: ``python -m tests.conformance``."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path

from tests.conformance.page import write_page
from tests.conformance.rows import all_rows
from tests.conformance.running import try_row
from tests.conformance.world import running_world

PAGE = Path(__file__).parents[2] / "docs" / "conformance.md"


def main() -> None:
    """Try every row, through the gateway and through LiteLLM, and write the page."""
    warnings.simplefilter("ignore")  # pydantic's and httpx's, of litellm's types and clients
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    with running_world() as world:
        results = [try_row(world, row) for row in all_rows()]
    PAGE.write_text(write_page(results), encoding="utf-8")
    passed = sum(result.ours.passes for result in results)
    theirs = [result.theirs for result in results if result.theirs]
    print(f"{PAGE.relative_to(Path.cwd())}: {passed} of {len(results)} rows pass everything;", end=" ")
    print(f"LiteLLM passes everything on {sum(one.passes for one in theirs)} of {len(theirs)}")


main()
