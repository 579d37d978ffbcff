"""A browser and a server for the tests of the pages."""

import shutil

import pytest

from tests.serve.running import Running

CHROMIUM = shutil.which("chromium")
TOKEN = "sesame-7"


@pytest.fixture(scope="package")
def page_server(tmp_path_factory):
    """A server that wants TOKEN, with the models of page_models.py; `url` says where."""
    for needed in ("onnx", "onnxruntime", "sklearn"):
        pytest.importorskip(needed)
    from tests.serve import page_models as models

    folder = tmp_path_factory.mktemp("page")
    first, second = folder / "digits" / "1", folder / "digits" / "2"
    first.mkdir(parents=True)
    second.mkdir()
    whole = models.digits(first).read_bytes()
    (second / "digits.edge").write_bytes(whole[:9000])  # cut off: refused
    paths = [
        first.parent,
        models.double(folder),
        models.moods(folder),
        models.colours(folder),
        models.colours(folder, name="photos", resized=True),
        models.unproven(folder),
    ]
    with Running(*paths, "--allow-unverified", TOOLKIT_TOKEN=TOKEN) as running:
        assert running.port, running.text
        running.url = f"http://127.0.0.1:{running.port}/"
        yield running


@pytest.fixture(scope="module")
def browser():
    """Ends with each module: while it is there, asyncio.run is refused."""
    if CHROMIUM is None:
        pytest.skip("browser tests left out: apt-get install chromium")
    sync = pytest.importorskip(
        "playwright.sync_api", reason="browser tests left out: pip install playwright"
    )
    with sync.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def visit(browser, page_server):
    """Open an address: visit("#digits", token=TOKEN, refusals=0, **context).

    At the end nothing may have been asked of others or told as an error, but for `refusals` answers
    with an error, which browsers report.
    """
    opened = []

    def go(address="", token=TOKEN, refusals=0, **options):
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        page = context.new_page()
        page.set_default_timeout(10_000)
        errors, asked = [], []
        page.on("console", lambda told: errors.append(told.text) if told.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        if token:
            page.add_init_script(
                f"sessionStorage.getItem('toolkit-token') ?? "
                f"sessionStorage.setItem('toolkit-token', '{token}')"
            )
        opened.append((context, errors, asked, refusals))
        page.goto(page_server.url + address)
        return page

    yield go
    for context, errors, asked, refusals in opened:
        context.close()
        told = [error for error in errors if "Failed to load resource" in error]
        assert errors == told
        assert len(told) == refusals
        assert [url for url in asked if not url.startswith((page_server.url, "blob:"))] == []
