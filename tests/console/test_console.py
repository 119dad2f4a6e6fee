"""The console as a person uses it, in a real browser: one browser and one gateway for all."""

import contextlib
import re
import warnings
from types import SimpleNamespace

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.console.browsing import CHROMIUM, HARD, PHONE, VIEWS, ask_both, chromium, console_settings, go, open_page
from tests.gateway.serving import ROOT, running_gateway

if CHROMIUM is None:
    warnings.warn("CHROMIUM IS MISSING: the console is NOT tested (make system installs it)", stacklevel=1)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="CHROMIUM IS MISSING: the console is NOT tested")

ADMIN = "sk-admin-0123456789"
WITH_KEYS = {"thalamus-key": "sk-console", "thalamus-admin-key": ADMIN}
CONSOLE = ROOT / "gateway" / "console"


@pytest.fixture(scope="module")
def served(session_standin, tmp_path_factory):
    """A gateway that asks for keys: `console` may all, `tight` one call an hour."""
    session_standin.reset()
    folder = tmp_path_factory.mktemp("console")
    tight = {"name": "tight", "key": "sk-tight", "limits": [{"calls": 1, "window_s": 3600}]}
    keys = [{"name": "console", "key": "sk-console"}, tight]
    settings = console_settings(session_standin.url, folder, keys=keys, server={"admin_key": ADMIN})
    with running_gateway(settings, folder) as running, running.client() as client:
        yield SimpleNamespace(url=running.url, client=client, standin=session_standin)


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture
def opened(served, browser, request):
    """Open a view with both keys; nothing may go wrong in the page but the refusals that a test expects."""

    class Opened:
        expected = ()

        def __call__(self, view="playground", keys=WITH_KEYS, **options):
            page, self.faults = self._context.enter_context(open_page(browser, served.url, view, keys, **options))
            return page

    opened = Opened()
    with contextlib.ExitStack() as opened._context:
        yield opened
        served.standin.reset()
    left = [fault for fault in opened.faults if not any(status in fault for status in opened.expected)]
    assert left == [], "the browser's console"


def say(served, prompt, key="sk-console", **more):
    body = {"model": "auto", "messages": [{"role": "user", "content": prompt}], **more}
    return served.client.post("/v1/chat/completions", json=body, headers={"authorization": f"Bearer {key}"})


def test_a_prompt_is_explained_as_it_is_typed(opened):
    page = opened()
    asked, aborted, held = [], [], []
    for event, requests in (("request", asked), ("requestfailed", aborted)):
        page.on(event, lambda request, to=requests: to.append(request) if "/v1/route" in request.url else None)
    page.route("**/v1/route", lambda route: held.extend([route]), times=1)
    page.fill("#prompt", "hi")
    page.wait_for_timeout(300)
    page.locator("#prompt").press_sequentially(" Prove that there are infinitely many primes.", delay=2)
    page.wait_for_selector("#tier[data-tier=deep]")
    assert len(asked) <= 4, "each pause asks once, not each key"
    assert aborted[:1] == asked[:1], "an older question is given up"
    held[0].abort()
    decision = page.inner_text(".ask")
    for told in ("maths", "goes deep", "Is thinking worth it?", "Runner-up", "Signals", "complexity", "swift (fast)"):
        assert told in decision
    assert re.search(r"Deep is right \d+ points more often, for \$0\.0\d+ more", decision)
    edge = page.locator(".track .edge").evaluate("it => it.style.left")
    page.click("[data-value=max]")
    page.wait_for_function("edge => document.querySelector('.track .edge').style.left !== edge", arg=edge)


def test_both_tiers_answer_side_by_side_and_the_vote_is_feedback(opened, served):
    page = opened()
    ask_both(page)
    fast, deep = (page.locator(f".answer.{tier}") for tier in ("fast", "deep"))
    assert "primes" in fast.locator(".text").inner_text()
    assert "primes" in deep.locator(".text").inner_text()
    assert not fast.locator(".thinking").is_visible()
    assert "Let me think" in deep.locator(".thought").inner_text()
    assert deep.locator("summary").inner_text().startswith("Thought for")
    for answer, thinking in ((fast, False), (deep, True)):
        figures = answer.locator(".figures").inner_text()
        assert re.search(r"Time\s+\d", figures)
        assert re.search(r"Cost\s+\$0\.000\d", figures)
        assert ("of them thinking" in figures) == thinking
    assert re.search(r"Deep took [\d.]+× the time and cost [\d.]+×", page.inner_text(".vote"))
    page.click("#vote-deep")
    page.wait_for_selector("#thanks")
    assert 'thalamus_feedback_total{tier="fast",verdict="deep"} 1.0' in served.client.get("/metrics").text


def test_a_run_can_be_stopped_and_started_again(opened, served):
    page = opened()
    served.standin.behave(first_byte_ms=20_000)
    page.fill("#prompt", "hello there")
    page.press("#prompt", "Control+Enter")
    page.locator("#run", has_text="Stop").click()
    page.locator(".stopped").nth(1).wait_for()
    assert not page.locator(".vote").is_visible()
    served.standin.reset()
    page.locator("#run", has_text="Ask both").click()
    page.wait_for_selector("#vote-same", state="visible")


def test_what_goes_wrong_is_said_where_it_went_wrong(opened, served):
    opened.expected = ("401", "429", "502", "503")
    page = opened(keys={"thalamus-admin-key": ADMIN})
    page.locator(".decision", has_text="This needs a key").get_by_role("button").click()
    page.fill("#api-key", "sk-nobody")
    page.keyboard.press("Enter")
    page.fill("#prompt", "hello")
    page.locator(".decision .fault", has_text="This needs a key").get_by_role("button").click()
    page.fill("#api-key", "sk-tight")
    page.keyboard.press("Enter")
    page.wait_for_selector("#difficulty")
    page.click("#run")
    limited = page.locator(".answer .fault", has_text="A limit is reached")
    limited.wait_for()
    assert re.search(r"Try again in \d+ s", limited.inner_text())
    assert page.locator(".answer .fault").count() == 1, "the other column has its answer"
    served.standin.behave(faults=["status-503"])
    page.evaluate("sessionStorage.setItem('thalamus-key', 'sk-console')")
    page.click("#run")
    page.locator(".answer .fault", has_text="The backend did not answer").nth(1).wait_for()
    served.standin.reset()
    page.route("**/v1/route", lambda route: route.abort())
    page.fill("#prompt", "hello again")
    opened.expected += ("ERR_FAILED",)
    page.locator(".decision .fault", has_text="cannot be reached").wait_for()


def test_other_views_ask_for_the_admin_key_and_tell_a_wrong_one(opened):
    opened.expected = ("401",)
    page = opened("backends", keys={})
    for key, shows in (("sk-wrong", "The gateway refuses this key"), (ADMIN, "sage")):
        page.get_by_role("button", name="Enter keys").click()
        page.fill("#admin-key", key)
        page.keyboard.press("Enter")
        page.locator("main", has_text=shows).wait_for()
    page.click("#key")
    page.get_by_role("button", name="Forget both").click()
    page.locator("main", has_text="needs the admin key").wait_for()
    assert page.evaluate("sessionStorage.length") == 0


def test_decisions_appear_are_filtered_opened_and_replayed(opened, served):
    say(served, HARD)
    page = opened("live")
    opened.expected = ("ERR_FAILED",)
    rows = page.locator("#decisions tbody tr")
    rows.first.wait_for()
    before = rows.count()
    say(served, "hello")
    rows.nth(before).wait_for()
    page.select_option("#by-tier", "deep")
    page.select_option("#by-reason", "difficulty")
    page.select_option("#by-kind", "maths")
    assert 0 < rows.count() < before
    page.fill("input[type=search]", "no such thing")
    page.get_by_role("button", name="Clear the filters").click()
    page.locator("#decisions tr", has_text="difficulty").filter(has_text="maths").first.click()
    page.locator("#replays td").nth(11).wait_for()
    explanation = page.inner_text("dialog")
    for told in ("Difficulty 0.63 is at least", "goes deep", "Signals", "Gateway's own time", "sage: ok", "as decided"):
        assert told in explanation
    assert Axe().run(page).violations_count == 0, "the opened decision"
    page.keyboard.press("Escape")
    page.click("#pause")
    say(served, "hello")
    page.locator("#pause", has_text="1 new").wait_for()
    count = rows.count()
    page.click("#pause")
    rows.nth(count).wait_for()


def test_the_live_view_comes_back_when_its_stream_breaks(opened, served):
    opened.expected = ("ERR_FAILED",)
    page = opened("backends")
    page.route("**/admin/decisions/stream", lambda route: route.abort(), times=1)
    page.evaluate("location.hash = 'live'")
    page.locator("#state", has_text="reconnecting").wait_for()
    missed = say(served, "said while nobody watched").headers["x-thalamus-decision-id"]
    page.locator("#state", has_text="live").wait_for()
    page.locator(f"[data-id='{missed}']").wait_for()


def test_the_dial_says_what_moving_costs_and_saves(opened):
    page = opened("dial")
    assert page.inner_text("#says") == "Here you stand: balanced is set."
    page.click("[data-value=cheap]")
    assert re.search(r"Moving from balanced to here: −\d.*points right answers, −\$\d", page.inner_text("#says"))
    assert page.inner_text("#yaml") == "routing:\n  dial: cheap"
    page.focus("#threshold")
    page.keyboard.press("ArrowLeft")
    assert re.match(r"routing:\n  thresholds: {balanced: 0\.\d{3}}", page.inner_text("#yaml"))
    inked = "it => it.getContext('2d').getImageData(0, 0, it.width, it.height).data.some(Boolean)"
    assert page.locator(".chart canvas").evaluate(inked), "the curve is drawn"
    assert page.locator(".notches tbody tr").count() == 4


def test_a_replica_is_drained_and_taken_back(opened, served):
    page = opened("backends")
    page.get_by_role("button", name="Drain swift/only").click()
    page.get_by_role("button", name="Take back swift/only").wait_for()
    told = served.client.get("/admin/backends", headers={"authorization": f"Bearer {ADMIN}"}).json()["backends"]
    assert {one["name"]: one["replicas"][0]["condition"] for one in told} == {"swift": "draining", "sage": "serving"}
    page.get_by_role("button", name="Take back swift/only").click()
    page.get_by_role("button", name="Drain swift/only").wait_for()


def test_keys_are_made_rotated_and_revoked(opened, served):
    def status(token):
        return served.client.get("/v1/models", headers={"authorization": f"Bearer {token}"}).status_code

    def shown():
        token = page.locator("#token").inner_text()
        page.get_by_role("button", name="Done").click()
        return token

    page = opened("keys")
    page.get_by_role("button", name="New key").click()
    page.fill("#key-name", "batch")
    page.fill("#key-budget", "5")
    page.keyboard.press("Enter")
    first = shown()
    assert "$0.00 of $5.00" in page.locator("tr", has_text="batch").first.inner_text()
    assert status(first) == 200
    page.get_by_role("button", name="Rotate batch").click()
    page.select_option("#overlap", "0")
    page.locator("dialog").get_by_role("button", name="Rotate").click()
    second = shown()
    assert (status(first), status(second)) == (401, 200)
    page.get_by_role("button", name="Revoke batch").click()
    page.click("#confirm")
    page.locator("tr", has_text="batch").filter(has_text="revoked").wait_for()
    assert status(second) == 401
    assert first not in page.content()
    assert second not in page.content()


def test_a_tenant_is_erased_only_once_that_is_confirmed(opened, served):
    def cached():
        return say(served, "What is kept of me?", temperature=0).headers["x-thalamus-cache"]

    page = opened("cache")
    assert [cached(), cached()] == ["miss", "hit-exact"]
    page.fill("#tenant", "default")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Cancel").click()
    assert cached() == "hit-exact"
    page.keyboard.press("Enter")
    page.click("#confirm")
    page.locator("#say", has_text="answers 1").wait_for()
    assert cached() == "miss"


@pytest.mark.parametrize(("locale", "scheme"), [("en-GB", "light"), ("zh-CN", "dark")])
def test_every_view_is_accessible_in_either_theme_and_language(opened, locale, scheme):
    page = opened(locale=locale, color_scheme=scheme)
    assert page.get_attribute("html", "lang") == ("zh-CN" if locale == "zh-CN" else "en")
    assert page.get_attribute("html", "data-theme") == scheme
    for view in VIEWS:
        go(page, view)
        if view == "playground":
            ask_both(page)
        found = Axe().run(page)
        assert found.violations_count == 0, f"{view}: {found.generate_report()}"


def test_language_and_theme_are_changed_and_kept_and_a_phone_needs_no_sideways_scrolling(opened):
    page = opened(viewport=PHONE)
    page.click("#theme")
    page.click("#language")
    page.locator("h1", has_text="试一试").wait_for()
    page.reload()
    page.locator("h1", has_text="试一试").wait_for()
    assert page.get_attribute("html", "data-theme") == "dark"
    for view in VIEWS:
        go(page, view)
        if view == "playground":
            ask_both(page, "证明：模 4 余 3 的素数有无穷多个。")
            decision = page.inner_text(".decision") + page.inner_text("#signals")
            assert "走深度档" in decision
            names = {"sage", "swift", "medium", "reflex"}
            assert set(re.findall("[A-Za-z]{3,}", decision)) == names, "no English is left in it"
        assert page.evaluate("document.scrollingElement.scrollWidth") <= PHONE["width"], view


def test_both_languages_have_every_word_that_the_page_says(opened):
    page = opened()
    words = page.evaluate(
        "Promise.all(['en', 'zh'].map((name) => import(`/console/words/${name}.js`)"
        ".then((file) => Object.keys(file.default.words))))"
    )
    assert words[0] == words[1]
    sources = "".join(path.read_text("utf-8") for path in [*CONSOLE.glob("*.js"), *(CONSOLE / "views").glob("*.js")])
    used = set(re.findall(r'\bw\("(\w+)"', sources))
    assert used <= set(words[0])
    named = set(re.findall(r'["`](\w+)["`]', sources))
    built = re.compile(r"\w+(View|Lead)|status\w+|(theme|intent)_\w+|overlap\d+|example\d")
    assert [word for word in words[0] if word not in named and not built.fullmatch(word)] == [], "nobody says these"
