"""Links between files of the repository, as links between pages of the site."""

import posixpath
import re
from collections.abc import Callable

PAGES = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "benchmarks/README.md": "benchmarks-how.md",
    "deploy/ray/README.md": "deploy/ray.md",
    "deploy/tf-serving/README.md": "deploy/tf-serving.md",
    "deploy/torchserve/README.md": "deploy/torchserve.md",
}
"""Files outside docs/ that are pages, too."""

LINK = re.compile(r"(?P<head>\]\()(?P<target>[^)\s#]+)(?P<tail>#[^)\s]*)?\)")
_FENCED = re.compile(r"(```.*?```)", re.DOTALL)


def relative(markdown: str) -> list[str]:
    """Targets of all links in a text that are relative paths."""
    found = [match["target"] for match in LINK.finditer(_FENCED.sub("", markdown))]
    return [target for target in found if not re.match(r"[a-z]+:", target)]


def moved(markdown: str, source: str) -> str:
    """A text whose links lead from page to page; one to a file that is no page becomes its name.

    Args:
        markdown: of the file.
        source: the file, from the repository's root.
    """
    parts = _FENCED.split(markdown)
    parts[::2] = [LINK.sub(_mover(source), part) for part in parts[::2]]
    return "".join(parts)


def page_of(path: str) -> str | None:
    """The page of a file, or None where it has none."""
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    return PAGES.get(path)


def _mover(source: str) -> Callable[[re.Match[str]], str]:
    here = page_of(source)
    if here is None:
        raise ValueError(f"{source} is no page")
    folder = posixpath.dirname(here)

    def move(match: re.Match[str]) -> str:
        if re.match(r"[a-z]+:", match["target"]):
            return match[0]
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), match["target"]))
        page = page_of(path)
        if page is None:
            return f"] (`{path}`)"
        return f"{match['head']}{posixpath.relpath(page, folder or '.')}{match['tail'] or ''})"

    return move
