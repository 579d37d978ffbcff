"""The site is built without a warning, and its pages load nothing from elsewhere."""

import re
import subprocess
import sys

import pytest

from tests.docs.pages import ROOT

pytest.importorskip("mkdocs", reason="mkdocs is not installed: pip install mkdocs-material")
LOADED = re.compile(
    r'<(?:script|img|iframe|source)\b[^>]*\bsrc="([^"]+)"|<link\b[^>]*\bhref="([^"]+)"'
)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "-d", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def test_pages_load_only_what_lies_beside_them(site):
    pages = list(site.rglob("*.html"))
    assert len(pages) > 40
    for page in pages:
        for found in LOADED.findall(page.read_text()):
            target = (found[0] or found[1]).partition("?")[0]
            assert "//" not in target, f"{page.name} loads {target}"
    styles = "".join(style.read_text() for style in site.rglob("*.css"))
    assert not re.search(r"url\(\s*[\"']?(https?:)?//", styles)


def test_references_are_made_of_the_code(site):
    commands = (site / "reference" / "cli.html").read_text()
    assert "toolkit keys rotate" in commands
    assert "--min-agreement" in commands
    assert "toolkit.api.training.train" in (site / "reference" / "api.html").read_text()
    assert "python -m edge selftest" in (site / "reference" / "edge-cli.html").read_text()
    architecture = (site / "architecture.html").read_text()
    assert "<span>pipeline</span>" in architecture
    assert "toolkit/train</code>" in architecture


def test_pictures_of_terminals_load_nothing():
    for picture in (ROOT / "docs" / "images").glob("*.svg"):
        text = picture.read_text()
        assert "@font-face" not in text
        assert not re.findall(r'(?:href|src)="http|url\(http', text)
