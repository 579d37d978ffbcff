"""The files of the pages for people, by their path in the URL.

They hold no data, and all may have them. What they show is asked for with a token, where the server
has one.
"""

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


def content_type(name: str) -> str:
    """Of a file by its name."""
    return _TYPES[name.rpartition(".")[2]]
