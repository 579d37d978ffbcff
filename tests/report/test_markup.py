"""Elements: nothing gets in unescaped, and what comes out is HTML and XML."""

from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.report.markup import Markup, Row, file_name, table, tag, text


@given(st.text(st.characters(), max_size=40))
def test_any_text_survives_as_child_and_as_attribute(value):
    made = tag("p", value, title=value)
    assert isinstance(made, Markup)
    tree = ElementTree.fromstring(made)
    assert not list(tree)  # no element came out of the text
    made.encode()  # halves of surrogate pairs are gone


@pytest.mark.parametrize("value", ["<b>", "&amp;", '"', "'", "]]>", "<!--"])
def test_escaped_text_reads_as_it_was(value):
    assert ElementTree.fromstring(tag("p", value, title=value)).text == value
    assert ElementTree.fromstring(tag("p", title=value)).get("title") == value


def test_what_no_document_can_hold_is_replaced():
    assert text("a\x00\ud800\ufffeb") == "a\ufffd\ufffd\ufffdb"


def test_names_and_values_of_attributes():
    made = tag("rect", x=1.5, class_="a", data_label="b", hidden=True, y=None, z=False, w=2)
    assert made == '<rect x="1.5" class="a" data-label="b" hidden="" w="2"/>'


def test_children_are_joined_and_none_is_nothing():
    assert tag("p", "<", None, [tag("b", "x"), ["y"]]) == "<p>&lt;<b>x</b>y</p>"


def test_a_table_says_its_headings_in_each_cell():
    made = table({"file": "", "size": "num"}, [Row(("a", "1"), "failed", "because")], "Files")
    tree = ElementTree.fromstring(made)
    cells = list(tree.iter("td"))
    assert [cell.get("data-label") for cell in cells] == ["file", "size", None]
    assert cells[2].get("colspan") == "2"
    assert [row.get("class") for row in tree.iter("tr")] == [None, "failed", "below failed"]


def test_file_names_may_break_at_dashes_only():
    made = file_name("exports/a-b-c.onnx")
    assert made == "<code>a<wbr/>-b<wbr/>-c.onnx</code>"
    assert file_name("plain.onnx") == "<code>plain.onnx</code>"
