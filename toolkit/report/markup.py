"""Elements of HTML and SVG. Text is escaped unless it is markup already: there is no way around.

What comes out is both HTML and well-formed XML, so that tests can parse it.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import escape as _escaped
from typing import TypeAlias

# What neither HTML nor XML can hold: control characters, halves of surrogate pairs, non-characters.
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_VOID = frozenset(
    ("meta", "img", "br", "wbr", "line", "path", "rect", "circle", "polyline", "polygon")
)


class Markup(str):
    """Text that is markup already."""

    __slots__ = ()


Child: TypeAlias = "str | Markup | Iterable[Child] | None"
Value = str | int | float | bool | None


def text(value: object) -> Markup:
    """Any value as text of a document."""
    return Markup(_escaped(_FORBIDDEN.sub("\ufffd", str(value))))


def tag(name: str, /, *children: Child, **attributes: Value) -> Markup:
    """An element.

    Args:
        name: of the element.
        children: texts, which are escaped, markup, lists of those; None is nothing.
        attributes: 'class_' stands for 'class' and '_' for '-'; None and False leave it out.
    """
    head = name + "".join(_attribute(key, value) for key, value in attributes.items())
    inner = join(children)
    if not inner and name in _VOID:
        return Markup(f"<{head}/>")
    return Markup(f"<{head}>{inner}</{name}>")


def join(children: Child) -> Markup:
    """Children in a row."""
    match children:
        case None:
            return Markup("")
        case Markup():
            return children
        case str():
            return text(children)
        case _:
            return Markup("".join(join(child) for child in children))


@dataclass(frozen=True)
class Row:
    """A row of a table.

    Attributes:
        cells: one a column.
        kind: class of the row, or ''.
        below: what stands below it over the whole width, or None.
    """

    cells: tuple[Child, ...]
    kind: str = ""
    below: Child = None


def table(columns: Mapping[str, str], rows: Iterable[Row], caption: str) -> Markup:
    """A table that turns into a list of cards on a narrow screen.

    Args:
        columns: class by heading: 'num' stands right.
        rows: what is in it.
        caption: for those who do not see it.
    """
    heads = [tag("th", name, scope="col", class_=kind or None) for name, kind in columns.items()]
    return tag(
        "table",
        tag("caption", caption, class_="hidden"),
        tag("thead", tag("tr", heads)),
        tag("tbody", [_row(columns, row) for row in rows]),
        class_="rows",
    )


def _row(columns: Mapping[str, str], row: Row) -> Markup:
    named = zip(columns.items(), row.cells, strict=True)
    cells = [tag("td", cell, class_=kind or None, data_label=name) for (name, kind), cell in named]
    first = tag("tr", cells, class_=row.kind or None)
    if row.below is None:
        return first
    below = tag("tr", tag("td", row.below, colspan=len(columns)), class_=f"below {row.kind}")
    return Markup(first + below)


def file_name(path: str) -> Markup:
    """The name of a file, which may break at its dashes."""
    name = path.rpartition("/")[2]
    parts = [part for piece in name.split("-") for part in (tag("wbr"), f"-{piece}")][1:]
    return tag("code", parts[0][1:], parts[1:])


def _attribute(key: str, value: Value) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    content = "" if value is True else f"{value:.6g}" if isinstance(value, float) else value
    return f' {name}="{text(content)}"'
