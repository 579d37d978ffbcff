"""The files of the pages for people, by their path in the URL.

They hold no data, and all may have them. What they show is asked for with a token, where the server
has one.
"""

from dataclasses import dataclass
from importlib import resources
from string import Template

_TYPES = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
_PARTS = (
    "answer.js",
    "api.js",
    "charts.js",
    "commands.js",
    "docs.css",
    "docs.js",
    "dom.js",
    "draw.js",
    "fields.js",
    "icon.svg",
    "model.js",
    "page.css",
    "page.js",
    "picture.js",
    "proof.js",
    "specs.js",
    "theme.css",
    "try.css",
    "try.js",
)

PAGES = {"/": "index.html", "/docs": "docs.html"} | {f"/page/{name}": name for name in _PARTS}
"""Path -> name of the file in the folder `page`."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Content-Security-Policy of all of them: nothing from elsewhere, nothing inline."""


@dataclass(frozen=True)
class _Page:
    """What a page has of its own in the frame that all share."""

    title: str
    styles: tuple[str, ...]
    script: str
    skip: str
    main: str


_FRAMED = {
    "index.html": _Page("Models", ("page.css", "try.css"), "page.js", "#model", "the model"),
    "docs.html": _Page("API", ("docs.css",), "docs.js", "#content", "the API"),
}
_CURRENT = ' aria-current="page"'


def content_type(name: str) -> str:
    """Of a file by its name."""
    return _TYPES[name.rpartition(".")[2]]


def content(name: str) -> bytes:
    """Of a file by its name; a page within its frame."""
    found = _read(name)
    page = _FRAMED.get(name)
    if page is None:
        return found
    styles = [f'<link rel="stylesheet" href="page/{style}">' for style in page.styles]
    whole = Template(_read("frame.html").decode()).substitute(
        title=page.title,
        styles="\n".join(styles),
        script=page.script,
        skip=page.skip,
        main=page.main,
        on_models=_CURRENT if name == "index.html" else "",
        on_docs=_CURRENT if name == "docs.html" else "",
        content=found.decode(),
    )
    return whole.encode()


def _read(name: str) -> bytes:
    return resources.files("toolkit.serve").joinpath("page", name).read_bytes()
