"""The console in Debian's Chromium, over a real gateway and a stand-in with thoughts, prices and a cache."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Mapping
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
TIMEOUT_MS = 20_000
DESK = {"width": 1280, "height": 860}
PHONE = {"width": 390, "height": 844}


def console_settings(standin_url: str, folder: Path, **changes: Any) -> dict[str, Any]:
    """Give a configuration that every view has something to show of; its deep backend thinks for a moment."""
    settings = settings_over(
        standin_url,
        cache={"mode": "exact"},
        key_store={"path": str(folder / "keys.json")},
        ledger={"path": str(folder / "usage.db")},
        **changes,
    )
    settings["backends"]["swift"]["price"] = {"input": 0.1, "output": 0.4}
    settings["backends"]["sage"]["price"] = {"input": 0.6, "output": 2.5}
    settings["backends"]["sage"]["model"] = "sage-1@thinking=always,thinking_tokens=60,thinking_ms=120"
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
def open_page(
    browser: Browser, url: str, view: str = "playground", keys: Mapping[str, str] | None = None, **options: Any
) -> Iterator[tuple[Page, list[str]]]:
    """Open the console in a profile of its own; the list holds whatever goes wrong in the page.

    Args:
        browser: a running one.
        url: the gateway's address.
        view: which view to open.
        keys: what the tab's session holds from the beginning, by name.
        options: of Playwright's context, such as `viewport`.
    """
    context = browser.new_context(
        reduced_motion="reduce", **{"locale": "en-GB", "color_scheme": "light", "viewport": DESK, **options}
    )
    context.set_default_timeout(TIMEOUT_MS)
    for name, key in (keys or {}).items():
        context.add_init_script(f"sessionStorage.getItem('{name}') ?? sessionStorage.setItem('{name}', '{key}')")
    page, faults = context.new_page(), []
    page.on("console", lambda message: faults.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    try:
        page.goto(f"{url}/#{view}")
        settled(page)
        yield page, faults
    finally:
        context.close()


def settled(page: Page) -> None:
    """Wait until a view stands, whatever it shows."""
    page.wait_for_selector("main h1")
    page.wait_for_selector("main [aria-busy]", state="detached")


def go(page: Page, view: str) -> None:
    """Change to a view and wait until it is there."""
    page.click(f"nav a[href='#{view}']")
    page.wait_for_selector(f"nav a[href='#{view}'][aria-current]")
    page.wait_for_function(
        "title => document.title.startsWith(document.querySelector('main h1')?.textContent)", arg=view
    )
    settled(page)


def ask_both(page: Page, prompt: str = HARD) -> None:
    """Type a prompt, wait for the decision, ask both tiers and wait for the vote to be offered."""
    page.fill("#prompt", prompt)
    page.wait_for_selector("#difficulty")
    page.click("#run")
    page.wait_for_selector("#vote-deep", state="visible")
