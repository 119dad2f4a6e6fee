"""Takes the pictures of the console for the docs: `make pictures`."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page

from gateway.standin import running_standin
from tests.console.browsing import DESK, HARD, PHONE, VIEWS, ask_both, chromium, console_settings, go, open_page
from tests.console.squeezing import squeeze
from tests.gateway.serving import ROOT, RunningGateway, running_gateway

FOLDER = ROOT / "docs" / "pictures"
MOST_HIGH = 1500
"""Pixels of the longest picture; what lies below is not shown."""

ANSWER = (
    "Suppose there were only finitely many such primes: 3, p1, …, pk. Consider N = 4·p1·…·pk + 3. It is odd and leaves "
    "remainder 3 modulo 4, so not all of its prime factors leave remainder 1. One of them leaves remainder 3, and it "
    "is none of the listed ones: a contradiction."
)
HARD_ZH = "证明：模 4 余 3 的素数有无穷多个。"
PROMPTS = (
    "What is the capital of France?", "Translate 'good morning' into Spanish.", HARD, "hi there!",
    "Design a lock-free queue and prove that it is linearizable.", "Write a haiku about rain.", HARD_ZH,
    "今天天气怎么样？", "Quick answer: what does HTTP 429 mean?",
    "Think hard: which of these two contracts is riskier, and why?",
    "Refactor this function so that it does not allocate: def f(xs): return [x * 2 for x in xs]",
    "How many integers below 10,000 are divisible by 7 but by neither 2 nor 5?", "Thanks, that helps!",
    "Plan a migration of 40 services from one cluster to another without downtime.", "Rewrite this sentence politely.",
)  # fmt: skip
LOOKS = (("", "en-GB", "light"), ("-dark", "en-GB", "dark"), ("-zh", "zh-CN", "light"))
"""Suffix of the file, language, theme."""


def main(folder: Path = FOLDER) -> None:
    """Write every view in English, light and dark, and in Chinese; an opened decision; the playground on a phone."""
    _check_fonts()
    folder.mkdir(parents=True, exist_ok=True)
    with _used_gateway() as gateway, chromium() as browser:
        for name, locale, scheme in LOOKS:
            with open_page(browser, gateway.url, locale=locale, color_scheme=scheme, device_scale_factor=1.5) as (
                page,
                _,
            ):
                for view in VIEWS:
                    go(page, view)
                    if view == "playground":
                        ask_both(page, HARD_ZH if locale == "zh-CN" else HARD)
                    _take(page, folder / f"console-{view}{name}.png", whole=view != "live")
        _take_details(browser, gateway.url, folder)


def _take_details(browser: Browser, url: str, folder: Path) -> None:
    with open_page(browser, url, "live", device_scale_factor=1.5) as (page, _):
        page.locator("#decisions tr", has_text="coding").first.click()
        page.locator("#replays td").nth(11).wait_for()
        _take(page, folder / "console-decision.png", whole=False)
    with open_page(browser, url, viewport=PHONE, device_scale_factor=2) as (page, _):
        page.fill("#prompt", HARD)
        page.wait_for_selector("#difficulty")
        _take(page, folder / "console-phone.png", whole=False)


@contextmanager
def _used_gateway() -> Iterator[RunningGateway]:
    """Run a gateway that has been in use: decisions of many kinds, kept answers, keys, spending."""
    with tempfile.TemporaryDirectory() as kept, running_standin() as standin:
        standin.behave(answer=ANSWER, token_ms=2)
        with running_gateway(console_settings(standin.url, Path(kept)), Path(kept)) as gateway:
            with gateway.client() as client:
                for prompt in PROMPTS * 2:
                    asked = {"model": "auto", "temperature": 0, "messages": [{"role": "user", "content": prompt}]}
                    client.post("/v1/chat/completions", json=asked).raise_for_status()
            yield gateway


def _take(page: Page, path: Path, *, whole: bool = True) -> None:
    """Photograph the page, in a window as high as the view is where that is wanted, with few colours."""
    page.evaluate("document.activeElement.blur()")
    if whole:
        high = page.evaluate("document.scrollingElement.scrollHeight")
        page.set_viewport_size({**DESK, "height": min(max(high, DESK["height"]), MOST_HIGH)})
    page.wait_for_timeout(500)
    page.screenshot(path=path)
    if whole:
        page.set_viewport_size(DESK)
    squeeze(path, path)


def _check_fonts() -> None:
    """Refuse to photograph boxes in place of Chinese characters."""
    found = subprocess.run(["fc-list", ":lang=zh"], capture_output=True, text=True, check=False).stdout
    if not found:
        raise SystemExit("no font has Chinese characters: `make picture-fonts` installs one")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
