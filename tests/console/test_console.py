"""The console as a person uses it, in a real browser."""

import warnings

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.console.browsing import CHROMIUM, VIEWS, ask_both, chromium, console_settings, go, open_page
from tests.gateway.serving import running_gateway

if CHROMIUM is None:
    warnings.warn("CHROMIUM IS MISSING: the console is NOT tested (make system installs it)", stacklevel=1)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="CHROMIUM IS MISSING: the console is NOT tested")


@pytest.fixture(scope="module")
def url(session_standin, tmp_path_factory):
    session_standin.reset()
    folder = tmp_path_factory.mktemp("console")
    with running_gateway(console_settings(session_standin.url, folder), folder) as running:
        yield running.url


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


def test_the_playground_answers_the_live_table_fills_and_the_dial_moves(url, browser):
    with open_page(browser, url) as (page, faults):
        ask_both(page)
        assert page.text_content("#tier") == "deep"
        assert "primes" in page.text_content(".answer.deep .text")
        page.click("#vote-deep")
        page.wait_for_selector("#thanks")
        go(page, "live")
        page.wait_for_selector("#decisions tbody tr")
        before = page.locator("#decisions tbody tr").count()
        page.evaluate(
            "fetch('/v1/chat/completions', {method: 'POST', body: JSON.stringify("
            "{model: 'auto', messages: [{role: 'user', content: 'hello'}]})}).then((r) => r.text())"
        )
        page.locator("#decisions tbody tr").nth(before).wait_for()
        page.click("#decisions tbody button")
        page.click("[data-dial=max]")
        page.locator("#replayed", has_text="max").wait_for()
        page.keyboard.press("Escape")
        go(page, "dial")
        moved = page.text_content("#moved")
        page.click("[data-dial=cheap]")
        assert page.text_content("#moved") != moved
        assert faults == []


@pytest.mark.parametrize(("locale", "scheme"), [("en-GB", "light"), ("zh-CN", "dark")])
def test_every_view_is_accessible_and_quiet(url, browser, locale, scheme):
    with open_page(browser, url, locale=locale, color_scheme=scheme) as (page, faults):
        assert page.get_attribute("html", "lang") == ("zh-CN" if locale == "zh-CN" else "en")
        assert page.get_attribute("html", "data-theme") == scheme
        for view in VIEWS:
            go(page, view)
            if view == "playground":
                ask_both(page)
            found = Axe().run(page)
            assert found.violations_count == 0, f"{view}: {found.generate_report()}"
        assert faults == []
