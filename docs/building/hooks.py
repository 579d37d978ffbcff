"""Hooks of mkdocs: pages that are made when the site is built, and links that leave docs/."""

import re
import sys
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from docs.building import commands, edge_commands, links, schemas, structure  # noqa: E402

MADE = {
    "reference/cli.md": commands.page,
    "reference/edge-cli.md": edge_commands.page,
}
EXAMPLE = re.compile(r"<!-- file: (\S+\.py) -->")
"""Where a page shows a whole file."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add pages that are made of code, and those that lie beside what they are about."""
    for uri, page in MADE.items():
        files.append(File.generated(config, uri, content=page()))
    for source, uri in links.PAGES.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, uri, content=links.moved(text, source)))
    return files


def on_page_markdown(markdown: str, page, **_) -> str:
    """Turn links of a file in docs/ to files outside it."""
    source = f"docs/{page.file.src_uri}"
    if not (ROOT / source).is_file():
        return markdown
    more = schemas.tables() if source == "docs/json.md" else ""
    shown = EXAMPLE.sub(_example, links.moved(markdown, source))
    return structure.filled(shown) + more


def _example(mark: re.Match[str]) -> str:
    return f"```python\n{(ROOT / mark[1]).read_text(encoding='utf-8')}```"
