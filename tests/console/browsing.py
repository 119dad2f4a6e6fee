"""The console in Debian's Chromium, over a real gateway and a stand-in with thoughts, prices and a cache."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from tests.gateway.serving import settings_over

CHROMIUM = shutil.which("chromium")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
]  # fmt: skip
VIEWS = ("playground", "live", "dial", "backends", "keys", "cache")
HARD = "Prove that there are infinitely many primes congruent to 3 mod 4."
TIMEOUT_MS = 60_000


def console_settings(standin_url: str, folder: Path, **changes: Any) -> dict[str, Any]:
    """Give a configuration that every view has something to show of."""
    settings = settings_over(
        standin_url,
        cache={"mode": "exact"},
        key_store={"path": str(folder / "keys.json")},
        ledger={"path": str(folder / "usage.db")},
        **changes,
    )
    settings["backends"]["swift"]["price"] = {"input": 0.1, "output": 0.4}
    settings["backends"]["sage"]["price"] = {"input": 0.6, "output": 2.5}
    return settings


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """Start the browser; it is closed when the block ends."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


@contextlib.contextmanager
def open_page(browser: Browser, url: str, **options: Any) -> Iterator[tuple[Page, list[str]]]:
    """Open the console in a profile of its own; the list holds whatever goes wrong in the page."""
    context = browser.new_context(reduced_motion="reduce", **{"locale": "en-GB", "color_scheme": "light", **options})
    context.set_default_timeout(TIMEOUT_MS)
    page, faults = context.new_page(), []
    page.on("console", lambda message: faults.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    try:
        page.goto(url)
        page.wait_for_selector("h1, .empty, .fault")
        yield page, faults
    finally:
        context.close()


def go(page: Page, view: str) -> None:
    """Change to a view and wait until it is there."""
    page.click(f"nav a[href='#{view}']")
    page.wait_for_selector(f"nav a[href='#{view}'][aria-current]")
    page.wait_for_selector("main h1")
    page.wait_for_load_state("networkidle") if view == "dial" else None


def ask_both(page: Page, prompt: str = HARD) -> None:
    """Type a prompt, wait for the decision, ask both tiers and wait for the vote to be offered."""
    page.fill("#prompt", prompt)
    page.wait_for_selector("#difficulty")
    page.click("#run")
    page.wait_for_selector("#vote-deep", state="visible")
