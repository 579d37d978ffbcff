"""The page in a real browser: quiet, alone, and fit for phone, desktop, dark mode and paper."""

import shutil

import pytest

from tests.report.conftest import Here, bench_of, ladder, make_run
from toolkit.report.stage import report

sync_api = pytest.importorskip(
    "playwright.sync_api", reason="Playwright is not installed: pip install playwright"
)
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no browser: apt-get install chromium, or playwright install chromium"
)


@pytest.fixture(scope="module")
def page_file(full_run):
    return full_run.write("report.html", report(full_run, Here())[1])


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def show(browser, page_file):
    """show(width, ...): the page at that width; what the browser complains about fails the test."""
    opened, complaints = [], []

    def show(width, **options):
        context = browser.new_context(viewport={"width": width, "height": 800}, **options)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "request",
            lambda request: (
                request.url.startswith(("file:", "data:")) or complaints.append(request.url)
            ),
        )
        page.goto(page_file.as_uri())
        opened.append(context)
        return page

    yield show
    for context in opened:
        context.close()
    assert complaints == []


def sideways(page):
    """Elements that reach beyond the right edge."""
    return page.evaluate(
        """() => [...document.querySelectorAll("body *")]
        .filter(e => !e.closest("svg") && !e.closest(".hidden"))
        .filter(e => e.getBoundingClientRect().right > innerWidth + 1)
        .map(e => e.tagName + "." + e.className)"""
    )


@pytest.mark.parametrize(
    ("width", "scheme"), [(360, "light"), (360, "dark"), (740, "light"), (1280, "light")]
)
def test_it_fits_and_is_drawn(show, tmp_path, width, scheme):
    page = show(width, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert sideways(page) == []
    page.screenshot(path=tmp_path / "page.png", full_page=True)
    assert (tmp_path / "page.png").stat().st_size > 50_000
    box = page.locator("svg.plot").first.bounding_box()
    assert box["width"] > 200
    assert box["height"] > 100


def test_dark_is_dark_and_paper_is_white(show):
    back = "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)"
    page = show(1000, color_scheme="dark")
    assert max(page.evaluate(back)) < 60
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate(back) == [255, 255, 255]
    assert not page.locator("nav").is_visible()


def test_it_can_be_printed(show, tmp_path):
    page = show(1000)
    page.pdf(path=tmp_path / "page.pdf", format="A4")
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")


def test_it_works_without_javascript(show):
    page = show(360, java_script_enabled=False)
    assert page.locator("h1").inner_text().startswith("shapes")
    assert page.locator(".commands button").count() == 0


def test_commands_can_be_copied(show):
    page = show(1000, permissions=["clipboard-read", "clipboard-write"])
    page.locator(".commands button").first.click()
    page.locator(".commands button", has_text="copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()").startswith("toolkit train")


def test_long_names_do_not_break_a_phone(browser, tmp_path):
    run = make_run(tmp_path, labels=("an unusually long label", "x" * 60, "<b>"))
    run.write("bench.json", bench_of(run))
    run.update(ladder=ladder(), recipe=run.facts["recipe"] | {"name": "n" * 80})
    run.update(error="w" * 200, versions={"python": "3" * 90})
    page = browser.new_page(viewport={"width": 360, "height": 800})
    page.goto(run.write("report.html", report(run, Here())[1]).as_uri())
    assert sideways(page) == []
    page.close()
