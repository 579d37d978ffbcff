"""The pages for people in a real browser, against a real server that wants a token."""

import re
from importlib import resources

import pytest

from tests.serve.conftest import TOKEN
from toolkit.serve.pages import PAGES, content

TIMES = " \N{MULTIPLICATION SIGN} "
PHONE = {"width": 360, "height": 740}


def test_pages_are_whole_and_hold_nothing_inline():
    folder = resources.files("toolkit.serve") / "page"
    files = {each.name: content(each.name).decode() for each in folder.iterdir()}
    assert files.pop("frame.html")  # of all pages
    assert set(files) == set(PAGES.values())
    for name, text in files.items():
        named = re.findall(r'(?:from "\./|(?:src|href)="page/)([^"]+)"', text)
        assert set(named) <= set(files), name
        assert len(text.splitlines()) <= 250, name
        if name.endswith(".html"):
            assert not re.search(r"<style|style=|\bon\w+=|<script(?![^>]* src=)|https?:", text), (
                name
            )
        else:
            assert "innerHTML" not in text, name


def test_models_their_proofs_and_a_refused_version(visit):
    page = visit()
    page.wait_for_selector("#models a")
    rows = dict(row.split("\n") for row in page.locator("#models a").all_inner_texts())
    assert rows.pop("sum") == "Not verified"
    assert rows == dict.fromkeys(["digits", "double", "moods", "colours", "photos"], "Verified")
    assert page.locator("#summary").inner_text() == "6 models, 1 not verified"
    proof = page.locator(".proof").inner_text()
    assert "8 golden samples, greatest error" in proof
    assert page.locator(".proof td").all_inner_texts() == [
        "exports/digits-fp32.onnx", "onnxruntime 1.23.2", "passed", "3.1e-7", "100 %", "0.9417",
        "0", "360",
    ]  # fmt: skip
    assert page.locator(".chip").all_inner_texts()[:2] == ["Version 1 (1.2.0)", "fp32"]
    assert TIMES.join(("float32, n", "8", "8", "1")) in page.locator(".specs").first.inner_text()
    note = page.locator(".note").inner_text()
    assert "Version 2 was refused; version 1 goes on." in note
    assert "cut off" in note
    assert page.locator(".banner").count() == 0


def test_latency_is_live_and_rests_in_the_background(visit):
    page = visit("#double")
    page.fill("#field", "1")
    page.click("#model button.primary")
    page.wait_for_selector(".headline")
    page.wait_for_selector(".latency :text('of the latest')")
    assert page.locator(".figures dd").first.inner_text().endswith("ms")
    page.evaluate("""() => {
        Object.defineProperty(document, "hidden", { value: true, configurable: true });
        document.dispatchEvent(new Event("visibilitychange"));
    }""")
    page.wait_for_timeout(300)  # for what was under way
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(2100)
    assert asked == []
    with page.expect_response("**/api/models?examples=0"):
        page.evaluate("""() => {
            delete document.hidden;
            document.dispatchEvent(new Event("visibilitychange"));
        }""")


def test_the_token_is_asked_for_and_stays_in_the_tab(visit, page_server):
    page = visit("#double", token="", refusals=2)
    page.wait_for_selector("#token")
    assert page.evaluate("document.activeElement.id") == "token-field"
    page.fill("#token-field", "wrong")
    page.keyboard.press("Enter")
    page.wait_for_selector("#token :text('refused this token')")
    page.fill("#token-field", TOKEN)
    page.keyboard.press("Enter")
    page.wait_for_selector("#model h1")
    assert page.url == f"{page_server.url}#double"
    assert page.evaluate("Object.values(localStorage)") == []
    command = page.locator(".command pre").first.inner_text()
    assert "Bearer $TOOLKIT_TOKEN" in command
    assert TOKEN not in page.content()


def test_commands_can_be_copied(visit):
    page = visit("#double", permissions=["clipboard-read", "clipboard-write"])
    page.click("[aria-label='Copy the TensorFlow Serving command']")
    page.wait_for_selector("text=Copied")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert "/v1/models/double:predict' \\\n" in copied
    assert '{"instances":[[1.5]]}' in copied
    infer = page.locator(".command pre").nth(1).inner_text()
    assert '"shape":[1,1],"datatype":"FP32","data":[1.5]' in infer


def test_the_api_with_its_examples(visit):
    page = visit("docs")
    page.click("summary:has-text('/v1/models/double:predict')")
    inside = page.locator("details[open] .inside").inner_text()
    assert "[[1.5]]" in inside
    assert "the request is wrong" in inside
    with page.expect_download() as download:
        page.click("header a[href='openapi.json']")
    assert '"openapi": "3.1.0"' in download.value.path().read_text()


@pytest.mark.parametrize("address", ["#digits", "#double", "#moods", "#photos", "#sum", "docs"])
def test_a_phone_needs_no_sideways_scrolling(visit, address):
    page = visit(address, viewport=PHONE, has_touch=True, is_mobile=True, color_scheme="dark")
    page.wait_for_selector("#model h1, .operation")
    if page.locator("text=Use the example").is_visible():
        page.click("text=Use the example")
        page.click("#model button.primary")
        page.wait_for_selector(".headline")
    widths = "[document.documentElement.scrollWidth, visualViewport.width * visualViewport.scale]"
    assert page.evaluate(widths) == [360, 360]
