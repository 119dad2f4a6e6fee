"""Takes the pictures of the console for the docs: `make pictures`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from gateway.standin import running_standin
from tests.console.browsing import HARD, VIEWS, ask_both, chromium, console_settings, go, open_page
from tests.gateway.serving import ROOT, running_gateway

FOLDER = ROOT / "docs" / "pictures"
ANSWER = (
    "Suppose there were only finitely many such primes: 3, p1, …, pk. Consider N = 4·p1·…·pk + 3. It is odd and leaves "
    "remainder 3 modulo 4, so not all of its prime factors leave remainder 1. One of them leaves remainder 3, and it "
    "is none of the listed ones: a contradiction."
)
PROMPTS = ("What is the capital of France?", "Translate 'good morning' into Spanish.", HARD, "hi there!",
           "Design a lock-free queue and prove that it is linearizable.", "Write a haiku about rain.",
           "What is the capital of France?")  # fmt: skip


def main(folder: Path = FOLDER) -> None:
    """Write one picture a view, and one of the playground as on a phone."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as kept, running_standin() as standin:
        standin.behave(answer=ANSWER)
        with running_gateway(console_settings(standin.url, Path(kept)), Path(kept)) as gateway, chromium() as browser:
            with gateway.client() as client:
                for prompt in PROMPTS:
                    asked = {"model": "auto", "messages": [{"role": "user", "content": prompt}]}
                    client.post("/v1/chat/completions", json=asked).raise_for_status()
            size = {"width": 1280, "height": 860}
            with open_page(browser, gateway.url, viewport=size) as (page, _):
                for view in VIEWS:
                    go(page, view)
                    if view == "playground":
                        ask_both(page)
                    page.wait_for_timeout(400)
                    page.screenshot(path=folder / f"console-{view}.png", full_page=view != "live")
            with open_page(browser, gateway.url, viewport={"width": 390, "height": 844}) as (page, _):
                page.fill("#prompt", HARD)
                page.wait_for_selector("#difficulty")
                page.screenshot(path=folder / "console-phone.png")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
