"""Trying a model on the page, in a real browser against a real server."""

import io
import math

import pytest

TIMES = " \N{MULTIPLICATION SIGN} "


def answer(page):
    page.click("#model button.primary")
    return page.locator(".headline").inner_text()


def test_a_drawn_digit_is_recognised(visit):
    page = visit("#digits")
    box = page.locator("canvas.draw").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    for step in range(25):
        turn = 2 * math.pi * step / 24
        page.mouse.move(
            x + 0.25 * box["width"] * math.sin(turn), y - 0.38 * box["height"] * math.cos(turn)
        )
        if step == 0:
            page.mouse.down()
    page.mouse.up()
    assert page.locator(".headline").inner_text() == "0"
    assert page.locator(".bars li").count() == 10
    page.click("button:text('Clear')")
    page.click("#model button.primary")
    assert "Draw something first." in page.locator(".failed").inner_text()


def test_drawing_with_keys(visit):
    page = visit("#digits")
    page.focus("canvas.draw")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Space")
    page.wait_for_selector(".headline")
    value = page.evaluate("""() => {
        const seen = document.querySelector("canvas.seen");
        const { data } = seen.getContext("2d").getImageData(0, 0, 8, 8);
        return [4 * (3 * 8 + 4), 0].map((at) => data[at]);
    }""")
    assert value == [255, 0]


@pytest.mark.parametrize(
    ("model", "expected"),
    [("digits", "0"), ("double", "3"), ("colours", "red"), ("photos", "red")],
)
def test_the_example_gives_its_answer(visit, model, expected):
    page = visit(f"#{model}")
    page.click("text=Use the example")
    assert answer(page) == expected
    assert "Round trip" in page.locator(".time").inner_text()
    page.click("text=Raw JSON")
    assert '"outputs":' in page.locator(".raw pre").inner_text()


def test_numbers_one_and_several(visit):
    page = visit("#double")
    page.fill("#field", "-4.25")
    assert answer(page) == "-8.5"
    page.fill("#field", "1, 2; 3")
    page.click("#model button.primary")
    page.wait_for_selector(".samples")
    assert page.locator(".samples li").all_inner_texts() == ["2", "4", "6"]


@pytest.mark.parametrize("model", ["colours", "photos"])
def test_a_picture_is_brought_to_the_models_size(visit, model):
    image = pytest.importorskip("PIL.Image")
    content = io.BytesIO()
    image.new("RGB", (40, 30), (10, 200, 30)).save(content, "PNG")
    page = visit(f"#{model}")
    page.wait_for_selector(".drop")
    file = {"name": "leaf.png", "mimeType": "image/png", "buffer": content.getvalue()}
    page.set_input_files(".drop input[type=file]", file)
    assert page.locator(".headline").inner_text() == "green"
    assert f"leaf.png, 40{TIMES}30" in page.locator(".drop").inner_text()


def test_a_file_of_numbers(visit):
    page = visit("#double")
    page.check("input[value=file]")
    file = {"name": "rows.csv", "mimeType": "text/csv", "buffer": b"5\n6\n"}
    page.set_input_files(".drop input[type=file]", file)
    page.wait_for_selector(".samples")
    assert page.locator(".samples li").all_inner_texts() == ["10", "12"]


def test_what_looks_like_html_stays_text(visit):
    from tests.serve.page_models import HARMFUL

    page = visit("#moods")
    page.fill("#field", "such a great day")
    assert answer(page) == HARMFUL
    page = visit()

    def renamed(route):
        answered = route.fetch()
        route.fulfill(response=answered, body=answered.text().replace('"double"', f'"{HARMFUL}"'))

    page.route("**/api/models*", renamed)
    page.reload()
    page.click(f"#models a:has-text({HARMFUL!r})")
    assert page.locator("h1", has_text=HARMFUL).is_visible()
    assert HARMFUL in page.title()
    assert page.locator("#content img").count() == 0


def test_an_unproven_model_and_a_wrong_input(visit):
    page = visit("#sum", refusals=1)
    assert "Not verified" in page.locator(".banner").inner_text()
    page.fill("#field", '{"a": [1, 2], "b": [3]}')
    page.click("#model button.primary")
    failed = page.locator(".failed").inner_text()
    assert "Refused (400)" in failed
    assert "input b: expected one sample of shape [2]" in failed
    page.fill("#field", '{"a": [1, 2], "b": [3, 4]')
    page.click("#model button.primary")
    page.wait_for_selector(".failed :text('This is not JSON')")
    page.fill("#field", '{"a": [1, 2], "b": [3, 4]}')
    assert answer(page) == "4, 6"
